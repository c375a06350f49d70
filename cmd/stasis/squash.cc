// SPDX-License-Identifier: Apache-2.0

#include "restore/image/squash.h"

#include <absl/strings/str_cat.h>
#include <fmt/core.h>

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/layout_argument.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/progress_line.h"
#include "cmd/stasis/types.h"
#include "restore/types.h"

namespace stasis::cli {
namespace {

struct SquashCommand {
  std::string reference;
  uint32_t depth = 0;
  ProgressMode progress = ProgressMode::kAuto;
  bool json = false;
};

absl::StatusOr<image::SquashReport> SquashTag(const SquashCommand& options,
                                              const restore::RestoreRequest& request,
                                              const Types& types) {
  auto layout = OpenLayoutForWriting(request.directory);
  if (!layout.ok()) return layout.status();
  ProgressLine line(options.progress);
  image::SquashOptions how;
  how.known_features = restore::KnownFeatures(types.registry());
  how.depth = options.depth;
  how.cancel = CatchInterrupts();
  how.on_progress = [&line](const image::WriteProgress& progress) {
    line.Update({"squash", progress.chunks_done, progress.chunks_total, progress.content_bytes});
  };
  return image::SquashImage(**layout, request.tag, how);
}

nlohmann::ordered_json ToJson(const image::SquashReport& report) {
  return {{"reference", report.reference},
          {"before", report.before.ToString()},
          {"digest", report.after.ToString()},
          {"changed", report.before != report.after},
          {"chunks", report.chunks},
          {"content_bytes", report.content_bytes},
          {"written_bytes", report.written_bytes},
          {"stored_bytes", report.stored_bytes},
          {"packs_before", report.packs_before},
          {"packs_after", report.packs_after},
          {"frames_before", report.frames_before},
          {"frames_after", report.frames_after}};
}

int Squash(const SquashCommand& options) {
  const Types types;
  const absl::StatusOr<restore::RestoreRequest> request = types.Request(options.reference);
  if (!request.ok()) return Fail(request.status(), options.json);
  const absl::StatusOr<image::SquashReport> report = SquashTag(options, *request, types);
  if (!report.ok()) return Fail(NameTags(report.status(), *request), options.json);
  if (options.json) return PrintJson(ToJson(*report));
  if (report->before == report->after)
    return Print(fmt::format("{}  {}\nnothing to do: {} in {} packs of its own", report->reference,
                             report->after.ToString(), FormatBytes(report->content_bytes),
                             report->packs_after));
  return Print(fmt::format("{}  {}\ndata   {}, {} of it written anew\npacks  {} ({} before), {}",
                           report->reference, report->after.ToString(),
                           FormatBytes(report->content_bytes), FormatBytes(report->written_bytes),
                           report->packs_after, report->packs_before,
                           FormatBytes(report->stored_bytes)));
}

}  // namespace

void AddSquash(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("squash", "Give an image packs of its own, without what it does not use");
  auto options = std::make_shared<SquashCommand>();
  command->add_option("image", options->reference, "The image")->required()->type_name("DIR:TAG");
  command
      ->add_option("--depth", options->depth,
                   "Go on sharing packs with so many of its nearest ancestors")
      ->type_name("N")
      ->capture_default_str();
  AddProgressOption(*command, options->progress);
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->footer(
      "The tag moves when everything was read back; what it needed before goes with `stasis "
      "gc`.\n\n"
      "  stasis squash snaps:v9 && stasis gc snaps:");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Squash(*options); }; });
}

}  // namespace stasis::cli
