// SPDX-License-Identifier: Apache-2.0

#include "state/copy_budget.h"

#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include "state/base/rcu.h"

namespace stasis::state {
namespace {

absl::Mutex& Mutex() {
  static auto* mu = new absl::Mutex();
  return *mu;
}

}  // namespace

constinit std::atomic<uint32_t> CopyBudget::live_{0};
constinit std::atomic<uint64_t> CopyBudget::limit_{0};
constinit std::atomic<uint64_t> CopyBudget::copied_{0};

CopyBudget::CopyBudget(uint64_t limit) {
  const absl::MutexLock lock(&Mutex());
  if (live_.load() == 0) {
    limit_.store(limit);
    copied_.store(0);
  }
  live_.fetch_add(1);
}

CopyBudget::~CopyBudget() {
  const absl::MutexLock lock(&Mutex());
  if (live_.fetch_sub(1) == 1) copied_.store(0);
}

void CopyBudget::Wait() {
  if (rcu::InReadSection()) return;  // a write within another operation, which has waited
  const auto ended = [] { return live_.load() == 0; };
  const absl::MutexLock lock(&Mutex());
  Mutex().AwaitWithTimeout(absl::Condition(&ended), absl::Milliseconds(kLongestWaitMs));
}

}  // namespace stasis::state
