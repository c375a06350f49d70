// SPDX-License-Identifier: Apache-2.0

#include "restore/image/frame_cache.h"

namespace stasis::image {

absl::StatusOr<FrameContent> FrameCache::Get(
    uint32_t frame, const std::function<absl::StatusOr<FrameContent>()>& load) {
  Shard& shard = shards_[frame % kShards];
  std::shared_ptr<Flight> flight;
  {
    absl::MutexLock lock(&shard.mu);
    if (const auto it = shard.by_frame.find(frame); it != shard.by_frame.end()) {
      shard.recent.splice(shard.recent.begin(), shard.recent, it->second);
      return it->second->content;
    }
    std::shared_ptr<Flight>& slot = shard.flights[frame];
    if (slot != nullptr) {
      flight = slot;
      shard.mu.Await(absl::Condition(&flight->done));
      return flight->result;
    }
    slot = flight = std::make_shared<Flight>();
  }
  absl::StatusOr<FrameContent> loaded = load();
  absl::MutexLock lock(&shard.mu);
  flight->result = loaded;
  flight->done = true;
  shard.flights.erase(frame);
  if (loaded.ok()) Insert(shard, frame, *loaded);
  return loaded;
}

void FrameCache::Insert(Shard& shard, uint32_t frame, const FrameContent& content) {
  if (content->size() > shard_budget_) return;
  while (shard.bytes + content->size() > shard_budget_) {
    const Cached& oldest = shard.recent.back();
    shard.bytes -= oldest.content->size();
    shard.by_frame.erase(oldest.frame);
    shard.recent.pop_back();
  }
  shard.recent.push_front({frame, content});
  shard.by_frame[frame] = shard.recent.begin();
  shard.bytes += content->size();
}

}  // namespace stasis::image
