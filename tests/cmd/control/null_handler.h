// SPDX-License-Identifier: Apache-2.0
//
// null_handler.h: a handler that can do nothing, for tests to derive from.

#ifndef STASIS_TESTS_CMD_CONTROL_NULL_HANDLER_H_
#define STASIS_TESTS_CMD_CONTROL_NULL_HANDLER_H_

#include <atomic>
#include <memory>
#include <string>

#include "cmd/control/server.h"

namespace stasis::control {

class NullHandler : public Handler {
 public:
  absl::StatusOr<Info> GetInfo() override { return Info{}; }
  absl::StatusOr<Report> Checkpoint(const CheckpointParams&, const ProgressCallback&,
                                    const std::atomic<bool>*) override {
    return Report{};
  }
  absl::StatusOr<Report> Diff(const ProgressCallback&, const std::atomic<bool>*) override {
    return Report{};
  }
  absl::StatusOr<Report> Commit(const CommitParams&, const ProgressCallback&,
                                const std::atomic<bool>*) override {
    return Report{};
  }
  absl::StatusOr<Report> Rollback(const RollbackParams&, const ProgressCallback&,
                                  const std::atomic<bool>*) override {
    return Report{};
  }
  absl::StatusOr<Report> Fork(const std::atomic<bool>*) override {
    return absl::UnimplementedError("fork");
  }
  absl::StatusOr<Report> Upgrade(const UpgradeParams&, const std::atomic<bool>*) override {
    return absl::UnimplementedError("upgrade");
  }
  absl::StatusOr<Report> AddMount(const MountParams&) override { return Report{}; }
  absl::StatusOr<Report> RemoveMount(const std::string&, bool) override { return Report{}; }
  absl::StatusOr<Report> GetConfig() override { return Report{}; }
  absl::StatusOr<Report> OpenFiles() override { return Report{}; }
  absl::StatusOr<std::unique_ptr<EventSource>> Events(bool) override {
    return absl::UnimplementedError("events");
  }
  absl::Status Stop(absl::Duration) override { return absl::OkStatus(); }
  void OnError(const absl::Status&) override {}
};

}  // namespace stasis::control

#endif  // STASIS_TESTS_CMD_CONTROL_NULL_HANDLER_H_
