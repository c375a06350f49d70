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

absl::Status StopNamed(const std::string& name, absl::Duration grace) {
  absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(name);
  return dir.ok() ? StopSandbox(*dir, grace) : dir.status();
}

int Stop(StopOptions options) {
  if (options.all)
    for (const sandbox::RuntimeDir& dir : sandbox::RuntimeDir::List(sandbox::RuntimeRoot()))
      options.names.push_back(dir.name());
  if (options.names.empty() && !options.all)
    return Fail(absl::InvalidArgumentError("name a sandbox, or say --all"), options.json);
  int exit_code = 0;
  nlohmann::ordered_json stopped = nlohmann::ordered_json::array();
  for (const std::string& name : options.names) {
    const absl::Status status = StopNamed(name, absl::Seconds(options.timeout));
    stopped.push_back({{"name", name}, {"stopped", status.ok()}, {"error", nullptr}});
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
