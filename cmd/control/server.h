// SPDX-License-Identifier: Apache-2.0
//
// server.h: the daemon's end of the control socket.
//
// One thread runs the event loop. What takes long runs on a thread of its own, so that the socket
// goes on answering. Only root and the user of the daemon are served.

#ifndef STASIS_CMD_CONTROL_SERVER_H_
#define STASIS_CMD_CONTROL_SERVER_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <atomic>
#include <memory>
#include <string>

#include "cmd/control/messages.h"

namespace stasis::control {

// Where events come from. For one thread.
class EventSource {
 public:
  virtual ~EventSource() = default;
  // Those that are there; does not wait.
  virtual Events Take(size_t limit) = 0;
};

// What the daemon does for its callers. Called from several threads.
class Handler {
 public:
  virtual ~Handler() = default;

  virtual absl::StatusOr<Info> GetInfo() = 0;
  // On a thread of its own; may take as long as it needs. `cancel` becomes true when the caller has
  // lost interest; it is borrowed and lives until the return.
  virtual absl::StatusOr<Report> Checkpoint(const CheckpointParams& params,
                                            const ProgressCallback& on_progress,
                                            const std::atomic<bool>* cancel) = 0;
  // Likewise.
  virtual absl::StatusOr<Report> Diff(const ProgressCallback& on_progress,
                                      const std::atomic<bool>* cancel) = 0;
  virtual absl::StatusOr<Report> Commit(const CommitParams& params,
                                        const ProgressCallback& on_progress,
                                        const std::atomic<bool>* cancel) = 0;
  virtual absl::StatusOr<Report> Rollback(const RollbackParams& params,
                                          const ProgressCallback& on_progress,
                                          const std::atomic<bool>* cancel) = 0;
  // These too on a thread of their own.
  virtual absl::StatusOr<Report> Fork(const std::atomic<bool>* cancel) = 0;
  virtual absl::StatusOr<Report> Upgrade(const UpgradeParams& params,
                                         const std::atomic<bool>* cancel) = 0;
  virtual absl::StatusOr<Report> AddMount(const MountParams& params) = 0;
  virtual absl::StatusOr<Report> RemoveMount(const std::string& target, bool detach) = 0;
  virtual absl::StatusOr<Report> GetConfig() = 0;
  virtual absl::StatusOr<Report> OpenFiles() = 0;
  // At once. `reads`: with reads of files.
  virtual absl::StatusOr<std::unique_ptr<EventSource>> Events(bool reads) = 0;
  // Hears what the socket could not do; it goes on.
  virtual void OnError(const absl::Status& error) = 0;
  // Starts the end of the daemon and returns.
  virtual absl::Status Stop(absl::Duration grace) = 0;
};

// Thread-safe.
class Server {
 public:
  // Makes the socket at `path` with mode 0600 and starts to serve it. `handler` is borrowed.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const std::string& path, Handler& handler);
  // The same beside `path`, where another server may listen; nobody comes before Publish.
  static absl::StatusOr<std::unique_ptr<Server>> Prepare(const std::string& path, Handler& handler);
  // Puts it in the other one's place. Errors: of rename(2).
  absl::Status Publish();
  // Cancels and waits for what is going on. Removes the socket.
  ~Server();

 private:
  class Loop;
  explicit Server(std::unique_ptr<Loop> loop);

  std::unique_ptr<Loop> loop_;
};

}  // namespace stasis::control

#endif  // STASIS_CMD_CONTROL_SERVER_H_
