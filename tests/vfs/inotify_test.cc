// SPDX-License-Identifier: Apache-2.0
//
// Inotify: limits, waiting, and what a filesystem's end does. Which events there are, and in which
// order, is compared with the kernel in tests/posix.

#include "vfs/inotify.h"

#include <absl/synchronization/notification.h>
#include <fcntl.h>
#include <sys/inotify.h>

#include <future>
#include <thread>

#include "state/base/rcu.h"
#include "tests/testing/memfs_tree.h"
#include "vfs/waiter.h"

namespace stasis::vfs {
namespace {

using stasis::testing::BytesOf;
using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;
using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr size_t kPlenty = 1 << 20;

InotifyEvent Event(int wd, uint32_t mask, std::string name = "") {
  return {.wd = wd, .mask = mask, .name = std::move(name)};
}

// As long as it lives, no memory is freed.
class NothingIsFreed {
 public:
  NothingIsFreed() {
    rcu::Defer([](void* end) { static_cast<absl::Notification*>(end)->WaitForNotification(); },
               &end_);
  }
  ~NothingIsFreed() {
    end_.Notify();
    rcu::Barrier();
  }
  NothingIsFreed(const NothingIsFreed&) = delete;
  NothingIsFreed& operator=(const NothingIsFreed&) = delete;

 private:
  absl::Notification end_;
};

class InotifyTest : public MemfsTest {
 protected:
  InotifyTest() { EXPECT_THAT(Mkdir("/d"), IsOk()); }

  int Watch(std::string_view path, uint32_t mask = IN_ALL_EVENTS) {
    return inotify->AddWatch(creds, At(path), mask).value_or(-1);
  }
  std::vector<InotifyEvent> Events() {
    return inotify->Read(kPlenty).value_or(std::vector<InotifyEvent>());
  }

