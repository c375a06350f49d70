// SPDX-License-Identifier: Apache-2.0

#include "state/chunk_reclaim.h"

#include <absl/base/call_once.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "state/base/rcu.h"
#include "state/chunk.h"
#include "state/chunk_memory.h"
#include "state/chunk_paging.h"

namespace stasis::state {
namespace {

// As much as a thread that takes memory drops at once: more than it takes.
constexpr uint64_t kDropAtOnce = 4 * kChunkSize;
constexpr absl::Duration kShortestNap = absl::Milliseconds(50);
constexpr absl::Duration kLongestNap = absl::Seconds(2);

// How often the system is asked what is in memory, if data is in a file: while that changes, and
// when it does not.
constexpr absl::Duration kMeasureInterval = absl::Milliseconds(10);
constexpr absl::Duration kIdleMeasureInterval = absl::Milliseconds(100);

// Slots that nobody gets to any more, and that wait for the readers who have.
struct Batch {
  std::vector<std::byte*> slots;
  uint64_t bytes = 0;
};

constinit std::atomic<uint64_t> waiting{0};  // bytes in batches
constinit std::atomic<uint64_t> dropped_bytes{0};
// Spans that were visited since something was dropped.
constinit std::atomic<uint32_t> in_vain{0};
// False after nothing could be paged out, until the thread has tried again.
constinit std::atomic<bool> may_page_out{true};

ChunkPager& Pager() {
  static auto* pager = new ChunkPager(ChunkMemory::Get());
  return *pager;
}

void FreeBatch(void* arg) {
  const std::unique_ptr<Batch> batch(static_cast<Batch*>(arg));
  for (std::byte* slot : batch->slots) ChunkMemory::Get().Free(slot);
  waiting.fetch_sub(batch->bytes, std::memory_order_relaxed);
}

}  // namespace

constinit std::atomic<uint64_t> ChunkReclaim::limit_{0};

void ChunkReclaim::SetLimit(uint64_t bytes) {
  limit_.store(bytes, std::memory_order_relaxed);
  if (bytes == 0) return;
  static absl::once_flag started;
  absl::call_once(started, StartThread);
}

void ChunkReclaim::StartThread() { std::thread(Run).detach(); }

uint64_t ChunkReclaim::Resident() {
  return ChunkMemory::Get().in_file() ? Pager().Resident() : ChunkMemory::Get().in_use();
}

uint64_t ChunkReclaim::dropped() { return dropped_bytes.load(std::memory_order_relaxed); }

uint64_t ChunkReclaim::Excess() {
  const uint64_t bound = limit();
  const uint64_t leaving = waiting.load(std::memory_order_relaxed);
  const uint64_t used = ChunkMemory::Get().in_use();
  return bound != 0 && used > bound + leaving ? used - bound - leaving : 0;
}

uint64_t ChunkReclaim::Drop(uint64_t bytes, uint32_t spans) {
  ChunkMemory& memory = ChunkMemory::Get();
  auto batch = std::make_unique<Batch>();
  for (; spans > 0 && batch->bytes < bytes; --spans) {
    memory.Visit(1, [&](const Chunk* owner, std::byte* slot, size_t size) {
      if (!owner->TryDrop(slot)) return false;
      batch->slots.push_back(slot);
      batch->bytes += size;
      return true;
    });
    in_vain.fetch_add(1, std::memory_order_relaxed);
  }
  const uint64_t done = batch->bytes;
  if (done == 0) return 0;
  in_vain.store(0, std::memory_order_relaxed);
  waiting.fetch_add(done, std::memory_order_relaxed);
  dropped_bytes.fetch_add(done, std::memory_order_relaxed);
  rcu::Defer(FreeBatch, batch.release());
  return done;
}

// More than is too much, so that it is not done for every chunk.
void ChunkReclaim::PageOutWithin(uint64_t bytes) {
  const uint64_t resident = Pager().Resident();
  if (resident <= bytes) return;
  may_page_out = Pager().PageOut(resident - bytes + bytes / 16) != 0;
}

void ChunkReclaim::MakeRoomWithin(uint32_t spans) {
  ChunkMemory& memory = ChunkMemory::Get();
  // Two rounds without success: it is for the thread to find out when that changes.
  if (in_vain.load(std::memory_order_relaxed) / 2 <= memory.span_count()) {
    const uint64_t excess = Excess();
    if (excess != 0) Drop(std::min(excess, kDropAtOnce), spans);
  }
  if (memory.in_file() && may_page_out) PageOutWithin(limit());
}

bool ChunkReclaim::Shrink() {
  bool done = true;
  // Twice around: the first time may find that everything was used.
  if (const uint64_t excess = Excess(); excess != 0)
    done = Drop(excess, 2 * ChunkMemory::Get().span_count()) != 0;
  if (!ChunkMemory::Get().in_file()) return done;
  PageOutWithin(limit());
  return may_page_out;
}

void ChunkReclaim::Run() {
  const bool in_file = ChunkMemory::Get().in_file();
  absl::Duration tick = in_file ? kMeasureInterval : kShortestNap;
  absl::Duration nap = kShortestNap;  // after nothing could be done
  using Monotonic = std::chrono::steady_clock;
  Monotonic::time_point next = Monotonic::now();
  for (;;) {
    absl::SleepFor(tick);
    if (in_file) {
      const uint64_t before = Pager().Resident();
      Pager().Measure();
      const bool changed = Pager().Resident() != before;
      tick = changed ? kMeasureInterval : std::min(2 * tick, kIdleMeasureInterval);
    }
    if (limit() == 0 || Monotonic::now() < next) continue;
    nap = Shrink() ? kShortestNap : std::min(2 * nap, kLongestNap);
    next = Monotonic::now();
    if (nap != kShortestNap) next += absl::ToChronoMilliseconds(nap);
  }
}

}  // namespace stasis::state
