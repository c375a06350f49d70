// SPDX-License-Identifier: Apache-2.0

#include "restore/image/internal/columns.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

constexpr size_t kDigestSize = 32;

// Where a row's predecessors lead one to expect it.
struct FrameExpectation {
  explicit FrameExpectation(size_t packs) : ends(packs) {}
  uint32_t pack = 0;
  std::vector<uint64_t> ends;  // by pack: end of its last frame so far
};

struct ChunkExpectation {
  uint32_t frame = 0;
  uint32_t offset = 0;  // if the chunk is in `frame`; 0 otherwise
};

// Adds the difference that a column holds to `base`; false if the result is negative, more than
// `max`, or not there.
bool NextNear(ColumnReader& column, uint64_t base, uint64_t max, uint64_t& value) {
  uint64_t raw = 0;
  if (!column.Next(raw)) return false;
  value = base + static_cast<uint64_t>(UnZigZag(raw));  // wraps; then it is too large
  return value <= max;
}

absl::Status Bad(const char* table, size_t row, const char* field, const std::string& what) {
  return DataLoss("state blob, {} table, row {}, field {}: {}", table, row, field, what);
}

absl::Status CheckEnd(bool at_end, const char* table, const char* field) {
  if (at_end) return absl::OkStatus();
  return DataLoss("state blob, {} table, field {}: bytes after the last row", table, field);
}

// Every row takes at least one byte of each column: no memory is taken for rows that cannot be
// there.
absl::Status CheckCount(uint32_t count, size_t bytes, const char* table, const char* field) {
  if (count <= bytes) return absl::OkStatus();
  return DataLoss("state blob, {} table: {} rows, but field {} has {} bytes only", table, count,
                  field, bytes);
}

absl::Status CheckOverlap(std::span<const FrameEntry> frames) {
  std::vector<uint32_t> order(frames.size());
  std::iota(order.begin(), order.end(), 0);
  const auto before = [&](uint32_t a, uint32_t b) {
    return std::pair(frames[a].pack, frames[a].offset) <
           std::pair(frames[b].pack, frames[b].offset);
  };
  if (!std::is_sorted(order.begin(), order.end(), before))
    std::sort(order.begin(), order.end(), before);
  for (size_t i = 1; i < order.size(); ++i) {
    const FrameEntry& left = frames[order[i - 1]];
    const FrameEntry& right = frames[order[i]];
    if (left.pack == right.pack && left.offset + left.stored_length > right.offset)
      return Bad("frame", order[i], "offset",
                 fmt::format("{} is inside row {}", right.offset, order[i - 1]));
  }
  return absl::OkStatus();
}

// Reads one row; `expected` moves on.
class FrameDecoder {
 public:
  FrameDecoder(const FrameColumnViews& columns, std::span<const PackEntry> packs)
      : packs_(packs),
        expected_(packs.size()),
        pack_(columns.packs),
        offset_(columns.offsets),
        stored_(columns.stored_lengths),
        content_(columns.content_lengths) {}

  absl::Status Next(size_t row, FrameEntry& frame) {
    uint64_t value = 0;
    if (!NextNear(pack_, expected_.pack, UINT32_MAX, value) || value >= packs_.size())
      return Bad("frame", row, "pack", fmt::format("not one of {} packs", packs_.size()));
    frame.pack = static_cast<uint32_t>(value);
    const uint64_t pack_size = packs_[frame.pack].size;
    if (!NextNear(offset_, expected_.ends[frame.pack], pack_size, value))
      return Bad("frame", row, "offset", fmt::format("not within pack {}", frame.pack));
    frame.offset = value;
    if (!stored_.Next(value) || value == 0 || value > kMaxFrameStored)
      return Bad("frame", row, "storedLength", fmt::format("not within 1 and {}", kMaxFrameStored));
    if (value > pack_size - frame.offset)
      return Bad("frame", row, "storedLength",
                 fmt::format("{} bytes at {} are past the end of pack {}, which has {}", value,
                             frame.offset, frame.pack, pack_size));
    frame.stored_length = static_cast<uint32_t>(value);
    if (!content_.Next(value) || value == 0 || value > kMaxFrameContent)
      return Bad("frame", row, "contentLength",
                 fmt::format("not within 1 and {}", kMaxFrameContent));
    frame.content_length = static_cast<uint32_t>(value);
    expected_.pack = frame.pack;
    expected_.ends[frame.pack] = frame.offset + frame.stored_length;
    return absl::OkStatus();
  }

