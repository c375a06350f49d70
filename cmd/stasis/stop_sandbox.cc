// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/stop_sandbox.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <signal.h>

#include "cmd/stasis/launch.h"

namespace stasis::cli {
namespace {

constexpr absl::Duration kEndTimeout = absl::Seconds(30);
// A daemon that has just taken the name has no record yet.
constexpr absl::Duration kRecordTimeout = absl::Seconds(5);
constexpr absl::Duration kInterval = absl::Milliseconds(5);
constexpr int kAskIntervalMs = 500;

absl::Status AskOnce(const sandbox::RuntimeDir& dir, absl::Duration grace) {
  absl::StatusOr<std::unique_ptr<control::Client>> client =
      control::Client::Connect(dir.socket_path());
  if (absl::IsPermissionDenied(client.status())) return client.status();
  // Without a socket it is starting or ending.
  if (!client.ok()) return dir.SignalDaemon(SIGTERM);
  const absl::Status asked = (*client)->Stop(grace);
  return absl::IsDeadlineExceeded(asked) ? dir.SignalDaemon(SIGKILL) : asked;
}

constexpr absl::Duration kRecoveryTime = absl::Seconds(2);
constexpr absl::Duration kConnectInterval = absl::Milliseconds(10);

bool IsKept(const sandbox::RuntimeDir& dir) {
  const absl::StatusOr<sandbox::Record> record = dir.ReadRecord();
  return record.ok() && record->keeper_pid != 0;
}

}  // namespace

absl::StatusOr<sandbox::RuntimeDir> FindSandbox(const std::string& name) {
  if (absl::Status ok = sandbox::CheckName(name); !ok.ok()) return ok;
  const sandbox::RuntimeDir dir(sandbox::RuntimeRoot(), name);
  if (!dir.Exists())
    return absl::NotFoundError(
        absl::StrCat("there is no sandbox named '", name, "'; `stasis ps` lists those that run"));
  if (absl::Status ours = dir.CheckOwner(); !ours.ok()) return ours;
  return dir;
}

absl::StatusOr<std::unique_ptr<control::Client>> ConnectTo(const sandbox::RuntimeDir& dir) {
  if (!dir.Alive()) return DeadSandbox(dir);
  absl::StatusOr<std::unique_ptr<control::Client>> client =
      control::Client::Connect(dir.socket_path());
  // With a keeper another daemon is there in a moment, if this one has died.
  const absl::Time deadline = absl::Now() + kRecoveryTime;
  while (!client.ok() && !absl::IsPermissionDenied(client.status()) && absl::Now() < deadline &&
         IsKept(dir) && dir.Alive()) {
    absl::SleepFor(kConnectInterval);
    client = control::Client::Connect(dir.socket_path());
  }
  if (client.ok() || absl::IsPermissionDenied(client.status())) return client;
  return absl::UnavailableError(
      absl::StrCat("sandbox '", dir.name(), "' is starting or ending; try again"));
}

absl::Status DeadSandbox(const sandbox::RuntimeDir& dir) {
  return absl::NotFoundError(absl::StrCat("the daemon of sandbox '", dir.name(),
                                          "' is dead; clear up with: stasis stop ", dir.name(),
                                          LogNote(dir.log_path())));
}

absl::Status AskToStop(const sandbox::RuntimeDir& dir, absl::Duration grace) {
  if (!dir.Exists()) return absl::NotFoundError("the sandbox has ended already");
  const absl::Time deadline = absl::Now() + kRecordTimeout;
  absl::Status asked;
  while (dir.Alive()) {
    asked = AskOnce(dir, grace);
    if (asked.ok()) return asked;
    // It may have ended while it was asked.
    if (!dir.Alive()) break;
    if (!absl::IsNotFound(asked) || absl::Now() > deadline) return asked;
    absl::SleepFor(kInterval);
  }
  return absl::OkStatus();
}

absl::Status AwaitEnd(const sandbox::RuntimeDir& dir, absl::Duration grace) {
  const absl::Time deadline = absl::Now() + grace + kEndTimeout;
  bool dead = dir.WaitUntilDead(kAskIntervalMs);
  for (; !dead && absl::Now() < deadline; dead = dir.WaitUntilDead(kAskIntervalMs)) {
    // The one that was asked may have died just then, and another gone on.
    if (IsKept(dir)) (void)AskOnce(dir, grace);
  }
  if (!dead) {
    if (absl::Status killed = dir.SignalDaemon(SIGKILL); !killed.ok() && !absl::IsNotFound(killed))
      return killed;
    if (!dir.WaitUntilDead(5000))
      return absl::DeadlineExceededError(
          absl::StrCat("sandbox '", dir.name(), "' does not end; look into ", dir.log_path()));
  }
  return dir.CleanUpIfDead();
}

absl::Status StopSandbox(const sandbox::RuntimeDir& dir, absl::Duration grace) {
  if (absl::Status asked = AskToStop(dir, grace); !asked.ok()) return asked;
  return AwaitEnd(dir, grace);
}

}  // namespace stasis::cli
