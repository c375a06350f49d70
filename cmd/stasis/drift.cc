// SPDX-License-Identifier: Apache-2.0

#include "restore/drift.h"

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/host_options.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/types.h"
#include "restore/exit_code.h"

namespace stasis::cli {
namespace {

struct DriftOptions {
  std::string reference;
  HostOptions host;
  bool json = false;
};

int Drift(const DriftOptions& options) {
  const absl::StatusOr<HostRoots> roots = ReadHostOptions(options.host);
  if (!roots.ok()) return Fail(roots.status(), options.json);
  const Types types;
  absl::StatusOr<restore::RestoreRequest> request = types.Request(options.reference);
  if (!request.ok()) return Fail(request.status(), options.json);
  roots->ApplyTo(*request);
  request->cancel = CatchInterrupts();
  const absl::StatusOr<restore::DriftReport> report = restore::DriftOf(*request);
  if (!report.ok()) return Fail(NameTags(report.status(), *request), options.json);
  const int printed = options.json ? PrintJson(nlohmann::ordered_json::parse(report->ToJson()))
                                   : Print(report->ToText());
  if (printed != 0) return printed;
  return report->findings.empty() ? 0 : static_cast<int>(restore::ExitCode::kDrift);
}

}  // namespace

void AddDrift(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("drift", "Say how host files differ from what an image saw of them");
  auto options = std::make_shared<DriftOptions>();
  command->add_option("image", options->reference, "The image")->required()->type_name("DIR:TAG");
  AddRootOptions(*command, options->host);
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->footer(
      "Restores and changes nothing. Exit code 4: there are differences.\n\n"
      "  stasis drift snaps:v1 --root data=/mnt/copy --validate all");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Drift(*options); }; });
}

}  // namespace stasis::cli