  absl::Status Finish() const {
    IMAGE_RETURN_IF_ERROR(CheckEnd(pack_.AtEnd(), "frame", "pack"));
    IMAGE_RETURN_IF_ERROR(CheckEnd(offset_.AtEnd(), "frame", "offset"));
    IMAGE_RETURN_IF_ERROR(CheckEnd(stored_.AtEnd(), "frame", "storedLength"));
    return CheckEnd(content_.AtEnd(), "frame", "contentLength");
  }

 private:
  std::span<const PackEntry> packs_;
  FrameExpectation expected_;
  ColumnReader pack_, offset_, stored_, content_;
};

class ChunkDecoder {
 public:
  ChunkDecoder(const ChunkColumnViews& columns, std::span<const FrameEntry> frames)
      : frames_(frames),
        frame_(columns.frames),
        offset_(columns.offsets),
        length_(columns.lengths) {}

  absl::Status Next(size_t row, ChunkEntry& chunk) {
    uint64_t length = 0;
    if (!length_.Next(length) || length > state::kChunkSize)
      return Bad("chunk", row, "length", fmt::format("not within 0 and {}", state::kChunkSize));
    chunk.length = static_cast<uint32_t>(length);
    if (length == 0) return SkipEmpty(row);
    uint64_t value = 0;
    if (!NextNear(frame_, expected_.frame, UINT32_MAX, value) || value >= frames_.size())
      return Bad("chunk", row, "frame", fmt::format("not one of {} frames", frames_.size()));
    chunk.at.frame = static_cast<uint32_t>(value);
    const uint32_t content = frames_[chunk.at.frame].content_length;
    const uint32_t base = chunk.at.frame == expected_.frame ? expected_.offset : 0;
    if (!NextNear(offset_, base, content, value))
      return Bad("chunk", row, "offset", fmt::format("not within frame {}", chunk.at.frame));
    chunk.at.offset = static_cast<uint32_t>(value);
    if (length > content - chunk.at.offset)
      return Bad("chunk", row, "length",
                 fmt::format("{} bytes at {} are past the end of frame {}, which has {}", length,
                             chunk.at.offset, chunk.at.frame, content));
    expected_ = {chunk.at.frame, chunk.at.offset + chunk.length};
    return absl::OkStatus();
  }

  absl::Status Finish() const {
    IMAGE_RETURN_IF_ERROR(CheckEnd(frame_.AtEnd(), "chunk", "frame"));
    IMAGE_RETURN_IF_ERROR(CheckEnd(offset_.AtEnd(), "chunk", "offset"));
    return CheckEnd(length_.AtEnd(), "chunk", "length");
  }

 private:
  // A chunk without bytes is nowhere.
  absl::Status SkipEmpty(size_t row) {
    uint64_t frame = 0;
    uint64_t offset = 0;
    if (!frame_.Next(frame) || frame != 0)
      return Bad("chunk", row, "frame", "not 0 although the chunk is empty");
    if (!offset_.Next(offset) || offset != 0)
      return Bad("chunk", row, "offset", "not 0 although the chunk is empty");
    return absl::OkStatus();
  }

  std::span<const FrameEntry> frames_;
  ChunkExpectation expected_;
  ColumnReader frame_, offset_, length_;
};

}  // namespace

void AppendVarint(Column& column, uint64_t value) {
  while (value >= 0x80) {
    column.push_back(static_cast<uint8_t>(value) | 0x80);
    value >>= 7;
  }
  column.push_back(static_cast<uint8_t>(value));
}

