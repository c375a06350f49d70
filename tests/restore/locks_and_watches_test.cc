// SPDX-License-Identifier: Apache-2.0
//
// File locks and inotify queues across a save and restore.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/inotify.h>

#include "tests/testing/errno_matchers.h"
#include "tests/testing/record_lock.h"
#include "tests/testing/scratch_dir.h"
#include "tests/testing/test_vfs.h"
#include "vfs/inotify.h"

namespace stasis::restore {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::RecordLock;
using stasis::testing::TestVfs;
using ::testing::ElementsAre;
using vfs::FileDescription;
using vfs::Inotify;
using vfs::InotifyEvent;
using vfs::LockOwner;

constexpr LockOwner kAlice{.id = uint64_t{7} << 40, .pid = 101};
constexpr LockOwner kBob{.id = 2, .pid = 102};
constexpr size_t kPlenty = 1 << 20;

class LocksAndWatchesTest : public ::testing::Test {
 protected:
  LocksAndWatchesTest() {
    t_.Write("/f", "0123456789");
    t_.Mkdir("/d");
  }

  void OpenAs(const std::string& name, const char* path = "/f") {
    t_.Hold(name, t_.Open(path, O_RDWR));
  }
  RefPtr<FileDescription> File(const std::string& name) { return t_.Held<FileDescription>(name); }
  RefPtr<Inotify> Queue() { return t_.Held<Inotify>("inotify"); }
  int Watch(const char* path, uint32_t mask) {
    return Queue()->AddWatch(t_.creds(), t_.At(path), mask).value_or(-1);
  }
  void MakeQueue(const vfs::InotifyLimits& limits = {}) {
    t_.Hold("inotify", MakeRef<Inotify>(RefPtr<vfs::VirtualFilesystem>(&t_.vfs()), limits));
  }

  stasis::testing::ScratchDir scratch_;
  TestVfs t_;
};

TEST_F(LocksAndWatchesTest, PosixLocksBelongToTheirOwnersStill) {
  OpenAs("file");
  ASSERT_THAT(File("file")->SetPosixLock(kAlice, RecordLock(F_WRLCK, 0, 5)), IsOk());
  ASSERT_THAT(File("file")->SetPosixLock(kAlice, RecordLock(F_RDLCK, 3, 5)), IsOk());
  ASSERT_THAT(File("file")->SetPosixLock(kBob, RecordLock(F_RDLCK, 6, 0)), IsOk());
  t_.SaveAndRestore();
  const auto file = File("file");
  const auto found = file->GetPosixLock(kBob, RecordLock(F_WRLCK, 0, 0));
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->l_pid, kAlice.pid);
  EXPECT_EQ(found->l_type, F_WRLCK);
  EXPECT_EQ(found->l_len, 3);
  EXPECT_THAT(file->SetPosixLock(kBob, RecordLock(F_RDLCK, 2, 1)), IsErrno(EAGAIN));
  EXPECT_THAT(file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 7, 1)), IsErrno(EAGAIN));
  file->Flush(kAlice);
  EXPECT_THAT(file->SetPosixLock(kBob, RecordLock(F_WRLCK, 0, 0)), IsOk());
}

TEST_F(LocksAndWatchesTest, LocksOfDescriptionsGoWithThem) {
  OpenAs("holder");
  OpenAs("other");
  ASSERT_THAT(File("holder")->SetOpenFileLock(RecordLock(F_WRLCK, 2, 3)), IsOk());
  ASSERT_THAT(File("holder")->SetOpenFileLock(RecordLock(F_RDLCK, 9, 1)), IsOk());
  ASSERT_THAT(File("holder")->Flock(LOCK_EX), IsOk());
  t_.SaveAndRestore();
  EXPECT_THAT(File("other")->Flock(LOCK_SH), IsErrno(EAGAIN));
  EXPECT_THAT(File("other")->SetOpenFileLock(RecordLock(F_RDLCK, 4, 1)), IsErrno(EAGAIN));
  EXPECT_THAT(File("other")->SetOpenFileLock(RecordLock(F_WRLCK, 9, 1)), IsErrno(EAGAIN));
  EXPECT_THAT(File("holder")->Flock(LOCK_EX), IsOk());
  t_.SaveAndRestore();
  t_.Release("holder");
  EXPECT_THAT(File("other")->Flock(LOCK_EX), IsOk());
  EXPECT_THAT(File("other")->SetOpenFileLock(RecordLock(F_WRLCK, 0, 0)), IsOk());
}

