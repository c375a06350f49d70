// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/escaping.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

#include "restore/inspect.h"
#include "restore/internal/format.h"
#include "vfs/mount_namespace.h"
#include "vfs/operation_gate.h"

namespace stasis::restore {
namespace {

// A file, through the mount that shows it.
struct Place {
  const vfs::Mount* mount;
  vfs::Dentry* dentry;
  std::string path;
};

// One walk over the names that were saved, without recursion. Nothing is asked of filesystems that
// only a restore makes ready.
class TreeLister {
 public:
  TreeLister(const vfs::MountNamespace& ns, absl::FunctionRef<bool(const TreeEntry&)> fn)
      : fn_(fn) {
    for (const RefPtr<vfs::Mount>& mount : ns.mounts())
      mounts_[{mount->parent(), mount->point()}] = mount.get();
    const vfs::Mount& root = ns.root_mount();
    pending_.push_back({&root, &root.root(), "/"});
  }

  Result<void> Run() {
    while (!pending_.empty()) {
      Place place = std::move(pending_.back());
      pending_.pop_back();
      EnterMounts(place);
      STASIS_ASSIGN_OR_RETURN(const bool more, Visit(place));
      if (!more) return {};
      if (place.dentry->is_dir()) PushChildren(place);
    }
    return {};
  }

 private:
  // To the top of what is mounted here.
  void EnterMounts(Place& place) const {
    for (auto it = mounts_.find({place.mount, place.dentry}); it != mounts_.end();
         it = mounts_.find({place.mount, place.dentry}))
      place = {it->second, &it->second->root(), std::move(place.path)};
  }

  // False if the callback has had enough.
  Result<bool> Visit(const Place& place) {
    const vfs::Inode& inode = place.dentry->inode();
    vfs::Stat stat;
    inode.FillStat(stat);
    stat.dev = place.mount->filesystem().dev();
    std::string_view target;
    if (S_ISLNK(stat.mode)) {
      STASIS_ASSIGN_OR_RETURN(target, inode.ReadLink());
    }
    return fn_({place.path, stat, target});
  }

  // So that the first one is next.
  void PushChildren(const Place& dir) {
    const std::string above = dir.path == "/" ? "" : dir.path;
    const auto first = static_cast<std::ptrdiff_t>(pending_.size());
    absl::ReaderMutexLock lock(&dir.dentry->directory().mu);
    dir.dentry->directory().ForEach([&](vfs::Dentry& child) {
      pending_.push_back({dir.mount, &child, fmt::format("{}/{}", above, child.name())});
    });
    std::reverse(pending_.begin() + first, pending_.end());
  }

  absl::FunctionRef<bool(const TreeEntry&)> fn_;
  // By what they are mounted on.
  std::map<std::pair<const vfs::Mount*, const vfs::Dentry*>, const vfs::Mount*> mounts_;
  std::vector<Place> pending_;
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
  absl::StatusOr<RestoredImage> loaded = Load(request);
  if (!loaded.ok()) return loaded.status();
  const auto namespaces = loaded->vfs().namespaces();
  if (namespaces.empty()) return absl::DataLossError("the image has no mount namespace");
  const vfs::Operation operation(loaded->vfs().gate());
  if (Result<void> r = TreeLister(*namespaces[0], fn).Run(); !r)
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
