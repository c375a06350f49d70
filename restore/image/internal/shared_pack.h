// SPDX-License-Identifier: Apache-2.0
//
// shared_pack.h: what has been unpacked of one pack, in memory that several processes map.
//
// A memory file:
//
//   header | places: where the content of a frame is | blocks that are there, a byte each | content
//
// A frame's content gets its place when somebody unpacks the first piece of it, and is put there by
// blocks of 4 KiB, as they are needed. Its place is found by its digest: what an image says of a
// pack is that image's business. Whoever puts a block has verified it, so two who put the same
// write the same bytes. A block counts once its byte says so; a process that dies before that has
// changed nothing. Nothing is ever taken out.

#ifndef STASIS_RESTORE_IMAGE_INTERNAL_SHARED_PACK_H_
#define STASIS_RESTORE_IMAGE_INTERNAL_SHARED_PACK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "restore/image/digest.h"
#include "restore/image/tables.h"
#include "state/base/memory_file.h"
#include "state/base/result.h"
#include "state/base/unique_fd.h"

namespace stasis::image {

// Thread-safe.
class SharedPack {
 public:
  static constexpr uint32_t kBlock = 4096;

  // An empty one, with room for `frames` frames of `content` bytes in all, and as much again for
  // what other images have of the pack. Errors: of the system.
  static Result<std::unique_ptr<SharedPack>> Create(const Digest& pack, uint64_t frames,
                                                    uint64_t content);
  // That of another process, which can neither shrink nor grow it. Errors: EINVAL if it is none, or
  // another pack's; of the system.
  static Result<std::unique_ptr<SharedPack>> Adopt(UniqueFd fd, const Digest& pack);

  // `size` bytes at `offset` of the frame's content, for as long as this lives; null if they are
  // not all there.
  const std::byte* Find(const FrameEntry& frame, uint32_t offset, uint32_t size) const;
  // Puts them there, out of the `content`. Null if there is no room.
  const std::byte* Put(const FrameEntry& frame, std::span<const std::byte> content, uint32_t offset,
                       uint32_t size);

  int fd() const { return file_->fd(); }
  // Bytes of memory that it takes.
  uint64_t bytes() const;

 private:
  struct Header;
  struct Place;

  explicit SharedPack(std::unique_ptr<MemoryFile> file);
  bool IsOf(const Digest& pack) const;
  Header& header() const;
  std::span<Place> places() const;
  std::span<std::atomic<uint8_t>> present() const;
  uint64_t content_start() const;
  const std::byte* At(uint64_t place, uint32_t offset) const;
  // The number of the frame's first block, if it has any.
  std::optional<uint64_t> PlaceOf(const FrameEntry& frame) const;
  // The same; they are made if there is room.
  std::optional<uint64_t> MakePlace(const FrameEntry& frame);
  std::optional<uint64_t> TakeBlocks(uint64_t count);
  bool PutBlock(uint64_t block, std::span<const std::byte> bytes);

  const std::unique_ptr<MemoryFile> file_;
  // What the header says: others may write to that.
  uint64_t places_ = 0;
  uint64_t blocks_ = 0;
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_INTERNAL_SHARED_PACK_H_
