// SPDX-License-Identifier: Apache-2.0
//
// life.h: what every daemon does, whether it made its sandbox (daemon.h) or goes on with another
// one's (takeover.h).

#ifndef STASIS_CMD_STASIS_DAEMON_LIFE_H_
#define STASIS_CMD_STASIS_DAEMON_LIFE_H_

#include <absl/status/status.h>

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "cmd/control/server.h"
#include "cmd/sandbox/cgroup.h"
#include "cmd/stasis/daemon/box.h"
#include "cmd/stasis/daemon/daemon.h"
#include "cmd/stasis/daemon/keeping.h"
#include "cmd/stasis/daemon/service.h"
#include "state/base/unique_fd.h"

namespace stasis::cli {

// Of one thread but for the parts.
class Life {
 public:
  // With `keeping`, the options have its journal.
  explicit Life(const DaemonOptions& options, std::unique_ptr<Keeping> keeping = nullptr)
      : options_(options), keeping_(std::move(keeping)), box_(options), service_(box_) {
    box_.SetKeeping(keeping_.get());
  }

  const DaemonOptions& options() const { return options_; }
  Box& box() { return box_; }

  // Requires: one thread.
  absl::Status WatchSignals();
  // `cgroups` may exist, and are to be cleared up.
  absl::Status WriteRecord(std::vector<sandbox::Cgroup> cgroups);
  // Who calls is answered from now on; or once PublishControl was called, if another daemon listens
  // still.
  absl::Status StartControl();
  absl::Status PrepareControl();
  absl::Status PublishControl() { return control_->Publish(); }

  // Readable when there is a signal, for Terminated().
  int signals() const { return signals_.get(); }
  // Whether there was a SIGTERM.
  bool Terminated();
  const std::atomic<bool>& terminated() const { return terminated_; }

  // Returns when the sandbox has to end.
  void Wait();
  // Ends it, unless it is another process's by now: then it ends this process.
  void End();

 private:
  bool InitEnded();

  const DaemonOptions options_;
  UniqueFd signals_;
  std::atomic<bool> terminated_{false};     // by SIGTERM
  const std::unique_ptr<Keeping> keeping_;  // outlives the servers, which use its journal
  Box box_;
  Service service_;
  std::unique_ptr<control::Server> control_;
};

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_LIFE_H_
