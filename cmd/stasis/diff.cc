// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/diff.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <memory>
#include <utility>
#include <vector>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/content.h"
#include "cmd/stasis/host_options.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/overlay_parts.h"
#include "cmd/stasis/stop_sandbox.h"

namespace stasis::cli {
namespace {

struct DiffOptions {
  std::string before;
  std::string after;
  HostOptions host;
  bool times = false;
  bool sizes_only = false;
  bool json = false;
  ProgressMode progress = ProgressMode::kAuto;
};

// A tree of an image, for reading. Goes before the types that it was made of.
struct ImageTree {
  Content content;
  explicit ImageTree(Content made) : content(std::move(made)) {}
  ~ImageTree() { content.tree.Teardown(); }
  ImageTree(const ImageTree&) = delete;
  ImageTree& operator=(const ImageTree&) = delete;

  std::unique_ptr<restore::TreeSource> Open() {
    return restore::OpenVfsTree(*content.tree.vfs, content.tree.root());
  }
};

absl::StatusOr<std::unique_ptr<ImageTree>> LoadTree(const Types& types,
                                                    const std::string& reference,
                                                    const HostRoots& roots) {
  ContentOptions wanted;
  wanted.reference = reference;
  wanted.roots = roots;
  absl::StatusOr<Content> content = MakeContent(types, wanted, {}, nullptr);
  if (!content.ok()) return content.status();
  for (const std::string& warning : content->warnings) Warn(absl::StrCat(reference, ": ", warning));
  return std::make_unique<ImageTree>(*std::move(content));
}

restore::DiffOptions HowTo(const DiffOptions& options, ProgressLine& line) {
  restore::DiffOptions how;
  how.times = options.times;
  how.content = !options.sizes_only;
  how.cancel = CatchInterrupts();
  how.on_progress = [&line](const restore::TransferProgress& progress) {
    line.Update({"diff", progress.files, 0, progress.bytes});
  };
  return how;
}

// An image against its own base, or against another one.
absl::StatusOr<restore::DiffReport> DiffImages(const Types& types, const DiffOptions& options) {
  absl::StatusOr<HostRoots> roots = ReadHostOptions(options.host);
  if (!roots.ok()) return roots.status();
  roots->spare_roots = !options.after.empty();  // each names its own
  auto before = LoadTree(types, options.before, *roots);
  if (!before.ok()) return before.status();
  ProgressLine line(options.progress);
  if (options.after.empty())
    return DiffOverlay((*before)->content.tree, options.before, HowTo(options, line));
  auto after = LoadTree(types, options.after, *roots);
  if (!after.ok()) return after.status();
  return restore::DiffTrees(*(*before)->Open(), *(*after)->Open(), HowTo(options, line));
}

absl::StatusOr<control::Report> DiffSandbox(const DiffOptions& options) {
  if (options.times || options.sizes_only || !options.host.roots.empty())
    return absl::InvalidArgumentError("--times, --sizes-only and --root are for images");
  absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(options.before);
  if (!dir.ok()) return dir.status();
  absl::StatusOr<std::unique_ptr<control::Client>> client = ConnectTo(*dir);
  if (!client.ok()) return client.status();
  ProgressLine line(options.progress);
  return (*client)->Diff(
      [&line](const control::Progress& progress) {
        line.Update({progress.phase, progress.done, progress.total, progress.bytes});
      },
      CatchInterrupts());
}

int PrintDiffOfSandbox(const DiffOptions& options) {
  const absl::StatusOr<control::Report> report = DiffSandbox(options);
  if (!report.ok()) return Fail(report.status(), options.json);
  if (options.json) return PrintJson(nlohmann::ordered_json::parse(report->json, nullptr, false));
  for (const absl::string_view line : absl::StrSplit(report->text, '\n', absl::SkipEmpty()))
    PrintLine(std::string(line));
  return FlushLines();
}

int Diff(const DiffOptions& options) {
  const bool is_image = options.before.find(':') != std::string::npos || !options.after.empty();
  if (!is_image) return PrintDiffOfSandbox(options);
  const Types types;
  const absl::StatusOr<restore::DiffReport> report = DiffImages(types, options);
  if (!report.ok()) return Fail(report.status(), options.json);
  if (options.json) return PrintJson(nlohmann::ordered_json::parse(report->ToJson()));
  for (const restore::Change& change : report->changes) PrintLine(change.ToText());
  return FlushLines();
}

}  // namespace

void AddDiff(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "diff",
      "Say what a sandbox or an image has changed on its base, or what two images differ in");
  auto options = std::make_shared<DiffOptions>();
  command->add_option("name", options->before, "A running sandbox, or an image")
      ->required()
      ->type_name("NAME|DIR:TAG");
  command->add_option("after", options->after, "A newer image, to compare the two")
      ->type_name("DIR:TAG");
  AddHostOptions(*command, options->host);
  command->add_flag("--times", options->times, "A modification time alone is a change too");
  command->add_flag("--sizes-only", options->sizes_only,
                    "Do not read files that have the same size");
  AddProgressOption(*command, options->progress);
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->footer(
      "A line for each name: A added, M modified (and how), D removed. Exit code 0 with and\n"
      "without changes.\n\n"
      "  stasis diff box\n"
      "  stasis diff snaps:v1 --root rootfs=/images/debian\n"
      "  stasis diff snaps:v1 snaps:v2");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Diff(*options); }; });
}

}  // namespace stasis::cli
