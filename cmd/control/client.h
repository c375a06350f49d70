// SPDX-License-Identifier: Apache-2.0
//
// client.h: the command line's end of the control socket.

#ifndef STASIS_CMD_CONTROL_CLIENT_H_
#define STASIS_CMD_CONTROL_CLIENT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <atomic>
#include <memory>
#include <string>

#include "cmd/control/messages.h"

namespace stasis::control {

// Belongs to one thread, which may have no other Client.
class Client {
 public:
  // Errors: kUnavailable if nobody listens at `path`; kPermissionDenied if who does is neither root
  // nor our user, unless we are root.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const std::string& path);
  ~Client();

  // Errors of all: the handler's; kNotFound if the daemon ends meanwhile; kDeadlineExceeded.
  absl::StatusOr<Info> GetInfo(absl::Duration timeout = absl::Seconds(10));
  // Waits for the end. When `cancel` becomes true it asks the daemon to give up, and the answer
  // still says what became of the checkpoint; borrowed, null for never.
  absl::StatusOr<Report> Checkpoint(const CheckpointParams& params,
                                    const ProgressCallback& on_progress,
                                    const std::atomic<bool>* cancel);
  absl::StatusOr<Report> Diff(const ProgressCallback& on_progress, const std::atomic<bool>* cancel);
  absl::StatusOr<Report> Commit(const CommitParams& params, const ProgressCallback& on_progress,
                                const std::atomic<bool>* cancel);
  absl::StatusOr<Report> Rollback(const RollbackParams& params, const ProgressCallback& on_progress,
                                  const std::atomic<bool>* cancel);
  absl::StatusOr<Report> Fork();
  absl::StatusOr<Report> Upgrade(const UpgradeParams& params);
  absl::StatusOr<Report> AddMount(const MountParams& params);
  absl::StatusOr<Report> RemoveMount(const std::string& target, bool detach);
  absl::StatusOr<Report> OpenFiles();
  // Calls `on_events` for what happens from now on, often with nothing, until it returns false.
  absl::Status FollowEvents(bool reads, const EventCallback& on_events);
  absl::StatusOr<Report> GetConfig();
  absl::Status Stop(absl::Duration grace);

 private:
  class Connection;
  explicit Client(std::unique_ptr<Connection> connection);

  std::unique_ptr<Connection> connection_;
};

}  // namespace stasis::control

#endif  // STASIS_CMD_CONTROL_CLIENT_H_
