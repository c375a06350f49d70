// SPDX-License-Identifier: Apache-2.0
//
// pack_reader.h: stored file data, read and verified frame by frame.
//
// A PackReader is what not yet loaded chunks refer to. It lives as long as any of them, which may
// be long after the ImageReader that made it; it keeps its packs open, so that the data stays
// readable although the image is removed.

#ifndef STASIS_RESTORE_IMAGE_PACK_READER_H_
#define STASIS_RESTORE_IMAGE_PACK_READER_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "restore/image/digest.h"
#include "restore/image/file_ops.h"
#include "restore/image/frame_cache.h"
#include "restore/image/layout.h"
#include "restore/image/tables.h"
#include "state/base/unique_fd.h"
#include "state/chunk.h"

namespace stasis::image {

// Called with what was wrong, from the thread that read. Must be thread-safe, and must not touch
// chunks: the one that is being loaded is locked.
using ReadErrorCallback = std::function<void(const absl::Status&)>;

struct PackReaderOptions {
  size_t cache_bytes = 16 * 1024 * 1024;
  ReadErrorCallback on_error;
  // Kept as long as the reader: a lease (lease.h) of what it reads. May be null.
  std::shared_ptr<void> hold;
};

// Thread-safe.
class PackReader final : public state::ChunkSource {
 public:
  // Opens every pack. `image` names the image in errors.
  // Errors: kDataLoss if a pack is missing or of the wrong size.
  static absl::StatusOr<RefPtr<PackReader>> Open(const Layout& layout, std::string image,
                                                 std::vector<PackEntry> packs,
                                                 std::vector<FrameEntry> frames,
                                                 PackReaderOptions options);

  Result<void> Read(state::ChunkLocation at, std::span<std::byte> out) override;

  // The same with a full error. Errors: kDataLoss, kInternal.
  absl::Status ReadChunk(state::ChunkLocation at, std::span<std::byte> out);
  // Reads frame `index`, decompresses and verifies it, past the cache.
  absl::StatusOr<FrameContent> ReadFrame(uint32_t index) const;

  // The layout that holds the packs: where it was opened, absolute, and which one it is.
  const std::string& directory() const { return directory_; }
  const std::string& image() const { return image_; }
  LayoutId layout_id() const { return layout_id_; }
  const std::vector<PackEntry>& packs() const { return packs_; }
  const std::vector<FrameEntry>& frames() const { return frames_; }
  // The error of the last failed Read; OK if none failed.
  absl::Status last_error() const;
  // Frames read from the packs so far.
  uint64_t frames_read() const { return frames_read_.load(std::memory_order_relaxed); }

 private:
  PackReader(const Layout& layout, std::string image, std::vector<PackEntry> packs,
             std::vector<FrameEntry> frames, PackReaderOptions options);

  // Immutable after Open.
  const std::shared_ptr<FileOps> ops_;
  const std::string directory_;
  const LayoutId layout_id_;
  const std::string image_;
  const std::vector<PackEntry> packs_;
  const std::vector<FrameEntry> frames_;
  const ReadErrorCallback on_error_;
  const std::shared_ptr<void> hold_;
  std::vector<UniqueFd> fds_;  // by row of packs_

  mutable std::atomic<uint64_t> frames_read_{0};
  FrameCache cache_;

  mutable absl::Mutex mu_;
  absl::Status last_error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_PACK_READER_H_
