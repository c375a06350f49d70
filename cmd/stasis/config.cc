// SPDX-License-Identifier: Apache-2.0

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/stop_sandbox.h"

namespace stasis::cli {
namespace {

struct ConfigOptions {
  std::string name;
  bool json = false;
};

absl::StatusOr<control::Report> GetConfig(const ConfigOptions& options) {
  absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(options.name);
  if (!dir.ok()) return dir.status();
  absl::StatusOr<std::unique_ptr<control::Client>> client = ConnectTo(*dir);
  if (!client.ok()) return client.status();
  return (*client)->GetConfig();
}

int Config(const ConfigOptions& options) {
  absl::StatusOr<control::Report> config = GetConfig(options);
  if (!config.ok()) return Fail(config.status(), options.json);
  if (options.json) return PrintJson(nlohmann::ordered_json::parse(config->json, nullptr, false));
  std::string& text = config->text;
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return Print(text);
}

}  // namespace

void AddConfig(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("config", "Print the options that a running sandbox was started with");
  auto options = std::make_shared<ConfigOptions>();
  command->add_option("name", options->name, "The sandbox")->required()->type_name("NAME");
  command->add_flag("--json", options->json, "Print them as JSON");
  command->footer(
      "With the mounts that were added since, and without those that were taken away. The\n"
      "first line says what they are for: `run`, or, of a sandbox that was restored or\n"
      "forked, `restore` of a checkpoint of it.\n\n"
      "  stasis config box > box.toml && stasis run --config box.toml --name other");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Config(*options); }; });
}

}  // namespace stasis::cli
