// SPDX-License-Identifier: Apache-2.0
//
// command.h: a program started inside a running sandbox.
//
// The program is a child of the caller, although it lives in the sandbox's namespaces and cgroup:
// it has the caller's terminal, and its end is the caller's to see. When the caller dies before it,
// it runs on. A detached program is init's child from the start.

#ifndef STASIS_CMD_SANDBOX_COMMAND_H_
#define STASIS_CMD_SANDBOX_COMMAND_H_

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "cmd/sandbox/signal_relay.h"

namespace stasis::sandbox {

// Where to start it.
struct Place {
  pid_t init_pid = 0;
  bool rootless = false;
  std::string cgroup;  // empty: none
  int cgroup_version = 0;
};

struct Command {
  std::vector<std::string> arguments;    // the program first
  std::vector<std::string> environment;  // "NAME=VALUE", added to the caller's; "NAME" removes
  std::string directory = "/";
  bool clear_environment = false;  // of the caller's, but for a PATH
  // Without a terminal: a session of its own, input from /dev/null, output to this host file.
  std::string detached_output;
};

// Errors: kInvalidArgument if an entry of an environment is not one.
absl::Status CheckEnvironment(const std::vector<std::string>& entries);

// Starts it and returns its process number. Of descriptors it gets the standard ones, of signals
// what `signals` remembers. Requires: one thread.
// Errors: kNotFound if there is no such program or directory, kPermissionDenied if it cannot be
// run or entered, kFailedPrecondition if the sandbox cannot be entered.
absl::StatusOr<pid_t> StartCommand(const Place& place, const Command& command,
                                   const SignalRelay& signals);

// The exit code of a command that could not be started: 127 if not found, 126 if not executable.
int ExitCodeOfStart(const absl::Status& status);

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_COMMAND_H_
