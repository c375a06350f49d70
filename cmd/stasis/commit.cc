// SPDX-License-Identifier: Apache-2.0

#include <memory>

#include "cmd/sandbox/paths.h"
#include "cmd/stasis/commands.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/progress_line.h"
#include "cmd/stasis/stop_sandbox.h"
#include "cmd/stasis/types.h"
#include "restore/oci/reference.h"

namespace stasis::cli {
namespace {

struct CommitOptions {
  std::string name;
  std::string reference;
  control::CommitParams params;
  bool json = false;
  ProgressMode progress = ProgressMode::kAuto;
};

absl::StatusOr<control::Report> MakeCommit(const CommitOptions& options) {
  const absl::StatusOr<oci::ImageReference> to = oci::ParseImageReference(options.reference);
  if (!to.ok()) return to.status();
  if (to->tag.empty())
    return absl::InvalidArgumentError(
        options.reference + " names no tag; write oci:LAYOUT:TAG, such as oci:images:mine");
  control::CommitParams params = options.params;
  params.directory = sandbox::AbsolutePath(to->directory);
  params.tag = to->tag;
  if (absl::Status parent = CheckParent(params.directory); !parent.ok()) return parent;
  absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(options.name);
  if (!dir.ok()) return dir.status();
  absl::StatusOr<std::unique_ptr<control::Client>> client = ConnectTo(*dir);
  if (!client.ok()) return client.status();
  ProgressLine line(options.progress);
  return (*client)->Commit(
      params,
      [&line](const control::Progress& progress) {
        line.Update({progress.phase, progress.done, progress.total, progress.bytes});
      },
      CatchInterrupts());
}

int Commit(const CommitOptions& options) {
  absl::StatusOr<control::Report> report = MakeCommit(options);
  if (!report.ok()) return Fail(report.status(), options.json);
  if (!options.json) return Print(report->text);
  return PrintJson(nlohmann::ordered_json::parse(report->json, nullptr, false));
}

}  // namespace

void AddCommit(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "commit", "Write what a running sandbox has changed as a layer of a container image");
  auto options = std::make_shared<CommitOptions>();
  command->add_option("name", options->name, "The sandbox")->required()->type_name("NAME");
  command->add_option("image", options->reference, "Where to")
      ->required()
      ->type_name("oci:LAYOUT:TAG");
  command->add_option("--compression", options->params.compression, "Of the new layer")
      ->check(CLI::IsMember({"gzip", "zstd", "none"}))
      ->capture_default_str();
  command->add_option("--author", options->params.author, "Who made it")->type_name("TEXT");
  command->add_option("--message,-m", options->params.message, "Why")->type_name("TEXT");
  AddProgressOption(*command, options->progress);
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->footer(
      "For a sandbox of `run --rootfs`. Any container engine reads the image: the layers of the\n"
      "base and one more. A base that is a directory becomes the first layer.\n\n"
      "  stasis commit box oci:images:mine && umoci unpack --image images:mine bundle");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Commit(*options); }; });
}

}  // namespace stasis::cli