TEST_F(LocksAndWatchesTest, LocksOfAnUnlinkedFile) {
  OpenAs("file");
  ASSERT_THAT(File("file")->SetPosixLock(kAlice, RecordLock(F_WRLCK, 0, 0)), IsOk());
  t_.Unlink("/f");
  t_.SaveAndRestore();
  EXPECT_THAT(File("file")->SetPosixLock(kBob, RecordLock(F_RDLCK, 0, 0)), IsErrno(EAGAIN));
}

// Its locks are not in the image, and the file can be restored all the same.
TEST_F(LocksAndWatchesTest, LocksOfADescriptionThatIsNotSaved) {
  {
    const auto file = t_.Open("/f", O_RDWR);
    ASSERT_THAT(file->Flock(LOCK_EX), IsOk());
    ASSERT_THAT(file->SetOpenFileLock(RecordLock(F_WRLCK, 0, 0)), IsOk());
    const auto gone = t_.Open("/gone", O_RDWR | O_CREAT);
    ASSERT_THAT(gone->SetPosixLock(kAlice, RecordLock(F_WRLCK, 0, 0)), IsOk());
    t_.Unlink("/gone");
    OpenAs("other");
    EXPECT_TRUE(restore::Checkpoint(t_.RequestTo(scratch_ / "snaps", "v1")).ok());
  }
  TestVfs back(*restore::Restore(TestVfs::RequestFrom(scratch_ / "snaps", "v1")));
  const auto other = back.Held<FileDescription>("other");
  EXPECT_THAT(other->Flock(LOCK_EX), IsOk());
  EXPECT_THAT(other->SetOpenFileLock(RecordLock(F_WRLCK, 0, 0)), IsOk());
}

TEST_F(LocksAndWatchesTest, EventsAreReadAfterwards) {
  MakeQueue();
  const int wd = Watch("/d", IN_ALL_EVENTS);
  t_.Mkdir("/d/one");
  t_.Rename("/d/one", "/d/two");
  t_.SaveAndRestore();
  const auto events = Queue()->Read(kPlenty);
  ASSERT_THAT(events, IsOk());
  const uint32_t cookie = events->back().cookie;
  EXPECT_NE(cookie, 0u);
  EXPECT_THAT(*events, ElementsAre(InotifyEvent{wd, IN_CREATE | IN_ISDIR, 0, "one"},
                                   InotifyEvent{wd, IN_MOVED_FROM | IN_ISDIR, cookie, "one"},
                                   InotifyEvent{wd, IN_MOVED_TO | IN_ISDIR, cookie, "two"}));
  t_.Rename("/d/two", "/d/three");
  EXPECT_EQ(Queue()->Read(kPlenty)->back().cookie, cookie + 1);
}

TEST_F(LocksAndWatchesTest, WatchesGoOn) {
  MakeQueue();
  const int once = Watch("/f", IN_ATTRIB | IN_ONESHOT);
  const int dir = Watch("/d", IN_CREATE);
  ASSERT_THAT(Queue()->RemoveWatch(dir), IsOk());
  const int again = Watch("/d", IN_CREATE);
  ASSERT_THAT(Queue()->Read(kPlenty), IsOk());
  t_.SaveAndRestore();
  t_.Set("/f", {.mode = 0600});
  t_.Mkdir("/d/new");
  EXPECT_THAT(
      *Queue()->Read(kPlenty),
      ElementsAre(InotifyEvent{once, IN_ATTRIB, 0, ""}, InotifyEvent{once, IN_IGNORED, 0, ""},
                  InotifyEvent{again, IN_CREATE | IN_ISDIR, 0, "new"}));
  EXPECT_EQ(Watch("/f", IN_ATTRIB), again + 1) << "numbers go on too";
  t_.Unlink("/f");
  t_.SaveAndRestore();
  EXPECT_THAT(*Queue()->Read(kPlenty), ElementsAre(InotifyEvent{again + 1, IN_ATTRIB, 0, ""},
                                                   InotifyEvent{again + 1, IN_IGNORED, 0, ""}));
}

