// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/timed_cancel.h"

#include <absl/time/clock.h>

#include <algorithm>

namespace stasis::cli {
namespace {

// How often the caller's flag is looked at.
constexpr absl::Duration kInterval = absl::Milliseconds(10);

}  // namespace

TimedCancel::TimedCancel(const std::atomic<bool>* cancel, absl::Time deadline)
    : cancel_(cancel), deadline_(deadline) {
  if (deadline != absl::InfiniteFuture()) thread_ = std::thread([this] { Watch(); });
}

TimedCancel::~TimedCancel() {
  if (!thread_.joinable()) return;
  {
    const absl::MutexLock lock(&mu_);
    done_ = true;
  }
  thread_.join();
}

bool TimedCancel::time_is_over() const { return absl::Now() >= deadline_; }

void TimedCancel::Watch() {
  const absl::MutexLock lock(&mu_);
  while (!done_ && !set_) {
    if (time_is_over() || (cancel_ != nullptr && *cancel_)) set_ = true;
    mu_.AwaitWithTimeout(absl::Condition(&done_),
                         std::min(kInterval, std::max(deadline_ - absl::Now(), kInterval / 10)));
  }
}

}  // namespace stasis::cli
