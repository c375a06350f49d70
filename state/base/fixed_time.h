// SPDX-License-Identifier: Apache-2.0
//
// fixed_time.h: one time for all that a thread does in one go.
//
//   FixedTime fixed(clock.Now());
//   ... every RealClock says that time to this thread ...
//
// What is written down with its time, and done again later at that time, then gives the same.

#ifndef STASIS_STATE_BASE_FIXED_TIME_H_
#define STASIS_STATE_BASE_FIXED_TIME_H_

#include "state/base/clock.h"

namespace stasis {

// Of the thread that makes it, which also ends it. Nests.
class [[nodiscard]] FixedTime {
 public:
  explicit FixedTime(TimeNs now);
  ~FixedTime();
  FixedTime(const FixedTime&) = delete;
  FixedTime& operator=(const FixedTime&) = delete;

 private:
  friend class RealClock;

  const TimeNs now_;
  const FixedTime* const outer_;

  static constinit thread_local const FixedTime* current_;
};

}  // namespace stasis

#endif  // STASIS_STATE_BASE_FIXED_TIME_H_
