// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/str_cat.h>
#include <fmt/core.h>

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/layout_argument.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/progress_line.h"
#include "cmd/stasis/types.h"
#include "restore/image/copy_image.h"

namespace stasis::cli {
namespace {

struct CopyCommand {
  std::string from;
  std::string to;
  ProgressMode progress = ProgressMode::kAuto;
  bool json = false;
};

// The image is looked for before the target is made.
absl::StatusOr<image::CopyReport> CopyTo(const restore::RestoreRequest& from,
                                         const image::Reference& to, ProgressMode mode) {
  const std::atomic<bool>* cancel = CatchInterrupts();
  const auto source = OpenLayout(from.directory);
  if (!source.ok()) return source.status();
  if (const auto entry = (*source)->Resolve(from.tag); !entry.ok()) return entry.status();
  if (absl::Status parent = CheckParent(to.directory); !parent.ok()) return parent;
  const auto target = image::Layout::OpenForWriting(to.directory);
  if (!target.ok()) return target.status();
  ProgressLine line(mode);
  image::CopyOptions how;
  how.cancel = cancel;
  how.on_progress = [&line](const image::CopyProgress& progress) {
    line.Update({"copy", progress.bytes_done, progress.bytes_total, progress.bytes_done});
  };
  return image::CopyImage(**source, from.tag, **target, to.tag, how);
}

int Copy(const CopyCommand& options) {
  const Types types;
  const absl::StatusOr<restore::RestoreRequest> from = types.Request(options.from);
  if (!from.ok()) return Fail(from.status(), options.json);
  const absl::StatusOr<image::Reference> to = image::ParseReference(options.to);
  if (!to.ok()) return Fail(to.status(), options.json);
  const absl::StatusOr<image::CopyReport> report = CopyTo(*from, *to, options.progress);
  if (!report.ok()) return Fail(NameTags(report.status(), *from), options.json);
  for (const std::string& warning : report->warnings) Warn(warning);
  if (options.json)
    return PrintJson({{"from", options.from},
                      {"reference", options.to},
                      {"digest", report->digest.ToString()},
                      {"blobs_copied", report->blobs_copied},
                      {"bytes_copied", report->bytes_copied},
                      {"blobs_present", report->blobs_present},
                      {"bytes_present", report->bytes_present},
                      {"referrers", report->referrers},
                      {"warnings", report->warnings}});
  return Print(fmt::format("{}  {}\ncopied {} blobs, {}; {} were there, {}", options.to,
                           report->digest.ToString(), report->blobs_copied,
                           FormatBytes(report->bytes_copied), report->blobs_present,
                           FormatBytes(report->bytes_present)));
}

}  // namespace

void AddCopy(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("copy", "Copy an image into another layout");
  auto options = std::make_shared<CopyCommand>();
  command->add_option("image", options->from, "The image")->required()->type_name("DIR:TAG");
  command->add_option("target", options->to, "Its new name; the directory is made if it is missing")
      ->required()
      ->type_name("DIR:TAG");
  AddProgressOption(*command, options->progress);
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->footer(
      "What the other layout has already is verified, not copied. All or nothing.\n\n"
      "  stasis copy snaps:v1 /backup/snaps:v1");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Copy(*options); }; });
}

}  // namespace stasis::cli
