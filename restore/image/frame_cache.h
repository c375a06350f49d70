// SPDX-License-Identifier: Apache-2.0
//
// frame_cache.h: the frames read last, decompressed.
//
// Chunks that are neighbours in a file share a frame: whoever faults the first finds the others
// here. Threads that want the same frame at once wait for the one that reads it.
//
// One list for all frames, so that as many files as it has room for frames can be read side by side
// without a frame being read twice, wherever those frames are.

#ifndef STASIS_RESTORE_IMAGE_FRAME_CACHE_H_
#define STASIS_RESTORE_IMAGE_FRAME_CACHE_H_

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <vector>

namespace stasis::image {

// Verified content of a frame.
using FrameContent = std::shared_ptr<const std::vector<std::byte>>;

// Thread-safe.
class FrameCache {
 public:
  // Keeps up to `budget` bytes of content.
  explicit FrameCache(size_t budget) : budget_(budget) {}

  // The content of `frame`, from the cache or from `load`, which runs without a lock held. An error
  // goes to everybody who waits and is not kept.
  absl::StatusOr<FrameContent> Get(uint32_t frame,
                                   const std::function<absl::StatusOr<FrameContent>()>& load)
      ABSL_LOCKS_EXCLUDED(mu_);

  // The content if it is here; otherwise null. Does not count as a use.
  FrameContent Peek(uint32_t frame) const ABSL_LOCKS_EXCLUDED(mu_);

  // Shows a frame to everybody until the next call, beside those that are kept: nothing has to make
  // room for it. Null: none.
  void Stage(uint32_t frame, FrameContent content) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // One load that runs, shared with those who wait for it. Guarded by mu_.
  struct Flight {
    bool done = false;
    absl::StatusOr<FrameContent> result = FrameContent();
  };
  struct Cached {
    uint32_t frame;
    FrameContent content;
  };

  void Insert(uint32_t frame, const FrameContent& content) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const size_t budget_;

  mutable absl::Mutex mu_;
  absl::flat_hash_map<uint32_t, std::shared_ptr<Flight>> flights_ ABSL_GUARDED_BY(mu_);
  std::list<Cached> recent_ ABSL_GUARDED_BY(mu_);  // most recently used first
  absl::flat_hash_map<uint32_t, std::list<Cached>::iterator> by_frame_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  Cached staged_ ABSL_GUARDED_BY(mu_) = {0, nullptr};
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_FRAME_CACHE_H_
