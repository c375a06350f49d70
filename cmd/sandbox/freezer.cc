// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/freezer.h"

#include <absl/time/clock.h>

#include <algorithm>

namespace stasis::sandbox {
namespace {

constexpr absl::Duration kFlushTimeout = absl::Seconds(60);
constexpr absl::Duration kFreezeTimeout = absl::Seconds(10);
// Before the servers' own waiting is good enough.
constexpr absl::Duration kShortestPoll = absl::Microseconds(20);
constexpr absl::Duration kLongestPoll = absl::Microseconds(500);

}  // namespace

// While the programs run, it only leaves less to do for later: they go on making pages dirty.
absl::Status SandboxFreezer::Flush() {
  return frozen_ ? FlushAll() : init_.Sync(Limit(kFlushTimeout));
}

absl::Duration SandboxFreezer::Limit(absl::Duration limit) const {
  return std::max(std::min(limit, limits_.deadline - absl::Now()), absl::ZeroDuration());
}

// syncfs(2) on FUSE has every dirty page of a mapping sent, but does not wait until it has arrived;
// and it leaves out pages that were still under way from before. So the servers say when nothing is
// under way any more, before the first round and after each, until a round finds nothing to write
// back.
absl::Status SandboxFreezer::FlushAll() {
  const absl::Time deadline = absl::Now() + Limit(kFlushTimeout);
  const auto wait_until_idle = [&]() -> absl::Status {
    // What is under way is mostly one reply.
    for (absl::Duration pause = kShortestPoll; pause < kLongestPoll; pause *= 2) {
      if (served_.WaitUntilIdleFor(absl::ZeroDuration())) return absl::OkStatus();
      absl::SleepFor(pause);
    }
    if (served_.WaitUntilIdleFor(deadline - absl::Now())) return absl::OkStatus();
    return absl::DeadlineExceededError("the sandbox's files are still being written back");
  };
  uint64_t before = served_.page_writes();
  if (absl::Status idle = wait_until_idle(); !idle.ok()) return idle;
  for (;;) {
    if (absl::Status synced = init_.Sync(deadline - absl::Now()); !synced.ok()) return synced;
    if (absl::Status idle = wait_until_idle(); !idle.ok()) return idle;
    const uint64_t after = served_.page_writes();
    if (after == before) return absl::OkStatus();
    before = after;
  }
}

absl::Status SandboxFreezer::Stop() {
  const absl::Duration timeout =
      Limit(limits_.freeze > absl::ZeroDuration() ? limits_.freeze : kFreezeTimeout);
  return cgroup_.has_value() ? cgroup_->Freeze(timeout) : init_.StopAll(timeout);
}

absl::Status SandboxFreezer::Freeze() {
  absl::Status stopped = Stop();
  frozen_ = stopped.ok();
  if (!frozen_) (void)Thaw();
  return stopped;
}

absl::Status SandboxFreezer::Thaw() {
  frozen_ = false;
  return cgroup_.has_value() ? cgroup_->Thaw() : init_.ContinueAll();
}

}  // namespace stasis::sandbox
