// SPDX-License-Identifier: Apache-2.0
//
// file_data.h: the bytes of a regular file, as a sparse sequence of chunks.
//
// Chunk i holds the bytes from i * kChunkSize on; an absent chunk is a hole. A chunk shorter than
// kChunkSize reads as zeros past its end, so a small file costs about its size. A file of at most
// one chunk at position 0 needs no table.
//
// Space is counted, and holes are found, in pages, as a tmpfs does: a page is a hole, reserved (it
// takes space and reads as zeros, but is no data), or written. Nearly always the pages of a chunk
// are written up to its end, and no others; only chunks that are unlike that have a PageMask. A
// chunk ends within its last written page. What is reserved is kept as ranges, so that a
// reservation costs the same whatever its length; pages within one may be written too.
//
// The bytes of a chunk in pages that are not written are zeros, but for a chunk of an image that
// was made to deceive: they are never shown.
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
#include "vfs/internal/page_ranges.h"

namespace stasis::vfs {

// Granularity of st_blocks and of holes.
inline constexpr uint32_t kPageSize = 4096;

using ChunkMap = absl::btree_map<uint64_t, RefPtr<state::Chunk>>;
// Which of a chunk's pages are written: the lowest bit is the first page.
using PageMask = uint8_t;
using PageMap = absl::btree_map<uint64_t, PageMask>;

class FileData {
 public:
  FileData() = default;
  FileData(const FileData&) = delete;
  FileData& operator=(const FileData&) = delete;

  // Fills `out` with the bytes from `offset` on. Errors: EIO.
  Result<void> Read(uint64_t offset, std::span<std::byte> out) const;

  // Errors: EIO; ENOSPC if there is no memory for it.
  Result<void> Write(uint64_t offset, std::span<const std::byte> bytes);

  // Drops everything from `size` on; later reads there give zeros. Errors: as Write.
  Result<void> Truncate(uint64_t size);

  // Turns the whole pages in [offset, offset + length) into holes, and the rest of it into zeros.
  // Errors: as Write.
  Result<void> PunchHole(uint64_t offset, uint64_t length);

  // Reserves the holes among the pages that [offset, offset + length) touches.
  void Reserve(uint64_t offset, uint64_t length);

  // Makes `length` bytes at `offset` those of `from` at `from_offset`, sharing whole chunks where
  // the two positions allow it; what was allocated there stays reserved at least. Both may be the
  // same file if the ranges do not overlap. Errors: as Write.
  Result<void> CopyFrom(const FileData& from, uint64_t from_offset, uint64_t offset,
                        uint64_t length);

  // The first position from `offset` on, below `size`, that is in a written page (data) or not; the
  // end of the file counts as a hole. Errors: ENXIO if there is none, or `offset` >= `size`.
  Result<uint64_t> SeekData(uint64_t offset, uint64_t size) const;
  Result<uint64_t> SeekHole(uint64_t offset, uint64_t size) const;

  // Bytes of pages that are written or reserved, loaded or not: what st_blocks counts. May be read
  // without the lock.
  uint64_t allocated() const { return allocated_.load(std::memory_order_relaxed); }

  // Drops every chunk and reservation.
  void Clear();

  // Where the last byte of the last chunk ends; 0 without chunks.
  uint64_t EndOfLastChunk() const;

  // What Write or Reserve would add to allocated(), at most.
  uint64_t GrowthOfWrite(uint64_t offset, uint64_t length) const;

  // The chunks by position, and back: the saved form.
  ChunkMap ToMap() const;
  // Requires: empty. Errors: EINVAL if a position is past the largest file offset.
  Result<void> FromMap(ChunkMap chunks);

  // The masks of chunks that are not just written up to their end, and back.
  PageMap ToWritten() const;
  // Requires: after FromMap; no page was changed. Errors: EINVAL for a position without a chunk,
  // and for pages that contradict the chunk.
  Result<void> FromWritten(const PageMap& written);

  // What is reserved, in pages, and back.
  PageRangeMap ToReserved() const;
  // Requires: after FromWritten. Errors: EINVAL for ranges that are empty, not apart from the one
  // before, or past the largest file offset.
  Result<void> FromReserved(const PageRangeMap& reserved);

 private:
  struct Others {
    ChunkMap chunks;  // from 1 on
    PageMap written;  // of any chunk
    PageRanges reserved;

    bool empty() const { return chunks.empty() && written.empty() && reserved.empty(); }
  };

  const RefPtr<state::Chunk>* Find(uint64_t index) const;
  RefPtr<state::Chunk>* FindMutable(uint64_t index);
  RefPtr<state::Chunk>& Slot(uint64_t index);
  Others& MakeOthers();
  void DropOthersIfEmpty();
  void EraseBytes(uint64_t index);
  void Erase(uint64_t first, uint64_t end);  // the chunks [first, end)
  // Requires: none of the pages [first, end) is written.
  void Unreserve(uint64_t first, uint64_t end);
  bool has_masks() const { return others_ != nullptr && !others_->written.empty(); }
  // The pages of the chunk `chunk` at `index` (or null) that are written.
  unsigned WrittenOf(uint64_t index, const state::Chunk* chunk) const;
  unsigned WrittenAt(uint64_t index) const;
  void SetWritten(uint64_t index, const state::Chunk* chunk, unsigned written);
  // The pages of a chunk's place that are reserved.
  unsigned ReservedAt(uint64_t index) const;
  // How many of the pages [first, end) are written or reserved.
  uint64_t CountAllocated(uint64_t first, uint64_t end) const;
  void AddAllocated(uint64_t pages);
  void SubAllocated(uint64_t pages);
  // Makes what was read at `offset` of a chunk zeros where it is not written.
  void HideHoles(uint64_t index, const state::Chunk& chunk, uint32_t offset,
                 std::span<std::byte> bytes) const;
  Result<void> WriteChunk(uint64_t index, uint32_t offset, std::span<const std::byte> bytes);
  // Makes holes of the written pages that are not in `kept`, and leaves no bytes from `end` on.
  Result<void> ShrinkChunk(uint64_t index, unsigned kept, uint32_t end);
  Result<void> PunchChunk(uint64_t index, uint32_t offset, uint32_t end);
  Result<void> ZeroInPage(uint64_t index, uint32_t offset, uint32_t end);
  // Takes over the written pages of another chunk, which has no bytes (null) if there are none.
  void ShareChunk(uint64_t index, RefPtr<state::Chunk> chunk, unsigned written);
  uint64_t SkipWrittenChunks(uint64_t index) const;

  std::atomic<uint64_t> allocated_{0};
  RefPtr<state::Chunk> first_;      // chunk 0
  std::unique_ptr<Others> others_;  // null if all of it is empty
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_FILE_DATA_H_
