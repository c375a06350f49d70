// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/freezer.h"

#include <absl/time/clock.h>

#include <algorithm>

namespace stasis::sandbox {
namespace {

constexpr absl::Duration kFlushTimeout = absl::Seconds(60);
constexpr absl::Duration kFreezeTimeout = absl::Seconds(10);

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
// under way any more, until a round finds nothing to write back.
absl::Status SandboxFreezer::FlushAll() {
  const absl::Time deadline = absl::Now() + Limit(kFlushTimeout);
  for (bool again = true, first = true; again; first = false) {
    const uint64_t before = served_.page_writes();
    absl::Status synced = init_.Sync(deadline - absl::Now());
    if (!synced.ok()) return synced;
    if (!served_.WaitUntilIdleFor(deadline - absl::Now()))
      return absl::DeadlineExceededError("the sandbox's files are still being written back");
    again = first || served_.page_writes() != before;
  }
  return absl::OkStatus();
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
