// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/layout_argument.h"
#include "cmd/stasis/output.h"
#include "restore/exit_code.h"
#include "restore/image/history.h"
#include "restore/internal/format.h"

namespace stasis::cli {
namespace {

using Parent = image::HistoryParent;

struct LogOptions {
  std::string layout;
  bool json = false;
};

const char* StateName(Parent::State state) {
  switch (state) {
    case Parent::State::kTagged:
      return "tagged";
    case Parent::State::kUntagged:
      return "untagged";
    case Parent::State::kGone:
      break;
  }
  return "gone";
}

nlohmann::ordered_json OrNull(const std::optional<uint64_t>& number) {
  return number.has_value() ? nlohmann::ordered_json(*number) : nlohmann::ordered_json();
}

nlohmann::ordered_json ToJson(const image::HistoryEntry& entry) {
  nlohmann::ordered_json parent, leases = nlohmann::ordered_json::array(), error;
  if (entry.parent.has_value())
    parent = {{"digest", entry.parent->digest},
              {"state", StateName(entry.parent->state)},
              {"tags", entry.parent->tags}};
  for (const image::LeaseInfo& lease : entry.leases) leases.push_back(LeaseToJson(lease));
  if (!entry.status.ok()) error = std::string(entry.status.message());
  return {{"tag", entry.tag},
          {"digest", entry.digest.ToString()},
          {"checkpoint", entry.is_checkpoint},
          {"type", entry.artifact_type},
          {"created", entry.created},
          {"name", entry.name},
          {"parent", parent},
          {"files", OrNull(entry.files)},
          {"content_bytes", OrNull(entry.content_bytes)},
          {"stored_bytes", entry.stored_bytes},
          {"shared_bytes", entry.stored_bytes - entry.own_bytes},
          {"own_bytes", entry.own_bytes},
          {"trace", entry.has_trace},
          {"leases", leases},
          {"error", error}};
}

nlohmann::ordered_json ToJson(const std::string& directory, const image::History& history) {
  nlohmann::ordered_json tags = nlohmann::ordered_json::array();
  for (const image::HistoryEntry& entry : history.entries) tags.push_back(ToJson(entry));
  return {{"layout", directory},
          {"tags", tags},
          {"blobs", history.blobs},
          {"total_bytes", history.total_bytes},
          {"unnamed_bytes", history.unnamed_bytes}};
}

std::string ParentText(const image::HistoryEntry& entry) {
  if (!entry.parent.has_value()) return "-";
  if (!entry.parent->tags.empty()) return entry.parent->tags[0];
  const std::string digest = entry.parent->digest.substr(0, sizeof("sha256:01234567") - 1);
  return absl::StrCat(digest,
                      entry.parent->state == Parent::State::kGone ? " (gone)" : " (no tag)");
}

std::string Notes(const image::HistoryEntry& entry) {
  std::vector<std::string> notes;
  if (!entry.status.ok()) notes.emplace_back("DAMAGED");
  if (!entry.is_checkpoint && !entry.artifact_type.empty())
    notes.push_back(restore::PrintablePath(entry.artifact_type));
  if (entry.has_trace) notes.emplace_back("trace");
  for (const image::LeaseInfo& lease : entry.leases)
    notes.push_back(absl::StrCat("in use by ", lease.Holder()));
  return absl::StrJoin(notes, ", ");
}

// An index may be anybody's.
std::string Tag(const image::HistoryEntry& entry) { return restore::PrintablePath(entry.tag); }

std::string Created(const std::string& created) {
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, created, &time, nullptr)) return "-";
  return FormatTime(absl::ToUnixNanos(time));
}

template <typename Format>
std::string OrDash(const std::optional<uint64_t>& number, Format format) {
  return number.has_value() ? format(*number) : std::string("-");
}

int PrintTable(const image::History& history) {
  size_t tag_width = 12, parent_width = 12;
  for (const image::HistoryEntry& entry : history.entries) {
    tag_width = std::max(tag_width, std::min<size_t>(Tag(entry).size(), 128));
    parent_width = std::max(parent_width, ParentText(entry).size());
  }
  const auto row = [&](const auto&... cells) {
    std::string line =
        fmt::format("{:<{}} {:<20} {:<{}} {:<12} {:>8} {:>10} {:>10} {:>10} {:>10}  {}", cells...);
    line.erase(line.find_last_not_of(' ') + 1);
    PrintLine(line);
  };
  row("TAG", tag_width, "CREATED", "PARENT", parent_width, "SANDBOX", "FILES", "DATA", "STORED",
      "SHARED", "OWN", "");
  for (const image::HistoryEntry& entry : history.entries)
    row(Tag(entry), tag_width, Created(entry.created), ParentText(entry), parent_width,
        entry.name.empty() ? "-" : restore::PrintablePath(entry.name),
        OrDash(entry.files, [](uint64_t n) { return std::to_string(n); }),
        OrDash(entry.content_bytes, FormatBytes), FormatBytes(entry.stored_bytes),
        FormatBytes(entry.stored_bytes - entry.own_bytes), FormatBytes(entry.own_bytes),
        Notes(entry));
  PrintLine(fmt::format("{} tag{}, {} blobs, {} on disk, {} of it without a name",
                        history.entries.size(), history.entries.size() == 1 ? "" : "s",
                        history.blobs, FormatBytes(history.total_bytes),
                        FormatBytes(history.unnamed_bytes)));
  return FlushLines();
}

int Log(const LogOptions& options) {
  const auto layout = OpenLayout(options.layout);
  if (!layout.ok()) return Fail(layout.status(), options.json);
  const absl::StatusOr<image::History> history = image::ReadHistory(**layout);
  if (!history.ok()) return Fail(history.status(), options.json);
  const int printed =
      options.json ? PrintJson(ToJson((*layout)->directory(), *history)) : PrintTable(*history);
  if (printed != 0) return printed;
  int exit_code = 0;
  for (const image::HistoryEntry& entry : history->entries) {
    if (entry.status.ok()) continue;
    Fail(absl::DataLossError(absl::StrCat(Tag(entry), ": ", entry.status.message())));
    exit_code = static_cast<int>(restore::ExitCode::kCorrupt);
  }
  return exit_code;
}

}  // namespace

void AddLog(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("log", "List the images of a layout, newest first, with what they take");
  auto options = std::make_shared<LogOptions>();
  command->add_option("layout", options->layout, "The layout")->required()->type_name("DIR:");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "SHARED is what other tags need as well, OWN what only this one does. Exit code 5: an image\n"
      "is damaged; the others are listed all the same.\n\n"
      "  stasis log snaps:");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Log(*options); }; });
}

}  // namespace stasis::cli
