// SPDX-License-Identifier: Apache-2.0
//
// frame_cache.h: the frames read last, decompressed.
//
// Chunks that are neighbours in a file share a frame: whoever faults the first finds the others
// here. Threads that want the same frame at once wait for the one that reads it.

#ifndef STASIS_RESTORE_IMAGE_FRAME_CACHE_H_
#define STASIS_RESTORE_IMAGE_FRAME_CACHE_H_

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <array>
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
  explicit FrameCache(size_t budget) : shard_budget_(budget / kShards) {}

  // The content of `frame`, from the cache or from `load`, which runs without a lock held. An error
  // goes to everybody who waits and is not kept.
  absl::StatusOr<FrameContent> Get(uint32_t frame,
                                   const std::function<absl::StatusOr<FrameContent>()>& load);

 private:
  static constexpr size_t kShards = 4;

  // One load that runs, shared with those who wait for it. Guarded by its shard's lock.
  struct Flight {
    bool done = false;
    absl::StatusOr<FrameContent> result = FrameContent();
  };
  struct Cached {
    uint32_t frame;
    FrameContent content;
  };
  struct alignas(64) Shard {
    absl::Mutex mu;
    absl::flat_hash_map<uint32_t, std::shared_ptr<Flight>> flights ABSL_GUARDED_BY(mu);
    std::list<Cached> recent ABSL_GUARDED_BY(mu);  // most recently used first
    absl::flat_hash_map<uint32_t, std::list<Cached>::iterator> by_frame ABSL_GUARDED_BY(mu);
    size_t bytes ABSL_GUARDED_BY(mu) = 0;
  };

  void Insert(Shard& shard, uint32_t frame, const FrameContent& content)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mu);

  const size_t shard_budget_;
  std::array<Shard, kShards> shards_;
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_FRAME_CACHE_H_
