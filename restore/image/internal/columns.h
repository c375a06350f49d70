// SPDX-License-Identifier: Apache-2.0
//
// columns.h: the frame and chunk tables as columns of varints.
//
// Values are stored as differences to what would be expected, so that the usual table (frames one
// after the other in a pack, chunks one after the other in a frame) is mostly zeros, which zstd
// then makes next to nothing of. docs/image_format.md has the exact rules.

#ifndef STASIS_RESTORE_IMAGE_INTERNAL_COLUMNS_H_
#define STASIS_RESTORE_IMAGE_INTERNAL_COLUMNS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "restore/image/tables.h"

namespace stasis::image {

using Column = std::vector<uint8_t>;

// LEB128: seven bits per byte, least significant first, the eighth says that more follow.
void AppendVarint(Column& column, uint64_t value);
// Signed values near zero become small unsigned ones: 0, -1, 1, -2, ...
constexpr uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
constexpr int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>((value >> 1) ^ (0 - (value & 1)));
}

// Reads varints from a column that may say anything.
class ColumnReader {
 public:
  explicit ColumnReader(std::span<const uint8_t> data) : data_(data) {}
  // False if the column is at its end, or the number is cut off, longer than 64 bits, or not in its
  // shortest form.
  bool Next(uint64_t& value);
  bool AtEnd() const { return at_ == data_.size(); }

 private:
  std::span<const uint8_t> data_;
  size_t at_ = 0;
};

struct FrameColumns {
  Column packs, offsets, stored_lengths, content_lengths, digests;
};
struct ChunkColumns {
  Column frames, offsets, lengths;
};

// The same columns in someone else's memory.
struct FrameColumnViews {
  std::span<const uint8_t> packs, offsets, stored_lengths, content_lengths, digests;
};
struct ChunkColumnViews {
  std::span<const uint8_t> frames, offsets, lengths;
};

FrameColumns EncodeFrames(std::span<const FrameEntry> frames);
ChunkColumns EncodeChunks(std::span<const ChunkEntry> chunks);

// Every value is checked: packs exist, frames lie in their packs and do not overlap, chunks lie in
// their frames. Errors: kDataLoss naming table, row and field.
absl::StatusOr<std::vector<FrameEntry>> DecodeFrames(uint32_t count,
                                                     const FrameColumnViews& columns,
                                                     std::span<const PackEntry> packs);
absl::StatusOr<std::vector<ChunkEntry>> DecodeChunks(uint32_t count,
                                                     const ChunkColumnViews& columns,
                                                     std::span<const FrameEntry> frames);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_INTERNAL_COLUMNS_H_