  RefPtr<Inotify> inotify = MakeRef<Inotify>(vfs);
};

TEST_F(InotifyTest, FullQueueSaysSoOnce) {
  inotify = MakeRef<Inotify>(vfs, InotifyLimits{.max_queued_events = 3});
  const int wd = Watch("/d", IN_CREATE);
  for (const char* name : {"/d/1", "/d/2", "/d/3", "/d/4", "/d/5"})
    ASSERT_THAT(Mkdir(name), IsOk());
  constexpr uint32_t kMade = IN_CREATE | IN_ISDIR;
  EXPECT_THAT(Events(), ElementsAre(Event(wd, kMade, "1"), Event(wd, kMade, "2"),
                                    Event(wd, kMade, "3"), Event(-1, IN_Q_OVERFLOW)));
  ASSERT_THAT(Mkdir("/d/6"), IsOk());
  EXPECT_THAT(Events(), ElementsAre(Event(wd, kMade, "6")));
}

TEST_F(InotifyTest, FullQueueThatWasReadInPartTakesAsMany) {
  inotify = MakeRef<Inotify>(vfs, InotifyLimits{.max_queued_events = 2});
  const int wd = Watch("/d", IN_CREATE);
  constexpr uint32_t kMade = IN_CREATE | IN_ISDIR;
  for (const char* name : {"/d/1", "/d/2", "/d/3"}) ASSERT_THAT(Mkdir(name), IsOk());
  const size_t two = Event(wd, kMade, "1").ReadSize() * 2;
  EXPECT_THAT(inotify->Read(two).value(), SizeIs(2));
  ASSERT_THAT(Mkdir("/d/4"), IsOk());
  ASSERT_THAT(Mkdir("/d/5"), IsOk());  // the overflow is in the queue already
  EXPECT_THAT(Events(), ElementsAre(Event(-1, IN_Q_OVERFLOW), Event(wd, kMade, "4")));
}

TEST_F(InotifyTest, DefaultLimitIsTheKernels) {
  Watch("/d", IN_CREATE | IN_DELETE);
  for (int i = 0; i < 9000; ++i) {
    ASSERT_THAT(Mkdir("/d/x"), IsOk());
    ASSERT_THAT(Rmdir("/d/x"), IsOk());
  }
  const auto events = Events();
  ASSERT_THAT(events, SizeIs(16385));
  EXPECT_EQ(events.back(), Event(-1, IN_Q_OVERFLOW));
}

TEST_F(InotifyTest, WatchesAreLimited) {
  inotify = MakeRef<Inotify>(vfs, InotifyLimits{.max_user_watches = 1});
  const int wd = Watch("/d");
  EXPECT_THAT(inotify->AddWatch(creds, At("/"), IN_CREATE), IsErrno(ENOSPC));
  EXPECT_EQ(Watch("/d", IN_CREATE), wd);
  ASSERT_THAT(inotify->RemoveWatch(wd), IsOk());
  EXPECT_THAT(inotify->AddWatch(creds, At("/"), IN_CREATE), IsOk());
}

TEST_F(InotifyTest, ReaderWaitsForAnEvent) {
  const int wd = Watch("/d", IN_CREATE);
  EXPECT_THAT(inotify->Read(kPlenty), IsErrno(EAGAIN));
  Waiter waiter;
  auto pending = std::async(std::launch::async, [&] { return inotify->Read(kPlenty, &waiter); });
  ASSERT_THAT(Mkdir("/d/new"), IsOk());
  EXPECT_THAT(pending.get().value(), ElementsAre(Event(wd, IN_CREATE | IN_ISDIR, "new")));
}

TEST_F(InotifyTest, ReaderIsInterrupted) {
  Waiter waiter;
  auto pending = std::async(std::launch::async, [&] { return inotify->Read(kPlenty, &waiter); });
  waiter.Interrupt();
  EXPECT_THAT(pending.get(), IsErrno(EINTR));
}

TEST_F(InotifyTest, CheckpointDoesNotWaitForReaders) {
  Watch("/d");
  Waiter waiter;
  auto pending = std::async(std::launch::async, [&] { return inotify->Read(kPlenty, &waiter); });
  while (!waiter.waiting()) std::this_thread::yield();
  vfs->gate().Close();
  EXPECT_TRUE(waiter.waiting());
  vfs->gate().Open();
  waiter.Interrupt();
  EXPECT_THAT(pending.get(), IsErrno(EINTR));
}

TEST_F(InotifyTest, CloseWhileTheGateIsClosedComesAfter) {
  ASSERT_THAT(Put("/d/f", ""), IsOk());
  auto file = *Open("/d/f", O_RDONLY);
  const int wd = Watch("/d");
  vfs->gate().Close();
  std::thread closer([&] { file.reset(); });
  while (vfs->gate().waiting() == 0) std::this_thread::yield();
  EXPECT_EQ(inotify->BytesQueued(), 0u);
  vfs->gate().Open();
  closer.join();
  EXPECT_THAT(Events(), ElementsAre(Event(wd, IN_CLOSE_NOWRITE, "f")));
}

TEST_F(InotifyTest, RemovedDirectoriesEndBeforeTheirMemoryIsFreed) {
  ASSERT_THAT(Mkdir("/d/sub"), IsOk());
  ASSERT_THAT(Put("/d/sub/f", ""), IsOk());
  auto file = *Open("/d/sub/f", O_RDONLY);
  const int dir = Watch("/d", IN_DELETE_SELF);
  const int sub = Watch("/d/sub", IN_DELETE_SELF);
  ASSERT_THAT(Unlink("/d/sub/f"), IsOk());
  ASSERT_THAT(Rmdir("/d/sub"), IsOk());
  ASSERT_THAT(Rmdir("/d"), IsOk());
  const NothingIsFreed nothing_is_freed;
  EXPECT_THAT(Events(), SizeIs(0));
  file.reset();
  EXPECT_THAT(Events(), ElementsAre(Event(sub, IN_DELETE_SELF), Event(sub, IN_IGNORED),
                                    Event(dir, IN_DELETE_SELF), Event(dir, IN_IGNORED)));
}

TEST_F(InotifyTest, RootOfAMountEndsBeforeItsMemoryIsFreed) {
  ASSERT_THAT(Mkdir("/bound"), IsOk());
  ASSERT_THAT(Bind("/bound", "/d"), IsOk());
  const int wd = Watch("/bound", IN_DELETE_SELF);
  ASSERT_THAT(Rmdir("/bound"), IsOk());
  const NothingIsFreed nothing_is_freed;
  EXPECT_THAT(Events(), SizeIs(0));
  ASSERT_THAT(Umount("/d"), IsOk());
  EXPECT_THAT(Events(), ElementsAre(Event(wd, IN_DELETE_SELF), Event(wd, IN_IGNORED)));
}

// Who lets go of the file waits for the gate; those who free memory do not.
TEST_F(InotifyTest, MemoryIsFreedWhileTheGateIsClosed) {
  ASSERT_THAT(Mkdir("/d/sub"), IsOk());
  ASSERT_THAT(Put("/d/sub/f", ""), IsOk());
  const int wd = Watch("/d/sub", IN_DELETE_SELF);
  {
    const NothingIsFreed nothing_is_freed;
    ASSERT_THAT(Unlink("/d/sub/f"), IsOk());
    ASSERT_THAT(Rmdir("/d/sub"), IsOk());
    vfs->gate().Close();
  }
  vfs->gate().Open();
  EXPECT_THAT(Events(), ElementsAre(Event(wd, IN_DELETE_SELF), Event(wd, IN_IGNORED)));
}

TEST_F(InotifyTest, UnmountEndsWatches) {
  ASSERT_THAT(Mount("/d"), IsOk());
  ASSERT_THAT(Mkdir("/d/inner"), IsOk());
  const int top = Watch("/d", IN_CREATE);
  const int inner = Watch("/d/inner", IN_CREATE);
  Watch("/", IN_CREATE);
  ASSERT_THAT(Umount("/d"), IsOk());
  EXPECT_THAT(Events(), ElementsAre(Event(top, IN_UNMOUNT | IN_ISDIR), Event(top, IN_IGNORED),
                                    Event(inner, IN_UNMOUNT | IN_ISDIR), Event(inner, IN_IGNORED)));
  EXPECT_THAT(inotify->RemoveWatch(top), IsErrno(EINVAL));
}

TEST_F(InotifyTest, UnmountOfOneOfTwoMountsEndsNothing) {
  ASSERT_THAT(Mkdir("/other"), IsOk());
  ASSERT_THAT(Mount("/d"), IsOk());
  ASSERT_THAT(Bind("/d", "/other"), IsOk());
  const int wd = Watch("/d", IN_CREATE);
  ASSERT_THAT(Umount("/d"), IsOk());
  ASSERT_THAT(Mkdir("/other/new"), IsOk());
  EXPECT_THAT(Events(), ElementsAre(Event(wd, IN_CREATE | IN_ISDIR, "new")));
}

TEST_F(InotifyTest, TwoQueuesAreTwo) {
  const auto other = MakeRef<Inotify>(vfs);
  const int wd = Watch("/d", IN_CREATE);
  const int others = other->AddWatch(creds, At("/d"), IN_DELETE).value();
  ASSERT_THAT(Mkdir("/d/x"), IsOk());
  ASSERT_THAT(Rmdir("/d/x"), IsOk());
  EXPECT_THAT(Events(), ElementsAre(Event(wd, IN_CREATE | IN_ISDIR, "x")));
  EXPECT_THAT(other->Read(kPlenty).value(), ElementsAre(Event(others, IN_DELETE | IN_ISDIR, "x")));
}

TEST_F(InotifyTest, NobodyIsActiveAfterTheLastWatch) {
  EXPECT_FALSE(vfs->watches().active());
  const int wd = Watch("/d");
  EXPECT_TRUE(Lookup("/d")->inode().watched());
  ASSERT_THAT(inotify->RemoveWatch(wd), IsOk());
  EXPECT_FALSE(Lookup("/d")->inode().watched());
  EXPECT_FALSE(vfs->watches().active());
  Watch("/d");
  inotify.reset();
  EXPECT_FALSE(Lookup("/d")->inode().watched());
  EXPECT_FALSE(vfs->watches().active());
}

TEST_F(InotifyTest, WatchOutlivesChangesOfMode) {
  const int wd = Watch("/d", IN_CREATE);
  ASSERT_THAT(Chmod("/d", 0700), IsOk());
  ASSERT_THAT(Mkdir("/d/x"), IsOk());
  EXPECT_THAT(Events(), ElementsAre(Event(wd, IN_CREATE | IN_ISDIR, "x")));
}

// Events come from many threads at once; nothing is lost, nothing waits for ever.
TEST_F(InotifyTest, ManyThreads) {
  const int wd = Watch("/d", IN_CREATE | IN_DELETE);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      const auto other = MakeRef<Inotify>(vfs);
      for (int i = 0; i < 200; ++i) {
        const std::string name = "/d/" + std::to_string(t) + "-" + std::to_string(i);
        EXPECT_THAT(other->AddWatch(creds, At("/d"), IN_ALL_EVENTS), IsOk());
        EXPECT_THAT(Mkdir(name), IsOk());
        EXPECT_THAT(Rmdir(name), IsOk());
        EXPECT_THAT(other->RemoveWatch(i + 1), IsOk());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto events = Events();
  EXPECT_THAT(events, SizeIs(4 * 200 * 2));
  for (const InotifyEvent& event : events) EXPECT_EQ(event.wd, wd);
}

}  // namespace
}  // namespace stasis::vfs
