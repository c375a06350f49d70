// SPDX-License-Identifier: Apache-2.0

#include "restore/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "fsimpl/gofer/filesystem.h"
#include "fsimpl/overlay/filesystem.h"
#include "tests/testing/errno_matchers.h"
#include "tests/testing/overlay_layers.h"
#include "tests/testing/scratch_dir.h"
#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::AsBytes;
using stasis::testing::IsOk;
using stasis::testing::ReadAll;
using stasis::testing::ScratchDir;
using stasis::testing::TestVfs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RecordingFreezer final : public Freezer {
 public:
  explicit RecordingFreezer(std::string fails = "") : fails_(std::move(fails)) {}
  absl::Status Flush() override { return Did("flush"); }
  absl::Status Freeze() override { return Did("freeze"); }
  absl::Status Thaw() override { return Did("thaw"); }

  std::vector<std::string> done;

 private:
  absl::Status Did(const std::string& what) {
    done.push_back(what);
    return what == fails_ ? absl::InternalError("no") : absl::OkStatus();
  }
  const std::string fails_;
};

class SnapshotTest : public ::testing::Test {
 protected:
  SnapshotRequest Request(TestVfs& t) {
    SnapshotRequest request;
    request.vfs = &t.vfs();
    request.registry = &TestVfs::registry();
    request.clock = &TestVfs::clock();
    request.freezer = &freezer_;
    return request;
  }
  std::unique_ptr<Snapshot> Take(TestVfs& t) {
    auto snapshot = Snapshot::Take(Request(t));
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    return snapshot.ok() ? *std::move(snapshot) : nullptr;
  }
  static RefPtr<vfs::FileDescription> Open(const Snapshot& snapshot, const std::string& path,
                                           int flags) {
    const vfs::VirtualDentry root = snapshot.vfs()->namespaces().front()->root();
    const auto file =
        snapshot.vfs()->OpenAt(vfs::Credentials::Root(), {root, root, path}, {.flags = flags});
    EXPECT_THAT(file, IsOk()) << path;
    return file.value_or(nullptr);
  }
  static std::string Read(const Snapshot& snapshot, const std::string& path) {
    const auto file = Open(snapshot, path, O_RDONLY);
    return file ? ReadAll(*file) : "";
  }

  RecordingFreezer freezer_;
};

