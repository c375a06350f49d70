// SPDX-License-Identifier: Apache-2.0
//
// tables.h: where file data is: packs hold frames, frames hold chunks.

#ifndef STASIS_RESTORE_IMAGE_TABLES_H_
#define STASIS_RESTORE_IMAGE_TABLES_H_

#include <cstdint>
#include <vector>

#include "restore/image/digest.h"
#include "state/chunk.h"

namespace stasis::image {

// Content of one frame at most: the unit of compression and of verified reading.
inline constexpr uint32_t kMaxFrameContent = 256 * 1024;
// Stored bytes of one frame at most (the worst case of zstd).
inline constexpr uint32_t kMaxFrameStored = kMaxFrameContent + 4096;
// A pack is closed before it would grow past this.
inline constexpr uint64_t kPackTarget = 64 * 1024 * 1024;

// A pack: a blob that is a row of independent zstd frames.
struct PackEntry {
  Digest digest;
  uint64_t size = 0;
  friend bool operator==(const PackEntry&, const PackEntry&) = default;
};

struct FrameEntry {
  uint32_t pack = 0;            // row of the pack table
  uint32_t stored_length = 0;   // bytes in the pack
  uint64_t offset = 0;          // in the pack
  uint32_t content_length = 0;  // bytes once decompressed
  Digest content_digest;
  friend bool operator==(const FrameEntry&, const FrameEntry&) = default;
};

// A chunk without bytes is at frame 0, offset 0, whether or not there is a frame.
struct ChunkEntry {
  state::ChunkLocation at;
  uint32_t length = 0;
  friend bool operator==(const ChunkEntry&, const ChunkEntry&) = default;
};

struct DataTables {
  std::vector<PackEntry> packs;
  std::vector<FrameEntry> frames;
  std::vector<ChunkEntry> chunks;
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_TABLES_H_
