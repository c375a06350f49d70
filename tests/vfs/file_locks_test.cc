// SPDX-License-Identifier: Apache-2.0
//
// File locks: who waits for whom, and what ends a wait. What the calls answer without waiting is
// compared with the kernel in tests/posix.

#include "vfs/file_locks.h"

#include <fcntl.h>
#include <sys/file.h>

#include <chrono>
#include <ctime>
#include <functional>
#include <future>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/testing/memfs_tree.h"
#include "tests/testing/record_lock.h"
#include "vfs/waiter.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;
using stasis::testing::RecordLock;
using ::testing::ElementsAre;

constexpr LockOwner kAlice{.id = 1, .pid = 101};
constexpr LockOwner kBob{.id = 2, .pid = 102};
constexpr LockOwner kCarol{.id = 3, .pid = 103};

class FileLocksTest : public MemfsTest {
 protected:
  FileLocksTest() {
    EXPECT_THAT(Put("/f", "0123456789"), IsOk());
    EXPECT_THAT(Put("/g", "0123456789"), IsOk());
  }

  RefPtr<FileDescription> OpenIt(std::string_view path = "/f") { return *Open(path, O_RDWR); }
  // Runs a call that waits on a thread of its own, until it is in the queue of the file.
  std::future<Result<void>> Start(FileDescription& file, std::function<Result<void>()> call) {
    const size_t before = Waiting(file);
    auto pending = std::async(std::launch::async, std::move(call));
    while (Waiting(file) == before) std::this_thread::yield();
    return pending;
  }
  size_t Waiting(FileDescription& file) { return vfs->file_locks().Waiting(file.inode()); }
};

bool IsDone(const std::future<Result<void>>& pending) {
  return pending.wait_for(std::chrono::milliseconds(30)) == std::future_status::ready;
}

TEST_F(FileLocksTest, PosixWaiterGoesOnWhenTheRangeIsFree) {
  const auto file = OpenIt();
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 0, 10)), IsOk());
  Waiter waiter;
  auto bob =
      Start(*file, [&] { return file->SetPosixLock(kBob, RecordLock(F_WRLCK, 5, 1), &waiter); });
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_UNLCK, 0, 5)), IsOk());
  EXPECT_FALSE(IsDone(bob)) << "the part that is free now is not the one that is waited for";
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_UNLCK, 5, 5)), IsOk());
  EXPECT_THAT(bob.get(), IsOk());
  EXPECT_EQ(file->GetPosixLock(kAlice, RecordLock(F_RDLCK, 0, 0))->l_pid, kBob.pid);
}

TEST_F(FileLocksTest, WaiterGoesOnWhenTheLockIsDowngraded) {
  const auto file = OpenIt();
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 0, 0)), IsOk());
  Waiter waiter;
  auto bob =
      Start(*file, [&] { return file->SetPosixLock(kBob, RecordLock(F_RDLCK, 0, 0), &waiter); });
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_RDLCK, 0, 0)), IsOk());
  EXPECT_THAT(bob.get(), IsOk());
}

TEST_F(FileLocksTest, FlushOfTheOwnerLetsWaitersGoOn) {
  const auto file = OpenIt();
  const auto other = OpenIt();
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 0, 0)), IsOk());
  Waiter waiter;
  auto bob =
      Start(*file, [&] { return file->SetPosixLock(kBob, RecordLock(F_WRLCK, 0, 0), &waiter); });
  other->Flush(kCarol);
  EXPECT_FALSE(IsDone(bob));
  other->Flush(kAlice);
  EXPECT_THAT(bob.get(), IsOk());
}

TEST_F(FileLocksTest, EndOfTheDescriptionLetsWaitersGoOn) {
  auto holder = OpenIt();
  const auto file = OpenIt();
  ASSERT_THAT(holder->SetOpenFileLock(RecordLock(F_WRLCK, 0, 0)), IsOk());
  ASSERT_THAT(holder->Flock(LOCK_EX), IsOk());
  Waiter ofd_waiter, flock_waiter;
  auto ofd =
      Start(*file, [&] { return file->SetOpenFileLock(RecordLock(F_RDLCK, 3, 1), &ofd_waiter); });
  auto flock = Start(*file, [&] { return file->Flock(LOCK_SH, &flock_waiter); });
  holder.reset();
  EXPECT_THAT(ofd.get(), IsOk());
  EXPECT_THAT(flock.get(), IsOk());
}

