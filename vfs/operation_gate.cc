// SPDX-License-Identifier: Apache-2.0

#include "vfs/operation_gate.h"

namespace stasis::vfs {

void OperationGate::Close() {
  {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(
        +[](std::atomic<bool>* closed) { return !closed->load(); }, &closed_));
    closed_.store(true, std::memory_order_release);
  }
  // Whoever entered before the store was seen is a reader of this grace period.
  rcu::Synchronize();
}

void OperationGate::Open() {
  absl::MutexLock lock(&mu_);
  closed_.store(false, std::memory_order_release);
}

void OperationGate::LeaveAndReenter() {
  do {
    rcu::Unlock();
    waiting_.fetch_add(1, std::memory_order_acq_rel);
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(
          +[](std::atomic<bool>* closed) { return !closed->load(); }, &closed_));
    }
    waiting_.fetch_sub(1, std::memory_order_acq_rel);
    rcu::Lock();
  } while (closed());
}

}  // namespace stasis::vfs
