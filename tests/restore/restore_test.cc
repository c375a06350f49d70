// SPDX-License-Identifier: Apache-2.0

#include "restore/restore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>

#include "restore/image/verify.h"
#include "restore/transfer/compare.h"
#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::AsBytes;
using stasis::testing::kTestTime;
using stasis::testing::ReadAll;
using stasis::testing::ScratchDir;
using stasis::testing::TestVfs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr uint64_t kMiB = 1 << 20;

// One of every kind of file.
void FillRich(TestVfs& t) {
  t.Mkdir("/dir", 01777);
  t.Write("/dir/file", "content");
  t.Write("/empty", "");
  t.Write("/dir/large", std::string(300'000, 'L'));
  t.WriteAt("/sparse", 3 * kMiB + 17, "end");
  t.WriteAt("/sparse", kMiB, "middle");
  t.Truncate("/sparse", 1024 * kMiB);
  t.Symlink("/link", "dir/file");
  t.Symlink("/dangling", std::string(4000, 'x'));
  t.Link("/dir/file", "/dir/other");
  t.Mknod("/fifo", S_IFIFO | 0640);
  t.Mknod("/socket", S_IFSOCK | 0755);
  t.Mknod("/null", S_IFCHR | 0666, makedev(1, 3));
  t.Mknod("/disk", S_IFBLK | 0600, makedev(259, 1'000'000));
  t.SetXattr("/dir/file", "user.empty", "");
  t.SetXattr("/dir/file", "user.binary", std::string("\0\xff\n\0", 4));
  t.SetXattr("/dir", "trusted.big", std::string(65536, '\x80'));
  vfs::SetStat set;
  set.mode = 06754;
  set.uid = 4'000'000'000;
  set.gid = 12;
  set.atime = vfs::SetTime{-1, false};
  set.mtime = vfs::SetTime{1'234'567'890'987'654'321, false};
  set.ctime = 3;
  set.btime = std::numeric_limits<TimeNs>::min();
  t.Set("/dir/file", set);
  t.Set("/fifo", set);
}

std::string EveryByteName() {
  std::string name;
  for (int c = 1; c < 256; ++c)
    if (c != '/') name += static_cast<char>(c);
  return name + "Z";  // 255 bytes
}

CompareOptions Everything() {
  CompareOptions options;
  options.atime = options.ctime = options.btime = options.holes = true;
  return options;
}

// Both trees are equal in everything.
void ExpectSameTree(TestVfs& left, TestVfs& right) {
  const auto a = OpenVfsTree(left.vfs(), left.root());
  const auto b = OpenVfsTree(right.vfs(), right.root());
  const auto report = CompareTrees(*a, *b, Everything());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->equal()) << report->ToText();
}

class RestoreTest : public ::testing::Test {
 protected:
  std::string layout() const { return scratch_ / "snaps"; }
  void Save(TestVfs& t, const std::string& tag) {
    const auto report = Checkpoint(t.RequestTo(layout(), tag));
    ASSERT_TRUE(report.ok()) << report.status();
    last_ = *report;
  }
  absl::StatusOr<RestoredImage> Load(const std::string& tag) {
    return Restore(TestVfs::RequestFrom(layout(), tag));
  }
  std::unique_ptr<TestVfs> LoadVfs(const std::string& tag) {
    auto image = Load(tag);
    EXPECT_TRUE(image.ok()) << image.status();
    return std::make_unique<TestVfs>(*std::move(image));
  }
  // The packs of the newest image, largest first.
  std::vector<std::filesystem::path> Blobs() {
    std::vector<std::filesystem::path> blobs;
    for (const auto& e : std::filesystem::directory_iterator(layout() + "/blobs/sha256"))
      blobs.push_back(e.path());
    std::sort(blobs.begin(), blobs.end(), [](const auto& a, const auto& b) {
      return std::filesystem::file_size(a) > std::filesystem::file_size(b);
    });
    return blobs;
  }

  ScratchDir scratch_;
  CheckpointReport last_;
};

TEST_F(RestoreTest, BringsBackEveryKindOfFileWithAllAttributes) {
  TestVfs before;
  FillRich(before);
  before.Write("/" + EveryByteName(), "name");
  Save(before, "v1");
  auto after = LoadVfs("v1");
  ExpectSameTree(before, *after);
  EXPECT_EQ(after->Read("/dir/file"), "content");
  EXPECT_EQ(after->Read("/" + EveryByteName()), "name");
  EXPECT_EQ(after->Stat("/dir/file").ino, before.Stat("/dir/file").ino);
  EXPECT_EQ(after->Stat("/dir/file").ino, after->Stat("/dir/other").ino);
  EXPECT_EQ(after->Stat("/sparse").blocks, before.Stat("/sparse").blocks);
  EXPECT_EQ(after->Stat("/disk").rdev, makedev(259, 1'000'000));
  EXPECT_EQ(after->GetXattr("/dir/file", "user.binary"), std::string("\0\xff\n\0", 4));
  EXPECT_EQ(after->Stat("/dir/file").btime, std::numeric_limits<TimeNs>::min());
}

TEST_F(RestoreTest, SavingAgainGivesTheSameBytes) {
  TestVfs first;
  FillRich(first);
  first.Hold("file", first.Open("/dir/large", O_RDONLY));
  Save(first, "v1");
  const CheckpointReport before = last_;
  auto second = LoadVfs("v1");
  Save(*second, "v2");
  EXPECT_EQ(last_.digest, before.digest);
  EXPECT_EQ(last_.dirty_bytes, 0u);
  EXPECT_EQ(last_.pack_bytes, 0u);
}

TEST_F(RestoreTest, SecondCheckpointStoresOnlyWhatChanged) {
  TestVfs t;
  for (int i = 0; i < 200; ++i)
    t.Write("/" + std::to_string(i),
            std::string(16384, static_cast<char>('a' + i % 26)) + std::to_string(i));
  Save(t, "v1");
  EXPECT_GT(last_.dirty_bytes, 200u * 16384);
  t.Write("/7", "changed");
  Save(t, "v2");
  EXPECT_EQ(last_.dirty_bytes, 7u);
  auto again = LoadVfs("v2");
  EXPECT_EQ(again->Read("/7"), "changed");
  EXPECT_EQ(again->Read("/8"), t.Read("/8"));
}

TEST_F(RestoreTest, RestoredFilesystemCanBeChangedAndSavedAgain) {
  TestVfs t;
  FillRich(t);
  t.SaveAndRestore();
  t.WriteAt("/dir/large", 100, "new");
  t.Unlink("/dir/other");
  t.Rename("/dir/file", "/moved");
  t.Write("/added", "x");
  t.SaveAndRestore();
  EXPECT_EQ(t.Read("/moved"), "content");
  EXPECT_EQ(t.Stat("/moved").nlink, 1u);
  EXPECT_EQ(t.Read("/dir/large").substr(98, 7), "LLnewLL");
  EXPECT_THAT(t.List("/dir"), ElementsAre("large"));
  EXPECT_NE(t.Stat("/added").ino, t.Stat("/moved").ino);
}

TEST_F(RestoreTest, DataIsReadOnFirstUse) {
  TestVfs t;
  t.Write("/a", std::string(kMiB, 'a'));
  t.Write("/b", std::string(100, 'b'));
  Save(t, "v1");
  auto image = Load("v1");
  ASSERT_TRUE(image.ok()) << image.status();
  const RefPtr<image::PackReader> source = image->image().source();
  TestVfs again(*std::move(image));
  EXPECT_EQ(again.Stat("/a").size, kMiB);
  EXPECT_EQ(source->frames_read(), 0u);
  EXPECT_EQ(again.Read("/b"), std::string(100, 'b'));
  EXPECT_GT(source->frames_read(), 0u);
}

TEST_F(RestoreTest, MissingPackIsFoundBeforeAnythingIsBuilt) {
  TestVfs t;
  t.Write("/a", std::string(kMiB, 'a'));
  Save(t, "v1");
  std::filesystem::remove(Blobs()[0]);
  const auto image = Load("v1");
  EXPECT_EQ(image.status().code(), absl::StatusCode::kDataLoss) << image.status();
}

TEST_F(RestoreTest, DataDamagedAfterOpeningIsAnErrorNeverZeros) {
  TestVfs t;
  std::string noise;
  for (uint32_t i = 0; noise.size() < kMiB; ++i) noise += std::to_string(i * 2654435761u);
  t.Write("/a", noise);
  Save(t, "v1");
  std::vector<std::string> heard;
  RestoreRequest request = TestVfs::RequestFrom(layout(), "v1");
  request.packs.on_error = [&](const absl::Status& s) { heard.emplace_back(s.message()); };
  auto image = Restore(request);
  ASSERT_TRUE(image.ok()) << image.status();
  TestVfs again(*std::move(image));
  const auto pack = Blobs()[0];
  std::fstream file(pack, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(1000);
  file.put('\x55').put('\xaa').put('\x55');
  file.close();
  const auto fd = again.Open("/a", O_RDONLY);
  std::string out(4096, 'x');
  const auto n = fd->PRead(0, std::as_writable_bytes(std::span(out)));
  ASSERT_FALSE(n.has_value());
  EXPECT_EQ(n.error(), Errno(EIO));
  ASSERT_FALSE(heard.empty());
  EXPECT_THAT(heard[0], HasSubstr(pack.filename().string().substr(0, 12)));
  std::filesystem::resize_file(pack, 0);
  EXPECT_FALSE(fd->PRead(kMiB / 2, std::as_writable_bytes(std::span(out))).has_value());
}

TEST_F(RestoreTest, UnknownTagAndDirectoryAreNotFound) {
  EXPECT_EQ(Load("v1").status().code(), absl::StatusCode::kNotFound);
  TestVfs t;
  Save(t, "v1");
  EXPECT_EQ(Load("v2").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(RestoreTest, UnknownFilesystemTypeIsRefusedByName) {
  TestVfs t;
  Save(t, "v1");
  state::Registry empty;
  RestoreRequest request = TestVfs::RequestFrom(layout(), "v1");
  request.registry = &empty;
  const auto image = Restore(request);
  EXPECT_EQ(image.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(image.status().message()), HasSubstr("filesystem.memfs"));
}

TEST_F(RestoreTest, ImageOutlivesTheRemovalOfItsFiles) {
  TestVfs t;
  t.Write("/a", std::string(kMiB, 'a'));
  Save(t, "v1");
  auto again = LoadVfs("v1");
  std::filesystem::remove_all(layout());
  EXPECT_EQ(again->Read("/a"), std::string(kMiB, 'a'));
}

TEST_F(RestoreTest, ReportSaysWhatWasRestored) {
  TestVfs t;
  FillRich(t);
  Save(t, "v1");
  const auto image = Load("v1");
  ASSERT_TRUE(image.ok()) << image.status();
  const RestoreReport& report = image->report();
  EXPECT_EQ(report.digest, last_.digest);
  EXPECT_EQ(report.files, last_.files);
  EXPECT_EQ(report.dentries, last_.dentries);
  EXPECT_EQ(report.created, "2026-01-01T00:00:00.123456789Z");
  EXPECT_THAT(report.ToJson(), HasSubstr("\"load_ns\":"));
  EXPECT_THAT(report.ToText(), HasSubstr("files"));
}

TEST_F(RestoreTest, LimitsAreKept) {
  memfs::MemfsOptions options;
  options.size_limit = 64 * 1024;
  options.inode_limit = 3;
  TestVfs t(options);
  t.Write("/a", std::string(40'000, 'a'));
  t.SaveAndRestore();
  const auto file = t.Open("/a", O_WRONLY);
  // Written as far as there is room, then not at all.
  EXPECT_EQ(file->PWrite(40'000, AsBytes(std::string(40'000, 'b'))).value(), 25'536u);
  EXPECT_EQ(file->PWrite(65'536, AsBytes("c")).error(), Errno(ENOSPC));
  t.Write("/b", "");
  EXPECT_EQ(t.vfs().MkdirAt(t.creds(), t.At("/c"), 0755).error(), Errno(ENOSPC));
}

TEST_F(RestoreTest, MountsComeBack) {
  TestVfs t;
  t.Mkdir("/mnt");
  t.Mkdir("/bind");
  t.Write("/file", "f");
  t.Write("/over", "o");
  const auto other = memfs::MemFilesystem::Create(t.vfs(), {});
  ASSERT_TRUE(t.vfs().MountAt(t.creds(), t.ns(), t.At("/mnt"), other, {}));
  t.Write("/mnt/inside", "i");
  t.Mkdir("/mnt/deep");
  vfs::MountFlags read_only;
  read_only.read_only = true;
  ASSERT_TRUE(
      t.vfs().BindAt(t.creds(), t.ns(), t.At("/mnt/deep"), t.At("/bind"), {.flags = read_only}));
  ASSERT_TRUE(t.vfs().BindAt(t.creds(), t.ns(), t.At("/file"), t.At("/over"), {}));
  t.SaveAndRestore();
  EXPECT_EQ(t.Read("/mnt/inside"), "i");
  EXPECT_EQ(t.Read("/over"), "f");
  EXPECT_EQ(t.vfs().MkdirAt(t.creds(), t.At("/bind/x"), 0755).error(), Errno(EROFS));
  t.Write("/mnt/deep/new", "n");
  EXPECT_EQ(t.Read("/bind/new"), "n");
  EXPECT_NE(t.Stat("/mnt").dev, t.Stat("/").dev);
  EXPECT_EQ(t.vfs().RmdirAt(t.creds(), t.At("/mnt")).error(), Errno(EBUSY));
  ASSERT_TRUE(t.vfs().UmountAt(t.creds(), t.ns(), t.At("/over")));
  EXPECT_EQ(t.Read("/over"), "o");
}

TEST_F(RestoreTest, MountPointsDeepInATreeComeBack) {
  TestVfs t;
  std::string path;
  for (int depth = 0; depth < 6; ++depth) t.Mkdir(path += "/d");
  t.Mkdir("/bind");
  ASSERT_TRUE(t.vfs().BindAt(t.creds(), t.ns(), t.At("/d/d/d/d"), t.At("/bind")));
  ASSERT_TRUE(t.vfs().MountAt(t.creds(), t.ns(), t.At(path),
                              memfs::MemFilesystem::Create(t.vfs(), {}), {}));
  t.Write(path + "/f", "deep");
  t.SaveAndRestore();
  EXPECT_EQ(t.Read(path + "/f"), "deep");
  EXPECT_TRUE(t.Exists("/bind/d/d"));
}

// Something else than its parent leads to the dentry that is mounted, and sooner.
TEST_F(RestoreTest, BindOfADeepDirectoryComesBack) {
  TestVfs t;
  for (const char* dir : {"/a", "/a/b", "/a/b/c", "/a/b/c/d", "/m"}) t.Mkdir(dir);
  t.Write("/a/b/c/d/f", "deep");
  ASSERT_TRUE(t.vfs().BindAt(t.creds(), t.ns(), t.At("/a/b/c/d"), t.At("/m")));
  t.SaveAndRestore();
  EXPECT_EQ(t.Read("/m/f"), "deep");
  EXPECT_EQ(t.Read("/a/b/c/d/f"), "deep");
}

TEST_F(RestoreTest, AccessTimeFlagsOfMountsComeBack) {
  TestVfs t;
  t.Mkdir("/none");
  t.Mkdir("/files");
  t.Mkdir("/strict");
  const auto mount = [&](std::string_view at, vfs::MountFlags flags) {
    const auto fs = memfs::MemFilesystem::Create(t.vfs(), {});
    ASSERT_TRUE(t.vfs().MountAt(t.creds(), t.ns(), t.At(at), fs, flags));
  };
  mount("/none", {.no_atime = true});
  mount("/files", {.no_dir_atime = true});
  mount("/strict", {.strict_atime = true});
  t.SaveAndRestore();
  const auto flags = [&](std::string_view at) {
    return (*t.vfs().GetDentryAt(t.creds(), t.At(at))).mount().flags();
  };
  EXPECT_TRUE(flags("/none").no_atime);
  EXPECT_FALSE(flags("/none").no_dir_atime);
  EXPECT_TRUE(flags("/files").no_dir_atime);
  EXPECT_FALSE(flags("/files").strict_atime);
  EXPECT_TRUE(flags("/strict").strict_atime);
  EXPECT_FALSE(flags("/strict").no_atime);
}

TEST_F(RestoreTest, DirectoryOf100000EntriesKeepsOrderAndPositions) {
  TestVfs t;
  t.Mkdir("/d");
  for (int i = 0; i < 100'000; ++i) t.Mknod("/d/" + std::to_string(i), S_IFREG | 0600);
  for (int i = 0; i < 100'000; i += 3) t.Unlink("/d/" + std::to_string(i));
  auto dir = t.Open("/d", O_RDONLY | O_DIRECTORY);
  std::vector<std::string> half;
  ASSERT_TRUE(dir->ReadDirectory([&](const vfs::DirectoryEntry& e) {
    if (half.size() == 30'000) return false;
    half.emplace_back(e.name);
    return true;
  }));
  const std::vector<std::string> all = t.List("/d");
  t.Hold("dir", std::move(dir));
  t.SaveAndRestore();
  EXPECT_EQ(t.List("/d"), all);
  dir = t.Held<vfs::FileDescription>("dir");
  ASSERT_TRUE(dir);
  t.Write("/d/late", "");
  ASSERT_TRUE(dir->ReadDirectory([&](const vfs::DirectoryEntry& e) {
    half.emplace_back(e.name);
    return true;
  }));
  EXPECT_THAT(half, SizeIs(all.size() + 2));  // with "." and ".."
  // Begun before the restore, it ends before what was made after it, as it would have without one.
  EXPECT_EQ(half.back(), all.back());
  EXPECT_EQ(t.List("/d").back(), "late");
}

TEST_F(RestoreTest, TreeOf10000LevelsNeedsNoStack) {
  TestVfs t;
  vfs::VirtualDentry at = t.root();
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(t.vfs().MkdirAt(t.creds(), {at, at, "d"}, 0755));
    at = *t.vfs().GetDentryAt(t.creds(), {at, at, "d"});
  }
  at = {};
  t.SaveAndRestore();
  at = t.root();
  int depth = 0;
  while (auto next = t.vfs().GetDentryAt(t.creds(), {at, at, "d"})) {
    at = *std::move(next);
    ++depth;
  }
  EXPECT_EQ(depth, 10'000);
}

}  // namespace
}  // namespace stasis::restore
