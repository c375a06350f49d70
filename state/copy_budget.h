// SPDX-License-Identifier: Apache-2.0
//
// copy_budget.h: what a checkpoint in the background may cost in memory.
//
// As long as a checkpoint holds chunks, who changes one makes a copy. The copies are counted; once
// they exceed the limit, writers are slowed: each write waits a bounded time for the checkpoint to
// end. No write fails for it.

#ifndef STASIS_STATE_COPY_BUDGET_H_
#define STASIS_STATE_COPY_BUDGET_H_

#include <atomic>
#include <cstdint>

namespace stasis::state {

// From here to the end of its life a checkpoint holds chunks. Of several at a time the first one's
// limit counts, for all. Thread-safe.
class CopyBudget {
 public:
  // The longest that a write waits.
  static constexpr int64_t kLongestWaitMs = 100;

  explicit CopyBudget(uint64_t limit);
  ~CopyBudget();
  CopyBudget(const CopyBudget&) = delete;
  CopyBudget& operator=(const CopyBudget&) = delete;

  // Bytes of the copies so far.
  uint64_t copied() const { return copied_.load(std::memory_order_relaxed); }

  // `bytes` were taken for a copy of a chunk that others hold. Nothing if there is no checkpoint.
  static void Count(uint64_t bytes) {
    if (live_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      copied_.fetch_add(bytes, std::memory_order_relaxed);
  }

  // To be called before a write, without locks and outside of the operation gate.
  static void WaitForRoom() {
    if (copied_.load(std::memory_order_relaxed) > limit_.load(std::memory_order_relaxed))
        [[unlikely]]
      Wait();
  }

 private:
  static void Wait();

  static std::atomic<uint32_t> live_;  // how many
  static std::atomic<uint64_t> limit_;
  static std::atomic<uint64_t> copied_;
};

}  // namespace stasis::state

#endif  // STASIS_STATE_COPY_BUDGET_H_
