// SPDX-License-Identifier: Apache-2.0

#include "restore/inspect.h"

#include <cstdio>
#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/types.h"

namespace stasis::cli {
namespace {

struct InspectOptions {
  std::string reference;
  bool tree = false;
  bool json = false;
};

int PrintTree(const restore::RestoreRequest& request, bool json) {
  const absl::Status status = restore::ListTree(request, [json](const restore::TreeEntry& entry) {
    PrintLine(json ? restore::TreeEntryToJson(entry) : restore::FormatTreeEntry(entry));
    return std::ferror(stdout) == 0;
  });
  return status.ok() ? FlushLines() : Fail(NameTags(status, request), json);
}

int Inspect(const InspectOptions& options) {
  const Types types;
  absl::StatusOr<restore::RestoreRequest> request = types.Request(options.reference);
  if (!request.ok()) return Fail(request.status(), options.json);
  if (options.tree) return PrintTree(*request, options.json);
  absl::StatusOr<restore::ImageSummary> summary = restore::Inspect(*request);
  if (!summary.ok()) return Fail(NameTags(summary.status(), *request), options.json);
  return Print(options.json ? summary->ToJson() : summary->ToText());
}

}  // namespace

void AddInspect(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("inspect", "Say what is in an image, without restoring it");
  auto options = std::make_shared<InspectOptions>();
  command->add_option("image", options->reference, "The image")->required()->type_name("DIR:TAG");
  command->add_flag("--tree", options->tree, "List every name of the tree");
  command->add_flag("--json", options->json, "Print JSON (with --tree: an object per line)");
  command->footer("  stasis inspect snaps:v1 --tree");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Inspect(*options); }; });
}

}  // namespace stasis::cli
