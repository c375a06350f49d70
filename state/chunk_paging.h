// SPDX-License-Identifier: Apache-2.0
//
// chunk_paging.h: file data that is in a file leaves memory when there is too much of it.
//
// For a ChunkMemory in a directory: spans that were not used for a while are written to the file
// and taken out of the page cache. Whoever touches them has them read again, by the kernel.

#ifndef STASIS_STATE_CHUNK_PAGING_H_
#define STASIS_STATE_CHUNK_PAGING_H_

#include <atomic>
#include <cstdint>

#include "state/chunk_memory.h"

namespace stasis::state {

// Thread-safe.
class ChunkPager {
 public:
  // `memory` outlives it, and is in a file.
  explicit ChunkPager(ChunkMemory& memory) : memory_(memory) {}

  // Bytes in memory: as Measure() found, and what was taken and paged out since.
  uint64_t Resident() const;
  // Asks the system; of much data it looks at samples.
  void Measure();
  // Goes on around the spans until about `bytes` are out, at most twice around. Returns how many
  // are out: 0 if the file's filesystem has no other place for them, or all of them are in use.
  uint64_t PageOut(uint64_t bytes);

 private:
  uint64_t PageOutGroup(uint32_t first, uint32_t count);

  ChunkMemory& memory_;
  std::atomic<uint64_t> measured_{0};
  std::atomic<uint64_t> real_then_{0};  // when it was measured
  std::atomic<uint64_t> paged_out_{0};  // since
  std::atomic<uint32_t> hand_{0};
};

}  // namespace stasis::state

#endif  // STASIS_STATE_CHUNK_PAGING_H_
