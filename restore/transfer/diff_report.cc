// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/escaping.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <set>

#include "restore/internal/format.h"
#include "restore/transfer/diff.h"

namespace stasis::restore {
namespace {

using Json = nlohmann::ordered_json;

const char* ShortType(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    case S_IFIFO:
      return "fifo";
    case S_IFSOCK:
      return "socket";
    case S_IFCHR:
      return "character-device";
    case S_IFBLK:
      return "block-device";
    default:
      return "unknown";
  }
}

const char* KindName(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kAdded:
      return "added";
    case ChangeKind::kModified:
      return "modified";
    default:
      return "removed";
  }
}

std::string ShowLink(const std::string& link) {
  return link.empty() ? "none" : PrintablePath(link);
}

// "xattr user.a added, xattr user.b changed".
std::string ShowXattrs(const FileState& before, const FileState& after) {
  std::set<std::string> names;
  for (const auto& item : before.xattrs) names.insert(item.first);
  for (const auto& item : after.xattrs) names.insert(item.first);
  std::string text;
  for (const std::string& name : names) {
    const char* what = !before.xattrs.contains(name)  ? "added"
                       : !after.xattrs.contains(name) ? "removed"
                                                      : "changed";
    text += fmt::format("{}xattr {} {}", text.empty() ? "" : ", ", PrintablePath(name), what);
  }
  return text;
}

std::string ShowOne(const std::string& what, const FileState& before, const FileState& after) {
  const vfs::Stat& a = before.stat;
  const vfs::Stat& b = after.stat;
  if (what == "type") return fmt::format("type {} -> {}", ShortType(a.mode), ShortType(b.mode));
  if (what == "size") return fmt::format("size {} -> {}", a.size, b.size);
  if (what == "target")
    return fmt::format("target {} -> {}", PrintablePath(before.target),
                       PrintablePath(after.target));
  if (what == "device")
    return fmt::format("device {}:{} -> {}:{}", major(a.rdev), minor(a.rdev), major(b.rdev),
                       minor(b.rdev));
  if (what == "mode")
    return fmt::format("mode {:03o} -> {:03o}", a.mode & vfs::kPermissionBits,
                       b.mode & vfs::kPermissionBits);
  if (what == "owner") return fmt::format("owner {}:{} -> {}:{}", a.uid, a.gid, b.uid, b.gid);
  if (what == "xattrs") return ShowXattrs(before, after);
  if (what == "link")
    return fmt::format("link {} -> {}", ShowLink(before.link), ShowLink(after.link));
  if (what == "mtime")
    return fmt::format("mtime {} -> {}", FormatTime(a.mtime), FormatTime(b.mtime));
  return what;
}

void PutText(Json& json, const std::string& key, std::string_view text) {
  if (IsUtf8(text)) {
    json[key] = text;
  } else {
    json[key + "_base64"] = absl::Base64Escape(Absl(text));
  }
}

Json StateToJson(const FileState& state) {
  const vfs::Stat& stat = state.stat;
  Json json = Json::object();
  json["type"] = ShortType(stat.mode);
  json["mode"] = fmt::format("{:04o}", stat.mode & vfs::kPermissionBits);
  json["uid"] = stat.uid;
  json["gid"] = stat.gid;
  if (S_ISREG(stat.mode)) json["size"] = stat.size;
  if (S_ISCHR(stat.mode) || S_ISBLK(stat.mode))
    json["device"] = {major(stat.rdev), minor(stat.rdev)};
  if (!state.target.empty()) PutText(json, "target", state.target);
  json["mtime_ns"] = stat.mtime;
  if (!state.link.empty()) PutText(json, "link", state.link);
  if (state.xattrs.empty()) return json;
  Json xattrs = Json::array();
  for (const auto& [name, value] : state.xattrs) {
    Json xattr = Json::object();
    PutText(xattr, "name", name);
    xattr["value_base64"] = absl::Base64Escape(Absl(value));
    xattrs.push_back(std::move(xattr));
  }
  json["xattrs"] = std::move(xattrs);
  return json;
}

Json ChangeToJson(const Change& change) {
  Json json = Json::object();
  json["kind"] = KindName(change.kind);
  PutText(json, "path", change.path);
  if (change.kind == ChangeKind::kModified) json["changed"] = change.changed;
  if (change.before) json["before"] = StateToJson(*change.before);
  if (change.after) json["after"] = StateToJson(*change.after);
  return json;
}

}  // namespace

std::string Change::ToText() const {
  const std::string shown = PrintablePath(path);
  if (kind == ChangeKind::kRemoved) return "D " + shown;
  if (kind == ChangeKind::kAdded)
    return after->link.empty() ? "A " + shown
                               : fmt::format("A {} (link {})", shown, ShowLink(after->link));
  std::vector<std::string> details;
  for (const std::string& what : changed) details.push_back(ShowOne(what, *before, *after));
  return fmt::format("M {} ({})", shown, fmt::join(details, ", "));
}

uint64_t DiffReport::Count(ChangeKind kind) const {
  return static_cast<uint64_t>(
      std::count_if(changes.begin(), changes.end(),
                    [kind](const Change& change) { return change.kind == kind; }));
}

std::string DiffReport::ToText() const {
  std::string text;
  for (const Change& change : changes) text += change.ToText() + "\n";
  return text;
}

std::string DiffReport::ToJson() const {
  Json list = Json::array();
  for (const Change& change : changes) list.push_back(ChangeToJson(change));
  const Json json = {{"added", Count(ChangeKind::kAdded)},
                     {"modified", Count(ChangeKind::kModified)},
                     {"removed", Count(ChangeKind::kRemoved)},
                     {"files", files},
                     {"bytes", bytes},
                     {"changes", std::move(list)}};
  return DumpJson(json);
}

}  // namespace stasis::restore
