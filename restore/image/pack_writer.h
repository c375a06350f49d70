// SPDX-License-Identifier: Apache-2.0
//
// pack_writer.h: file data into packs, and the tables that find it again.

#ifndef STASIS_RESTORE_IMAGE_PACK_WRITER_H_
#define STASIS_RESTORE_IMAGE_PACK_WRITER_H_

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "restore/image/image_writer.h"
#include "restore/image/internal/frame_pipeline.h"
#include "restore/image/layout.h"
#include "restore/image/pack_reader.h"
#include "restore/image/tables.h"
#include "restore/image/transaction.h"
#include "state/chunk.h"

namespace stasis::image {

struct PackedData {
  DataTables tables;  // one row of `chunks` per chunk given
  uint64_t dirty_bytes = 0;
  uint64_t reused_bytes = 0;
  uint64_t stored_bytes = 0;
  uint64_t frames_written = 0;
  uint64_t packs_written = 0;
};

// Writes the dirty ones of a list of chunks in its order, neighbours into common frames, and refers
// to the others where the layout has them. The same chunks in the same state give the same bytes.
//
// Used once. Not thread-safe.
class PackWriter {
 public:
  // Requires: layout.writable(). `progress` may be null.
  PackWriter(Layout& layout, Transaction& transaction,
             std::function<void(const WriteProgress&)> on_progress,
             const std::atomic<bool>* cancel);

  // Refers to what is in these packs only, and writes the rest anew.
  void ReferOnlyTo(absl::flat_hash_set<Digest> packs) { may_refer_ = std::move(packs); }

  // Errors: kDataLoss if a chunk cannot be loaded; kCancelled; those of the layout.
  absl::StatusOr<PackedData> Write(std::span<const RefPtr<const state::Chunk>> chunks);

 private:
  using ChunkRef = RefPtr<const state::Chunk>;

  // What is known of the image that some chunks were stored in.
  struct Source {
    const PackReader* reader = nullptr;        // null: not one of this layout
    std::vector<uint32_t> frames;              // by frame there: row of frames_, or kUnknown
    std::vector<std::optional<bool>> present;  // by pack there: still in the layout
  };

  Source& SourceOf(const state::ChunkSource* source);
  bool PackPresent(Source& source, uint32_t pack);
  uint32_t AddPack(const PackEntry& pack);
  uint32_t AddFrame(const FrameEntry& frame);
  // Where the chunk is in this layout already, as a row of frames_; nothing if it must be written.
  std::optional<state::ChunkLocation> FindStored(const state::Chunk& chunk);

  void Classify(std::span<const ChunkRef> chunks);
  absl::Status WriteDirty(std::span<const ChunkRef> chunks);
  absl::Status AppendChunk(size_t index, const state::Chunk& chunk,
                           std::vector<std::byte>& content);
  absl::Status TakeFrame(const FinishedFrame& frame);
  absl::Status ClosePack();
  void Report(bool force);
  PackedData Finish();

  Layout& layout_;
  Transaction& transaction_;
  const std::function<void(const WriteProgress&)> on_progress_;
  const std::atomic<bool>* const cancel_;
  std::optional<absl::flat_hash_set<Digest>> may_refer_;  // nothing: to all

  absl::flat_hash_map<const state::ChunkSource*, std::unique_ptr<Source>> sources_;
  const state::ChunkSource* last_source_ = nullptr;
  Source* last_ = nullptr;

  std::vector<PackEntry> packs_;
  absl::flat_hash_map<Digest, uint32_t> pack_rows_;
  std::vector<FrameEntry> frames_;
  absl::flat_hash_map<std::pair<uint32_t, uint64_t>, uint32_t> frame_rows_;  // by pack and offset

  // By chunk: its place; until Finish(), a chunk to be written has the number of its frame in the
  // pipeline, and `dirty_` is set.
  std::vector<ChunkEntry> chunks_;
  std::vector<bool> dirty_;
  uint64_t dirty_left_ = 0;

  std::optional<BlobWriter> pack_;
  std::vector<FrameEntry> pack_frames_;                // of pack_; their pack is not known yet
  std::vector<std::pair<uint32_t, uint32_t>> places_;  // by pipeline number: written pack, index
  std::vector<std::vector<uint32_t>> written_;         // by written pack: rows of frames_
  absl::flat_hash_map<Digest, std::pair<uint32_t, uint32_t>> by_content_;

  WriteProgress progress_;
  uint64_t reported_ = 0;
  PackedData result_;
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_PACK_WRITER_H_