TEST_F(FileLocksTest, FlockConversionThatWaitsHasGivenItsLockAway) {
  const auto a = OpenIt(), b = OpenIt(), c = OpenIt();
  ASSERT_THAT(a->Flock(LOCK_SH), IsOk());
  ASSERT_THAT(b->Flock(LOCK_SH), IsOk());
  Waiter waiter;
  auto upgrade = Start(*a, [&] { return a->Flock(LOCK_EX, &waiter); });
  // Two that upgrade do not wait for each other: b holds the only lock.
  EXPECT_THAT(b->Flock(LOCK_EX | LOCK_NB), IsOk());
  EXPECT_THAT(c->Flock(LOCK_SH | LOCK_NB), IsErrno(EAGAIN));
  EXPECT_THAT(b->Flock(LOCK_UN), IsOk());
  EXPECT_THAT(upgrade.get(), IsOk());
  EXPECT_THAT(c->Flock(LOCK_SH | LOCK_NB), IsErrno(EAGAIN));
}

TEST_F(FileLocksTest, WaitersGoOnInTheOrderOfTheirComing) {
  const auto file = OpenIt();
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 0, 0)), IsOk());
  constexpr int kWaiters = 8;
  std::vector<Waiter> waiters(kWaiters);
  std::vector<std::future<Result<void>>> pending;
  std::vector<int> order;  // each is alone while it holds the lock
  for (int i = 0; i < kWaiters; ++i) {
    pending.push_back(Start(*file, [&, i]() -> Result<void> {
      const LockOwner owner{.id = 100u + static_cast<unsigned>(i), .pid = 0};
      STASIS_RETURN_IF_ERROR(
          file->SetPosixLock(owner, RecordLock(F_WRLCK, 0, 0), &waiters[static_cast<size_t>(i)]));
      order.push_back(i);
      return file->SetPosixLock(owner, RecordLock(F_UNLCK, 0, 0));
    }));
  }
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_UNLCK, 0, 0)), IsOk());
  for (auto& done : pending) EXPECT_THAT(done.get(), IsOk());
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST_F(FileLocksTest, ReadersThatWaitGoOnTogether) {
  const auto file = OpenIt();
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 0, 0)), IsOk());
  Waiter bobs, carols;
  auto bob =
      Start(*file, [&] { return file->SetPosixLock(kBob, RecordLock(F_RDLCK, 0, 0), &bobs); });
  auto carol =
      Start(*file, [&] { return file->SetPosixLock(kCarol, RecordLock(F_RDLCK, 0, 0), &carols); });
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_UNLCK, 0, 0)), IsOk());
  EXPECT_THAT(bob.get(), IsOk());
  EXPECT_THAT(carol.get(), IsOk());
}

TEST_F(FileLocksTest, InterruptionEndsAWaitAndNothingElse) {
  const auto file = OpenIt();
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 0, 0)), IsOk());
  Waiter bobs, carols;
  auto bob =
      Start(*file, [&] { return file->SetPosixLock(kBob, RecordLock(F_WRLCK, 0, 0), &bobs); });
  auto carol =
      Start(*file, [&] { return file->SetPosixLock(kCarol, RecordLock(F_WRLCK, 0, 0), &carols); });
  bobs.Interrupt();
  EXPECT_THAT(bob.get(), IsErrno(EINTR));
  EXPECT_FALSE(IsDone(carol));
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_UNLCK, 0, 0)), IsOk());
  EXPECT_THAT(carol.get(), IsOk());
  EXPECT_EQ(file->GetPosixLock(kAlice, RecordLock(F_RDLCK, 0, 0))->l_pid, kCarol.pid);
}

TEST_F(FileLocksTest, InterruptedBeforeItWaitsEndsTheNextWait) {
  const auto a = OpenIt(), b = OpenIt();
  ASSERT_THAT(a->Flock(LOCK_EX), IsOk());
  Waiter waiter;
  waiter.Interrupt();
  EXPECT_THAT(b->Flock(LOCK_EX, &waiter), IsErrno(EINTR));
  ASSERT_THAT(a->Flock(LOCK_UN), IsOk());
  waiter.Interrupt();
  EXPECT_THAT(b->Flock(LOCK_EX, &waiter), IsOk()) << "it has nothing to wait for";
}

