// SPDX-License-Identifier: Apache-2.0

#include "restore/image/frame_cache.h"

#include <utility>

namespace stasis::image {

absl::StatusOr<FrameContent> FrameCache::Get(
    uint32_t frame, const std::function<absl::StatusOr<FrameContent>()>& load) {
  std::shared_ptr<Flight> flight;
  {
    absl::MutexLock lock(&mu_);
    if (const auto it = by_frame_.find(frame); it != by_frame_.end()) {
      recent_.splice(recent_.begin(), recent_, it->second);
      return it->second->content;
    }
    if (staged_.content != nullptr && staged_.frame == frame) return staged_.content;
    std::shared_ptr<Flight>& slot = flights_[frame];
    if (slot != nullptr) {
      flight = slot;
      mu_.Await(absl::Condition(&flight->done));
      return flight->result;
    }
    slot = flight = std::make_shared<Flight>();
  }
  absl::StatusOr<FrameContent> loaded = load();
  absl::MutexLock lock(&mu_);
  flight->result = loaded;
  flight->done = true;
  flights_.erase(frame);
  if (loaded.ok()) Insert(frame, *loaded);
  return loaded;
}

FrameContent FrameCache::Peek(uint32_t frame) const {
  absl::MutexLock lock(&mu_);
  const auto it = by_frame_.find(frame);
  return it == by_frame_.end() ? nullptr : it->second->content;
}

void FrameCache::Stage(uint32_t frame, FrameContent content) {
  absl::MutexLock lock(&mu_);
  staged_.frame = frame;
  staged_.content.swap(content);  // the old one goes after the lock
}

void FrameCache::Insert(uint32_t frame, const FrameContent& content) {
  if (content->size() > budget_) return;
  while (bytes_ + content->size() > budget_) {
    const Cached& oldest = recent_.back();
    bytes_ -= oldest.content->size();
    by_frame_.erase(oldest.frame);
    recent_.pop_back();
  }
  recent_.push_front({frame, content});
  by_frame_[frame] = recent_.begin();
  bytes_ += content->size();
}

}  // namespace stasis::image
