// SPDX-License-Identifier: Apache-2.0
//
// init_channel.h: what a sandbox's daemon and its init say to each other.
//
// One JSON object per packet of a SOCK_SEQPACKET pair: a request {"do": ...} from the daemon, and
// for each an answer {"code": ..., "message": ..., ...} that may carry a descriptor. Requests are
// answered in order, but for "sync", whose answer may be awaited for a limited time. On the wire
// it is CBOR, whose strings may be names of any bytes.

#ifndef STASIS_CMD_SANDBOX_INIT_CHANNEL_H_
#define STASIS_CMD_SANDBOX_INIT_CHANNEL_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "state/base/unique_fd.h"

namespace stasis::sandbox {

struct Packet {
  nlohmann::json json;
  UniqueFd fd;  // invalid if the packet carried none
};

// One end. Not thread-safe.
class InitChannel {
 public:
  InitChannel() = default;
  explicit InitChannel(UniqueFd socket) : socket_(std::move(socket)) {}

  static absl::StatusOr<std::pair<InitChannel, InitChannel>> MakePair();

  int fd() const { return socket_.get(); }
  UniqueFd Detach() { return std::move(socket_); }
  // Whether the other end is closed.
  bool closed() const;

  absl::Status Send(const nlohmann::json& json, int fd = -1);
  // Errors: kUnavailable if the other end is closed; kDeadlineExceeded.
  absl::StatusOr<Packet> Receive(absl::Duration timeout = absl::InfiniteDuration());

 private:
  UniqueFd socket_;
};

// An absl::Status as the fields of an answer, and back.
nlohmann::json AnswerOf(const absl::Status& status);
absl::Status StatusOf(const nlohmann::json& answer);

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_INIT_CHANNEL_H_
