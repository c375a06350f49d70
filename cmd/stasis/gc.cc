// SPDX-License-Identifier: Apache-2.0

#include "restore/image/gc.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fmt/core.h>

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/layout_argument.h"
#include "cmd/stasis/output.h"

namespace stasis::cli {
namespace {

struct CollectOptions {
  std::string layout;
  std::string older_than = "1h";
  bool dry_run = false;
  bool json = false;
};

absl::StatusOr<image::GcOptions> HowTo(const CollectOptions& options) {
  image::GcOptions how;
  absl::Duration grace;
  if (!absl::ParseDuration(options.older_than, &grace) || grace < absl::ZeroDuration() ||
      grace == absl::InfiniteDuration())
    return absl::InvalidArgumentError(absl::StrCat(
        "--older-than ", options.older_than, " is no duration; write such as 90s, 10m, 24h or 0"));
  how.older_than = absl::ToInt64Nanoseconds(grace);
  how.now = absl::GetCurrentTimeNanos();
  how.dry_run = options.dry_run;
  return how;
}

absl::StatusOr<image::GcReport> Collect(const CollectOptions& options) {
  const absl::StatusOr<image::GcOptions> how = HowTo(options);
  if (!how.ok()) return how.status();
  auto layout = options.dry_run ? OpenLayout(options.layout) : OpenLayoutForWriting(options.layout);
  if (!layout.ok()) return layout.status();
  return image::CollectGarbage(**layout, *how);
}

nlohmann::ordered_json ToJson(const CollectOptions& options, const image::GcReport& report) {
  nlohmann::ordered_json removed = nlohmann::ordered_json::array(), entries = removed,
                         leased = removed;
  for (const image::StoredBlob& blob : report.removed)
    removed.push_back({{"digest", blob.digest.ToString()}, {"bytes", blob.size}});
  for (const image::Digest& digest : report.removed_entries) entries.push_back(digest.ToString());
  for (const image::LeasedBlobs& item : report.leased) {
    leased.push_back(LeaseToJson(item.lease));
    leased.back()["blobs"] = item.blobs;
    leased.back()["bytes"] = item.bytes;
  }
  return {{"layout", LayoutDirectory(options.layout)},
          {"dry_run", options.dry_run},
          {"removed", removed},
          {"removed_bytes", report.removed_bytes},
          {"removed_entries", entries},
          {"kept_blobs", report.kept_blobs},
          {"kept_bytes", report.kept_bytes},
          {"leased", leased},
          {"young_blobs", report.young_blobs},
          {"young_bytes", report.young_bytes},
          {"unknown_files", report.unknown_files},
          {"dead_leases", report.dead_leases}};
}

int PrintText(const CollectOptions& options, const image::GcReport& report) {
  for (const image::StoredBlob& blob : report.removed)
    PrintLine(fmt::format("{}  {}", blob.digest.ToString(), FormatBytes(blob.size)));
  PrintLine(fmt::format(
      "{}: {} {} blobs, {}; {} blobs with {} are needed", LayoutDirectory(options.layout),
      options.dry_run ? "would remove" : "removed", report.removed.size(),
      FormatBytes(report.removed_bytes), report.kept_blobs, FormatBytes(report.kept_bytes)));
  for (const image::LeasedBlobs& item : report.leased)
    PrintLine(fmt::format("kept for {}{}: {} blobs, {}", item.lease.Holder(),
                          item.lease.everything ? ", which is about to read" : "", item.blobs,
                          FormatBytes(item.bytes)));
  if (report.young_blobs > 0)
    PrintLine(fmt::format(
        "kept, because another program may be about to use them: {} blobs, {} (--older-than 0 "
        "removes them)",
        report.young_blobs, FormatBytes(report.young_bytes)));
  return FlushLines();
}

int Gc(const CollectOptions& options) {
  const absl::StatusOr<image::GcReport> report = Collect(options);
  if (!report.ok()) return Fail(report.status(), options.json);
  return options.json ? PrintJson(ToJson(options, *report)) : PrintText(options, *report);
}

}  // namespace

void AddGc(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("gc", "Remove what no tag and no running sandbox needs from a layout");
  auto options = std::make_shared<CollectOptions>();
  command->add_option("layout", options->layout, "The layout")->required()->type_name("DIR:");
  command->add_flag("--dry-run", options->dry_run, "Say what would be removed, and remove nothing");
  command
      ->add_option("--older-than", options->older_than,
                   "How old blobs have to be that may be another program's")
      ->type_name("DURATION")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print what was done as JSON");
  command->footer(
      "What belongs to images that Stasis has written goes at once. Exit code 5: the manifest of "
      "a\n"
      "tag is damaged, so that nobody knows what it needs; nothing is removed then.\n\n"
      "  stasis rm snaps:v1 && stasis gc snaps:");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Gc(*options); }; });
}

}  // namespace stasis::cli
