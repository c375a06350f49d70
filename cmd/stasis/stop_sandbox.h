// SPDX-License-Identifier: Apache-2.0
//
// stop_sandbox.h: finds running sandboxes and ends them.

#ifndef STASIS_CMD_STASIS_STOP_SANDBOX_H_
#define STASIS_CMD_STASIS_STOP_SANDBOX_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <string>

#include "cmd/control/client.h"
#include "cmd/sandbox/runtime_dir.h"

namespace stasis::cli {

// Errors: kNotFound if there is no sandbox of that name, kInvalidArgument; kFailedPrecondition if
// it may be somebody else's.
absl::StatusOr<sandbox::RuntimeDir> FindSandbox(const std::string& name);

// Its control socket. Errors: kNotFound if the daemon is dead, kUnavailable if it starts or ends.
absl::StatusOr<std::unique_ptr<control::Client>> ConnectTo(const sandbox::RuntimeDir& dir);

// The error for a sandbox whose daemon is dead: with the remedy, and what it said in the end.
absl::Status DeadSandbox(const sandbox::RuntimeDir& dir);

// Asks the daemon to ask the programs to end and to kill them after `grace`; one that is only
// starting, to give up. Errors: kNotFound if the sandbox is gone.
absl::Status AskToStop(const sandbox::RuntimeDir& dir, absl::Duration grace);
// Waits for the end of a daemon that was asked, and clears up what it leaves.
// Errors: kDeadlineExceeded.
absl::Status AwaitEnd(const sandbox::RuntimeDir& dir, absl::Duration grace);
// Both.
absl::Status StopSandbox(const sandbox::RuntimeDir& dir, absl::Duration grace);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_STOP_SANDBOX_H_
