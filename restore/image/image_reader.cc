// SPDX-License-Identifier: Apache-2.0

#include "restore/image/image_reader.h"

#include <utility>

#include "restore/image/internal/open_image.h"
#include "restore/image/internal/status.h"
#include "restore/image/state_blob.h"

namespace stasis::image {

absl::StatusOr<ImageInfo> ReadImageInfo(const Layout& layout, std::string_view tag,
                                        const std::vector<std::string>& known_features) {
  IMAGE_ASSIGN_OR_RETURN(const Descriptor entry, layout.Resolve(tag));
  IMAGE_ASSIGN_OR_RETURN(ImageInfo info, OpenManifest(layout, tag, entry));
  IMAGE_RETURN_IF_ERROR(OpenConfig(layout, known_features, info));
  return info;
}

absl::StatusOr<std::unique_ptr<ImageReader>> ImageReader::Open(const Layout& layout,
                                                               std::string_view tag,
                                                               ReadOptions options) {
  IMAGE_ASSIGN_OR_RETURN(ImageInfo info, ReadImageInfo(layout, tag, options.known_features));
  IMAGE_ASSIGN_OR_RETURN(DecodedState state, OpenState(layout, info));
  options.packs.manifest = info.manifest_digest;
  IMAGE_ASSIGN_OR_RETURN(RefPtr<PackReader> source,
                         PackReader::Open(layout, info.reference, std::move(state.data.packs),
                                          std::move(state.data.frames), std::move(options.packs)));
  return std::unique_ptr<ImageReader>(new ImageReader(
      std::move(info), std::move(state.graph), std::move(state.data.chunks), std::move(source)));
}

ImageReader::ImageReader(ImageInfo info, state::SavedGraph graph, std::vector<ChunkEntry> chunks,
                         RefPtr<PackReader> source)
    : info_(std::move(info)),
      graph_(std::move(graph)),
      chunks_(std::move(chunks)),
      source_(std::move(source)),
      made_(std::make_unique<std::atomic<state::Chunk*>[]>(chunks_.size())) {}

ImageReader::~ImageReader() {
  for (size_t i = 0; i < chunks_.size(); ++i) {
    if (const state::Chunk* chunk = made_[i].load(std::memory_order_acquire); chunk != nullptr)
      chunk->Unref();
  }
}

RefPtr<state::Chunk> ImageReader::Get(uint32_t index) {
  std::atomic<state::Chunk*>& slot = made_[index];
  state::Chunk* chunk = slot.load(std::memory_order_acquire);
  if (chunk == nullptr) {
    const ChunkEntry& entry = chunks_[index];
    RefPtr<state::Chunk> fresh = state::Chunk::Stored(source_, entry.at, entry.length);
    if (slot.compare_exchange_strong(chunk, fresh.get(), std::memory_order_acq_rel,
                                     std::memory_order_acquire))
      chunk = fresh.release();  // the table's reference
  }
  return RefPtr<state::Chunk>(chunk);
}

RefPtr<state::Chunk> ImageReader::Take(uint32_t index) {
  return RefPtr<state::Chunk>::Adopt(made_[index].exchange(nullptr, std::memory_order_acq_rel));
}

}  // namespace stasis::image
