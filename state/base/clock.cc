// SPDX-License-Identifier: Apache-2.0

#include "state/base/clock.h"

#include <ctime>

#include "state/base/fixed_time.h"

namespace stasis {

constinit thread_local const FixedTime* FixedTime::current_ = nullptr;

FixedTime::FixedTime(TimeNs now) : now_(now), outer_(current_) { current_ = this; }

FixedTime::~FixedTime() { current_ = outer_; }

TimeNs RealClock::Now() const {
  if (FixedTime::current_ != nullptr) return FixedTime::current_->now_;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<TimeNs>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace stasis
