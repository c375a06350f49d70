// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/mount_calls.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace stasis::sandbox {

absl::Status SystemError(const std::string& what) { return absl::ErrnoToStatus(errno, what); }

absl::StatusOr<UniqueFd> NewFilesystem(const char* type, const MountParameters& parameters,
                                       unsigned int attributes) {
  const UniqueFd context(fsopen(type, FSOPEN_CLOEXEC));
  if (!context.valid()) return SystemError(absl::StrCat("cannot make a filesystem of type ", type));
  (void)fsconfig(context.get(), FSCONFIG_SET_STRING, "source", type, 0);  // for /proc/mounts
  for (const auto& [key, value] : parameters)
    if (fsconfig(context.get(), FSCONFIG_SET_STRING, key, value, 0) != 0)
      return SystemError(absl::StrCat(type, " refuses ", key, "=", value));
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return SystemError(absl::StrCat("cannot make a filesystem of type ", type));
  UniqueFd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, attributes));
  if (!mount.valid()) return SystemError(absl::StrCat("cannot mount a new ", type));
  return mount;
}

absl::Status SetAttributes(const UniqueFd& mount, uint64_t attributes, const std::string& name) {
  constexpr uint64_t kAll = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                            MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODIRATIME;
  mount_attr change{};
  change.attr_set = attributes;
  // Of the ways to note times a mount has one: whatever it was is taken away.
  change.attr_clr = (kAll & ~attributes) | MOUNT_ATTR__ATIME;
  if (mount_setattr(mount.get(), "", AT_EMPTY_PATH, &change, sizeof change) != 0)
    return SystemError(absl::StrCat("cannot set the flags of the mount ", name));
  return absl::OkStatus();
}

absl::Status JoinGroup(const UniqueFd& mount, const UniqueFd& peer, const std::string& name) {
  if (move_mount(peer.get(), "", mount.get(), "",
                 MOVE_MOUNT_SET_GROUP | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return SystemError(absl::StrCat("cannot share the mount ", name, " (Linux 5.15 can)"));
  return absl::OkStatus();
}

absl::Status SetPropagation(const UniqueFd& mount, uint64_t type, const std::string& name) {
  mount_attr change{};
  change.propagation = type;
  if (mount_setattr(mount.get(), "", AT_EMPTY_PATH, &change, sizeof change) != 0)
    return SystemError(absl::StrCat("cannot set the propagation of the mount ", name));
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> CloneMount(int place, const std::string& name) {
  UniqueFd clone(open_tree(place, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
  if (!clone.valid()) return SystemError(absl::StrCat("cannot mount ", name));
  return clone;
}

UniqueFd LookUpBelow(int root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
}

absl::StatusOr<UniqueFd> OpenBelow(int root, const std::string& path) {
  UniqueFd fd = LookUpBelow(root, path);
  if (!fd.valid()) return SystemError(absl::StrCat("cannot open ", path, " in the sandbox"));
  return fd;
}

absl::Status AttachBelow(const UniqueFd& mount, int root, const std::string& path) {
  absl::StatusOr<UniqueFd> place = OpenBelow(root, path);
  if (!place.ok()) return place.status();
  if (move_mount(mount.get(), "", place->get(), "",
                 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return SystemError(absl::StrCat("cannot mount on ", path, " in the sandbox"));
  return absl::OkStatus();
}

}  // namespace stasis::sandbox
