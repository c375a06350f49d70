// SPDX-License-Identifier: Apache-2.0
//
// The gate: who waits for whom.

#include "vfs/operation_gate.h"

#include <absl/synchronization/notification.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace stasis::vfs {
namespace {

// Long enough for a thread that does not wait to get on.
void GiveOthersTime() { std::this_thread::sleep_for(std::chrono::milliseconds(30)); }

void WaitUntilClosed(const OperationGate& gate) {
  while (!gate.closed()) std::this_thread::yield();
}

TEST(OperationGateTest, CloseWaitsForThoseInside) {
  OperationGate gate;
  absl::Notification inside, leave;
  std::atomic<bool> closed{false};
  std::thread worker([&] {
    Operation operation(gate);
    inside.Notify();
    leave.WaitForNotification();
    EXPECT_FALSE(closed);
  });
  inside.WaitForNotification();
  std::thread closer([&] {
    gate.Close();
    closed = true;
  });
  WaitUntilClosed(gate);
  GiveOthersTime();
  EXPECT_FALSE(closed);
  leave.Notify();
  worker.join();
  closer.join();
  EXPECT_TRUE(closed);
  gate.Open();
}

TEST(OperationGateTest, OperationsWaitWhileItIsClosed) {
  OperationGate gate;
  gate.Close();
  EXPECT_TRUE(gate.closed());
  std::atomic<int> entered{0};
  const auto enter = [&] {
    Operation operation(gate);
    ++entered;
  };
  std::thread one(enter), two(enter);
  while (gate.waiting() < 2) std::this_thread::yield();
  EXPECT_EQ(entered, 0);
  gate.Open();
  one.join();
  two.join();
  EXPECT_EQ(entered, 2);
  EXPECT_FALSE(gate.closed());
}

TEST(OperationGateTest, NestedOperationDoesNotWaitForAClosingGate) {
  OperationGate gate;
  std::thread closer;
  {
    Operation outer(gate);
    closer = std::thread([&] { gate.Close(); });
    WaitUntilClosed(gate);
    Operation inner(gate);
    { Operation innermost(gate); }
  }
  closer.join();
  gate.Open();
}

TEST(OperationGateTest, OperationsDoNotWaitForEachOther) {
  OperationGate gate;
  Operation operation(gate);
  std::thread([&] { Operation other(gate); }).join();
}

TEST(OperationGateTest, SecondCloserWaitsForTheFirstToOpen) {
  OperationGate gate;
  gate.Close();
  std::atomic<bool> second{false};
  std::thread closer([&] {
    gate.Close();
    second = true;
    gate.Open();
  });
  GiveOthersTime();
  EXPECT_FALSE(second);
  gate.Open();
  closer.join();
  EXPECT_TRUE(second);
  Operation operation(gate);
}

TEST(OperationGateTest, ClosesAndOpensManyTimesUnderLoad) {
  OperationGate gate;
  std::atomic<bool> stop{false};
  std::atomic<int> inside{0};
  const auto work = [&] {
    while (!stop) {
      Operation operation(gate);
      ++inside;
      --inside;
    }
  };
  std::thread one(work), two(work);
  for (int i = 0; i < 100; ++i) {
    gate.Close();
    EXPECT_EQ(inside, 0);
    std::this_thread::yield();
    EXPECT_EQ(inside, 0);
    gate.Open();
  }
  stop = true;
  one.join();
  two.join();
}

}  // namespace
}  // namespace stasis::vfs
