// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/str_join.h>
#include <fmt/format.h>

#include "restore/inspect.h"
#include "restore/internal/format.h"

namespace stasis::restore {
namespace {

using Json = nlohmann::ordered_json;

Json TablesToJson(const std::vector<TableSummary>& tables) {
  Json json = Json::array();
  for (const TableSummary& t : tables)
    json.push_back({{"type", t.type}, {"objects", t.objects}, {"bytes", t.bytes}});
  return json;
}

Json RootsToJson(const std::vector<RootSummary>& roots) {
  Json json = Json::array();
  for (const RootSummary& r : roots) json.push_back({{"name", r.name}, {"type", r.type}});
  return json;
}

Json FilesystemsToJson(const std::vector<FilesystemSummary>& filesystems) {
  Json json = Json::array();
  for (const FilesystemSummary& f : filesystems)
    json.push_back(
        {{"type", f.type}, {"dev", f.dev}, {"dentries", f.dentries}, {"inodes", f.inodes}});
  return json;
}

Json HostDirectoriesToJson(const std::vector<HostDirectorySummary>& directories) {
  Json json = Json::array();
  for (const HostDirectorySummary& d : directories)
    json.push_back({{"name", d.name},
                    {"directory", d.directory.empty() ? Json() : Json(d.directory)},
                    {"type", d.type},
                    {"interop", d.interop},
                    {"dev", d.dev},
                    {"files", d.files}});
  return json;
}

Json MountsToJson(const std::vector<MountSummary>& mounts) {
  Json json = Json::array();
  for (const MountSummary& m : mounts)
    json.push_back({{"id", m.id},
                    {"dev", m.dev},
                    {"root", m.root},
                    {"point", m.point.empty() ? Json() : Json(m.point)},
                    {"read_only", m.read_only}});
  return json;
}

std::string TableToText(const TableSummary& table) {
  const double each = table.objects == 0
                          ? 0.0
                          : static_cast<double>(table.bytes) / static_cast<double>(table.objects);
  return fmt::format("  {:<28} {:>10} objects {:>12}  {:.1f} bytes each\n", table.type,
                     table.objects, FormatBytes(table.bytes), each);
}

}  // namespace

std::string ImageSummary::ToJson() const {
  const Json json = {{"reference", reference},
                     {"digest", digest},
                     {"parent", parent.empty() ? Json() : Json(parent)},
                     {"created", created},
                     {"creator", creator},
                     {"format_version", format_version},
                     {"features", features},
                     {"state_digest", state_digest},
                     {"state_bytes", state_bytes},
                     {"packs", packs},
                     {"pack_bytes", pack_bytes},
                     {"chunks", chunks},
                     {"data_bytes", data_bytes},
                     {"tables", TablesToJson(tables)},
                     {"roots", RootsToJson(roots)},
                     {"filesystems", FilesystemsToJson(filesystems)},
                     {"host_directories", HostDirectoriesToJson(host_directories)},
                     {"mounts", MountsToJson(mounts)},
                     {"files_by_type", files_by_type},
                     {"file_bytes", file_bytes},
                     {"open_files", open_files},
                     {"deleted_files", deleted_files}};
  return DumpJson(json, 2);
}

std::string ImageSummary::ToText() const {
  std::string text = fmt::format("{}  {}\n", PrintablePath(reference), digest);
  text += fmt::format("made       {} by {}, format {}\n", created, creator, format_version);
  if (!parent.empty()) text += fmt::format("parent     {}\n", parent);
  text += fmt::format("needs      {}\n", absl::StrJoin(features, " "));
  text += fmt::format("state      {}  {}\n", FormatBytes(state_bytes), state_digest);
  text += fmt::format("data       {} in {} chunks, {} stored in {} packs\n",
                      FormatBytes(data_bytes), chunks, FormatBytes(pack_bytes), packs);
  text += "files     ";
  for (const auto& [type, count] : files_by_type) text += fmt::format(" {} {}", count, type);
  text += fmt::format(", {} in all\n", FormatBytes(file_bytes));
  text +=
      fmt::format("open       {} files open, {} deleted but in use\n", open_files, deleted_files);
  for (const FilesystemSummary& f : filesystems)
    text +=
        fmt::format("filesystem {} {}: {} names, {} files\n", f.dev, f.type, f.dentries, f.inodes);
  for (const HostDirectorySummary& d : host_directories)
    text +=
        fmt::format("host       {}: {} files of {} ({} {}, filesystem {})\n", d.name, d.files,
                    d.directory.empty() ? "a directory" : d.directory, d.type, d.interop, d.dev);
  for (const MountSummary& m : mounts)
    text += fmt::format("mount      {}: {} of filesystem {} on {}{}\n", m.id, m.root, m.dev,
                        m.point.empty() ? "/" : m.point, m.read_only ? ", read-only" : "");
  text += "tables\n";
  for (const TableSummary& table : tables) text += TableToText(table);
  text += "roots\n";
  for (const RootSummary& root : roots) text += fmt::format("  {} ({})\n", root.name, root.type);
  return text;
}

}  // namespace stasis::restore
