// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <memory>

#include "cmd/sandbox/paths.h"
#include "cmd/stasis/checkpoint_series.h"
#include "cmd/stasis/commands.h"
#include "cmd/stasis/companion.h"
#include "cmd/stasis/content.h"
#include "cmd/stasis/durations.h"
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
  std::string timeout;
  std::string freeze_timeout;
  std::string every;
  std::string companion;
  uint64_t keep = 0;
  bool stop = false;
  bool json = false;
  ProgressMode progress = ProgressMode::kAuto;
};

absl::StatusOr<control::CheckpointParams> ReadParams(const CheckpointOptions& options) {
  absl::StatusOr<image::Reference> reference = image::ParseReference(options.reference);
  if (!reference.ok()) return reference.status();
  control::CheckpointParams params;
  params.directory = sandbox::AbsolutePath(reference->directory);
  params.tag = reference->tag;
  params.stop = options.stop;
  params.digest = options.digest;
  if (!options.max_extra_memory.empty()) {
    absl::StatusOr<uint64_t> size = ParseSize(options.max_extra_memory);
    if (!size.ok()) return size.status();
    params.max_extra_memory = std::max<uint64_t>(*size, 1);
  }
  if (absl::Status parent = CheckParent(params.directory); !parent.ok()) return parent;
  if (!options.timeout.empty()) {
    const absl::StatusOr<absl::Duration> timeout = ReadDuration("--timeout", options.timeout);
    if (!timeout.ok()) return timeout.status();
    params.timeout = *timeout;
  }
  if (!options.freeze_timeout.empty()) {
    const auto timeout = ReadDuration("--freeze-timeout", options.freeze_timeout);
    if (!timeout.ok()) return timeout.status();
    params.freeze_timeout = *timeout;
  }
  if (!options.companion.empty()) {
    absl::StatusOr<std::string> inventory = InventoryOf(options.companion);
    if (!inventory.ok()) return inventory.status();
    params.companion = *std::move(inventory);
  }
  return params;
}

// Says in the companion which image it belongs to.
absl::Status NameImage(const CheckpointOptions& options, const control::CheckpointParams& params,
                       const control::Report& report) {
  if (options.companion.empty()) return absl::OkStatus();
  const auto json = nlohmann::ordered_json::parse(report.json, nullptr, false);
  return WriteCompanion(options.companion, absl::StrCat(params.directory, ":", params.tag),
                        json.value("digest", ""), params.companion);
}

absl::StatusOr<control::Report> MakeCheckpoint(const sandbox::RuntimeDir& dir,
                                               const control::CheckpointParams& params,
                                               ProgressMode progress,
                                               const std::atomic<bool>* interrupted) {
  absl::StatusOr<std::unique_ptr<control::Client>> client = ConnectTo(dir);
  if (!client.ok()) return client.status();
  ProgressLine line(progress);
  absl::StatusOr<control::Report> report = (*client)->Checkpoint(
      params,
      [&line](const control::Progress& step) {
        line.Update({step.phase, step.done, step.total, step.bytes});
      },
      interrupted);
  // Who has ended leaves the lock.
  if (absl::IsNotFound(report.status()) && dir.Exists() && !dir.Alive()) return DeadSandbox(dir);
  return report;
}

absl::StatusOr<control::Report> CheckpointOnce(const CheckpointOptions& options) {
  const absl::StatusOr<control::CheckpointParams> params = ReadParams(options);
  if (!params.ok()) return params.status();
  const absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(options.name);
  if (!dir.ok()) return dir.status();
  absl::StatusOr<control::Report> report =
      MakeCheckpoint(*dir, *params, options.progress, CatchInterrupts());
  if (report.ok())
    if (absl::Status named = NameImage(options, *params, *report); !named.ok()) return named;
  if (!report.ok() || !options.stop) return report;
  const absl::Status stopped = StopSandbox(*dir, absl::ZeroDuration());
  if (!stopped.ok() && !absl::IsNotFound(stopped)) return stopped;
  return report;
}

absl::Status CheckSeries(const CheckpointOptions& options, const std::string& name) {
  if (options.stop)
    return absl::InvalidArgumentError("--stop ends the sandbox, and --every goes on; choose one");
  if (!options.companion.empty())
    return absl::InvalidArgumentError(
        "--companion is of one checkpoint, and --every makes several; choose one");
  if (absl::Status tag = image::CheckTag(SeriesTag(name, absl::UnixEpoch())); !tag.ok())
    return absl::InvalidArgumentError(
        absl::StrCat("with --every a time is added to the tag: ", tag.message()));
  return absl::OkStatus();
}

int CheckpointEvery(const CheckpointOptions& options) {
  absl::StatusOr<control::CheckpointParams> params = ReadParams(options);
  if (!params.ok()) return Fail(params.status(), options.json);
  const absl::StatusOr<absl::Duration> every = ReadDuration("--every", options.every);
  if (!every.ok()) return Fail(every.status(), options.json);
  if (absl::Status ok = CheckSeries(options, params->tag); !ok.ok()) return Fail(ok, options.json);
  const absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(options.name);
  if (!dir.ok()) return Fail(dir.status(), options.json);
  params->series = params->tag;
  const std::atomic<bool>* interrupted = CatchInterrupts();
  const auto make = [&](const std::string& tag) {
    params->tag = tag;
    return MakeCheckpoint(*dir, *params, options.progress, interrupted);
  };
  return RunSeries({*dir,
                    {params->directory, params->series, options.name, options.keep},
                    *every,
                    options.json,
                    interrupted,
                    make});
}

int Checkpoint(const CheckpointOptions& options) {
  if (!options.every.empty()) return CheckpointEvery(options);
  if (options.keep != 0)
    return Fail(absl::InvalidArgumentError("--keep is for --every"), options.json);
  const absl::StatusOr<control::Report> report = CheckpointOnce(options);
  if (!report.ok()) return Fail(report.status(), options.json);
  if (!options.json) return Print(report->text);
  return PrintJson(nlohmann::ordered_json::parse(report->json, nullptr, false));
}

void AddTimes(CLI::App& command, CheckpointOptions& options) {
  command
      .add_option("--timeout", options.timeout,
                  "Give up after this time, such as 500ms, 5s or 2m; every tag stays what it was")
      ->type_name("DURATION");
  command
      .add_option("--freeze-timeout", options.freeze_timeout,
                  "Give up if programs do not stand still within this time (default: 10s)")
      ->type_name("DURATION");
  command
      .add_option("--every", options.every,
                  "Go on making them, by tags TAG-TIME, until interrupted or the sandbox ends; TAG "
                  "is the newest")
      ->type_name("DURATION");
  command
      .add_option("--keep", options.keep, "With --every: remove the oldest of the series but these")
      ->type_name("NUMBER")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1'000'000}));
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
  AddTimes(*command, *options);
  command
      ->add_option("--companion", options->companion,
                   "Where another program has saved the processes: the image and the directory "
                   "name each other, for `restore --companion`")
      ->type_name("DIR");
  AddProgressOption(*command, options->progress);
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->footer(
      "Programs wait only while the tree's state is collected; the image is written\n"
      "while they run. If it fails, every tag is what it was. Ctrl-C gives it up, unless\n"
      "the image is complete by then.\n\n"
      "  stasis checkpoint box snaps:v1\n"
      "  stasis checkpoint box snaps:auto --every 5m --keep 12");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Checkpoint(*options); }; });
}

}  // namespace stasis::cli
