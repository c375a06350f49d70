// SPDX-License-Identifier: Apache-2.0
//
// takeover_channel.h: what a daemon and the one that goes on in its place say to each other.
//
// JSON, a message a packet of a SOCK_SEQPACKET pair. N is the new one, O the old one, or whoever
// keeps what it had when it died:
//
//   N  {"hello": {"protocol", "version", "types": [names of savable types], "answers": true}}: the
//      last if it takes a journal with answers and backings (fuse/journal.h)
//   O  {"prepare": {"bytes": of memory that it has itself}}
//   N  {"prepared": {}}
//   O  {"take": {"fds": how many}}, then packets with that many descriptors, the first of which is
//      a file with the description, in CBOR (daemon/description.h)
//   N  {"loaded": {what it took}}: the state, and what the journal had by then. Programs may have
//      gone on so far
//   O  {"finish": {"journal_end", "spans" (ChunkMemory::span_count), "next_id" (of init's
//   requests)}}:
//      nothing changes any more. All of them are missing if O has only what was kept. With "late"
//      descriptors follow, as after "take" (daemon/host_files.h)
//   N  {"ready": {what it took}}
//   O  {"commit": {}}
//   N  {"serving": {}}      before it takes the first request: O goes on if it does not get that
//   N  {"settled": {}}      the control socket is its own
//
// Instead of what it is to say, N may say {"failed": {"code", "message"}}.

#ifndef STASIS_CMD_STASIS_DAEMON_TAKEOVER_CHANNEL_H_
#define STASIS_CMD_STASIS_DAEMON_TAKEOVER_CHANNEL_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "restore/handover.h"
#include "state/base/unique_fd.h"

namespace stasis::cli {

inline constexpr int kTakeoverProtocol = 2;

// One end. Not thread-safe.
class TakeoverChannel {
 public:
  explicit TakeoverChannel(UniqueFd socket) : socket_(std::move(socket)) {}
  static absl::StatusOr<std::pair<TakeoverChannel, TakeoverChannel>> MakePair();

  int fd() const { return socket_.get(); }

  // Errors: kAborted if the other end is closed.
  absl::Status Say(const char* what, nlohmann::json with = nlohmann::json::object());
  // What comes with the message `what`. Errors: kAborted; kDeadlineExceeded; kInternal for another
  // message; for "failed", the error that it carries.
  absl::StatusOr<nlohmann::json> Hear(const char* what, absl::Time deadline);

  // Whatever comes next: what it is.
  absl::StatusOr<std::string> HearAny(absl::Time deadline);

  absl::Status SendParcel(const restore::Parcel& parcel);
  // Errors: as Hear; kDataLoss if it is not whole.
  absl::StatusOr<restore::Parcel> ReceiveParcel(absl::Time deadline);

 private:
  struct Packet {
    nlohmann::json json;
    std::vector<UniqueFd> fds;
  };
  absl::Status Send(const nlohmann::json& json, std::span<const int> fds);
  absl::StatusOr<Packet> Receive(absl::Time deadline);
  static absl::StatusOr<nlohmann::json> Open(const nlohmann::json& json, const char* what);

  UniqueFd socket_;
};

// An error as what comes with "failed".
nlohmann::json FailureOf(const absl::Status& status);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_TAKEOVER_CHANNEL_H_
