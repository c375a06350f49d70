// SPDX-License-Identifier: Apache-2.0

#include "restore/image/trace.h"

#include <zstd.h>

#include <cstring>

#include "restore/image/internal/columns.h"
#include "restore/image/internal/status.h"
#include "restore/image/internal/zstd.h"

namespace stasis::image {
namespace {

constexpr char kMagic[] = "STASIST1";
constexpr size_t kMagicSize = 8;
constexpr size_t kHeaderSize = kMagicSize + 32 + 4 + 4;
// A varint of 32 bits and a sign has at most five bytes.
constexpr uint64_t kMaxContent = kHeaderSize + uint64_t{5} * kMaxTraceFrames;

void WriteUint32(uint8_t* to, uint32_t value) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<uint8_t>(value >> (8 * i));
}

uint32_t ReadUint32(const uint8_t* from) {
  return from[0] | uint32_t{from[1]} << 8 | uint32_t{from[2]} << 16 | uint32_t{from[3]} << 24;
}

absl::Status DecodeFrameNumbers(std::span<const uint8_t> column, uint32_t count, Trace& trace) {
  ColumnReader reader(column);
  absl::flat_hash_set<uint32_t> seen;
  int64_t expected = 0;
  for (uint32_t i = 0; i < count; ++i) {
    uint64_t value = 0;
    if (!reader.Next(value)) return DataLoss("trace, entry {}: no number", i);
    // Wraps around rather than overflows; what comes of it is looked at.
    const auto frame = static_cast<int64_t>(static_cast<uint64_t>(expected) +
                                            static_cast<uint64_t>(UnZigZag(value)));
    if (frame < 0 || frame >= int64_t{trace.frame_count})
      return DataLoss("trace, entry {}: frame {}, of {}", i, frame, trace.frame_count);
    if (!seen.insert(static_cast<uint32_t>(frame)).second)
      return DataLoss("trace, entry {}: frame {} is there twice", i, frame);
    trace.frames.push_back(static_cast<uint32_t>(frame));
    expected = frame + 1;
  }
  if (!reader.AtEnd()) return DataLoss("trace: bytes after the last of {} entries", count);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> EncodeTrace(const Trace& trace) {
  Column content(kHeaderSize);
  std::memcpy(content.data(), kMagic, kMagicSize);
  std::memcpy(&content[kMagicSize], trace.manifest.bytes.data(), trace.manifest.bytes.size());
  WriteUint32(&content[kMagicSize + 32], trace.frame_count);
  WriteUint32(&content[kMagicSize + 36], static_cast<uint32_t>(trace.frames.size()));
  int64_t expected = 0;
  for (const uint32_t frame : trace.frames) {
    AppendVarint(content, ZigZag(int64_t{frame} - expected));
    expected = int64_t{frame} + 1;
  }
  std::vector<std::byte> blob;
  IMAGE_RETURN_IF_ERROR(FrameCompressor(1).Compress(std::as_bytes(std::span(content)), blob));
  return std::string(reinterpret_cast<const char*>(blob.data()), blob.size());
}

absl::StatusOr<Trace> DecodeTrace(std::span<const std::byte> blob) {
  const unsigned long long size = ZSTD_getFrameContentSize(blob.data(), blob.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size < kHeaderSize ||
      size > kMaxContent)
    return DataLoss("trace: not a zstd frame of {} to {} bytes", kHeaderSize, kMaxContent);
  Column content(size);
  IMAGE_RETURN_IF_ERROR(
      FrameDecompressor().Decompress(blob, std::as_writable_bytes(std::span(content)), "trace"));
  if (std::memcmp(content.data(), kMagic, kMagicSize) != 0)
    return DataLoss("trace, field magic: not {}", kMagic);
  Trace trace;
  const std::span<const uint8_t> bytes(content);
  std::memcpy(trace.manifest.bytes.data(), &content[kMagicSize], trace.manifest.bytes.size());
  trace.frame_count = ReadUint32(&content[kMagicSize + 32]);
  const uint32_t count = ReadUint32(&content[kMagicSize + 36]);
  if (count > trace.frame_count || count > kMaxTraceFrames)
    return DataLoss("trace, field count: {}, more than {} frames or {}", count, trace.frame_count,
                    kMaxTraceFrames);
  IMAGE_RETURN_IF_ERROR(DecodeFrameNumbers(bytes.subspan(kHeaderSize), count, trace));
  return trace;
}

void TraceRecorder::AddFirst(uint32_t frame) {
  const absl::MutexLock lock(&mu_);
  if (frames_.size() >= max_frames_ || !seen_.insert(frame).second) return;
  frames_.push_back(frame);
  if (frames_.size() >= max_frames_) Stop();
}

std::vector<uint32_t> TraceRecorder::Frames() const {
  const absl::MutexLock lock(&mu_);
  return frames_;
}

}  // namespace stasis::image