TEST_F(FileLocksTest, PosixOwnersThatWouldWaitForEachOtherAreToldSo) {
  const auto f = OpenIt("/f"), g = OpenIt("/g");
  ASSERT_THAT(f->SetPosixLock(kAlice, RecordLock(F_WRLCK, 0, 1)), IsOk());
  ASSERT_THAT(g->SetPosixLock(kBob, RecordLock(F_WRLCK, 0, 1)), IsOk());
  Waiter alices, bobs;
  auto alice =
      Start(*g, [&] { return g->SetPosixLock(kAlice, RecordLock(F_WRLCK, 0, 0), &alices); });
  EXPECT_THAT(f->SetPosixLock(kBob, RecordLock(F_RDLCK, 0, 0), &bobs), IsErrno(EDEADLK));
  EXPECT_THAT(f->SetPosixLock(kBob, RecordLock(F_RDLCK, 0, 0)), IsErrno(EAGAIN));
  ASSERT_THAT(g->SetPosixLock(kBob, RecordLock(F_UNLCK, 0, 0)), IsOk());
  EXPECT_THAT(alice.get(), IsOk());
}

TEST_F(FileLocksTest, CirclesOfThreeOwnersAreFound) {
  const auto file = OpenIt();
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 1, 1)), IsOk());
  ASSERT_THAT(file->SetPosixLock(kBob, RecordLock(F_WRLCK, 2, 1)), IsOk());
  ASSERT_THAT(file->SetPosixLock(kCarol, RecordLock(F_WRLCK, 3, 1)), IsOk());
  Waiter alices, bobs, carols;
  auto alice =
      Start(*file, [&] { return file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 2, 1), &alices); });
  auto bob =
      Start(*file, [&] { return file->SetPosixLock(kBob, RecordLock(F_WRLCK, 3, 1), &bobs); });
  EXPECT_THAT(file->SetPosixLock(kCarol, RecordLock(F_WRLCK, 1, 1), &carols), IsErrno(EDEADLK));
  file->Flush(kCarol);
  EXPECT_THAT(bob.get(), IsOk());
  file->Flush(kBob);
  EXPECT_THAT(alice.get(), IsOk());
}

// Made a circle only by a lock that is taken while another waits.
TEST_F(FileLocksTest, WaiterWhoseTurnComesLooksForCirclesAgain) {
  const auto file = OpenIt();
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 1, 1)), IsOk());
  ASSERT_THAT(file->SetPosixLock(kCarol, RecordLock(F_RDLCK, 2, 1)), IsOk());
  ASSERT_THAT(file->SetPosixLock(kBob, RecordLock(F_RDLCK, 2, 1)), IsOk());
  Waiter alices, bobs;
  auto alice =
      Start(*file, [&] { return file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 2, 1), &alices); });
  EXPECT_THAT(file->SetPosixLock(kBob, RecordLock(F_WRLCK, 1, 1), &bobs), IsErrno(EDEADLK))
      << "Alice waits for Bob as well as for Carol, who is the first";
  file->Flush(kCarol);
  file->Flush(kBob);
  EXPECT_THAT(alice.get(), IsOk());
}

TEST_F(FileLocksTest, DescriptionsThatWaitForEachOtherGoOnWaiting) {
  const auto a = OpenIt(), b = OpenIt();
  ASSERT_THAT(a->SetOpenFileLock(RecordLock(F_WRLCK, 0, 1)), IsOk());
  ASSERT_THAT(b->SetOpenFileLock(RecordLock(F_WRLCK, 1, 1)), IsOk());
  Waiter as, bs;
  auto first = Start(*a, [&] { return a->SetOpenFileLock(RecordLock(F_WRLCK, 1, 1), &as); });
  auto second = Start(*b, [&] { return b->SetOpenFileLock(RecordLock(F_WRLCK, 0, 1), &bs); });
  EXPECT_FALSE(IsDone(first));
  EXPECT_FALSE(IsDone(second));
  as.Interrupt();
  EXPECT_THAT(first.get(), IsErrno(EINTR));
  ASSERT_THAT(a->SetOpenFileLock(RecordLock(F_UNLCK, 0, 0)), IsOk());
  EXPECT_THAT(second.get(), IsOk());
}

TEST_F(FileLocksTest, CheckpointDoesNotWaitForWaiters) {
  const auto a = OpenIt(), b = OpenIt();
  ASSERT_THAT(a->Flock(LOCK_EX), IsOk());
  Waiter waiter;
  auto pending = Start(*b, [&] { return b->Flock(LOCK_EX, &waiter); });
  vfs->gate().Close();
  // The lock ends with its description, whoever drops that; nobody gets it before the gate opens.
  vfs->file_locks().Release(a->inode(), *a);
  while (vfs->gate().waiting() == 0) std::this_thread::yield();
  EXPECT_THAT(vfs->file_locks().LocksOf(b->inode(), *b), ::testing::IsEmpty());
  vfs->gate().Open();
  EXPECT_THAT(pending.get(), IsOk());
}

