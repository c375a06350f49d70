// SPDX-License-Identifier: Apache-2.0
//
// waiter.h: how a call that may block waits, and how another thread ends its wait.
//
//   Waiter waiter;                                  // known to whoever may interrupt the thread
//   file.Flock(LOCK_EX, &waiter);                   // waits
//   waiter.Interrupt();                             // on another thread: EINTR there
//
// One call at a time waits with a Waiter. It waits outside the operation gate, so a checkpoint does
// not wait for it; when it goes on it enters again and looks again at what it waited for.

#ifndef STASIS_VFS_WAITER_H_
#define STASIS_VFS_WAITER_H_

#include <absl/synchronization/mutex.h>

namespace stasis::vfs {

// Thread-safe.
class Waiter {
 public:
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // As a signal: the call that waits fails with EINTR; if none does, the next one that would.
  void Interrupt() ABSL_LOCKS_EXCLUDED(mu_);

  // For what is waited for: wakes the call that waits, or the next one that would.
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);
  // For the call: returns true when woken, which comes first, false when interrupted; uses that up.
  // Requires: outside the operation gate, without locks.
  bool Await() ABSL_LOCKS_EXCLUDED(mu_);
  // Whether a call is in Await.
  bool waiting() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  bool Ended() const ABSL_SHARED_LOCKS_REQUIRED(mu_) { return woken_ || interrupted_; }

  mutable absl::Mutex mu_;
  bool waiting_ ABSL_GUARDED_BY(mu_) = false;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  bool interrupted_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_WAITER_H_
