// SPDX-License-Identifier: Apache-2.0

#include "vfs/mount_info.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <sys/sysmacros.h>

#include <string_view>
#include <vector>

#include "vfs/filesystem.h"
#include "vfs/mount_tree.h"

namespace stasis::vfs {
namespace {

// What separates fields and lines, and the escape itself, in octal.
std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\\')
      absl::StrAppendFormat(&out, "\\%03o", c);
    else
      out += c;
  }
  return out;
}

// Joins names that were collected from the last to the first.
std::string Join(const std::vector<std::string_view>& names) {
  std::string path;
  for (auto it = names.rbegin(); it != names.rend(); ++it) {
    path += '/';
    path += *it;
  }
  return path.empty() ? "/" : path;
}

std::string Options(const MountFlags& flags) {
  std::string options = flags.read_only ? "ro" : "rw";
  const auto append = [&options](bool on, std::string_view name) {
    if (on) (options += ',') += name;
  };
  append(flags.no_suid, "nosuid");
  append(flags.no_dev, "nodev");
  append(flags.no_exec, "noexec");
  append(flags.no_atime, "noatime");
  append(flags.no_dir_atime, "nodiratime");
  append(!flags.no_atime && !flags.strict_atime, "relatime");
  append(flags.no_sym_follow, "nosymfollow");
  return options;
}

std::string PropagationTags(const Mount& mount, const VirtualDentry& root) {
  std::string tags;
  if (mount.peer_group() != 0) absl::StrAppend(&tags, " shared:", mount.peer_group());
  if (mount.master() != nullptr) {
    const uint32_t master = mount.master()->peer_group();
    const uint32_t seen = MountTree::DominatingGroup(mount, root);
    absl::StrAppend(&tags, " master:", master);
    if (seen != 0 && seen != master) absl::StrAppend(&tags, " propagate_from:", seen);
  }
  if (mount.unbindable()) tags += " unbindable";
  return tags;
}

}  // namespace

std::string PathOfRoot(const Dentry& root) {
  std::vector<std::string_view> names;
  for (const Dentry* d = &root; d->parent() != nullptr; d = d->parent()) names.push_back(d->name());
  return Join(names) + (root.disconnected() ? "//deleted" : "");
}

std::optional<std::string> PathOfMount(const Mount& mount, const VirtualDentry& root) {
  std::vector<std::string_view> names;
  const Mount* m = &mount;
  const Dentry* d = &mount.root();
  while (m != &root.mount() || d != &root.dentry()) {
    if (d == &m->root()) {
      if (m->parent() == nullptr) return std::nullopt;
      d = m->point();
      m = m->parent();
      continue;
    }
    if (d->parent() == nullptr) return std::nullopt;
    names.push_back(d->name());
    d = d->parent();
  }
  return Join(names);
}

std::optional<std::string> MountInfoLine(const Mount& mount, const VirtualDentry& root) {
  const std::optional<std::string> at = PathOfMount(mount, root);
  if (!at) return std::nullopt;
  const Filesystem& filesystem = mount.filesystem();
  const uint64_t parent = mount.parent() == nullptr ? mount.id() : mount.parent()->id();
  const auto dev = static_cast<dev_t>(filesystem.dev());
  const std::string type = Escaped(filesystem.type());
  return absl::StrCat(mount.id(), " ", parent, " ", gnu_dev_major(dev), ":", gnu_dev_minor(dev),
                      " ", Escaped(PathOfRoot(mount.root())), " ", Escaped(*at), " ",
                      Options(mount.flags()), PropagationTags(mount, root), " - ", type, " ", type,
                      " rw\n");
}

}  // namespace stasis::vfs
