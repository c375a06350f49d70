// SPDX-License-Identifier: Apache-2.0

#include "vfs/waiter.h"

#include <utility>

#include "state/base/rcu.h"
#include "state/check.h"

namespace stasis::vfs {

void Waiter::Interrupt() {
  absl::MutexLock lock(&mu_);
  interrupted_ = true;
}

void Waiter::Wake() {
  absl::MutexLock lock(&mu_);
  woken_ = true;
}

bool Waiter::Await() {
  state::Require(!rcu::InReadSection(), "a call that may wait is not made inside the gate");
  absl::MutexLock lock(&mu_);
  waiting_ = true;
  mu_.Await(absl::Condition(this, &Waiter::Ended));
  waiting_ = false;
  if (std::exchange(woken_, false)) return true;
  interrupted_ = false;
  return false;
}

bool Waiter::waiting() const {
  absl::MutexLock lock(&mu_);
  return waiting_;
}

}  // namespace stasis::vfs
