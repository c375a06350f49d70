// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/parked_requests.h"

#include <algorithm>
#include <utility>

#include "cmd/fuse/protocol.h"

namespace stasis::fuse {

bool ParkedRequests::Add(Channel& channel, uint64_t unique, bool interruptible,
                         std::span<const std::byte> message) {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(this, &ParkedRequests::HasRoom));
  if (stopped_) return false;
  const bool interrupted = interruptible && std::find(early_.begin(), early_.end(),
                                                      WithoutResend(unique)) != early_.end();
  requests_.push_back({.channel = &channel,
                       .unique = unique,
                       .interruptible = interruptible,
                       .interrupted = interrupted,
                       .since = std::chrono::steady_clock::now(),
                       .message = {message.begin(), message.end()}});
  memory_ += requests_.back().memory();
  interrupted_ += interrupted;
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

ParkedRequest ParkedRequests::Remove(Requests::iterator it) {
  ParkedRequest request = std::move(*it);
  requests_.erase(it);
  memory_ -= request.memory();
  interrupted_ -= request.interrupted;
  return request;
}

std::optional<ParkedRequest> ParkedRequests::Take() {
  absl::MutexLock lock(&mu_);
  if (requests_.empty()) return std::nullopt;
  running_ = true;
  return Remove(requests_.begin());
}

void ParkedRequests::Done() {
  absl::MutexLock lock(&mu_);
  running_ = false;
}

bool ParkedRequests::idle() const {
  absl::MutexLock lock(&mu_);
  return requests_.empty() && !running_;
}

void ParkedRequests::Interrupt(uint64_t unique) {
  absl::MutexLock lock(&mu_);
  unique = WithoutResend(unique);
  auto it = std::find_if(
      requests_.begin(), requests_.end(),
      [unique](const ParkedRequest& request) { return WithoutResend(request.unique) == unique; });
  if (it == requests_.end()) {
    // Ids are not used again: one whose request was never parked does no harm.
    if (early_.size() == kMaxEarly) early_.pop_front();
    early_.push_back(unique);
  } else if (it->interruptible && !it->interrupted) {
    it->interrupted = true;
    ++interrupted_;
  }
}

std::optional<ParkedRequest> ParkedRequests::TakeInterrupted(std::chrono::nanoseconds patience) {
  absl::MutexLock lock(&mu_);
  if (interrupted_ == 0) return std::nullopt;
  const auto latest = std::chrono::steady_clock::now() - patience;
  for (auto it = requests_.begin(); it != requests_.end() && it->since <= latest; ++it) {
    if (it->interrupted) return Remove(it);
  }
  return std::nullopt;
}

void ParkedRequests::Stop() {
  absl::MutexLock lock(&mu_);
  stopped_ = true;
  requests_.clear();
  memory_ = 0;
  interrupted_ = 0;
}

}  // namespace stasis::fuse
