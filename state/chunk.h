// SPDX-License-Identifier: Apache-2.0
//
// chunk.h: a piece of file data.
//
// A Chunk is a value of up to kChunkSize bytes with an optional copy in memory and an optional copy
// in an image:
//
//   memory  image
//     x             dirty: written since the last checkpoint
//             x     not loaded yet
//     x       x     clean: may be dropped from memory, need not be stored again
//
// (Neither would be zeros: those are not a Chunk at all but a hole, a null RefPtr.)
//
// The copy in memory is a slot of ChunkMemory. A copy of a clean chunk may be dropped at any moment
// (see chunk_reclaim.h), but its slot is not used again before all read-copy-update readers that
// were inside have left.
//
// Sharing is by reference. Bytes may be changed only where MayChange() says so, by the holder of
// the one and only reference, who must also keep its own readers out; everybody else makes a
// Clone() first. So a checkpoint keeps the bytes of a moment by taking references, and a writer
// never waits for it. A ChunkFreeze does as if it had taken a reference on every chunk there is, at
// once.

#ifndef STASIS_STATE_CHUNK_H_
#define STASIS_STATE_CHUNK_H_

#include <absl/base/thread_annotations.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "state/base/ref_ptr.h"
#include "state/base/result.h"

namespace stasis::state {

// The unit of sharing, copy on write and dirty tracking. At 16 KiB a writer that copies one stalls
// 21 microseconds at the 99th percentile; at 64 KiB up to 280.
inline constexpr uint32_t kChunkSize = 16 * 1024;

// Where in an image a chunk's bytes are: `offset` bytes into the content of frame number `frame`.
struct ChunkLocation {
  uint32_t frame = 0;
  uint32_t offset = 0;
  friend bool operator==(const ChunkLocation&, const ChunkLocation&) = default;
};

// Something that stored chunks are read from: an open image. Thread-safe.
class ChunkSource : public RefCounted {
 public:
  // Fills `out`, whose size is the chunk's, with verified bytes.
  // Errors: EIO if they are missing, cannot be read, or do not match their digest.
  virtual Result<void> Read(ChunkLocation at, std::span<std::byte> out) = 0;
  // The bytes where they are, if they can stay there for as long as this lives; null if not.
  // Errors: as Read.
  virtual Result<const std::byte*> InPlace(ChunkLocation, uint32_t /*size*/) { return nullptr; }
};

// Thread-safe, but for what requires to be the only holder.
class Chunk final : public RefCounted {
 public:
  // A dirty chunk that holds a copy of `bytes`, with room for `capacity` (at least their number).
  // Errors: ENOSPC, see ChunkMemory::Allocate.
  static Result<RefPtr<Chunk>> Create(std::span<const std::byte> bytes, uint32_t capacity);
  // A chunk of `size` bytes that is not loaded yet.
  static RefPtr<Chunk> Stored(RefPtr<ChunkSource> source, ChunkLocation at, uint32_t size);
  // One whose bytes are in a slot that another process had (ChunkMemory::Claim), of `capacity`
  // bytes at `offset`. With a source it is clean. Errors: as Claim; EINVAL for a size beyond that.
  struct Slot {
    uint64_t offset = 0;
    uint32_t capacity = 0;  // 0: there is none
  };
  static Result<RefPtr<Chunk>> Adopt(const Slot& slot, uint32_t size, RefPtr<ChunkSource> source,
                                     ChunkLocation at);
  ~Chunk() override;

  // Bytes that count; those between size() and kChunkSize read as zeros.
  uint32_t size() const { return size_; }

  // The bytes, loaded if need be. The span lives as long as the caller's reference, and no longer
  // than the read-copy-update section it is in if the chunk is clean and chunks are dropped; or
  // until the only holder changes the chunk.
  // Errors: EIO, see ChunkSource::Read; ENOMEM if there is no room. A failed load may be tried
  // again.
  Result<std::span<const std::byte>> Bytes() const;

  // True if the caller, who has a reference, may change the chunk: it is the only one, and no
  // ChunkFreeze holds the chunk.
  bool MayChange() const;

  // True if a copy is in memory.
  bool resident() const { return data_.load(std::memory_order_acquire) != nullptr; }
  // Bytes of memory that the copy takes; 0 if not resident.
  size_t memory() const { return resident() ? capacity_ : 0; }

  // An equal chunk, dirty, with room for `capacity`. Loads this one if need be.
  // Errors: as Create and Bytes.
  Result<RefPtr<Chunk>> Clone(uint32_t capacity) const;
  // An empty one, dirty, to be written in place of this one, all of it. Errors: as Create.
  Result<RefPtr<Chunk>> Replacement(uint32_t capacity) const;

