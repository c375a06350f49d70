// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/gofer/filesystem.h"

#include <absl/synchronization/notification.h>
#include <gmock/gmock.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "tests/fsimpl/gofer/faulty_host_ops.h"
#include "tests/fsimpl/gofer/host_tree.h"
#include "tests/testing/errno_matchers.h"

namespace stasis::gofer {
namespace {

using ::testing::ElementsAre;
using testing::IsErrno;
using testing::IsOk;
using testing::ReadAll;
using testing::TestVfs;
using ::testing::UnorderedElementsAre;

class GoferTest : public HostTree {};

TEST_F(GoferTest, ShowsWhatIsOnTheHost) {
  Put("file", "content");
  MakeDir("dir");
  Put("dir/inner", "deeper");
  std::filesystem::create_symlink("dir/inner", Path("link"));
  TestVfs& t = Serve();
  EXPECT_EQ(t.Read("/file"), "content");
  EXPECT_EQ(t.Read("/dir/inner"), "deeper");
  EXPECT_EQ(t.ReadLink("/link"), "dir/inner");
  EXPECT_THAT(t.List("/"), UnorderedElementsAre("file", "dir", "link"));
  EXPECT_THAT(t.vfs().StatAt(t.creds(), t.At("/missing")), IsErrno(ENOENT));
  EXPECT_EQ(t.Stat("/file").mtime / 1'000'000'000, HostStatOf("file").st_mtim.tv_sec);
}

TEST_F(GoferTest, ChangesTheHost) {
  TestVfs& t = Serve();
  t.Mkdir("/a", 0750);
  t.Write("/a/f", "hello");
  t.Symlink("/a/l", "target");
  t.Link("/a/f", "/a/g");
  t.Rename("/a/f", "/h");
  EXPECT_EQ(Get("h"), "hello");
  EXPECT_EQ(Get("a/g"), "hello");
  EXPECT_EQ(HostStatOf("h").st_ino, HostStatOf("a/g").st_ino);
  EXPECT_EQ(HostStatOf("a").st_mode & 07777, 0750u);
  t.Unlink("/a/g");
  t.Unlink("/a/l");
  t.Rmdir("/a");
  EXPECT_FALSE(OnHost("a"));
  t.Truncate("/h", 2);
  EXPECT_EQ(Get("h"), "he");
  t.Set("/h", {.mode = 0600});
  EXPECT_EQ(HostStatOf("h").st_mode & 07777, 0600u);
}

TEST_F(GoferTest, HardLinksShareAnInode) {
  Put("a", "x");
  std::filesystem::create_hard_link(Path("a"), Path("b"));
  TestVfs& t = Serve();
  EXPECT_EQ(t.Stat("/a").ino, t.Stat("/b").ino);
  EXPECT_EQ(t.Stat("/a").nlink, 2u);
  t.Unlink("/b");
  EXPECT_EQ(t.Stat("/a").nlink, 1u);
}

TEST_F(GoferTest, ListsWithoutLookingAtEachFile) {
  for (int i = 0; i < 100; ++i) Put("f" + std::to_string(i), "x");
  TestVfs& t = Serve();
  EXPECT_EQ(t.List("/").size(), 100u);
  EXPECT_EQ(t.Stat("/f7").size, 1u);
  EXPECT_EQ(t.Read("/f8"), "x");
}

TEST_F(GoferTest, ADeletedFileGoesOn) {
  Put("f", "still here");
  TestVfs& t = Serve();
  auto file = t.Open("/f", O_RDWR);
  t.Unlink("/f");
  EXPECT_FALSE(OnHost("f"));
  EXPECT_EQ(ReadAll(*file), "still here");
  EXPECT_EQ(file->GetStat()->nlink, 0u);
  EXPECT_THAT(file->PWrite(0, testing::AsBytes("STILL")), IsOk());
  EXPECT_EQ(ReadAll(*file), "STILL here");
}

TEST_F(GoferTest, FilesBelongToTheirMaker) {
  TestVfs& t = Serve();
  t.Set("/", {.mode = 0777});
  const vfs::Credentials alice = vfs::Credentials::User(1000, 1000);
  ASSERT_THAT(t.vfs().MkdirAt(alice, t.At("/hers"), 0700), IsOk());
  EXPECT_EQ(HostStatOf("hers").st_uid, 1000u);
  EXPECT_EQ(HostStatOf("hers").st_gid, 1000u);
}

TEST_F(GoferTest, OneUserOfTheHostMayBeRootInTheTree) {
  Put("f", "x");
  ASSERT_EQ(::chown(Path("f").c_str(), 1000, 1001), 0);
  TestVfs& t = Serve({.owners = {.mapped = true, .host_uid = 1000, .host_gid = 1001}});
  EXPECT_EQ(t.Stat("/f").uid, 0u);
  EXPECT_EQ(t.Stat("/f").gid, 0u);
  t.Mkdir("/d");
  EXPECT_EQ(HostStatOf("d").st_uid, 1000u);
  EXPECT_EQ(HostStatOf("d").st_gid, 1001u);
  t.Set("/d", {.uid = 5});
  EXPECT_EQ(HostStatOf("d").st_uid, 5u);
  t.Set("/d", {.uid = 0});
  EXPECT_EQ(HostStatOf("d").st_uid, 1000u);
  EXPECT_EQ(t.Stat("/d").uid, 0u);
}

TEST_F(GoferTest, LinksOfTheHostLeadNowhereElse) {
  std::filesystem::create_symlink("/etc", Path("absolute"));
  std::filesystem::create_symlink("../../../../../../etc", Path("up"));
  TestVfs& t = Serve();
  EXPECT_THAT(t.vfs().StatAt(t.creds(), t.At("/absolute/passwd")), IsErrno(ENOENT));
  EXPECT_THAT(t.vfs().StatAt(t.creds(), t.At("/up/passwd")), IsErrno(ENOENT));
}

TEST_F(GoferTest, ASharedDirectoryIsLookedAtEachTime) {
  Put("f", "one");
  MakeDir("d");
  Put("d/x", "x");
  TestVfs& t = Serve({.interop = Interop::kShared});
  EXPECT_EQ(t.Read("/f"), "one");
  EXPECT_THAT(t.List("/"), UnorderedElementsAre("f", "d"));
  EXPECT_EQ(t.Read("/d/x"), "x");
  Put("f", "longer");
  EXPECT_EQ(t.Stat("/f").size, 6u);
  std::filesystem::rename(Path("f"), Path("g"));
  EXPECT_FALSE(t.Exists("/f"));
  EXPECT_EQ(t.Read("/g"), "longer");
  std::filesystem::remove_all(Path("d"));
  EXPECT_FALSE(t.Exists("/d/x"));
  MakeDir("d");
  Put("d/y", "y");
  EXPECT_THAT(t.List("/d"), ElementsAre("y"));
  EXPECT_THAT(t.List("/"), UnorderedElementsAre("g", "d"));
}

TEST_F(GoferTest, AnExclusiveDirectoryIsTakenAtItsWord) {
  Put("f", "one");
  TestVfs& t = Serve();
  EXPECT_EQ(t.Stat("/f").size, 3u);
  Put("f", "longer");
  EXPECT_EQ(t.Stat("/f").size, 3u);
}

TEST_F(GoferTest, WhatIsMountedOnAReplacedDirectoryGoesWithIt) {
  MakeDir("d");
  TestVfs& t = Serve({.interop = Interop::kShared});
  ASSERT_THAT(
      t.vfs().MountAt(t.creds(), t.ns(), t.At("/d"), memfs::MemFilesystem::Create(t.vfs(), {}), {}),
      IsOk());
  t.Write("/d/in_memory", "x");
  EXPECT_EQ(t.ns().mounts().size(), 1u);
  std::filesystem::rename(Path("d"), Path("elsewhere"));
  MakeDir("d");
  EXPECT_FALSE(t.Exists("/d/in_memory"));
  EXPECT_EQ(t.ns().mounts().size(), 0u);
}

TEST_F(GoferTest, AThousandDirectoriesUnderALimitOfTenDescriptors) {
  for (int i = 0; i < 1000; ++i) {
    MakeDir("d" + std::to_string(i));
    Put("d" + std::to_string(i) + "/f", "x");
  }
  TestVfs& t = Serve({.fd_limit = 10});
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(t.Read("/d" + std::to_string(i) + "/f"), "x");
    EXPECT_LE(fs().fds().size(), 10u);
  }
}

TEST_F(GoferTest, APathLongerThanTheKernelTakesIsFound) {
  TestVfs& t = Serve({.fd_limit = 1});
  const std::string name(200, 'n');
  vfs::VirtualDentry at = t.root();
  for (int i = 0; i < 40; ++i) {
    ASSERT_THAT(t.vfs().MkdirAt(t.creds(), {t.root(), at, name}, 0755), IsOk()) << i;
    at = *t.vfs().GetDentryAt(t.creds(), {t.root(), at, name});
  }
  ASSERT_THAT(t.vfs().SetAttributesAt(t.creds(), {t.root(), at, ""}, {.mode = 0700}), IsOk());
  EXPECT_EQ(t.vfs().StatAt(t.creds(), {t.root(), at, ""})->mode & 07777, 0700u);
}

TEST_F(GoferTest, ARestoreFindsFilesAndNumbersAgain) {
  Put("f", "content");
  MakeDir("d");
  Put("d/g", "deeper");
  std::filesystem::create_hard_link(Path("f"), Path("d/h"));
  TestVfs& t = Serve();
  const uint64_t f = t.Stat("/f").ino;
  const uint64_t g = t.Stat("/d/g").ino;
  EXPECT_EQ(t.Stat("/d/h").ino, f);
  auto file = t.Open("/f", O_RDWR);
  ASSERT_THAT(file->Seek(3, SEEK_SET), IsOk());
  t.Hold("file", std::move(file));
  t.SaveAndRestore();
  EXPECT_EQ(t.Stat("/f").ino, f);
  EXPECT_EQ(t.Stat("/d/g").ino, g);
  EXPECT_EQ(t.Stat("/d/h").ino, f);
  file = t.Held<vfs::FileDescription>("file");
  ASSERT_TRUE(file);
  ASSERT_THAT(file->Write(testing::AsBytes("TENT")), IsOk());
  EXPECT_EQ(Get("f"), "conTENT");
  t.Write("/new", "x");
  EXPECT_NE(t.Stat("/new").ino, f);
  EXPECT_NE(t.Stat("/new").ino, g);
}

TEST_F(GoferTest, ADeletedFileComesBackAndLeavesNothingOnTheHost) {
  Put("f", "deleted but open");
  TestVfs& t = Serve();
  auto file = t.Open("/f", O_RDWR);
  t.Truncate("/f", 1 << 20);
  ASSERT_THAT(file->PWrite((1 << 20) - 4, testing::AsBytes("tail")), IsOk());
  t.Unlink("/f");
  t.Hold("file", std::move(file));
  t.SaveAndRestore();
  EXPECT_FALSE(OnHost("f"));
  file = t.Held<vfs::FileDescription>("file");
  ASSERT_TRUE(file);
  const std::string content = ReadAll(*file);
  EXPECT_EQ(content.size(), size_t{1} << 20);
  EXPECT_EQ(content.substr(0, 16), "deleted but open");
  EXPECT_EQ(content.substr(content.size() - 4), "tail");
  EXPECT_LT(file->GetStat()->nlink, 1u);
  EXPECT_EQ(file->Seek(4096, SEEK_DATA).value_or(0), (1u << 20) - 4096);
  ASSERT_THAT(file->PWrite(0, testing::AsBytes("DELETED")), IsOk());
  // Once more: it is in the image only by now.
  t.SaveAndRestore();
  EXPECT_EQ(ReadAll(*t.Held<vfs::FileDescription>("file")).substr(0, 16), "DELETED but open");
  EXPECT_TRUE(std::filesystem::is_empty(Path("")));
}

TEST_F(GoferTest, AFileWithoutANameGetsOneAfterARestore) {
  TestVfs& t = Serve();
  auto file = t.Open("/", O_TMPFILE | O_RDWR, 0640);
  ASSERT_THAT(file->PWrite(0, testing::AsBytes("content")), IsOk());
  ASSERT_THAT(file->PWrite(1 << 20, testing::AsBytes("tail")), IsOk());
  ASSERT_THAT(t.vfs().SetXattrAt(t.creds(), {t.root(), file->at(), ""}, "user.x", "1", 0), IsOk());
  t.Hold("file", std::move(file));
  t.SaveAndRestore();
  file = t.Held<vfs::FileDescription>("file");
  ASSERT_THAT(t.vfs().LinkAt(t.creds(), {t.root(), file->at(), ""}, t.At("/name")), IsOk());
  EXPECT_EQ(Get("name").substr(0, 7), "content");
  EXPECT_EQ(Get("name").substr(1 << 20), "tail");
  EXPECT_EQ(HostStatOf("name").st_mode, uint32_t{S_IFREG | 0640});
  EXPECT_EQ(HostStatOf("name").st_nlink, 1u);
  EXPECT_EQ(t.GetXattr("/name", "user.x"), "1");
  EXPECT_EQ(t.Stat("/name").ino, file->GetStat()->ino);
  ASSERT_THAT(file->PWrite(0, testing::AsBytes("CONTENT")), IsOk());
  EXPECT_EQ(Get("name").substr(0, 7), "CONTENT");
  t.SaveAndRestore();
  EXPECT_EQ(t.Read("/name").substr(0, 7), "CONTENT");
}

TEST_F(GoferTest, TheUmaskOfTheProcessDoesNotCount) {
  TestVfs& t = Serve();
  const mode_t mask = ::umask(077);
  t.Mkdir("/d", 0775);
  t.Open("/d/f", O_WRONLY | O_CREAT, 0664);
  t.Mknod("/d/fifo", S_IFIFO | 0622);
  ::umask(mask);
  EXPECT_EQ(HostStatOf("d").st_mode & 07777, 0775u);
  EXPECT_EQ(HostStatOf("d/f").st_mode & 07777, 0664u);
  EXPECT_EQ(HostStatOf("d/fifo").st_mode & 07777, 0622u);
}

TEST_F(GoferTest, ADeletedDirectoryComesBack) {
  MakeDir("d");
  TestVfs& t = Serve();
  t.Hold("dir", t.Open("/d", O_RDONLY | O_DIRECTORY));
  t.Rmdir("/d");
  t.SaveAndRestore();
  auto dir = t.Held<vfs::FileDescription>("dir");
  ASSERT_TRUE(dir);
  EXPECT_EQ(dir->GetStat()->nlink, 0u);
  EXPECT_THAT(dir->IterateDirectory(0, [](const auto&) { return true; }), IsErrno(ENOENT));
}

TEST_F(GoferTest, PlacesToMountOnAreNotMadeOnTheHost) {
  MakeDir("d");
  TestVfs& t = Serve();
  const auto kSynthetic = vfs::Placement::kSynthetic;
  ASSERT_THAT(t.vfs().MkdirAt(t.creds(), t.At("/d/mnt"), 0755, kSynthetic), IsOk());
  ASSERT_THAT(t.vfs().MkdirAt(t.creds(), t.At("/d/mnt/below"), 0755, kSynthetic), IsOk());
  ASSERT_THAT(t.vfs().MknodAt(t.creds(), t.At("/d/file"), {S_IFREG | 0644, 0, kSynthetic}), IsOk());
  ASSERT_THAT(t.vfs().SymlinkAt(t.creds(), t.At("/bin"), "usr/bin", kSynthetic), IsOk());
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(t.List("/d"), UnorderedElementsAre("mnt", "file"));
    EXPECT_EQ(t.Read("/d/file"), "");
    EXPECT_EQ(t.ReadLink("/bin"), "usr/bin");
    EXPECT_THAT(t.vfs().MkdirAt(t.creds(), t.At("/d/mnt/stored"), 0755), IsErrno(EPERM));
    EXPECT_TRUE(std::filesystem::is_empty(Path("d")));
    t.SaveAndRestore();
  }
  t.Rmdir("/d/mnt/below");
  t.Rmdir("/d/mnt");
  EXPECT_FALSE(t.Exists("/d/mnt"));
}

TEST_F(GoferTest, ARestoreNeedsTheRoot) {
  TestVfs& t = Serve();
  ASSERT_TRUE(t.Save().ok());
  t.roots().clear();
  const absl::Status none = t.Restore();
  EXPECT_EQ(none.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(none.message()), ::testing::HasSubstr("--root data=DIR"));
  t.roots()["data"] = Path("missing");
  EXPECT_EQ(t.Restore().code(), absl::StatusCode::kNotFound);
  Put("file", "x");
  t.roots()["data"] = Path("file");
  EXPECT_THAT(std::string(t.Restore().message()), ::testing::HasSubstr("Not a directory"));
}

class GoferInMemoryTest : public HostTree {
 protected:
  GoferInMemoryTest() : HostTree(testing::ScratchDir::Where::kInMemory) {}
};

TEST_F(GoferInMemoryTest, ADeletedFileKeepsItsBlocks) {
  Put("f", "x");
  TestVfs& t = Serve();
  auto file = t.Open("/f", O_RDWR);
  ASSERT_THAT(file->PWrite(40960, testing::AsBytes("tail")), IsOk());
  ASSERT_THAT(file->Allocate(0, 8192, 4096), IsOk());
  ASSERT_THAT(file->Allocate(FALLOC_FL_KEEP_SIZE, 1 << 20, 65536), IsOk());
  t.Unlink("/f");
  const uint64_t blocks = file->GetStat()->blocks;
  EXPECT_EQ(blocks, 19u * 8);
  t.Hold("file", std::move(file));
  for (int i = 0; i < 2; ++i) {
    t.SaveAndRestore();
    file = t.Held<vfs::FileDescription>("file");
    EXPECT_EQ(file->GetStat()->blocks, blocks);
    EXPECT_EQ(file->GetStat()->size, 40964u);
    EXPECT_EQ(file->Seek(4096, SEEK_DATA).value_or(0), 40960u);
  }
}

// What the host was asked for since the last FailAt.
size_t CallsOf(const FaultyHostOps& ops, HostCall which) {
  const std::vector<HostCall> calls = ops.calls();
  return static_cast<size_t>(std::count(calls.begin(), calls.end(), which));
}

TEST_F(GoferTest, ASharedFileIsLookedAtOnceForItsAttributes) {
  MakeDir("d");
  Put("d/f", "x");
  const auto ops = std::make_shared<FaultyHostOps>();
  TestVfs& t = Serve({.interop = Interop::kShared, .ops = ops});
  t.Stat("/d/f");
  ops->FailAt(0, 0);
  EXPECT_EQ(t.Stat("/d/f").size, 1u);
  EXPECT_EQ(CallsOf(*ops, HostCall::kStatx), 2u) << "of the directory and of the file";
  Put("d/f", "longer");
  EXPECT_EQ(t.Stat("/d/f").size, 6u);
  const vfs::VirtualDentry f = *t.vfs().GetDentryAt(t.creds(), t.At("/d/f"));
  Put("d/f", "longer still");
  EXPECT_EQ(t.vfs().StatAt(t.creds(), {t.root(), f, ""})->size, 12u);
  auto file = t.Open("/d/f", O_RDONLY);
  Put("d/f", "x");
  EXPECT_EQ(file->GetStat()->size, 1u);
}

TEST_F(GoferTest, WhatIsChangedInTheSameOperationIsLookedAtAgain) {
  Put("f", "x");
  TestVfs& t = Serve({.interop = Interop::kShared});
  const vfs::Operation operation(t.vfs().gate());
  EXPECT_EQ(t.Stat("/f").nlink, 1u);
  t.Link("/f", "/g");
  EXPECT_EQ(t.Stat("/f").nlink, 2u);
  t.Write("/f", "longer");
  EXPECT_EQ(t.Stat("/g").size, 6u);
}

TEST_F(GoferTest, AFileThatIsReadAgainIsNotOpenedAgain) {
  Put("f", "content");
  const auto ops = std::make_shared<FaultyHostOps>();
  TestVfs& t = Serve({.ops = ops});
  EXPECT_EQ(t.Read("/f"), "content");
  ops->FailAt(0, 0);
  EXPECT_EQ(t.Read("/f"), "content");
  EXPECT_EQ(CallsOf(*ops, HostCall::kReopen), 0u);
  EXPECT_EQ(CallsOf(*ops, HostCall::kOpenBeneath), 0u);
  // Not through a descriptor of before a writer came.
  t.Write("/f", "CONTENT");
  ops->FailAt(0, 0);
  EXPECT_EQ(t.Read("/f"), "CONTENT");
  EXPECT_EQ(CallsOf(*ops, HostCall::kReopen), 1u);
}

TEST_F(GoferTest, ADeletedFileIsReadAgainWithoutAName) {
  Put("f", "content");
  TestVfs& t = Serve();
  auto path = t.Open("/f", O_PATH);
  EXPECT_EQ(t.Read("/f"), "content");
  t.Unlink("/f");
  for (int i = 0; i < 2; ++i) {
    auto file = t.vfs().OpenAt(t.creds(), {t.root(), path->at(), ""}, {.flags = O_RDWR});
    ASSERT_THAT(file, IsOk());
    EXPECT_EQ(ReadAll(**file), "content");
    file = t.vfs().OpenAt(t.creds(), {t.root(), path->at(), ""}, {.flags = O_RDONLY});
    ASSERT_THAT(file, IsOk());
    EXPECT_EQ(ReadAll(**file), "content");
  }
}

TEST_F(GoferTest, DescriptorsOfReadersAreAmongThoseThatAreClosed) {
  constexpr int kFiles = 50;
  for (int i = 0; i < kFiles; ++i) Put("f" + std::to_string(i), "x");
  TestVfs& t = Serve({.fd_limit = 10});
  const size_t before = OpenDescriptors();
  std::vector<RefPtr<vfs::FileDescription>> files;
  for (int i = 0; i < kFiles; ++i) files.push_back(t.Open("/f" + std::to_string(i), O_RDONLY));
  for (auto& file : files) EXPECT_EQ(ReadAll(*file), "x");
  EXPECT_GE(OpenDescriptors(), before + kFiles);
  files.clear();
  EXPECT_LE(OpenDescriptors(), before + 11);
  for (int i = 0; i < kFiles; ++i) EXPECT_EQ(t.Read("/f" + std::to_string(i)), "x");
  EXPECT_LE(OpenDescriptors(), before + 11);
}

TEST_F(GoferTest, AFileThatIsSyncedKeepsTheGateOpen) {
  class SlowDisk final : public FaultyHostOps {
   public:
    Result<void> Sync(int fd) override {
      began.Notify();
      go_on.WaitForNotification();
      return FaultyHostOps::Sync(fd);
    }
    absl::Notification began, go_on;
  };
  Put("f", "x");
  const auto ops = std::make_shared<SlowDisk>();
  TestVfs& t = Serve({.ops = ops});
  auto file = t.Open("/f", O_RDWR);
  std::thread syncing([&] { EXPECT_THAT(file->Sync(), IsOk()); });
  ops->began.WaitForNotification();
  ASSERT_TRUE(t.Save().ok());
  t.Write("/f", "meanwhile");
  ops->go_on.Notify();
  syncing.join();
}

TEST_F(GoferTest, SpecialFilesAreMadeOnTheHostAsFarAsTheyMayBe) {
  const auto may = [this](Specials specials, const std::string& name, uint32_t type) {
    TestVfs& t = Serve({.specials = specials});
    for (int i = 0; i < 2; ++i) {
      const std::string path = "/" + name + std::to_string(i);
      const auto made = t.vfs().MknodAt(t.creds(), t.At(path), {type | 0644, 0});
      EXPECT_EQ(OnHost(path.substr(1)), made.has_value());
      if (!made) {
        EXPECT_THAT(made, IsErrno(EPERM));
        return false;
      }
      t.SaveAndRestore();  // the policy, too
    }
    return true;
  };
  EXPECT_TRUE(may(Specials::kAll, "a", S_IFIFO));
  EXPECT_TRUE(may(Specials::kAll, "b", S_IFSOCK));
  EXPECT_FALSE(may(Specials::kNone, "c", S_IFIFO));
  EXPECT_FALSE(may(Specials::kNone, "d", S_IFSOCK));
  EXPECT_TRUE(may(Specials::kFifo, "e", S_IFIFO));
  EXPECT_FALSE(may(Specials::kFifo, "f", S_IFSOCK));
  EXPECT_FALSE(may(Specials::kSocket, "g", S_IFIFO));
  EXPECT_TRUE(may(Specials::kSocket, "h", S_IFSOCK));
}

}  // namespace
}  // namespace stasis::gofer
