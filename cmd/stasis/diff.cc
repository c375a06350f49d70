// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/diff.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

#include <memory>
#include <utility>
#include <vector>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/content.h"
#include "cmd/stasis/host_options.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/output.h"
#include "vfs/mount_namespace.h"

namespace stasis::cli {
namespace {

struct DiffOptions {
  std::string before;
  std::string after;
  HostOptions host;
  bool times = false;
  bool sizes_only = false;
  bool json = false;
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

// A single image says what has changed only if it knows what was there before.
absl::Status NoBase(const Types& types, const std::string& reference) {
  absl::StatusOr<restore::RestoreRequest> request = types.Request(reference);
  if (!request.ok()) return request.status();
  const absl::StatusOr<restore::RestoredImage> loaded = restore::Load(*request);
  if (!loaded.ok()) return NameTags(loaded.status(), *request);
  const auto namespaces = loaded->vfs().namespaces();
  if (namespaces.empty())
    return absl::DataLossError(absl::StrCat(reference, " holds no mount namespace"));
  const std::string type(namespaces[0]->root_mount().filesystem().type());
  return absl::InvalidArgumentError(
      absl::StrCat("there is no base to compare ", reference, " with: its root is of type ", type,
                   ", not an overlay; name a second image: stasis diff ", reference, " DIR:TAG"));
}

absl::StatusOr<restore::DiffReport> DiffImages(const Types& types, const DiffOptions& options) {
  const absl::StatusOr<HostRoots> roots = ReadHostOptions(options.host);
  if (!roots.ok()) return roots.status();
  if (options.after.empty()) return NoBase(types, options.before);
  auto before = LoadTree(types, options.before, *roots);
  if (!before.ok()) return before.status();
  auto after = LoadTree(types, options.after, *roots);
  if (!after.ok()) return after.status();
  ProgressLine line;
  restore::DiffOptions how;
  how.times = options.times;
  how.content = !options.sizes_only;
  how.cancel = CatchInterrupts();
  how.on_progress = [&line](const restore::TransferProgress& progress) {
    line.Update({"diff", progress.files, 0, progress.bytes});
  };
  auto report = restore::DiffTrees(*(*before)->Open(), *(*after)->Open(), how);
  line.Clear();
  return report;
}

int Diff(const DiffOptions& options) {
  const Types types;
  const absl::StatusOr<restore::DiffReport> report = DiffImages(types, options);
  if (!report.ok()) return Fail(report.status(), options.json);
  if (options.json) return PrintJson(nlohmann::ordered_json::parse(report->ToJson()));
  for (const restore::Change& change : report->changes) PrintLine(change.ToText());
  return FlushLines();
}

}  // namespace

void AddDiff(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("diff", "Say what has changed between two images");
  auto options = std::make_shared<DiffOptions>();
  command->add_option("before", options->before, "The older image")
      ->required()
      ->type_name("DIR:TAG");
  command->add_option("after", options->after, "The newer image")->type_name("DIR:TAG");
  AddHostOptions(*command, options->host);
  command->add_flag("--times", options->times, "A modification time alone is a change too");
  command->add_flag("--sizes-only", options->sizes_only,
                    "Do not read files that have the same size");
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->footer(
      "A line for each name: A added, M modified (and how), D removed. Exit code 0 with and\n"
      "without changes.\n\n"
      "  stasis diff snaps:v1 snaps:v2");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Diff(*options); }; });
}

}  // namespace stasis::cli
