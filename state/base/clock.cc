// SPDX-License-Identifier: Apache-2.0

#include "state/base/clock.h"

#include <ctime>

namespace stasis {

TimeNs RealClock::Now() const {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<TimeNs>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace stasis
