// SPDX-License-Identifier: Apache-2.0
//
// timed_cancel.h: a flag that tells work to stop: its caller gave it up, or its time is over.

#ifndef STASIS_CMD_STASIS_DAEMON_TIMED_CANCEL_H_
#define STASIS_CMD_STASIS_DAEMON_TIMED_CANCEL_H_

#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <thread>

namespace stasis::cli {

// Thread-safe. Without a deadline it is the caller's flag itself, and there is no thread.
class TimedCancel {
 public:
  // `cancel`, the caller's flag, is borrowed; null for never.
  TimedCancel(const std::atomic<bool>* cancel, absl::Time deadline);
  ~TimedCancel();
  TimedCancel(const TimedCancel&) = delete;
  TimedCancel& operator=(const TimedCancel&) = delete;

  // Null for never.
  const std::atomic<bool>* flag() const { return thread_.joinable() ? &set_ : cancel_; }
  bool time_is_over() const;

 private:
  void Watch() ABSL_LOCKS_EXCLUDED(mu_);

  const std::atomic<bool>* const cancel_;
  const absl::Time deadline_;
  std::atomic<bool> set_{false};
  absl::Mutex mu_;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_TIMED_CANCEL_H_
