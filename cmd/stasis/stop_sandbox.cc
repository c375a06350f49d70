// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/stop_sandbox.h"

#include <absl/strings/str_cat.h>
#include <signal.h>

namespace stasis::cli {
namespace {

constexpr absl::Duration kEndTimeout = absl::Seconds(30);

// A daemon that does not answer.
absl::Status KillDaemon(const sandbox::RuntimeDir& dir) {
  absl::StatusOr<sandbox::Record> record = dir.ReadRecord();
  if (!record.ok()) return record.status();
  // The lock is held, so the process lives and has this number.
  if (record->daemon_pid > 1) kill(record->daemon_pid, SIGKILL);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<sandbox::RuntimeDir> FindSandbox(const std::string& name) {
  if (absl::Status ok = sandbox::CheckName(name); !ok.ok()) return ok;
  const sandbox::RuntimeDir dir(sandbox::RuntimeRoot(), name);
  if (dir.Exists()) return dir;
  return absl::NotFoundError(
      absl::StrCat("there is no sandbox named '", name, "'; `stasis ps` lists those that run"));
}

absl::StatusOr<std::unique_ptr<control::Client>> ConnectTo(const sandbox::RuntimeDir& dir) {
  if (!dir.Alive())
    return absl::UnavailableError(absl::StrCat("the daemon of sandbox '", dir.name(),
                                               "' is dead; clear up with: stasis stop ",
                                               dir.name()));
  absl::StatusOr<std::unique_ptr<control::Client>> client =
      control::Client::Connect(dir.socket_path());
  if (client.ok()) return client;
  return absl::UnavailableError(
      absl::StrCat("sandbox '", dir.name(), "' is starting or ending; try again"));
}

absl::Status StopSandbox(const sandbox::RuntimeDir& dir, absl::Duration grace) {
  if (!dir.Alive()) {
    if (!dir.Exists()) return absl::NotFoundError("the sandbox has ended already");
    return dir.CleanUpIfDead();
  }
  absl::Status asked;
  {
    absl::StatusOr<std::unique_ptr<control::Client>> client =
        control::Client::Connect(dir.socket_path());
    asked = client.ok() ? (*client)->Stop(grace) : client.status();
  }
  if (absl::IsDeadlineExceeded(asked)) asked = KillDaemon(dir);
  if (!dir.WaitUntilDead(static_cast<int>(absl::ToInt64Milliseconds(grace + kEndTimeout)))) {
    if (absl::Status killed = KillDaemon(dir); !killed.ok()) return killed;
    if (!dir.WaitUntilDead(5000))
      return absl::DeadlineExceededError(
          absl::StrCat("sandbox '", dir.name(), "' does not end; look into ", dir.log_path()));
  }
  return dir.CleanUpIfDead();
}

}  // namespace stasis::cli
