// SPDX-License-Identifier: Apache-2.0
//
// clock.h: time as the filesystem sees it, injected so that tests can stop it.

#ifndef STASIS_STATE_BASE_CLOCK_H_
#define STASIS_STATE_BASE_CLOCK_H_

#include <atomic>
#include <cstdint>

namespace stasis {

// Nanoseconds since 1970-01-01T00:00:00Z, negative before. Covers the years 1677 to 2262.
using TimeNs = int64_t;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimeNs Now() const = 0;
};

// CLOCK_REALTIME of the host.
class RealClock final : public Clock {
 public:
  TimeNs Now() const override;
};

// Stands still until it is moved.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(TimeNs start) : now_(start) {}
  TimeNs Now() const override { return now_.load(std::memory_order_relaxed); }
  void Advance(TimeNs by) { now_.fetch_add(by, std::memory_order_relaxed); }

 private:
  std::atomic<TimeNs> now_;
};

}  // namespace stasis

#endif  // STASIS_STATE_BASE_CLOCK_H_
