// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/timed_cancel.h"

#include <absl/time/clock.h>
#include <gtest/gtest.h>

namespace stasis::cli {
namespace {

void AwaitFlag(const TimedCancel& cancel) {
  while (!*cancel.flag()) absl::SleepFor(absl::Milliseconds(1));
}

TEST(TimedCancelTest, WithoutADeadlineItIsTheCallersFlag) {
  const std::atomic<bool> flag{false};
  const TimedCancel cancel(&flag, absl::InfiniteFuture());
  EXPECT_EQ(cancel.flag(), &flag);
  EXPECT_EQ(TimedCancel(nullptr, absl::InfiniteFuture()).flag(), nullptr);
  EXPECT_FALSE(cancel.time_is_over());
}

TEST(TimedCancelTest, TheDeadlineSetsTheFlag) {
  const absl::Time deadline = absl::Now() + absl::Milliseconds(30);
  const TimedCancel cancel(nullptr, deadline);
  EXPECT_FALSE(*cancel.flag());
  AwaitFlag(cancel);
  EXPECT_GE(absl::Now(), deadline);
  EXPECT_TRUE(cancel.time_is_over());
}

TEST(TimedCancelTest, TheCallerSetsItBefore) {
  std::atomic<bool> flag{false};
  const TimedCancel cancel(&flag, absl::Now() + absl::Hours(1));
  EXPECT_FALSE(*cancel.flag());
  flag = true;
  AwaitFlag(cancel);
  EXPECT_FALSE(cancel.time_is_over());
}

}  // namespace
}  // namespace stasis::cli
