// SPDX-License-Identifier: Apache-2.0
//
// commands.h: the subcommands, each in a file of its name.

#ifndef STASIS_CMD_STASIS_COMMANDS_H_
#define STASIS_CMD_STASIS_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace stasis::cli {

// What the command line asks for.
struct Invocation {
  // What stands after "--": a program and its arguments.
  std::vector<std::string> command;
  bool has_command = false;
  // The chosen subcommand; returns the exit code.
  std::function<int()> action;
};

// Each adds one subcommand to `app`, whose callback sets the action. `invocation` outlives `app`.
void AddRun(CLI::App& app, Invocation& invocation);
void AddExec(CLI::App& app, Invocation& invocation);
void AddPs(CLI::App& app, Invocation& invocation);
void AddStop(CLI::App& app, Invocation& invocation);
void AddCheckpoint(CLI::App& app, Invocation& invocation);
void AddRollback(CLI::App& app, Invocation& invocation);
void AddTakeover(CLI::App& app, Invocation& invocation);
void AddUpgrade(CLI::App& app, Invocation& invocation);
void AddRestore(CLI::App& app, Invocation& invocation);
void AddDiff(CLI::App& app, Invocation& invocation);
void AddDrift(CLI::App& app, Invocation& invocation);
void AddImport(CLI::App& app, Invocation& invocation);
void AddExport(CLI::App& app, Invocation& invocation);
void AddMount(CLI::App& app, Invocation& invocation);
void AddServe(CLI::App& app, Invocation& invocation);
void AddMountAdd(CLI::App& app, Invocation& invocation);
void AddUmount(CLI::App& app, Invocation& invocation);
void AddConfig(CLI::App& app, Invocation& invocation);
void AddCommit(CLI::App& app, Invocation& invocation);
void AddFork(CLI::App& app, Invocation& invocation);
void AddLog(CLI::App& app, Invocation& invocation);
void AddRm(CLI::App& app, Invocation& invocation);
void AddGc(CLI::App& app, Invocation& invocation);
void AddSquash(CLI::App& app, Invocation& invocation);
void AddCopy(CLI::App& app, Invocation& invocation);
void AddLayers(CLI::App& app, Invocation& invocation);
void AddInspect(CLI::App& app, Invocation& invocation);
void AddHandles(CLI::App& app, Invocation& invocation);
void AddEvents(CLI::App& app, Invocation& invocation);
void AddVerify(CLI::App& app, Invocation& invocation);
void AddCheck(CLI::App& app, Invocation& invocation);
void AddVersion(CLI::App& app, Invocation& invocation);
void AddCompletion(CLI::App& app, Invocation& invocation);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_COMMANDS_H_
