// SPDX-License-Identifier: Apache-2.0
//
// parked_requests.h: requests that found the operation gate closed.

#ifndef STASIS_CMD_FUSE_PARKED_REQUESTS_H_
#define STASIS_CMD_FUSE_PARKED_REQUESTS_H_

#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

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
  std::vector<std::byte> message;
};

// Thread-safe. In order of arrival.
class ParkedRequests {
 public:
  // More bytes than this make Add wait.
  static constexpr size_t kMaxBytes = size_t{64} << 20;

  // Keeps a copy of the message. Waits while there are too many bytes. False once stopped.
  bool Add(Channel& channel, uint64_t unique, std::span<const std::byte> message)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Waits for a request. False once stopped.
  bool WaitForAny() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits a moment, or until stopped.
  void Pause(absl::Duration moment) ABSL_LOCKS_EXCLUDED(mu_);
  // The first one, if there is any.
  std::optional<ParkedRequest> Take() ABSL_LOCKS_EXCLUDED(mu_);

  // Takes out a request by its id. Returns its channel, or null if it is not here.
  Channel* Cancel(uint64_t unique) ABSL_LOCKS_EXCLUDED(mu_);

  // Drops all and ends every wait.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopped_ || bytes_ < kMaxBytes; }
  bool HasAny() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopped_ || !requests_.empty(); }

  absl::Mutex mu_;
  std::deque<ParkedRequest> requests_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_PARKED_REQUESTS_H_