TEST_F(SnapshotTest, IsOfItsMoment) {
  TestVfs t;
  t.Mkdir("/d");
  t.Write("/d/f", std::string(100'000, 'x'));
  const auto snapshot = Take(t);
  t.WriteAt("/d/f", 50'000, "later");
  t.Write("/d/new", "");
  t.Rename("/d", "/e");
  EXPECT_EQ(Read(*snapshot, "/d/f"), std::string(100'000, 'x'));
  const vfs::VirtualDentry root = snapshot->vfs()->namespaces().front()->root();
  EXPECT_FALSE(snapshot->vfs()->StatAt(vfs::Credentials::Root(), {root, root, "/e"}));
  EXPECT_THAT(freezer_.done, ElementsAre("flush", "freeze", "flush", "thaw"));
  EXPECT_GT(snapshot->pause_ns(), 0);
}

TEST_F(SnapshotTest, WhatIsWrittenToItIsNotInTheOriginal) {
  TestVfs t;
  t.Write("/f", std::string(100'000, 'x'));
  const auto snapshot = Take(t);
  ASSERT_THAT(Open(*snapshot, "/f", O_RDWR)->PWrite(10, AsBytes("copy")), IsOk());
  EXPECT_EQ(Read(*snapshot, "/f").substr(8, 8), "xxcopyxx");
  EXPECT_EQ(t.Read("/f"), std::string(100'000, 'x'));
  t.SaveAndRestore();
  EXPECT_EQ(t.Read("/f"), std::string(100'000, 'x'));
  EXPECT_EQ(Read(*snapshot, "/f").substr(8, 8), "xxcopyxx");
}

TEST_F(SnapshotTest, ChunksThatAreNotLoadedYetAreSharedToo) {
  TestVfs t;
  t.Write("/f", std::string(100'000, 'x'));
  t.SaveAndRestore();
  const auto snapshot = Take(t);
  EXPECT_EQ(Read(*snapshot, "/f"), std::string(100'000, 'x'));
}

// As a commit does it: with names of one lower file that is copied up before, and after.
TEST_F(SnapshotTest, AnOverlayIsSettledInTheCopyAlone) {
  TestVfs t([](vfs::VirtualFilesystem& vfs) {
    const auto lower = memfs::MemFilesystem::Create(vfs, {});
    const vfs::VirtualDentry root = stasis::testing::RootOf(vfs, *lower);
    const vfs::Credentials creds = vfs::Credentials::Root();
    const auto file =
        vfs.OpenAt(creds, {root, root, "a"}, {.flags = O_RDWR | O_CREAT, .mode = 0644});
    EXPECT_THAT((*file)->PWrite(0, AsBytes("before")), IsOk());
    EXPECT_THAT(vfs.LinkAt(creds, {root, root, "a"}, {root, root, "b"}), IsOk());
    auto options = stasis::testing::OverlayOn(vfs, *memfs::MemFilesystem::Create(vfs, {}), {root});
    options.lazy_data = true;
    return stasis::testing::MakeOverlay(vfs, options);
  });
  t.WriteAt("/a", 0, "B");
  const auto snapshot = Take(t);
  t.WriteAt("/b", 1, "E");
  const auto& root = snapshot->vfs()->namespaces().front()->root_mount();
  auto& copy = dynamic_cast<overlay::OverlayFilesystem&>(root.filesystem());
  ASSERT_THAT(copy.SettleUpper(), IsOk());
  const vfs::Credentials creds = vfs::Credentials::Root();
  const vfs::VirtualDentry upper = copy.upper();
  const auto a = snapshot->vfs()->StatAt(creds, {upper, upper, "a"});
  const auto b = snapshot->vfs()->StatAt(creds, {upper, upper, "b"});
  ASSERT_THAT(a, IsOk());
  ASSERT_THAT(b, IsOk());
  EXPECT_EQ(a->ino, b->ino) << "one file";
  EXPECT_EQ(Read(*snapshot, "/b"), "Before");
  EXPECT_EQ(t.Read("/a"), "BEfore");
  auto& original = dynamic_cast<overlay::OverlayFilesystem&>(t.root().mount().filesystem());
  const vfs::VirtualDentry live = original.upper();
  EXPECT_FALSE(t.vfs().StatAt(creds, {live, live, "b"})) << "only the copy was settled";
}

TEST_F(SnapshotTest, HostDirectoriesAreOpenedAgain) {
  const ScratchDir host;
  stasis::testing::WriteHostFile(host / "f", "host");
  TestVfs t([&](vfs::VirtualFilesystem& vfs) {
    auto fs = gofer::GoferFilesystem::Create(vfs, {.root = "data", .directory = host.path()});
    EXPECT_TRUE(fs.ok()) << fs.status();
    return RefPtr<vfs::Filesystem>(*fs);
  });
  EXPECT_EQ(t.Read("/f"), "host");
  stasis::testing::WriteHostFile(host / "new", "since");
  const auto snapshot = Take(t);
  EXPECT_EQ(Read(*snapshot, "/f"), "host");
  EXPECT_EQ(Read(*snapshot, "/new"), "since");
  std::filesystem::remove_all(host.path());
  const auto gone = Snapshot::Take(Request(t));
  EXPECT_THAT(std::string(gone.status().message()), HasSubstr("as the host directory 'data'"));
  std::filesystem::create_directory(host.path());
}

TEST_F(SnapshotTest, ProgramsRunOnWhateverFails) {
  TestVfs t;
  for (const std::string what : {"flush", "freeze", "thaw"}) {
    RecordingFreezer freezer(what);
    SnapshotRequest request = Request(t);
    request.freezer = &freezer;
    EXPECT_EQ(Snapshot::Take(request).status().code(), absl::StatusCode::kInternal) << what;
    EXPECT_TRUE(what == "freeze" || freezer.done.back() != "freeze") << "held still";
  }
  std::atomic<bool> cancel{true};
  SnapshotRequest request = Request(t);
  request.cancel = &cancel;
  EXPECT_EQ(Snapshot::Take(request).status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(freezer_.done, ElementsAre("flush"));
}

}  // namespace
}  // namespace stasis::restore
