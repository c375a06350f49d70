// SPDX-License-Identifier: Apache-2.0

#include "restore/image/internal/frame_io.h"

#include <memory>
#include <vector>

#include "restore/image/internal/files.h"
#include "restore/image/internal/status.h"
#include "restore/image/internal/zstd.h"

namespace stasis::image {

absl::StatusOr<FrameContent> ReadFrameFrom(FileOps& ops, int fd, const FrameEntry& frame,
                                           const std::string& what) {
  // Kept from call to call: together they cost more to make than to use.
  thread_local FrameDecompressor decompressor;
  thread_local std::vector<std::byte> stored;
  stored.resize(frame.stored_length);
  IMAGE_RETURN_IF_ERROR(ReadFully(ops, fd, stored, frame.offset, what));
  auto content = std::make_shared<std::vector<std::byte>>(frame.content_length);
  IMAGE_RETURN_IF_ERROR(decompressor.Decompress(stored, *content, what));
  if (Digest::Of(*content) != frame.content_digest)
    return DataLoss("{} is damaged: its content does not match its digest", what);
  return FrameContent(std::move(content));
}

}  // namespace stasis::image