  // Writes `bytes` at `offset`; a gap past the old size becomes zeros, the size grows as needed.
  // The chunk becomes dirty.
  // Requires: MayChange(), no reader; offset + bytes.size() <= kChunkSize.
  // Errors: EIO if the old bytes had to be loaded and could not be; ENOSPC if it had to grow and
  // could not, the bytes are as before then.
  Result<void> Write(uint32_t offset, std::span<const std::byte> bytes);

  // Cuts off what lies past `size`. Requires: as Write; size <= size(). Errors: as Write.
  Result<void> Truncate(uint32_t size);

  // The stored copy: `source` is null if there is none. Consistent only while nobody marks the
  // chunk stored: between checkpoints, or within the one that runs.
  struct StoredCopy {
    RefPtr<ChunkSource> source;
    ChunkLocation at;
  };
  StoredCopy stored() const;
  // The slot of the copy in memory, if it has one of its own. Pin() before, and it stays.
  Slot slot() const;
  // Keeps the copy in memory where it is, also when the chunk becomes clean, until as many calls of
  // Unpin: another process reads it.
  void Pin() const { pins_.fetch_add(1, std::memory_order_relaxed); }
  void Unpin() const { pins_.fetch_sub(1, std::memory_order_relaxed); }
  // Says that the same bytes are at `at` in `source` now. The chunk becomes clean.
  void MarkStored(RefPtr<ChunkSource> source, ChunkLocation at) const;

 private:
  friend class GraphWriter;

  friend class ChunkFreeze;

  friend class ChunkReclaim;

  explicit Chunk(uint32_t size);
  void OnZeroRefs() override;
  bool Frozen() const;
  // Both with the chunk's lock held. The slot that Grow replaces is freed by the caller.
  Result<std::byte*> Load() const;
  Result<std::byte*> Grow(uint32_t capacity);
  // Makes the chunk dirty, loaded unless all of it is `replaced`, and large enough.
  Result<void> Claim(uint32_t capacity, bool replaced);
  // Takes the copy out of memory if it is in `slot` still, clean, and was not used since the last
  // call. Requires: ChunkMemory::Visit calls.
  bool TryDrop(std::byte* slot) const;

  // Changed only by the only holder.
  uint32_t size_;
  mutable uint32_t capacity_ =
      0;  // of the slot; 0 if there is none, also if `data_` is the source's
  mutable std::atomic<bool> used_{false};  // since TryDrop asked
  mutable std::atomic<uint32_t> pins_{0};
  // Null if not loaded. Published with release by the loader.
  mutable std::atomic<std::byte*> data_{nullptr};

  // The stored copy, guarded by a lock shared by many chunks (see chunk.cc).
  mutable RefPtr<ChunkSource> source_;
  mutable ChunkLocation at_;

  // As in Object: this chunk's number in the save that runs.
  mutable uint32_t save_epoch_ = 0;
  mutable uint32_t save_index_ = 0;

  const uint32_t born_;  // how many freezes there had been
};

// The bytes of every chunk that there is at one moment, for as long as this lives: they are not
// changed, and not freed when the last reference goes. What chunks there are need not be known: it
// costs the same for one as for millions. Of several each goes on for all of them.
//
// Thread-safe.
class ChunkFreeze {
 public:
  // Requires: nobody changes a chunk now (the operation gate is closed).
  static std::unique_ptr<ChunkFreeze> Take();
  // The last one frees what has no reference.
  ~ChunkFreeze();
  // A reference to one of the chunks, even if it has lost all others meanwhile.
  RefPtr<const Chunk> Hold(const Chunk* chunk);
  ChunkFreeze(const ChunkFreeze&) = delete;
  ChunkFreeze& operator=(const ChunkFreeze&) = delete;

 private:
  ChunkFreeze() = default;
};

// For whoever hands ChunkMemory to another process: while it lives, nothing in it is allocated,
// freed, or filled with stored bytes; who wants to waits. Belongs to one thread.
// Requires: nobody writes to chunks (the operation gate is closed), and the thread touches none.
class ChunkHold {
 public:
  ChunkHold();
  ~ChunkHold();
  ChunkHold(const ChunkHold&) = delete;
  ChunkHold& operator=(const ChunkHold&) = delete;
};

}  // namespace stasis::state

#endif  // STASIS_STATE_CHUNK_H_
