// SPDX-License-Identifier: Apache-2.0
//
// service.h: what a daemon answers on its control socket.

#ifndef STASIS_CMD_STASIS_DAEMON_SERVICE_H_
#define STASIS_CMD_STASIS_DAEMON_SERVICE_H_

#include <atomic>
#include <string>

#include "cmd/control/server.h"
#include "cmd/stasis/daemon/box.h"

namespace stasis::cli {

// Thread-safe.
class Service final : public control::Handler {
 public:
  // `box` is borrowed.
  explicit Service(Box& box) : box_(box) {}

  absl::StatusOr<control::Info> GetInfo() override;
  absl::StatusOr<control::Report> Checkpoint(const control::CheckpointParams& params,
                                             const control::ProgressCallback& on_progress,
                                             const std::atomic<bool>* cancel) override;
  absl::StatusOr<control::Report> Diff(const control::ProgressCallback& on_progress,
                                       const std::atomic<bool>* cancel) override;
  absl::StatusOr<control::Report> Commit(const control::CommitParams& params,
                                         const control::ProgressCallback& on_progress,
                                         const std::atomic<bool>* cancel) override;
  absl::StatusOr<control::Report> Rollback(const control::RollbackParams& params,
                                           const control::ProgressCallback& on_progress,
                                           const std::atomic<bool>* cancel) override;
  absl::StatusOr<control::Report> Fork(const std::atomic<bool>* cancel) override;
  absl::StatusOr<control::Report> Upgrade(const control::UpgradeParams& params,
                                          const std::atomic<bool>* cancel) override;
  absl::StatusOr<control::Report> AddMount(const control::MountParams& params) override;
  absl::StatusOr<control::Report> RemoveMount(const std::string& target, bool detach) override;
  absl::StatusOr<control::Report> GetConfig() override;
  absl::StatusOr<control::Report> OpenFiles() override;
  absl::StatusOr<std::unique_ptr<control::EventSource>> Events(bool reads) override;
  absl::Status Stop(absl::Duration grace) override;
  void OnError(const absl::Status& error) override;

 private:
  void DescribeStart(control::Info& info) const;

  Box& box_;
};

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_SERVICE_H_
