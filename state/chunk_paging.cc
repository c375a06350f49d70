// SPDX-License-Identifier: Apache-2.0

#include "state/chunk_paging.h"

#include <algorithm>
#include <cstddef>

#include "state/chunk_reclaim.h"

namespace stasis::state {
namespace {

constexpr uint32_t kGroup = 16;  // spans that are written at once: 1 MiB
constexpr uint32_t kMostGroupsMeasured = 256;

uint64_t ResidentIn(ChunkMemory& memory, uint32_t first, uint32_t count) {
  return memory.file().Resident(uint64_t{first} * ChunkMemory::kSpan, count * ChunkMemory::kSpan);
}

}  // namespace

uint64_t ChunkPager::Resident() const {
  const uint64_t in = measured_.load(std::memory_order_relaxed) + memory_.stats().real;
  const uint64_t out =
      real_then_.load(std::memory_order_relaxed) + paged_out_.load(std::memory_order_relaxed);
  return in > out ? in - out : 0;
}

void ChunkPager::Measure() {
  const uint32_t spans = memory_.span_count();
  const uint64_t real = memory_.stats().real;
  const uint32_t groups = (spans + kGroup - 1) / kGroup;
  const uint32_t step = groups / kMostGroupsMeasured + 1;
  uint64_t resident = 0;
  uint64_t seen = 0;
  for (uint32_t first = 0; first < spans; first += step * kGroup) {
    const uint32_t count = std::min(kGroup, spans - first);
    resident += ResidentIn(memory_, first, count);
    seen += count;
  }
  if (seen != 0) resident = resident * spans / seen;
  measured_.store(resident, std::memory_order_relaxed);
  real_then_.store(real, std::memory_order_relaxed);
  paged_out_.store(0, std::memory_order_relaxed);
}

uint64_t ChunkPager::PageOut(uint64_t bytes) {
  const uint32_t spans = memory_.span_count();
  const uint32_t groups = (spans + kGroup - 1) / kGroup;
  uint64_t done = 0;
  for (uint32_t i = 0; i < 2 * groups && done < bytes; ++i) {
    const uint32_t first = hand_.fetch_add(1, std::memory_order_relaxed) % groups * kGroup;
    const uint64_t out = PageOutGroup(first, std::min(kGroup, spans - first));
    paged_out_.fetch_add(out, std::memory_order_relaxed);
    done += out;
  }
  return done;
}

uint64_t ChunkPager::PageOutGroup(uint32_t first, uint32_t count) {
  const uint64_t before = ResidentIn(memory_, first, count);
  if (before == 0) return 0;
  // Those that were used since the hand came by get another round.
  uint32_t used = 0;
  for (uint32_t span = first; span < first + count; ++span) {
    bool here = false;
    memory_.VisitSpan(span, [&here](const Chunk* owner, std::byte*, size_t) {
      here = ChunkReclaim::WasUsed(*owner) || here;
      return false;
    });
    used += here ? 1 : 0;
  }
  if (used > count / 2) return 0;
  memory_.file().PageOut(uint64_t{first} * ChunkMemory::kSpan, count * ChunkMemory::kSpan);
  const uint64_t after = ResidentIn(memory_, first, count);
  return before > after ? before - after : 0;
}

}  // namespace stasis::state
