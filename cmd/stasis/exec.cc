// SPDX-License-Identifier: Apache-2.0

#include <memory>

#include "cmd/sandbox/command.h"
#include "cmd/stasis/commands.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/stop_sandbox.h"

namespace stasis::cli {
namespace {

struct ExecOptions {
  std::string name;
  std::string workdir;
  std::vector<std::string> environment;
  bool clear_environment = false;
};

absl::StatusOr<control::Info> InfoOf(const std::string& name) {
  absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(name);
  if (!dir.ok()) return dir.status();
  // The connection is closed, and its thread's event loop gone, before anything is forked.
  absl::StatusOr<std::unique_ptr<control::Client>> client = ConnectTo(*dir);
  return client.ok() ? (*client)->GetInfo() : client.status();
}

int Exec(const ExecOptions& options, const Invocation& invocation) {
  sandbox::SignalRelay signals;
  if (absl::Status ok = sandbox::CheckEnvironment(options.environment); !ok.ok()) return Fail(ok);
  absl::StatusOr<control::Info> info = InfoOf(options.name);
  if (!info.ok()) return Fail(info.status());
  if (info->activity == "rolling back")
    return Fail(
        absl::UnavailableError(options.name + " is rolling back; try again when that is done"));
  sandbox::Command command;
  command.arguments = invocation.command;
  if (command.arguments.empty()) command.arguments = {"/bin/sh"};
  command.environment = info->environment;
  command.environment.insert(command.environment.end(), options.environment.begin(),
                             options.environment.end());
  command.clear_environment = options.clear_environment;
  command.directory = options.workdir.empty() ? info->workdir : options.workdir;
  signals.Hold();
  absl::StatusOr<pid_t> pid = sandbox::StartCommand(
      {info->init_pid, info->rootless, info->cgroup, info->cgroup_version}, command, signals);
  if (pid.ok()) return signals.Wait(*pid);
  Fail(pid.status());
  return sandbox::ExitCodeOfStart(pid.status());
}

}  // namespace

void AddExec(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("exec", "Run another program in a running sandbox");
  auto options = std::make_shared<ExecOptions>();
  command->add_option("name", options->name, "The sandbox")->required()->type_name("NAME");
  command->add_option("--workdir", options->workdir, "Where CMD starts (default: as for run)")
      ->type_name("DIR");
  command
      ->add_option("--env", options->environment,
                   "Set (NAME=VALUE) or remove (NAME), after what run was given; repeatable")
      ->type_name("NAME[=VALUE]")
      ->expected(1)
      ->take_all();
  command->add_flag("--clear-env", options->clear_environment,
                    "Hand on nothing of your environment; CMD gets a PATH, and what --env says");
  command->footer(
      "CMD (default: /bin/sh) stands after --. The exit code is CMD's, 128 + the signal\n"
      "that killed it, or 126 or 127 if it could not be started.\n\n"
      "  stasis exec box -- ls -l /");
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] { return Exec(*options, invocation); };
  });
}

}  // namespace stasis::cli
