// SPDX-License-Identifier: Apache-2.0
//
// daemon.h: the process that owns a running sandbox.

#ifndef STASIS_CMD_STASIS_DAEMON_DAEMON_H_
#define STASIS_CMD_STASIS_DAEMON_DAEMON_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cmd/sandbox/runtime_dir.h"
#include "cmd/sandbox/sandbox.h"
#include "cmd/stasis/content.h"
#include "cmd/stasis/launch.h"
#include "cmd/stasis/memory_options.h"
#include "state/base/unique_fd.h"

namespace stasis::cli {

struct DaemonOptions {
  sandbox::RuntimeDir dir{"", ""};
  sandbox::SandboxOptions sandbox;
  ContentOptions content;
  MemoryLimits memory;
  bool keeper = false;  // another daemon is to go on when this one dies
  std::string workdir = "/";
  std::vector<std::string> environment;  // of its first command; `exec` gives it to others
  nlohmann::ordered_json config;         // all of it as options (config_file.h)
};

// Makes the sandbox, says that it is ready, and serves until it is stopped, its init ends, or a
// SIGTERM. `lock` is the sandbox's, held until the end. Returns an exit code.
//
// Requires: one thread.
int RunDaemon(const DaemonOptions& options, UniqueFd lock, StartupLine line);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_DAEMON_H_
