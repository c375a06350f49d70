// SPDX-License-Identifier: Apache-2.0
//
// stopwatch.h: durations for reports. Monotonic, so not a Clock's business.

#ifndef STASIS_RESTORE_INTERNAL_STOPWATCH_H_
#define STASIS_RESTORE_INTERNAL_STOPWATCH_H_

#include <chrono>
#include <cstdint>
#include <utility>

namespace stasis::restore {

class Stopwatch {
 public:
  // Nanoseconds since construction.
  int64_t Total() const { return Since(start_); }
  // Nanoseconds since the last Lap(), or construction.
  int64_t Lap() {
    const auto now = std::chrono::steady_clock::now();
    const auto before = std::exchange(lap_, now);
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now - before).count();
  }

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  static int64_t Since(TimePoint from) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() -
                                                                from)
        .count();
  }

  TimePoint start_ = std::chrono::steady_clock::now();
  TimePoint lap_ = start_;
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_INTERNAL_STOPWATCH_H_
