// SPDX-License-Identifier: Apache-2.0
//
// image_reader.h: a checkpoint image, opened.
//
//   auto layout = Layout::Open("snaps");
//   auto reader = ImageReader::Open(**layout, "v1", {});
//   state::LoadGraph((*reader)->graph(), **reader, ...);   // the reader is the ChunkTable
//
// Open() checks, in this order: index entry; manifest (digest, media types); config (digest, format
// version, required features); state blob (digest, every extent of it); packs (present, of the
// right size). File data is read on first use and verified frame by frame; only VerifyImage reads
// all of it.

#ifndef STASIS_RESTORE_IMAGE_IMAGE_READER_H_
#define STASIS_RESTORE_IMAGE_IMAGE_READER_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "restore/image/layout.h"
#include "restore/image/manifest.h"
#include "restore/image/pack_reader.h"
#include "state/saved_graph.h"

namespace stasis::image {

struct ReadOptions {
  // Names of the features that the caller can deal with, beside those of the image format itself.
  std::vector<std::string> known_features;
  PackReaderOptions packs;
};

// What an image says about itself; nothing of its state.
struct ImageInfo {
  std::string reference;  // "DIR:TAG"
  std::string tag;
  Digest manifest_digest;
  uint64_t manifest_size = 0;
  std::string parent;  // "sha256:..." of the parent's manifest, empty if there is none
  Manifest manifest;
  Config config;
};

// Reads and checks manifest and config only. Errors: see layout.h.
absl::StatusOr<ImageInfo> ReadImageInfo(const Layout& layout, std::string_view tag,
                                        const std::vector<std::string>& known_features);

// Thread-safe but for TakeGraph.
class ImageReader final : public state::ChunkTable {
 public:
  static absl::StatusOr<std::unique_ptr<ImageReader>> Open(const Layout& layout,
                                                           std::string_view tag,
                                                           ReadOptions options);
  ~ImageReader() override;

  const ImageInfo& info() const { return info_; }
  // Tables and roots; its `chunks` is empty.
  const state::SavedGraph& graph() const { return graph_; }
  // Gives the tables away, so that their memory can go early.
  state::SavedGraph TakeGraph() { return std::move(graph_); }
  const std::vector<ChunkEntry>& chunk_entries() const { return chunks_; }
  // What the chunks are read from. Outlives this reader as long as a chunk refers to it.
  const RefPtr<PackReader>& source() const { return source_; }

  uint32_t size() const override { return static_cast<uint32_t>(chunks_.size()); }
  RefPtr<state::Chunk> Get(uint32_t index) override;
  // Gives away the reference on the chunk that Get has made; null if it has not.
  // Requires: nobody calls Get any more.
  RefPtr<state::Chunk> Take(uint32_t index);

 private:
  ImageReader(ImageInfo info, state::SavedGraph graph, std::vector<ChunkEntry> chunks,
              RefPtr<PackReader> source);

  ImageInfo info_;
  state::SavedGraph graph_;
  std::vector<ChunkEntry> chunks_;
  RefPtr<PackReader> source_;
  // Made on first use; each holds a reference.
  std::unique_ptr<std::atomic<state::Chunk*>[]> made_;
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_IMAGE_READER_H_
