// SPDX-License-Identifier: Apache-2.0
//
// parked_requests.h: requests that found the operation gate closed.

#ifndef STASIS_CMD_FUSE_PARKED_REQUESTS_H_
#define STASIS_CMD_FUSE_PARKED_REQUESTS_H_

#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace stasis::fuse {

class Channel;

struct ParkedRequest {
  Channel* channel = nullptr;  // where it came from
  uint64_t unique = 0;
  bool interruptible = false;  // false: an INTERRUPT does nothing
  bool interrupted = false;
  std::chrono::steady_clock::time_point since{};
  std::vector<std::byte> message;

  size_t memory() const { return sizeof(*this) + message.size(); }
};

// Thread-safe. In order of arrival.
class ParkedRequests {
 public:
  // More memory than this, in bytes, makes Add wait.
  static constexpr size_t kMaxMemory = size_t{64} << 20;

  // Keeps a copy of the message. Waits while there is too much. False once stopped.
  bool Add(Channel& channel, uint64_t unique, bool interruptible,
           std::span<const std::byte> message) ABSL_LOCKS_EXCLUDED(mu_);

  // Waits for a request. False once stopped.
  bool WaitForAny() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits a moment, or until stopped.
  void Pause(absl::Duration moment) ABSL_LOCKS_EXCLUDED(mu_);
  // The first one, if there is any. Call Done() when it has its reply.
  std::optional<ParkedRequest> Take() ABSL_LOCKS_EXCLUDED(mu_);
  void Done() ABSL_LOCKS_EXCLUDED(mu_);
  // True if nothing is parked, and what was taken is done.
  bool idle() const ABSL_LOCKS_EXCLUDED(mu_);

  // Notes that the caller of a request got a signal, which may be known before the request is here.
  void Interrupt(uint64_t unique) ABSL_LOCKS_EXCLUDED(mu_);
  // Takes out one that is interrupted and has been here for `patience`.
  std::optional<ParkedRequest> TakeInterrupted(std::chrono::nanoseconds patience)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Drops all and ends every wait.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Requests = std::deque<ParkedRequest>;

  // As many early INTERRUPTs are remembered as can be on their way with requests to be parked.
  static constexpr size_t kMaxEarly = 256;

  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopped_ || memory_ < kMaxMemory;
  }
  bool HasAny() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopped_ || !requests_.empty(); }

  ParkedRequest Remove(Requests::iterator it) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  Requests requests_ ABSL_GUARDED_BY(mu_);
  size_t memory_ ABSL_GUARDED_BY(mu_) = 0;
  size_t interrupted_ ABSL_GUARDED_BY(mu_) = 0;      // of `requests_`
  std::deque<uint64_t> early_ ABSL_GUARDED_BY(mu_);  // interrupted, and not here (yet)
  bool running_ ABSL_GUARDED_BY(mu_) = false;        // between Take() and Done()
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_PARKED_REQUESTS_H_
