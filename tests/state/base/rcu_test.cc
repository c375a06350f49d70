// SPDX-License-Identifier: Apache-2.0

#include "state/base/rcu.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace {

// How far the time of day that the program sees is ahead of the kernel's.
std::atomic<time_t> seconds_ahead = 0;

}  // namespace

// In place of libc's.
extern "C" int clock_gettime(clockid_t clock, struct timespec* time) noexcept {
  const auto result = static_cast<int>(::syscall(SYS_clock_gettime, clock, time));
  if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += seconds_ahead.load();
  return result;
}

namespace stasis::rcu {
namespace {

struct Counted {
  ~Counted() { ++count; }
  std::atomic<int>& count;
};

TEST(RcuTest, BarrierWaitsForWhatWasDeferred) {
  std::atomic<int> count = 0;
  for (int i = 1; i <= 100; ++i) {
    Retire(new Counted{count});
    Barrier();
    ASSERT_EQ(count, i);
  }
}

TEST(RcuTest, BarrierOfNothingReturns) {
  Barrier();
  Barrier();
}

TEST(RcuTest, WhatIsDeferredRunsWithoutABarrier) {
  std::atomic<int> count = 0;
  Retire(new Counted{count});
  while (count == 0) std::this_thread::yield();
}

// As if somebody set the time of day back an hour right after the program has looked at it.
TEST(RcuTest, WhatIsDeferredRunsWhateverTheTimeOfDayDoes) {
  std::atomic<int> count = 0;
  seconds_ahead = 3600;
  Retire(new Counted{count});
  while (count == 0) std::this_thread::yield();
  seconds_ahead = 0;
}

TEST(RcuTest, WhatIsDeferredRunsInOrder) {
  static std::vector<int> order;
  order.clear();
  static int items[1000];
  for (int i = 0; i < 1000; ++i) {
    items[i] = i;
    Defer([](void* item) { order.push_back(*static_cast<int*>(item)); }, &items[i]);
  }
  Barrier();
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(RcuTest, ReaderKeepsWhatItSees) {
  std::atomic<int> count = 0;
  std::atomic<bool> inside = false;
  std::atomic<bool> leave = false;
  std::thread reader([&] {
    ReadLock lock;
    inside = true;
    while (!leave) std::this_thread::yield();
    EXPECT_EQ(count, 0) << "freed while a reader is inside";
  });
  while (!inside) std::this_thread::yield();
  Retire(new Counted{count});
  std::thread waiter([&] {
    Barrier();
    EXPECT_EQ(count, 1);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));  // more than a batch may wait
  leave = true;
  reader.join();
  waiter.join();
}

TEST(RcuTest, WhatIsDeferredMayDeferMore) {
  static std::atomic<int> count;
  count = 0;
  Defer([](void*) { Retire(new Counted{count}); }, nullptr);
  Barrier();
  Barrier();
  EXPECT_EQ(count, 1);
}

TEST(RcuTest, ThreadsDeferAndWaitAtTheSameTime) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 200;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([] {
      std::atomic<int> count = 0;
      for (int i = 1; i <= kRounds; ++i) {
        {
          ReadLock lock;
          Retire(new Counted{count});
        }
        Retire(new Counted{count});
        if (i % 3 == 0) {
          Barrier();
          ASSERT_EQ(count, 2 * i);
        }
      }
      Barrier();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// A program that takes its signals with sigwait(3) or signalfd(2) blocks them in all threads.
TEST(RcuTest, SignalsAreNotDeliveredToTheReclaimersThread) {
  static sigset_t mask;
  Defer([](void*) { pthread_sigmask(SIG_SETMASK, nullptr, &mask); }, nullptr);
  Barrier();
  EXPECT_EQ(sigismember(&mask, SIGTERM), 1);
  EXPECT_EQ(sigismember(&mask, SIGCHLD), 1);
}

}  // namespace
}  // namespace stasis::rcu
