// SPDX-License-Identifier: Apache-2.0
//
// file_data.h: the bytes of a regular file, as a sparse sequence of chunks.
//
// Chunk i holds the bytes from i * kChunkSize on; an absent chunk is a hole. A chunk shorter than
// kChunkSize reads as zeros past its end, so a small file costs about its size. A file of at most
// one chunk at position 0 needs no table.
//
// FileData knows nothing of the file's size: callers cut reads at it and call Truncate when it
// shrinks. Not thread-safe: the inode's lock guards it, shared for readers.

#ifndef STASIS_VFS_FILE_DATA_H_
#define STASIS_VFS_FILE_DATA_H_

#include <absl/container/btree_map.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "state/annotations.h"
#include "state/base/result.h"
#include "state/chunk.h"

namespace stasis::vfs {

using ChunkMap = absl::btree_map<uint64_t, RefPtr<state::Chunk>>;

class FileData {
 public:
  FileData() = default;
  FileData(const FileData&) = delete;
  FileData& operator=(const FileData&) = delete;

  // Fills `out` with the bytes from `offset` on. Errors: EIO.
  Result<void> Read(uint64_t offset, std::span<std::byte> out) const;

  // Errors: EIO.
  Result<void> Write(uint64_t offset, std::span<const std::byte> bytes);

  // Drops everything from `size` on; later reads there give zeros. Errors: EIO.
  Result<void> Truncate(uint64_t size);

  // Turns [offset, offset + length) into a hole, as far as whole chunks go, and zeros elsewhere.
  // Errors: EIO.
  Result<void> PunchHole(uint64_t offset, uint64_t length);

  // Fills the holes of [offset, offset + length) with zeros. Errors: EIO.
  Result<void> Reserve(uint64_t offset, uint64_t length);

  // Makes `length` bytes at `offset` those of `from` at `from_offset`, sharing whole chunks where
  // the two positions allow it. Both may be the same file if the ranges do not overlap.
  // Errors: EIO.
  Result<void> CopyFrom(const FileData& from, uint64_t from_offset, uint64_t offset,
                        uint64_t length);

  // The first position from `offset` on, below `size`, that is in a chunk (data) or in a hole; the
  // end of the file counts as a hole. Errors: ENXIO if there is none, or `offset` >= `size`.
  Result<uint64_t> SeekData(uint64_t offset, uint64_t size) const;
  Result<uint64_t> SeekHole(uint64_t offset, uint64_t size) const;

  // Bytes of chunks that exist, loaded or not, in whole pages: what st_blocks counts. May be read
  // without the lock.
  uint64_t allocated() const { return allocated_.load(std::memory_order_relaxed); }

  // Drops every chunk.
  void Clear() { Erase(0, UINT64_MAX); }

  // Where the last byte of the last chunk ends; 0 without chunks.
  uint64_t EndOfLastChunk() const;

  // What Write would add to allocated(), at most.
  uint64_t GrowthOfWrite(uint64_t offset, uint64_t length) const;

  // The chunks by position, and back: the saved form.
  ChunkMap ToMap() const;
  // Requires: empty. Errors: EINVAL if a position is past the largest file offset.
  Result<void> FromMap(ChunkMap chunks);

 private:
  const RefPtr<state::Chunk>* Find(uint64_t index) const;
  RefPtr<state::Chunk>* FindMutable(uint64_t index);
  RefPtr<state::Chunk>& Slot(uint64_t index);
  void Erase(uint64_t first, uint64_t end);  // the chunks [first, end)
  uint64_t AllocatedAt(uint64_t index) const;
  void Account(uint64_t before, uint64_t after) {
    allocated_.store(allocated() + after - before, std::memory_order_relaxed);
  }
  Result<void> WriteChunk(uint64_t index, uint32_t offset, std::span<const std::byte> bytes);
  Result<void> CutChunk(uint64_t index, uint32_t size);
  // Takes over a whole chunk of another file, or its hole (null).
  void ShareChunk(uint64_t index, const RefPtr<state::Chunk>* chunk);
  Result<void> ZeroInChunk(uint64_t index, uint32_t offset, uint32_t length);

  std::atomic<uint64_t> allocated_{0};
  RefPtr<state::Chunk> first_;        // chunk 0
  std::unique_ptr<ChunkMap> others_;  // chunks from 1 on; null if none
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_FILE_DATA_H_