TEST_F(LocksAndWatchesTest, WatchOfAnUnlinkedFileEndsWithIt) {
  OpenAs("file");
  MakeQueue();
  const int wd = Watch("/f", IN_DELETE_SELF);
  t_.Unlink("/f");
  t_.SaveAndRestore();
  EXPECT_THAT(Queue()->Read(kPlenty), IsErrno(EAGAIN));
  t_.Release("file");
  EXPECT_THAT(*Queue()->Read(kPlenty), ElementsAre(InotifyEvent{wd, IN_DELETE_SELF, 0, ""},
                                                   InotifyEvent{wd, IN_IGNORED, 0, ""}));
}

// Who has it open is not in the image.
TEST_F(LocksAndWatchesTest, WatchesOfFilesThatNobodySavedUsesEnd) {
  MakeQueue();
  t_.Mkdir("/d/sub");
  const auto file = t_.Open("/f", O_RDWR);
  const auto dir = t_.Open("/d/sub", O_RDONLY | O_DIRECTORY);
  const int told = Watch("/f", IN_DELETE_SELF);
  const int once = Watch("/d/sub", IN_DELETE_SELF | IN_ONESHOT);
  OpenAs("saved", "/f");
  const int stays = Watch("/d", IN_DELETE_SELF);
  t_.Unlink("/f");
  t_.Rmdir("/d/sub");
  EXPECT_TRUE(restore::Checkpoint(t_.RequestTo(scratch_ / "snaps", "held")).ok());
  t_.Release("saved");
  EXPECT_TRUE(restore::Checkpoint(t_.RequestTo(scratch_ / "snaps", "let_go")).ok());
  EXPECT_THAT(Queue()->Read(kPlenty), IsErrno(EAGAIN));
  {
    TestVfs held(*restore::Restore(TestVfs::RequestFrom(scratch_ / "snaps", "held")));
    EXPECT_THAT(*held.Held<Inotify>("inotify")->Read(kPlenty),
                ElementsAre(InotifyEvent{once, IN_DELETE_SELF, 0, ""},
                            InotifyEvent{once, IN_IGNORED, 0, ""}));
    EXPECT_THAT(held.Held<Inotify>("inotify")->RemoveWatch(told), IsOk());
  }
  TestVfs back(*restore::Restore(TestVfs::RequestFrom(scratch_ / "snaps", "let_go")));
  const auto queue = back.Held<Inotify>("inotify");
  EXPECT_THAT(*queue->Read(kPlenty), ElementsAre(InotifyEvent{told, IN_DELETE_SELF, 0, ""},
                                                 InotifyEvent{told, IN_IGNORED, 0, ""},
                                                 InotifyEvent{once, IN_DELETE_SELF, 0, ""},
                                                 InotifyEvent{once, IN_IGNORED, 0, ""}));
  EXPECT_THAT(queue->RemoveWatch(told), IsErrno(EINVAL));
  EXPECT_THAT(queue->RemoveWatch(stays), IsOk());
  EXPECT_FALSE(back.vfs().watches().active());
}

TEST_F(LocksAndWatchesTest, LimitsStay) {
  MakeQueue({.max_queued_events = 1, .max_user_watches = 1});
  const int wd = Watch("/d", IN_CREATE);
  t_.Mkdir("/d/1");
  t_.Mkdir("/d/2");
  t_.SaveAndRestore();
  t_.Mkdir("/d/3");
  EXPECT_THAT(*Queue()->Read(kPlenty), ElementsAre(InotifyEvent{wd, IN_CREATE | IN_ISDIR, 0, "1"},
                                                   InotifyEvent{-1, IN_Q_OVERFLOW, 0, ""}));
  EXPECT_EQ(Watch("/f", IN_CREATE), -1);
}

}  // namespace
}  // namespace stasis::restore
