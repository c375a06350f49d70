// SPDX-License-Identifier: Apache-2.0
//
// Another process loads a host directory while programs work in it, and does again what they did.

#include <gmock/gmock.h>

#include <filesystem>
#include <functional>

#include "state/base/answers.h"
#include "tests/fsimpl/gofer/host_tree.h"
#include "tests/testing/errno_matchers.h"

namespace stasis::gofer {
namespace {

using testing::AsBytes;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsErrno;
using testing::IsOk;
using testing::ReadAll;
using testing::TestVfs;

class LiveTest : public HostTree {
 protected:
  using Work = std::function<void(TestVfs&)>;

  // The state of this moment.
  void SaveLive() {
    tree().prepare_restore = [this](restore::RestoreRequest& request) {
      services_.live = {"data"};
      request.services.Provide(&services_);
    };
    fs().set_keeps_answers(true);
    ASSERT_TRUE(tree().Save().ok());
  }
  void Do(const Work& work) {
    const Answers::Recording recording(answers_);
    work(tree());
  }
  // What the other process does until it goes on.
  void LoadAndDoAgain(const Work& work) {
    auto deleted = fs().DeletedFiles();
    ASSERT_TRUE(deleted.has_value());
    deleted_ = *std::move(deleted);
    next_ino_ = fs().next_ino();
    const absl::Status loaded = tree().Restore();
    ASSERT_TRUE(loaded.ok()) << loaded;
    std::span<const std::byte> left = answers_;
    const Answers::Giving giving(left);
    work(tree());
    EXPECT_THAT(left, IsEmpty());
  }
  absl::Status GoOn() {
    EXPECT_EQ(fs().next_ino(), next_ino_);
    return fs().GoOn(std::move(deleted_));
  }
  // Each file of the host as it is seen in the tree.
  void ExpectSame() {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(Path(""))) {
      const std::string name = entry.path().lexically_relative(Path("")).string();
      const vfs::Stat seen = tree().Stat("/" + name);
      const struct stat stat = HostStatOf(name);
      EXPECT_EQ(seen.mode, stat.st_mode) << name;
      EXPECT_EQ(seen.nlink, stat.st_nlink) << name;
      if (!entry.is_directory()) {
        EXPECT_EQ(seen.size, static_cast<uint64_t>(stat.st_size)) << name;
      }
      if (entry.is_symlink()) {
        EXPECT_EQ(tree().ReadLink("/" + name), std::filesystem::read_symlink(entry)) << name;
      } else if (entry.is_regular_file()) {
        EXPECT_EQ(tree().Read("/" + name), Get(name)) << name;
      }
    }
  }

