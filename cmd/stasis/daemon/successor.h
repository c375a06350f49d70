// SPDX-License-Identifier: Apache-2.0
//
// successor.h: a process that is to go on in the place of a daemon, as whoever offers that sees it.

#ifndef STASIS_CMD_STASIS_DAEMON_SUCCESSOR_H_
#define STASIS_CMD_STASIS_DAEMON_SUCCESSOR_H_

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <sys/types.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cmd/stasis/daemon/takeover_channel.h"
#include "restore/handover.h"
#include "state/registry.h"

namespace stasis::cli {

// The steps, in this order. A failed one ends the process, with its group, before it returns: then
// whoever offers can go on as if nothing had been. Belongs to one thread.
class Successor {
 public:
  // Runs `binary`, with no more descriptors than the standard ones and its end of the channel. Once
  // `cancel` (borrowed; null for never) is true, steps fail with kCancelled. `opened`: a descriptor
  // of the program, if by now its path may lead to another file; or -1.
  // Errors: kFailedPrecondition, with the reason.
  static absl::StatusOr<std::unique_ptr<Successor>> Start(const std::string& binary,
                                                          const std::atomic<bool>* cancel = nullptr,
                                                          int opened = -1);
  // Ends the process, unless it serves.
  ~Successor();
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& version() const { return version_; }
  // Whether it does requests again with what was answered to them, and knows of backings from the
  // journal.
  bool takes_answers() const { return takes_answers_; }

  // Errors: kUnimplemented if it speaks another protocol, or does not know a type of `registry`;
  // kFailedPrecondition if it is no such program; kDeadlineExceeded.
  absl::Status Greet(const state::Registry& registry, absl::Time deadline);
  // Has it get ready for as much memory as the offering process has. Errors: as Offer.
  absl::Status Prepare(absl::Time deadline);
  // Hands over, and waits until it has loaded all. What it says of that. Calls `meanwhile` again
  // and again, whose error is one of this. Errors: what it says; kInternal if it ends;
  // kDeadlineExceeded.
  absl::StatusOr<nlohmann::json> Offer(const restore::Parcel& parcel, absl::Time deadline,
                                       absl::FunctionRef<absl::Status()> meanwhile);
  // Tells it what the end is, and gives it what there is only now; null: nothing. Errors: as Offer.
  absl::StatusOr<nlohmann::json> Finish(nlohmann::json end, const restore::Parcel* late,
                                        absl::Time deadline);
  // Lets it serve. From then on it is nobody's but its own. A cancel leaves it a moment for that.
  // Errors: as Offer; with serves(), it had begun, and nobody can go on in its place.
  absl::Status Commit(absl::Time deadline);
  bool serves() const { return serves_; }
  // Waits for the rest of its start. Errors: as Offer, but it lives on.
  absl::Status AwaitSettled(absl::Time deadline);

 private:
  Successor(std::string binary, pid_t pid, TakeoverChannel channel, const std::atomic<bool>* cancel)
      : binary_(std::move(binary)), pid_(pid), cancel_(cancel), channel_(std::move(channel)) {}
  // TakeoverChannel::Hear, until the cancel or an error of `meanwhile`.
  absl::StatusOr<nlohmann::json> Await(
      const char* what, absl::Time deadline,
      absl::FunctionRef<absl::Status()> meanwhile = absl::OkStatus);
  // Ends the process. The error, with how it ended if it did by itself.
  absl::Status Fail(const absl::Status& error, const char* when);
  void End();

  const std::string binary_;
  const pid_t pid_;
  const std::atomic<bool>* const cancel_;
  TakeoverChannel channel_;
  bool ended_ = false;
  int wait_status_ = 0;
  bool killed_ = false;  // by us
  bool serves_ = false;
  std::string version_;
  bool takes_answers_ = false;
};

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_SUCCESSOR_H_
