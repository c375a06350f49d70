// SPDX-License-Identifier: Apache-2.0
//
// stasis: sandbox filesystems that can be saved and brought back.

#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/types.h"
#include "restore/exit_code.h"

namespace stasis::cli {
namespace {

constexpr const char kFooter[] =
    "DIR:TAG names a tag in an OCI image layout directory.\n\n"
    "Exit codes: 0 done; 1 failure; 2 wrong usage; 3 done, but for what was\n"
    "reported; 4 the host is not what the image saw; 5 damaged image; 6 image of a\n"
    "newer version; 8 busy; 9 no space; 10 not found; 130 interrupted.\n"
    "`run`, `exec` and `restore` give the exit code of their CMD.\n\n"
    "`stasis COMMAND --help` says more; `stasis check`, whether this host can do it.";

// Takes "-- CMD..." off the command line.
std::vector<std::string> TakeCommand(int argc, char** argv, Invocation& invocation) {
  std::vector<std::string> before;
  for (int i = 1; i < argc; ++i) {
    if (invocation.has_command)
      invocation.command.emplace_back(argv[i]);
    else if (std::string_view(argv[i]) == "--")
      invocation.has_command = true;
    else
      before.emplace_back(argv[i]);
  }
  return before;
}

void AddCommands(CLI::App& app, Invocation& invocation) {
  for (const auto add :
       {AddRun,    AddExec,       AddPs,      AddStop,     AddConfig,    AddMountAdd, AddUmount,
        AddCommit, AddCheckpoint, AddRestore, AddRollback, AddFork,      AddUpgrade,  AddDiff,
        AddDrift,  AddTakeover,   AddImport,  AddExport,   AddMount,     AddServe,    AddLog,
        AddRm,     AddGc,         AddSquash,  AddCopy,     AddInspect,   AddHandles,  AddEvents,
        AddVerify, AddLayers,     AddCheck,   AddVersion,  AddCompletion})
    add(app, invocation);
}

bool TakesCommand(const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands())
    if (const std::string name = command->get_name();
        name == "run" || name == "exec" || name == "restore" || name == "fork")
      return true;
  return false;
}

// What is wrong, with the help that says how it is right.
int UsageError(const CLI::App& app, std::string message, bool json) {
  const std::vector<CLI::App*> commands = app.get_subcommands();
  absl::StrAppend(&message, "; try: stasis ", commands.empty() ? "" : commands[0]->get_name() + " ",
                  "--help");
  return Fail(absl::InvalidArgumentError(message), json);
}

int Run(int argc, char** argv) {
  CLI::App app("Sandbox filesystems that can be saved and brought back.", "stasis");
  Invocation invocation;
  app.require_subcommand(1);
  app.set_version_flag("--version", Creator());
  app.footer(kFooter);
  AddCommands(app, invocation);
  std::vector<std::string> arguments = TakeCommand(argc, argv, invocation);
  const bool json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
  std::reverse(arguments.begin(), arguments.end());  // as parse() wants them
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::string message = error.what();
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && TakesCommand(app) &&
        !invocation.has_command)
      message += "; a program and its arguments stand after --";
    return UsageError(app, std::move(message), json);
  }
  if (invocation.has_command && !TakesCommand(app))
    return UsageError(app, "only run, exec, restore and fork take a command after --", json);
  return invocation.action();
}

// A pipe or a socket with the number of a standard descriptor would be written to by everybody.
void OpenStandardDescriptors() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", O_RDWR);
}

}  // namespace
}  // namespace stasis::cli

int main(int argc, char** argv) {
  stasis::cli::OpenStandardDescriptors();
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  try {
    return stasis::cli::Run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "stasis: {}\n", error.what());
    return static_cast<int>(stasis::restore::ExitCode::kFailure);
  }
}
