// SPDX-License-Identifier: Apache-2.0
//
// replay.h: running a journal's requests again.

#ifndef STASIS_CMD_FUSE_REPLAY_H_
#define STASIS_CMD_FUSE_REPLAY_H_

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cmd/fuse/journal.h"
#include "cmd/fuse/known_replies.h"
#include "cmd/fuse/reply.h"
#include "cmd/fuse/session.h"

namespace stasis::fuse {

class Server;

struct ReplayReport {
  uint64_t records = 0;
  uint64_t end = 0;     // position of what follows
  uint64_t unsent = 0;  // whose replies the kernel may not have
};

// Runs what follows `from`, the position of a checkpoint, on the tree of that checkpoint; or where
// the last call has come to. What is appended meanwhile it leaves.
// `server_of` finds a server that does not serve yet by its journal_id, or null.
// Errors: kDataLoss if a record is damaged or gives something else than it did: the message names
// the record and what differs. kFailedPrecondition if the tree was changed by something else.
absl::StatusOr<ReplayReport> Replay(const Journal& journal, uint64_t from,
                                    absl::FunctionRef<Server*(uint32_t)> server_of);

// Runs the records of one server. Not thread-safe.
class Replayer {
 public:
  // Both are borrowed. `died`: who wrote the records lives no more, and may not have sent all
  // replies. One that lives does.
  Replayer(Session& session, KnownReplies& known, bool died);

  absl::Status Run(const JournalRecord& record);

 private:
  void KeepAnswers(std::span<const std::byte> part);
  absl::Status RunRequest(const JournalRecord& record);
  absl::Status RunListing(const JournalRecord& record);
  // Runs a message as the server did, and leaves the answer in reply_.
  absl::StatusOr<Outcome> RunMessage(const JournalRecord& record,
                                     std::span<const std::byte> message);

  Session& session_;
  KnownReplies& known_;
  const bool died_;
  // Of the request that is next, or of the one that was last.
  std::vector<std::byte> answers_;
  std::span<const std::byte> left_;
  bool for_next_ = false;
  bool asks_ = false;  // there were any: attributes that nobody asked for are not those of then
  std::unique_ptr<std::byte[]> memory_;
  Reply reply_;
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_REPLAY_H_