TEST_F(FileLocksTest, NothingStaysInTheTable) {
  auto file = OpenIt();
  const Inode& inode = file->inode();
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 0, 5)), IsOk());
  ASSERT_THAT(file->SetOpenFileLock(RecordLock(F_RDLCK, 20, 5)), IsOk());
  ASSERT_THAT(file->Flock(LOCK_SH), IsOk());
  EXPECT_EQ(vfs->file_locks().PosixLocks(inode).size(), 1u);
  EXPECT_EQ(vfs->file_locks().LocksOf(inode, *file).size(), 2u);
  file->Flush(kAlice);
  const FileDescription* gone = file.get();
  file.reset();
  EXPECT_THAT(vfs->file_locks().PosixLocks(inode), ::testing::IsEmpty());
  EXPECT_THAT(vfs->file_locks().LocksOf(inode, *gone), ::testing::IsEmpty());
  EXPECT_TRUE(vfs->file_locks().empty());
}

TEST_F(FileLocksTest, PartOfARangeIsTakenAndGivenBack) {
  const auto file = OpenIt();
  const auto locks = [&] {
    std::vector<std::tuple<uint64_t, uint64_t, LockType>> found;
    for (const FileLock& lock : vfs->file_locks().PosixLocks(file->inode()))
      found.emplace_back(lock.start, lock.last, lock.type);
    return found;
  };
  constexpr auto kRead = LockType::kShared;
  constexpr auto kWrite = LockType::kExclusive;
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_RDLCK, 10, 20)), IsOk());
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 15, 5)), IsOk());
  EXPECT_THAT(locks(), ElementsAre(std::tuple(10, 14, kRead), std::tuple(15, 19, kWrite),
                                   std::tuple(20, 29, kRead)));
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_UNLCK, 12, 5)), IsOk());
  EXPECT_THAT(locks(), ElementsAre(std::tuple(10, 11, kRead), std::tuple(17, 19, kWrite),
                                   std::tuple(20, 29, kRead)));
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_RDLCK, 12, 8)), IsOk());
  EXPECT_THAT(locks(), ElementsAre(std::tuple(10, 29, kRead)));
  ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_UNLCK, 0, 0)), IsOk());
  EXPECT_TRUE(vfs->file_locks().empty());
}

// The time of this thread alone, so that others on the machine do not matter.
double SecondsOf(const std::function<void()>& work) {
  const auto now = [] {
    struct timespec time;
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  };
  const double start = now();
  work();
  return now() - start;
}

class ManyLocksTest : public FileLocksTest {
 protected:
  static constexpr uint64_t kFew = 12'500;
  static constexpr uint64_t kMany = 200'000;
  // 16 times as many: a cost of n log n is about 20 times as large, one of n * n 256 times.
  static constexpr double kMostGrowth = 100;

  // What a restore, a save and the end of `count` locks costs, the i-th being `make(i)`.
  double Cost(uint64_t count, const std::function<FileLock(uint64_t)>& make) {
    const auto table = MakeRef<FileLockTable>();
    const auto file = OpenIt();
    const Inode& inode = file->inode();
    return SecondsOf([&] {
      for (uint64_t i = 0; i < count; ++i) ASSERT_TRUE(table->Restore(inode, make(i)));
      ASSERT_EQ(table->FindConflictingFile(), nullptr);
      for (uint64_t i = 0; i < count; ++i) {
        const FileLock lock = make(i);
        if (lock.description == nullptr) continue;
        ASSERT_EQ(table->LocksOf(inode, *lock.description).size(), 1u);
        table->Release(inode, *lock.description);
      }
      table->Forget(inode);
    });
  }
  void ExpectAboutLinear(const std::function<FileLock(uint64_t)>& make) {
    Cost(kFew, make);  // warm
    EXPECT_LT(Cost(kMany, make), kMostGrowth * Cost(kFew, make));
  }
  // A description is only a name here.
  static const FileDescription* Description(uint64_t i) {
    return reinterpret_cast<const FileDescription*>((i + 1) * 64);
  }
};

TEST_F(ManyLocksTest, OfManyOwners) {
  ExpectAboutLinear([](uint64_t i) {
    return FileLock{.type = LockType::kExclusive, .start = i, .last = i, .owner = i};
  });
}

TEST_F(ManyLocksTest, OfOneOwner) {
  ExpectAboutLinear([](uint64_t i) {
    return FileLock{.type = LockType::kExclusive, .start = 2 * i, .last = 2 * i, .owner = 1};
  });
}

