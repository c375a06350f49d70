// SPDX-License-Identifier: Apache-2.0

#include "restore/image/verify.h"

#include <absl/strings/str_cat.h>
#include <fmt/core.h>

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/progress_line.h"
#include "cmd/stasis/types.h"
#include "restore/exit_code.h"
#include "restore/image/lease.h"
#include "restore/inspect.h"
#include "restore/types.h"

namespace stasis::cli {
namespace {

struct VerifyOptions {
  std::string reference;
  bool json = false;
  ProgressMode progress = ProgressMode::kAuto;
};

absl::StatusOr<image::VerifyReport> VerifyBytes(const Types& types, const VerifyOptions& options,
                                                const restore::RestoreRequest& request) {
  absl::StatusOr<std::unique_ptr<image::Layout>> layout = image::Layout::Open(request.directory);
  if (!layout.ok()) return layout.status();
  // What is being read is not collected meanwhile.
  const std::shared_ptr<image::Lease> lease = image::Lease::Take(**layout, "");
  if (absl::StatusOr<image::Descriptor> found = (*layout)->Resolve(request.tag); !found.ok())
    return found.status();
  ProgressLine line(options.progress);
  image::VerifyOptions how;
  how.known_features = restore::KnownFeatures(types.registry());
  how.on_progress = [&line](const image::VerifyProgress& progress) {
    line.Update({"verify", progress.bytes_done, progress.bytes_total, progress.bytes_done});
  };
  return image::VerifyImage(**layout, request.tag, how);
}

nlohmann::ordered_json ToJson(const std::string& reference, const image::VerifyReport& report) {
  nlohmann::ordered_json findings = nlohmann::ordered_json::array();
  for (const absl::Status& finding : report.findings)
    findings.push_back({{"message", std::string(finding.message())},
                        {"exit_code", static_cast<int>(restore::ExitCodeOf(finding))}});
  return {{"reference", reference},  {"ok", report.findings.empty()},
          {"blobs", report.blobs},   {"bytes", report.bytes},
          {"frames", report.frames}, {"chunks", report.chunks},
          {"findings", findings},    {"findings_dropped", report.findings_dropped}};
}

int Verify(const VerifyOptions& options) {
  const Types types;
  absl::StatusOr<restore::RestoreRequest> request = types.Request(options.reference);
  if (!request.ok()) return Fail(request.status(), options.json);
  absl::StatusOr<image::VerifyReport> report = VerifyBytes(types, options, *request);
  if (!report.ok()) return Fail(NameTags(report.status(), *request), options.json);
  // What the bytes mean: every row and every invariant of the tree.
  if (report->findings.empty())
    if (absl::StatusOr<restore::ImageSummary> summary = restore::Inspect(*request); !summary.ok())
      report->findings.push_back(summary.status());
  if (options.json) {
    if (int failed = PrintJson(ToJson(options.reference, *report)); failed != 0) return failed;
  } else if (report->findings.empty()) {
    return Print(fmt::format("{}: sound: {} blobs, {}, {} frames, {} chunks", options.reference,
                             report->blobs, FormatBytes(report->bytes), report->frames,
                             report->chunks));
  }
  for (const absl::Status& finding : report->findings) Fail(finding);
  if (report->findings_dropped > 0)
    Warn(absl::StrCat(report->findings_dropped, " further findings are not shown"));
  return report->findings.empty() ? 0 : static_cast<int>(restore::ExitCodeOf(report->findings[0]));
}

}  // namespace

void AddVerify(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("verify", "Check every digest, chunk and invariant of an image");
  auto options = std::make_shared<VerifyOptions>();
  command->add_option("image", options->reference, "The image")->required()->type_name("DIR:TAG");
  AddProgressOption(*command, options->progress);
  command->add_flag("--json", options->json, "Print the findings as JSON");
  command->footer("Exit code 5: damaged; 6: made by a newer version.");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Verify(*options); }; });
}

}  // namespace stasis::cli
