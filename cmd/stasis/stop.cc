// SPDX-License-Identifier: Apache-2.0

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/stop_sandbox.h"

namespace stasis::cli {
namespace {

struct StopOptions {
  std::vector<std::string> names;
  bool all = false;
  double timeout = 5;
  bool json = false;
};

// A sandbox on its way to the end.
struct Ending {
  std::string name;
  absl::StatusOr<sandbox::RuntimeDir> dir;
  absl::Status status;
};

Ending Begin(const std::string& name, absl::Duration grace) {
  Ending ending{name, FindSandbox(name), {}};
  ending.status = ending.dir.ok() ? AskToStop(*ending.dir, grace) : ending.dir.status();
  return ending;
}

int Stop(StopOptions options) {
  if (options.all) {
    const auto dirs = sandbox::RuntimeDir::List(sandbox::RuntimeRoot());
    if (!dirs.ok()) return Fail(dirs.status(), options.json);
    for (const sandbox::RuntimeDir& dir : *dirs) options.names.push_back(dir.name());
  } else if (options.names.empty()) {
    return Fail(absl::InvalidArgumentError("name a sandbox, or say --all"), options.json);
  }
  const absl::Duration grace = absl::Seconds(options.timeout);
  // All are asked before one is waited for, so that they end at the same time.
  std::vector<Ending> endings;
  for (const std::string& name : options.names) endings.push_back(Begin(name, grace));
  int exit_code = 0;
  nlohmann::ordered_json stopped = nlohmann::ordered_json::array();
  for (Ending& ending : endings) {
    if (ending.status.ok()) ending.status = AwaitEnd(*ending.dir, grace);
    // One that has ended by itself since it was listed.
    if (options.all && absl::IsNotFound(ending.status)) continue;
    const absl::Status& status = ending.status;
    stopped.push_back({{"name", ending.name}, {"stopped", status.ok()}, {"error", nullptr}});
    if (status.ok()) continue;
    stopped.back()["error"] = std::string(status.message());
    exit_code = Fail(status);
  }
  if (options.json) (void)PrintJson({{"sandboxes", stopped}});
  return exit_code;
}

}  // namespace

void AddStop(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("stop", "End sandboxes; their filesystems are gone then");
  auto options = std::make_shared<StopOptions>();
  command->add_option("name", options->names, "The sandboxes")->type_name("NAME");
  command->add_flag("--all", options->all, "All of yours");
  command
      ->add_option("--timeout", options->timeout,
                   "Seconds that programs get to end themselves (SIGTERM) before they are killed")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print what was done as JSON");
  command->footer("Of a sandbox whose daemon was killed it removes what is left.");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Stop(*options); }; });
}

}  // namespace stasis::cli
