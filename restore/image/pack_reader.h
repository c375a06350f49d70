// SPDX-License-Identifier: Apache-2.0
//
// pack_reader.h: stored file data, read and verified frame by frame.
//
// A PackReader is what not yet loaded chunks refer to. It lives as long as any of them, which may
// be long after the ImageReader that made it; it keeps its packs open (pack_files.h), so that the
// data stays readable although the image is removed. What cannot be read from an open pack is
// looked for in whatever has the pack's name by then, and tried again at the next use.

#ifndef STASIS_RESTORE_IMAGE_PACK_READER_H_
#define STASIS_RESTORE_IMAGE_PACK_READER_H_

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "restore/image/digest.h"
#include "restore/image/file_ops.h"
#include "restore/image/frame_cache.h"
#include "restore/image/layout.h"
#include "restore/image/pack_files.h"
#include "restore/image/read_health.h"
#include "restore/image/shared_frames.h"
#include "restore/image/tables.h"
#include "restore/image/trace.h"
#include "state/chunk.h"

namespace stasis::image {

// Called with what was wrong, from the thread that read. Must be thread-safe, and must not touch
// chunks: the one that is being loaded is locked.
using ReadErrorCallback = std::function<void(const absl::Status&)>;

struct PackReaderOptions {
  // 128 frames: so many files can be read side by side.
  size_t cache_bytes = 32 * 1024 * 1024;
  ReadErrorCallback on_error;               // of every failed Read
  std::shared_ptr<ReadHealth> health;       // hears of frames; may be null
  std::shared_ptr<TraceRecorder> recorder;  // hears which frames Read wants; may be null
  size_t max_open_packs = kMaxOpenPacks;
  // Where others find what this one unpacks, and it what they have; may be null.
  std::shared_ptr<SharedFrames> shared;
  // Of the image that the frames are of.
  std::optional<Digest> manifest;
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
  // Shared with others who read the pack.
  Result<const std::byte*> InPlace(state::ChunkLocation at, uint32_t size) override;
  // The same if nothing has to be read for it.
  const std::byte* FindShared(state::ChunkLocation at, uint32_t size);

  // The same with a full error. Errors: kDataLoss, kInternal.
  absl::Status ReadChunk(state::ChunkLocation at, std::span<std::byte> out);
  // Reads frame `index`, decompresses and verifies it, past the cache.
  absl::StatusOr<FrameContent> ReadFrame(uint32_t index) const;
  // The same, by `read`, which does what ReadFrameFrom (internal/frame_io.h) does.
  using FrameReadFn = absl::FunctionRef<absl::StatusOr<FrameContent>(
      FileOps& ops, int fd, const FrameEntry& frame, const std::string& what)>;
  absl::StatusOr<FrameContent> ReadFrameBy(uint32_t index, FrameReadFn read) const;

  // For whoever reads before he is asked to (prefetch.h). The frame if the cache has it, or null.
  FrameContent PeekFrame(uint32_t index) const { return cache_.Peek(index); }
  // Lets Read find a frame that does not take room in the cache, until the next call; null: none.
  void StageFrame(uint32_t index, FrameContent content) { cache_.Stage(index, std::move(content)); }
  // Threads that wait for a frame in Read.
  uint32_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

  // The layout that holds the packs: where it was opened, absolute, and which one it is.
  const std::string& directory() const { return directory_; }
  const std::string& image() const { return image_; }
  const std::optional<Digest>& manifest() const { return manifest_; }
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
  absl::StatusOr<FrameContent> ReadFrameFromAnywhere(uint32_t index, FrameReadFn read) const;
  std::string NameOf(uint32_t index) const;
  // The frame, for somebody who waits for it.
  absl::StatusOr<FrameContent> GetFrame(uint32_t index);
  tl::unexpected<Errno> Failed(const absl::Status& status);
  void JoinShared();
  std::shared_ptr<SharedPack> SharedPackOf(const FrameEntry& frame);

  // Immutable after Open.
  const std::string directory_;
  const LayoutId layout_id_;
  const std::string image_;
  const std::vector<PackEntry> packs_;
  const std::vector<FrameEntry> frames_;
  const ReadErrorCallback on_error_;
  const std::optional<Digest> manifest_;
  const std::shared_ptr<void> hold_;
  const std::shared_ptr<ReadHealth> health_;
  const std::shared_ptr<TraceRecorder> recorder_;
  const std::shared_ptr<SharedFrames> shared_;
  std::unique_ptr<PackFiles> files_;
  mutable std::atomic<uint64_t> frames_read_{0};
  std::atomic<uint32_t> waiting_{0};
  FrameCache cache_;

  // What of a pack this image has, and where it is shared. It stays as long as chunks are read
  // there, which have this reader.
  struct Sharing {
    uint64_t frames = 0;
    uint64_t bytes = 0;
    std::shared_ptr<SharedPack> pack;
    absl::Time again;  // when to look for it, if there is none
  };

  mutable absl::Mutex mu_;
  std::vector<Sharing> sharings_ ABSL_GUARDED_BY(mu_);  // by pack; empty if nothing is shared
  absl::Status last_error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_PACK_READER_H_