TEST_F(ManyLocksTest, AllShared) {
  ExpectAboutLinear([](uint64_t i) { return FileLock{.start = i, .owner = i}; });
}

TEST_F(ManyLocksTest, OfManyDescriptions) {
  ExpectAboutLinear([](uint64_t i) {
    return FileLock{.kind = LockKind::kOpenFile, .start = i, .description = Description(i)};
  });
}

TEST_F(ManyLocksTest, OfFlock) {
  ExpectAboutLinear(
      [](uint64_t i) { return FileLock{.kind = LockKind::kFlock, .description = Description(i)}; });
}

TEST_F(ManyLocksTest, SetAndUnsetByOneOwner) {
  const auto file = OpenIt();
  const auto cost = [&](uint64_t count) {
    return SecondsOf([&] {
      for (uint64_t i = 0; i < count; ++i) {
        const auto start = static_cast<off_t>(2 * i);
        ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_WRLCK, start, 1)), IsOk());
      }
      for (uint64_t i = 0; i < count; ++i) {
        const auto start = static_cast<off_t>(2 * i);
        ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_UNLCK, start, 1)), IsOk());
      }
    });
  };
  cost(kFew);  // warm
  EXPECT_LT(cost(kMany), kMostGrowth * cost(kFew));
}

class RestoredLocksTest : public FileLocksTest {
 protected:
  // Whether the table takes both and then finds them to conflict.
  bool Conflict(const FileLock& a, const FileLock& b) {
    const auto table = MakeRef<FileLockTable>();
    const auto file = OpenIt();
    EXPECT_TRUE(table->Restore(file->inode(), a));
    EXPECT_TRUE(table->Restore(file->inode(), b));
    const Inode* found = table->FindConflictingFile();
    EXPECT_TRUE(found == nullptr || found == &file->inode());
    table->Forget(file->inode());
    return found != nullptr;
  }
};

TEST_F(RestoredLocksTest, ConflictIsFoundWhateverTheOrder) {
  const FileLock shared{.start = 0, .last = 9, .owner = 1};
  FileLock exclusive{.type = LockType::kExclusive, .start = 9, .last = 9, .owner = 2};
  EXPECT_TRUE(Conflict(shared, exclusive));
  EXPECT_TRUE(Conflict(exclusive, shared));
  exclusive.start = exclusive.last = 10;
  EXPECT_FALSE(Conflict(shared, exclusive));
  EXPECT_FALSE(Conflict(exclusive, shared));
}

TEST_F(RestoredLocksTest, KindsOfRangesExcludeEachOtherAndFlockOnlyItself) {
  const auto file = OpenIt();
  const FileLock posix{.type = LockType::kExclusive, .owner = 1};
  FileLock other{.kind = LockKind::kOpenFile, .description = file.get()};
  EXPECT_TRUE(Conflict(posix, other));
  other.kind = LockKind::kFlock;
  EXPECT_FALSE(Conflict(posix, other));
}

TEST_F(RestoredLocksTest, LongLockBehindShortOnesIsFound) {
  const auto table = MakeRef<FileLockTable>();
  const auto file = OpenIt();
  const auto restore = [&](uint64_t owner, uint64_t start, uint64_t last, LockType type) {
    return table->Restore(file->inode(),
                          {.type = type, .start = start, .last = last, .owner = owner});
  };
  ASSERT_TRUE(restore(1, 0, 100, LockType::kExclusive));
  ASSERT_TRUE(restore(2, 200, 300, LockType::kExclusive));
  EXPECT_EQ(table->FindConflictingFile(), nullptr);
  ASSERT_TRUE(restore(3, 300, 300, LockType::kShared));
  EXPECT_EQ(table->FindConflictingFile(), &file->inode());
  EXPECT_FALSE(restore(3, 300, 400, LockType::kShared)) << "he has some of it";
  table->Forget(file->inode());
}

TEST_F(FileLocksTest, LocksOfAnOwnerWhoNeverClosesEndWithTheFile) {
  {
    const auto file = OpenIt();
    ASSERT_THAT(file->SetPosixLock(kAlice, RecordLock(F_WRLCK, 0, 0)), IsOk());
  }
  EXPECT_FALSE(vfs->file_locks().empty());
  ASSERT_THAT(Unlink("/f"), IsOk());
  rcu::Barrier();
  EXPECT_TRUE(vfs->file_locks().empty());
}

}  // namespace
}  // namespace stasis::vfs