bool ColumnReader::Next(uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && at_ < data_.size(); shift += 7) {
    const uint8_t byte = data_[at_++];
    if (shift == 63 && byte > 1) return false;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return byte != 0 || shift == 0;
  }
  return false;
}

FrameColumns EncodeFrames(std::span<const FrameEntry> frames) {
  FrameColumns columns;
  uint32_t packs = 0;
  for (const FrameEntry& frame : frames) packs = std::max(packs, frame.pack + 1);
  FrameExpectation expected(packs);
  for (const FrameEntry& frame : frames) {
    AppendVarint(columns.packs, ZigZag(int64_t{frame.pack} - int64_t{expected.pack}));
    AppendVarint(columns.offsets, ZigZag(static_cast<int64_t>(frame.offset) -
                                         static_cast<int64_t>(expected.ends[frame.pack])));
    AppendVarint(columns.stored_lengths, frame.stored_length);
    AppendVarint(columns.content_lengths, frame.content_length);
    columns.digests.insert(columns.digests.end(), frame.content_digest.bytes.begin(),
                           frame.content_digest.bytes.end());
    expected.pack = frame.pack;
    expected.ends[frame.pack] = frame.offset + frame.stored_length;
  }
  return columns;
}

ChunkColumns EncodeChunks(std::span<const ChunkEntry> chunks) {
  ChunkColumns columns;
  ChunkExpectation expected;
  for (const ChunkEntry& chunk : chunks) {
    if (chunk.length == 0) {
      AppendVarint(columns.frames, 0);
      AppendVarint(columns.offsets, 0);
      AppendVarint(columns.lengths, 0);
      continue;
    }
    const uint32_t base = chunk.at.frame == expected.frame ? expected.offset : 0;
    AppendVarint(columns.frames, ZigZag(int64_t{chunk.at.frame} - int64_t{expected.frame}));
    AppendVarint(columns.offsets, ZigZag(int64_t{chunk.at.offset} - int64_t{base}));
    AppendVarint(columns.lengths, chunk.length);
    expected = {chunk.at.frame, chunk.at.offset + chunk.length};
  }
  return columns;
}

absl::StatusOr<std::vector<FrameEntry>> DecodeFrames(uint32_t count,
                                                     const FrameColumnViews& columns,
                                                     std::span<const PackEntry> packs) {
  IMAGE_RETURN_IF_ERROR(CheckCount(count, columns.packs.size(), "frame", "pack"));
  if (columns.digests.size() != uint64_t{count} * kDigestSize)
    return DataLoss("state blob, frame table, field digest: {} bytes for {} rows",
                    columns.digests.size(), count);
  std::vector<FrameEntry> frames(count);
  FrameDecoder decoder(columns, packs);
  for (size_t row = 0; row < count; ++row) {
    IMAGE_RETURN_IF_ERROR(decoder.Next(row, frames[row]));
    std::memcpy(frames[row].content_digest.bytes.data(), &columns.digests[row * kDigestSize],
                kDigestSize);
  }
  IMAGE_RETURN_IF_ERROR(decoder.Finish());
  IMAGE_RETURN_IF_ERROR(CheckOverlap(frames));
  return frames;
}

absl::StatusOr<std::vector<ChunkEntry>> DecodeChunks(uint32_t count,
                                                     const ChunkColumnViews& columns,
                                                     std::span<const FrameEntry> frames) {
  IMAGE_RETURN_IF_ERROR(CheckCount(count, columns.frames.size(), "chunk", "frame"));
  IMAGE_RETURN_IF_ERROR(CheckCount(count, columns.offsets.size(), "chunk", "offset"));
  IMAGE_RETURN_IF_ERROR(CheckCount(count, columns.lengths.size(), "chunk", "length"));
  std::vector<ChunkEntry> chunks(count);
  ChunkDecoder decoder(columns, frames);
  for (size_t row = 0; row < count; ++row) IMAGE_RETURN_IF_ERROR(decoder.Next(row, chunks[row]));
  IMAGE_RETURN_IF_ERROR(decoder.Finish());
  return chunks;
}

}  // namespace stasis::image
