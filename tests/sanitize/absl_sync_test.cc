// SPDX-License-Identifier: Apache-2.0
//
// Correct uses of abseil's primitives. What is under test is that ThreadSanitizer, where the build
// has it, sees them synchronise: it reports nothing here.

#include <absl/synchronization/blocking_counter.h>
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <gtest/gtest.h>

#include <thread>

namespace stasis {
namespace {

// Plain, not atomic: only synchronisation keeps the threads apart.
struct Shared {
  absl::Mutex mu;
  absl::CondVar changed;
  int value ABSL_GUARDED_BY(mu) = 0;
};

TEST(AbslSyncTest, MutexOrdersWriters) {
  Shared shared;
  auto add = [&shared] {
    for (int i = 0; i < 1000; ++i) {
      absl::MutexLock lock(&shared.mu);
      ++shared.value;
    }
  };
  std::thread other(add);
  add();
  other.join();
  absl::ReaderMutexLock lock(&shared.mu);
  EXPECT_EQ(shared.value, 2000);
}

TEST(AbslSyncTest, CondVarOrdersSignalAndWait) {
  Shared shared;
  std::thread other([&shared] {
    absl::MutexLock lock(&shared.mu);
    shared.value = 1;
    shared.changed.Signal();
  });
  {
    absl::MutexLock lock(&shared.mu);
    while (shared.value == 0) shared.changed.Wait(&shared.mu);
    ++shared.value;
  }
  other.join();
  absl::MutexLock lock(&shared.mu);
  EXPECT_EQ(shared.value, 2);
}

TEST(AbslSyncTest, ConditionSeesWhatWasWritten) {
  Shared shared;
  std::thread other([&shared] {
    absl::MutexLock lock(&shared.mu);
    shared.value = 1;
  });
  auto is_set = [](int* value) { return *value != 0; };
  shared.mu.LockWhen(absl::Condition(+is_set, &shared.value));
  EXPECT_EQ(shared.value, 1);
  shared.mu.Unlock();
  other.join();
}

TEST(AbslSyncTest, NotificationPublishes) {
  int value = 0;
  absl::Notification ready;
  std::thread other([&] {
    value = 1;
    ready.Notify();
  });
  ready.WaitForNotification();
  EXPECT_EQ(value, 1);
  other.join();
}

TEST(AbslSyncTest, BlockingCounterPublishes) {
  int values[2] = {};
  absl::BlockingCounter left(2);
  auto set = [&](int* value) {
    *value = 1;
    left.DecrementCount();
  };
  std::thread a(set, &values[0]);
  std::thread b(set, &values[1]);
  left.Wait();
  EXPECT_EQ(values[0] + values[1], 2);
  a.join();
  b.join();
}

}  // namespace
}  // namespace stasis
