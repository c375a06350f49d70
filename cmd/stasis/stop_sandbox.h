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

// Errors: kNotFound if there is no sandbox of that name, kInvalidArgument.
absl::StatusOr<sandbox::RuntimeDir> FindSandbox(const std::string& name);

// Its control socket. Errors: kUnavailable if the daemon is dead, with the remedy.
absl::StatusOr<std::unique_ptr<control::Client>> ConnectTo(const sandbox::RuntimeDir& dir);

// Asks its programs to end, kills them after `grace`, and waits for the end of the daemon. Of a
// daemon that is dead it clears up what is left. Errors: kNotFound, kDeadlineExceeded.
absl::Status StopSandbox(const sandbox::RuntimeDir& dir, absl::Duration grace);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_STOP_SANDBOX_H_
