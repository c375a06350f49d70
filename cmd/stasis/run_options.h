// SPDX-License-Identifier: Apache-2.0
//
// run_options.h: what `run` and `restore` have in common: a sandbox, and a command in it.

#ifndef STASIS_CMD_STASIS_RUN_OPTIONS_H_
#define STASIS_CMD_STASIS_RUN_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/host_options.h"
#include "cmd/stasis/memory_options.h"
#include "cmd/stasis/progress_line.h"
#include "fsimpl/gofer/fd_cache.h"

namespace stasis::cli {

// As on the command line.
struct RunOptions {
  std::string name;
  std::string reference;           // restore only
  std::string fork_of;             // fork only: the sandbox
  nlohmann::ordered_json forked;   // what that said (daemon/tasks.h)
  HostOptions host;                // run: only the roots
  std::string prefetch = "trace";  // restore only
  std::string handles = "drop";    // restore only
  std::vector<std::string> mounts;
  std::string rootfs;
  std::string rootfs_options;
  std::string upper = "memory";
  std::vector<std::string> tmpfs;
  uint32_t fd_limit = gofer::kDefaultFdLimit;
  std::vector<std::string> imports;
  std::vector<std::string> binds;
  std::string system = "auto";
  std::string freezer = "auto";
  std::string workdir = "/";
  std::vector<std::string> environment;
  bool clear_environment = false;
  std::string hostname;
  MemoryOptions memory;
  std::string size_limit;
  std::string inode_limit;
  bool list_handles = false;  // restore only
  std::string companion;      // restore only
  bool detach = false;
  bool keep = false;
  bool keeper = false;
  bool json = false;
  ProgressMode progress = ProgressMode::kAuto;
  std::string config_file;
  nlohmann::ordered_json config;  // the options, by name; set when they are read
};

void AddSandboxOptions(CLI::App& command, RunOptions& options);
// Of a fork: what it does not take over from the sandbox.
void AddForkOptions(CLI::App& command, RunOptions& options);

// Reads the rest of the options from the file that they name, starts the sandbox, runs the command
// in it, and ends the sandbox. `command` is where the options were read. Returns the exit code.
int RunSandbox(RunOptions& options, CLI::App& command, const Invocation& invocation);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_RUN_OPTIONS_H_
