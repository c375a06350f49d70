// SPDX-License-Identifier: Apache-2.0

#include <absl/cleanup/cleanup.h>
#include <fmt/core.h>

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/content.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/output.h"
#include "restore/checkpoint.h"

namespace stasis::cli {
namespace {

struct ImportOptions {
  std::string directory;
  std::string reference;
  bool json = false;
  ProgressMode progress = ProgressMode::kAuto;
};

absl::StatusOr<restore::CheckpointReport> WriteImage(const Types& types, const Content& content,
                                                     const restore::RestoreRequest& to,
                                                     const StepCallback& on_step,
                                                     const std::atomic<bool>* cancel) {
  restore::NoFreezer nobody;
  restore::CheckpointRequest request;
  request.vfs = content.tree.vfs.get();
  request.registry = &types.registry();
  request.clock = &types.clock();
  request.freezer = &nobody;
  request.directory = to.directory;
  request.tag = to.tag;
  request.creator = Creator();
  request.cancel = cancel;
  request.on_progress = [&on_step](const image::WriteProgress& progress) {
    on_step({"write", progress.chunks_done, progress.chunks_total, progress.content_bytes});
  };
  return restore::Checkpoint(request);
}

// Nobody waited: nothing of a pause.
int PrintReports(const ImportOptions& options, const Content& content,
                 const restore::CheckpointReport& written) {
  if (!options.json)
    return Print(fmt::format(
        "{}  {}\nwall   {}\nfiles  {} ({} names)\nin     {} new, {} stored before\nout    {}",
        written.reference, written.digest.ToString(), FormatDuration(written.wall_ns),
        written.files, written.dentries, FormatBytes(written.dirty_bytes),
        FormatBytes(written.reused_bytes), FormatBytes(written.stored_bytes)));
  auto image = nlohmann::ordered_json::parse(written.ToJson(), nullptr, false);
  for (const char* field : {"pause_ns", "pause", "preflush_ns"}) image.erase(field);
  return PrintJson({{"import", nlohmann::ordered_json::parse(content.report, nullptr, false)},
                    {"image", image}});
}

int Import(const ImportOptions& options) {
  const Types types;
  ProgressLine line(options.progress);
  const StepCallback on_step = [&line](const Step& step) { line.Update(step); };
  absl::StatusOr<restore::RestoreRequest> to = types.Request(options.reference);
  if (!to.ok()) return Fail(to.status(), options.json);
  absl::StatusOr<ImportSpec> spec = ParseImport(options.directory);
  if (!spec.ok()) return Fail(spec.status(), options.json);
  const std::atomic<bool>* cancel = CatchInterrupts();
  ContentOptions wanted;
  wanted.imports = {*spec};
  absl::StatusOr<Content> content = MakeContent(types, wanted, on_step, cancel);
  if (!content.ok()) return Fail(content.status(), options.json);
  const absl::Cleanup teardown = [&content] { content->tree.Teardown(); };
  for (const std::string& warning : content->warnings) Warn(warning);
  absl::StatusOr<restore::CheckpointReport> written =
      WriteImage(types, *content, *to, on_step, cancel);
  line.Clear();
  if (!written.ok()) return Fail(written.status(), options.json);
  const int printed = PrintReports(options, *content, *written);
  return printed == 0 && !content->warnings.empty() ? 3 : printed;
}

}  // namespace

void AddImport(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("import", "Make an image of a host directory");
  auto options = std::make_shared<ImportOptions>();
  command->add_option("directory", options->directory, "The directory, or DIR:DST to put it at DST")
      ->required()
      ->type_name("DIR");
  command->add_option("image", options->reference, "The image")->required()->type_name("DIR:TAG");
  AddProgressOption(*command, options->progress);
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->footer(
      "Exit code 3: the image is made, but files changed while they were read.\n\n"
      "  stasis import ./project snaps:base");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Import(*options); }; });
}

}  // namespace stasis::cli
