// SPDX-License-Identifier: Apache-2.0
//
// chunk_reclaim.h: copies of stored chunks leave memory when there is too much of it in use.
//
// A clock hand goes over ChunkMemory: what is stored in an image, and was not used since the hand
// came by the last time, is dropped; the next use loads it again. Whoever takes memory while the
// limit is exceeded drops about as much as it takes; a thread does the rest.
//
// The limit is a soft one: chunks that are not stored stay, and so do those below 4 KiB. If
// ChunkMemory is in a file, they may leave memory for it: see chunk_paging.h.

#ifndef STASIS_STATE_CHUNK_RECLAIM_H_
#define STASIS_STATE_CHUNK_RECLAIM_H_

#include <atomic>
#include <cstdint>

#include "state/chunk.h"

namespace stasis::state {

// Thread-safe.
class ChunkReclaim {
 public:
  // Bytes of ChunkMemory in use from which on copies are dropped. 0, as at the start: never. The
  // first limit starts the thread: not before a program becomes a daemon.
  static void SetLimit(uint64_t bytes);
  static uint64_t limit() { return limit_.load(std::memory_order_relaxed); }

  // To be called, without a chunk's lock, by who is about to take memory.
  static void MakeRoom() {
    if (limit() != 0) [[unlikely]]
      MakeRoomWithin(kSpansAtOnce);
  }

  // Bytes of the copies that were dropped so far.
  static uint64_t dropped();
  // Bytes of file data in memory: of the system's if it is in a file, else those in use.
  static uint64_t Resident();

  // Whether it was used since this, or the hand, last asked. Requires: ChunkMemory::Visit calls.
  static bool WasUsed(const Chunk& chunk) {
    return chunk.used_.exchange(false, std::memory_order_relaxed);
  }

 private:
  static constexpr uint32_t kSpansAtOnce = 16;

  static void MakeRoomWithin(uint32_t spans);
  static uint64_t Excess();
  static uint64_t Drop(uint64_t bytes, uint32_t spans);
  static void PageOutWithin(uint64_t bytes);
  // Comes below the limit, if it can. False if there was too much, and nothing could be done.
  static bool Shrink();
  static void StartThread();
  [[noreturn]] static void Run();

  static std::atomic<uint64_t> limit_;
};

}  // namespace stasis::state

#endif  // STASIS_STATE_CHUNK_RECLAIM_H_
