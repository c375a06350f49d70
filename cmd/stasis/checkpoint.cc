// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <memory>

#include "cmd/sandbox/paths.h"
#include "cmd/stasis/commands.h"
#include "cmd/stasis/content.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/progress_line.h"
#include "cmd/stasis/stop_sandbox.h"
#include "cmd/stasis/types.h"
#include "restore/image/layout.h"

namespace stasis::cli {
namespace {

struct CheckpointOptions {
  std::string name;
  std::string reference;
  std::string digest = "none";
  std::string max_extra_memory;
  bool stop = false;
  bool json = false;
};

absl::StatusOr<control::CheckpointParams> ReadParams(const CheckpointOptions& options) {
  absl::StatusOr<image::Reference> reference = image::ParseReference(options.reference);
  if (!reference.ok()) return reference.status();
  const std::string directory = sandbox::AbsolutePath(reference->directory);
  if (absl::Status parent = CheckParent(directory); !parent.ok()) return parent;
  control::CheckpointParams params{directory, reference->tag, options.stop, options.digest};
  if (!options.max_extra_memory.empty()) {
    absl::StatusOr<uint64_t> size = ParseSize(options.max_extra_memory);
    if (!size.ok()) return size.status();
    params.max_extra_memory = std::max<uint64_t>(*size, 1);
  }
  return params;
}

absl::StatusOr<control::Report> MakeCheckpoint(const CheckpointOptions& options) {
  absl::StatusOr<control::CheckpointParams> params = ReadParams(options);
  if (!params.ok()) return params.status();
  absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(options.name);
  if (!dir.ok()) return dir.status();
  absl::StatusOr<std::unique_ptr<control::Client>> client = ConnectTo(*dir);
  if (!client.ok()) return client.status();
  ProgressLine line;
  absl::StatusOr<control::Report> report = (*client)->Checkpoint(
      *params,
      [&line](const control::Progress& progress) {
        line.Update({progress.phase, progress.done, progress.total, progress.bytes});
      },
      CatchInterrupts());
  // Who has ended leaves the lock.
  if (absl::IsNotFound(report.status()) && dir->Exists() && !dir->Alive()) return DeadSandbox(*dir);
  if (!report.ok()) return report;
  client->reset();
  if (!options.stop) return report;
  const absl::Status stopped = StopSandbox(*dir, absl::ZeroDuration());
  if (!stopped.ok() && !absl::IsNotFound(stopped)) return stopped;
  return report;
}

int Checkpoint(const CheckpointOptions& options) {
  absl::StatusOr<control::Report> report = MakeCheckpoint(options);
  if (!report.ok()) return Fail(report.status(), options.json);
  if (!options.json) return Print(report->text);
  return PrintJson(nlohmann::ordered_json::parse(report->json, nullptr, false));
}

}  // namespace

void AddCheckpoint(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("checkpoint", "Save a running sandbox's filesystem as an image");
  auto options = std::make_shared<CheckpointOptions>();
  command->add_option("name", options->name, "The sandbox")->required()->type_name("NAME");
  command
      ->add_option(
          "image", options->reference,
          "Where to: an OCI image layout directory, made if it is missing, and a tag in it")
      ->required()
      ->type_name("DIR:TAG");
  command
      ->add_option(
          "--digest", options->digest,
          "Save a digest of the content of host files: of none, of those that are open, or "
          "of all that are known, for --validate content")
      ->type_name("SCOPE")
      ->check(CLI::IsMember({"none", "open", "all"}))
      ->capture_default_str();
  command
      ->add_option("--max-extra-memory", options->max_extra_memory,
                   "How much memory the data may take that programs change while the image is "
                   "written, before they are slowed, such as 512M (default: a quarter of the "
                   "memory of the host)")
      ->type_name("SIZE");
  command->add_flag("--stop", options->stop, "End the sandbox when the image is complete");
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->footer(
      "Programs wait only while the tree's state is collected; the image is written\n"
      "while they run. If it fails, every tag is what it was. Ctrl-C gives it up, unless\n"
      "the image is complete by then.\n\n"
      "  stasis checkpoint box snaps:v1");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Checkpoint(*options); }; });
}

}  // namespace stasis::cli
