// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/str_split.h>

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/handle_report.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/stop_sandbox.h"

namespace stasis::cli {
namespace {

struct HandlesOptions {
  std::string what;
  bool json = false;
};

absl::StatusOr<control::Report> HandlesOfSandbox(const std::string& name) {
  absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(name);
  if (!dir.ok()) return dir.status();
  absl::StatusOr<std::unique_ptr<control::Client>> client = ConnectTo(*dir);
  if (!client.ok()) return client.status();
  return (*client)->OpenFiles();
}

}  // namespace

int PrintHandles(const absl::StatusOr<control::Report>& report, bool json) {
  if (!report.ok()) return Fail(report.status(), json);
  if (json) return PrintJson(nlohmann::ordered_json::parse(report->json, nullptr, false));
  return Print(report->text);
}

int PrintHandlesOfImage(const std::string& reference, bool json) {
  const Types types;
  return PrintHandles(HandlesOfImage(types, reference), json);
}

void AddHandles(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "handles", "List what is open in a sandbox, or was when an image was made, and by whom");
  auto options = std::make_shared<HandlesOptions>();
  command->add_option("name", options->what, "A running sandbox, or an image")
      ->required()
      ->type_name("NAME|DIR:TAG");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Descriptors, working directories and mappings of each process, with flags, offset and\n"
      "locks; what the server itself holds open; deleted files that a restore with\n"
      "`--handles keep` has kept, or, of an image, would keep.\n\n"
      "  stasis handles box\n"
      "  stasis handles snaps:v1 --json");
  command->callback([options, &invocation] {
    invocation.action = [options] {
      if (options->what.find(':') != std::string::npos)
        return PrintHandlesOfImage(options->what, options->json);
      return PrintHandles(HandlesOfSandbox(options->what), options->json);
    };
  });
}

}  // namespace stasis::cli
