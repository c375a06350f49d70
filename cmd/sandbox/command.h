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
  // Without a terminal: a session of its own, input from /dev/null, output to this host file.
  std::string detached_output;
};

// Starts it and returns its process number. Requires: one thread.
// Errors: kNotFound if there is no such program or directory, kPermissionDenied if it cannot be
// run, kFailedPrecondition if the sandbox cannot be entered.
absl::StatusOr<pid_t> StartCommand(const Place& place, const Command& command);

// Waits for its end, passing on SIGTERM and SIGHUP and leaving the terminal's signals to it. The
// exit code as a shell gives it: 128 + the number of the signal that killed it.
int WaitForCommand(pid_t pid);

// The exit code of a command that could not be started: 127 if not found, 126 if not executable.
int ExitCodeOfStart(const absl::Status& status);

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_COMMAND_H_