  GoferServices services_;
  std::vector<std::byte> answers_;
  std::vector<DeletedFile> deleted_;
  uint64_t next_ino_ = 0;
};

void DoAll(TestVfs& t) {
  t.Write("/new", "content");
  t.Write("/old", "other");
  t.Mkdir("/dir");
  t.Write("/dir/inner", "inner");
  t.Rename("/dir", "/moved");
  t.Rename("/moved/inner", "/old");
  t.Write("/moved/inner", "again");
  t.Link("/new", "/moved/name");
  t.Symlink("/link", "new");
  t.Mknod("/fifo", S_IFIFO | 0600);
  t.Unlink("/gone");
  t.Truncate("/long", 2);
  t.Set("/long", {.mode = 0600});
  t.SetXattr("/long", "user.a", "b");
  EXPECT_EQ(t.List("/listed").size(), 2u);
  EXPECT_EQ(t.Stat("/listed/1").nlink, 1u);
  t.Mkdir("/removed");
  t.Rmdir("/removed");
  EXPECT_FALSE(t.Exists("/nothing"));
}

TEST_F(LiveTest, WhatIsDoneAgainChangesNothingAndEndsTheSame) {
  for (const char* name : {"old", "gone", "long"}) Put(name, name);
  MakeDir("listed");
  for (const char* name : {"listed/1", "listed/2"}) Put(name, name);
  Serve();
  tree().List("/");
  SaveLive();
  Do(DoAll);
  const auto changed = HostStatOf("long").st_ctim.tv_nsec;
  LoadAndDoAgain(DoAll);
  EXPECT_EQ(HostStatOf("long").st_ctim.tv_nsec, changed);
  ASSERT_TRUE(GoOn().ok());
  ExpectSame();
  EXPECT_EQ(tree().List("/").size(), 7u);
}

TEST_F(LiveTest, OpenFilesGoOn) {
  Put("kept", "kept");
  Put("deleted", "deleted");
  Put("moved", "moved");
  Put("before", "before");
  TestVfs& t = Serve();
  t.Hold("before", t.Open("/before", O_RDWR));
  t.Unlink("/before");
  for (const char* name : {"kept", "deleted", "moved"})
    t.Hold(name, t.Open("/" + std::string(name), O_RDWR));
  SaveLive();
  const auto work = [](TestVfs& tree) {
    tree.Unlink("/deleted");
    tree.Rename("/moved", "/elsewhere");
    tree.Hold("new", tree.Open("/new", O_RDWR | O_CREAT | O_EXCL));
    EXPECT_THAT(tree.Held<vfs::FileDescription>("new")->PWrite(0, AsBytes("new")), IsOk());
    tree.Hold("unnamed", tree.Open("/unnamed", O_RDWR | O_CREAT | O_EXCL));
    tree.Unlink("/unnamed");
  };
  Do(work);
  LoadAndDoAgain(work);
  ASSERT_TRUE(GoOn().ok());
  for (const char* name : {"kept", "deleted", "moved", "new", "before"}) {
    const auto file = tree().Held<vfs::FileDescription>(name);
    EXPECT_EQ(ReadAll(*file), name);
    EXPECT_THAT(file->PWrite(0, AsBytes("WORK")), IsOk());
    EXPECT_THAT(ReadAll(*file), HasSubstr("WORK"));
  }
  EXPECT_THAT(Get("elsewhere"), HasSubstr("WORK"));
  EXPECT_THAT(tree().Held<vfs::FileDescription>("unnamed")->PWrite(0, AsBytes("x")), IsOk());
}

TEST_F(LiveTest, WhatWasNotAskedIsRefused) {
  Put("f", "x");
  Serve();
  SaveLive();
  Do([](TestVfs& t) { t.Stat("/f"); });
  ASSERT_TRUE(tree().Restore().ok());
  std::span<const std::byte> left = answers_;
  const Answers::Giving giving(left);
  EXPECT_EQ(tree().Stat("/f").size, 1u);
  EXPECT_THAT(tree().vfs().MkdirAt(tree().creds(), tree().At("/d"), 0700), IsErrno(ESTALE));
  EXPECT_FALSE(OnHost("d"));
}

TEST_F(LiveTest, AFileThatIsAnotherByThenIsRefused) {
  Put("f", "x");
  TestVfs& t = Serve();
  t.Hold("f", t.Open("/f", O_RDWR));
  SaveLive();
  std::filesystem::rename(Path("f"), Path("was"));
  Put("f", "other");
  ASSERT_TRUE(tree().Restore().ok());
  const absl::Status gone_on = fs().GoOn({});
  EXPECT_EQ(gone_on.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(gone_on.message()), HasSubstr("cannot open /f of the host directory"));
}

TEST_F(LiveTest, ADirectoryThatIsAnotherIsRefused) {
  Serve();
  SaveLive();
  const testing::ScratchDir other;
  tree().roots()["data"] = other.path();
  const absl::Status restored = tree().Restore();
  EXPECT_EQ(restored.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(restored.message()), HasSubstr("is not at " + other.path()));
}

}  // namespace
}  // namespace stasis::gofer
