// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/export.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/content.h"
#include "cmd/stasis/host_options.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/output.h"

namespace stasis::cli {
namespace {

struct ExportOptions {
  std::string reference;
  std::string target;
  std::string path = "/";
  HostOptions host;
  bool json = false;
  ProgressMode progress = ProgressMode::kAuto;
};

bool IsTar(const std::string& target) { return target == "-" || absl::EndsWith(target, ".tar"); }

absl::StatusOr<restore::TransferReport> CopyOut(const Content& content,
                                                const ExportOptions& options,
                                                const std::atomic<bool>* interrupted,
                                                ProgressLine& line) {
  vfs::VirtualFilesystem& vfs = *content.tree.vfs;
  const vfs::VirtualDentry root = content.tree.root();
  const Result<vfs::VirtualDentry> source =
      vfs.GetDentryAt(vfs::Credentials::Root(), {root, root, options.path, true});
  if (!source)
    return WithRemedy(
        absl::ErrnoToStatus(source.error().value(),
                            absl::StrCat("cannot find ", options.path, " in ", options.reference)),
        "`stasis inspect --tree` lists what there is");
  const Result<vfs::Stat> stat =
      vfs.StatAt(vfs::Credentials::Root(), {root, root, options.path, true});
  if (stat && !S_ISDIR(stat->mode))
    return absl::InvalidArgumentError(
        absl::StrCat("--path ", options.path, " is not a directory of ", options.reference));
  restore::ExportOptions how;
  how.cancel = interrupted;
  how.on_progress = [&line](const restore::TransferProgress& progress) {
    line.Update({"export", progress.files, 0, progress.bytes});
  };
  // Root in a sandbox that a user made is that user.
  if (geteuid() != 0) how.owners = {{{0, geteuid(), 1}}, {{0, getegid(), 1}}};
  return IsTar(options.target) ? restore::ExportTar(vfs, *source, options.target, how)
                               : restore::ExportDirectory(vfs, *source, options.target, how);
}

int PrintReport(const ExportOptions& options, const restore::TransferReport& report) {
  for (const restore::TransferIssue& issue : report.warnings)
    Warn(absl::StrCat(issue.path, ": ", issue.message));
  int printed = 0;
  if (options.json)
    printed = PrintJson(nlohmann::ordered_json::parse(report.ToJson(), nullptr, false));
  else if (options.target != "-")
    printed = Print(report.ToText());
  return printed == 0 && !report.warnings.empty() ? 3 : printed;
}

int Export(const ExportOptions& options) {
  if (options.json && options.target == "-")
    return Fail(
        absl::InvalidArgumentError("--json and a tar file on the standard output exclude "
                                   "each other; write to a FILE.tar"));
  if (options.target != "-")
    if (absl::Status parent = CheckParent(options.target); !parent.ok())
      return Fail(parent, options.json);
  absl::StatusOr<HostRoots> roots = ReadHostOptions(options.host);
  if (!roots.ok()) return Fail(roots.status(), options.json);
  const Types types;
  ContentOptions wanted;
  wanted.reference = options.reference;
  wanted.roots = *std::move(roots);
  const std::atomic<bool>* interrupted = CatchInterrupts();
  absl::StatusOr<Content> content = MakeContent(types, wanted, {}, interrupted);
  if (!content.ok()) return Fail(content.status(), options.json);
  const absl::Cleanup teardown = [&content] { content->tree.Teardown(); };
  for (const std::string& warning : content->warnings) Warn(warning);
  ProgressLine line(options.progress);
  absl::StatusOr<restore::TransferReport> report = CopyOut(*content, options, interrupted, line);
  line.Clear();
  if (!report.ok()) return Fail(report.status(), options.json);
  return PrintReport(options, *report);
}

}  // namespace

void AddExport(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("export", "Copy an image's tree to a directory or tar file");
  auto options = std::make_shared<ExportOptions>();
  command->add_option("image", options->reference, "The image")->required()->type_name("DIR:TAG");
  command
      ->add_option("target", options->target,
                   "A directory that is new or empty; a file, if the name ends in .tar; - for a "
                   "tar file on the standard output")
      ->required()
      ->type_name("DIR|FILE.tar|-");
  command->add_option("--path", options->path, "Only this directory of the tree")
      ->capture_default_str();
  AddHostOptions(*command, options->host);
  AddProgressOption(*command, options->progress);
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->footer(
      "Exit code 3: done, but not every attribute could be set (owners need root).\n\n"
      "  stasis export snaps:v1 ./out\n"
      "  stasis export snaps:v1 --path /etc - | tar tv");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Export(*options); }; });
}

}  // namespace stasis::cli
