// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/escaping.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "restore/inspect.h"
#include "restore/internal/format.h"
#include "restore/transfer/tree_source.h"

namespace stasis::restore {
namespace {

// A directory on the way down.
struct Level {
  std::string path;  // with a slash at its end
  std::vector<std::string> names;
  size_t next = 0;
};

// One walk over a tree, without recursion.
class TreeLister {
 public:
  TreeLister(TreeSource& source, absl::FunctionRef<bool(const TreeEntry&)> fn)
      : source_(source), fn_(fn) {}

  Result<void> Run() {
    STASIS_ASSIGN_OR_RETURN(const FileAttributes root, source_.Stat(""));
    if (!fn_({"/", root.stat, {}})) return {};
    STASIS_RETURN_IF_ERROR(Push("/"));
    while (!levels_.empty()) {
      Level& level = levels_.back();
      if (level.next == level.names.size()) {
        levels_.pop_back();
        if (!levels_.empty()) STASIS_RETURN_IF_ERROR(source_.Leave());
        continue;
      }
      const std::string name = std::move(level.names[level.next++]);
      STASIS_ASSIGN_OR_RETURN(const bool more, Visit(name, level.path + name));
      if (!more) return {};
    }
    return {};
  }

 private:
  Result<void> Push(std::string path) {
    STASIS_ASSIGN_OR_RETURN(std::vector<std::string> names, source_.List());
    levels_.push_back({std::move(path), std::move(names), 0});
    return {};
  }

  // False if the callback has had enough.
  Result<bool> Visit(const std::string& name, std::string path) {
    STASIS_ASSIGN_OR_RETURN(const FileAttributes attributes, source_.Stat(name));
    std::string target;
    if (S_ISLNK(attributes.stat.mode)) {
      STASIS_ASSIGN_OR_RETURN(target, source_.ReadLink(name));
    }
    if (!fn_({path, attributes.stat, target})) return false;
    if (!S_ISDIR(attributes.stat.mode)) return true;
    STASIS_RETURN_IF_ERROR(source_.Enter(name));
    STASIS_RETURN_IF_ERROR(Push(std::move(path) + "/"));
    return true;
  }

  TreeSource& source_;
  absl::FunctionRef<bool(const TreeEntry&)> fn_;
  std::vector<Level> levels_;
};

char TypeLetter(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return 'd';
    case S_IFLNK:
      return 'l';
    case S_IFIFO:
      return 'p';
    case S_IFSOCK:
      return 's';
    case S_IFCHR:
      return 'c';
    case S_IFBLK:
      return 'b';
    default:
      return '-';
  }
}

// As ls(1) writes it.
std::string ModeString(uint32_t mode) {
  std::string text(1, TypeLetter(mode));
  for (int shift = 6; shift >= 0; shift -= 3) {
    text += (mode >> shift & 4) != 0 ? 'r' : '-';
    text += (mode >> shift & 2) != 0 ? 'w' : '-';
    text += (mode >> shift & 1) != 0 ? 'x' : '-';
  }
  if ((mode & S_ISUID) != 0) text[3] = text[3] == 'x' ? 's' : 'S';
  if ((mode & S_ISGID) != 0) text[6] = text[6] == 'x' ? 's' : 'S';
  if ((mode & S_ISVTX) != 0) text[9] = text[9] == 'x' ? 't' : 'T';
  return text;
}

bool IsDevice(uint32_t mode) { return S_ISCHR(mode) || S_ISBLK(mode); }

void PutText(nlohmann::ordered_json& json, const std::string& key, std::string_view text) {
  if (IsUtf8(text)) {
    json[key] = text;
  } else {
    json[key + "_base64"] = absl::Base64Escape(Absl(text));
  }
}

}  // namespace

absl::Status ListTree(const RestoreRequest& request, absl::FunctionRef<bool(const TreeEntry&)> fn) {
  absl::StatusOr<RestoredImage> restored = Restore(request);
  if (!restored.ok()) return restored.status();
  const auto namespaces = restored->vfs().namespaces();
  if (namespaces.empty()) return absl::DataLossError("the image has no mount namespace");
  const auto source = OpenVfsTree(restored->vfs(), namespaces[0]->root());
  if (Result<void> r = TreeLister(*source, fn).Run(); !r)
    return ErrnoStatus(r.error().value(), "cannot list the tree");
  return absl::OkStatus();
}

std::string FormatTreeEntry(const TreeEntry& entry) {
  const vfs::Stat& stat = entry.stat;
  const std::string size = IsDevice(stat.mode)
                               ? fmt::format("{},{}", major(stat.rdev), minor(stat.rdev))
                               : std::to_string(stat.size);
  std::string text =
      fmt::format("{} {} {} {} {} {} {}", ModeString(stat.mode), stat.nlink, stat.uid, stat.gid,
                  size, FormatTime(stat.mtime), PrintablePath(entry.path));
  if (S_ISLNK(stat.mode)) text += " -> " + PrintablePath(entry.symlink_target);
  return text;
}

std::string TreeEntryToJson(const TreeEntry& entry) {
  const vfs::Stat& stat = entry.stat;
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  PutText(json, "path", entry.path);
  json["type"] = std::string(1, TypeLetter(stat.mode));
  json["mode"] = fmt::format("{:04o}", stat.mode & vfs::kPermissionBits);
  json["ino"] = stat.ino;
  json["dev"] = stat.dev;
  json["nlink"] = stat.nlink;
  json["uid"] = stat.uid;
  json["gid"] = stat.gid;
  json["size"] = stat.size;
  json["blocks"] = stat.blocks;
  json["atime_ns"] = stat.atime;
  json["mtime_ns"] = stat.mtime;
  json["ctime_ns"] = stat.ctime;
  json["btime_ns"] = stat.btime;
  if (IsDevice(stat.mode)) json["rdev"] = {major(stat.rdev), minor(stat.rdev)};
  if (S_ISLNK(stat.mode)) PutText(json, "target", entry.symlink_target);
  return DumpJson(json);
}

}  // namespace stasis::restore
