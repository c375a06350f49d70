// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/parked_requests.h"

#include <algorithm>
#include <utility>

namespace stasis::fuse {

bool ParkedRequests::Add(Channel& channel, uint64_t unique, std::span<const std::byte> message) {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(this, &ParkedRequests::HasRoom));
  if (stopped_) return false;
  bytes_ += message.size();
  requests_.push_back({&channel, unique, {message.begin(), message.end()}});
  return true;
}

bool ParkedRequests::WaitForAny() {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(this, &ParkedRequests::HasAny));
  return !stopped_;
}

void ParkedRequests::Pause(absl::Duration moment) {
  absl::MutexLock lock(&mu_);
  mu_.AwaitWithTimeout(absl::Condition(&stopped_), moment);
}

std::optional<ParkedRequest> ParkedRequests::Take() {
  absl::MutexLock lock(&mu_);
  if (requests_.empty()) return std::nullopt;
  ParkedRequest request = std::move(requests_.front());
  requests_.pop_front();
  bytes_ -= request.message.size();
  return request;
}

Channel* ParkedRequests::Cancel(uint64_t unique) {
  absl::MutexLock lock(&mu_);
  auto it = std::find_if(requests_.begin(), requests_.end(),
                         [unique](const ParkedRequest& r) { return r.unique == unique; });
  if (it == requests_.end()) return nullptr;
  Channel* channel = it->channel;
  bytes_ -= it->message.size();
  requests_.erase(it);
  return channel;
}

void ParkedRequests::Stop() {
  absl::MutexLock lock(&mu_);
  stopped_ = true;
  requests_.clear();
  bytes_ = 0;
}

}  // namespace stasis::fuse
