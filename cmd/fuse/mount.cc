// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/mount.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "cmd/fuse/init.h"
#include "state/base/result.h"

namespace stasis::fuse {
namespace {

std::string WithErrno(absl::string_view what, int error) {
  return absl::StrCat(what, ": ", ErrnoName(Errno(error)));
}

unsigned int AttributesOf(const MountOptions& options) {
  unsigned int attributes = 0;
  if (options.read_only) attributes |= MOUNT_ATTR_RDONLY;
  if (options.no_suid) attributes |= MOUNT_ATTR_NOSUID;
  if (options.no_dev) attributes |= MOUNT_ATTR_NODEV;
  return attributes;
}

bool SetString(int context, const char* key, const std::string& value) {
  return fsconfig(context, FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0;
}

bool Configure(int context, int device, const MountOptions& options) {
  const std::string user = absl::StrCat(options.user_id.value_or(geteuid()));
  const std::string group = absl::StrCat(options.group_id.value_or(getegid()));
  // The server relies on the kernel's checks (default_permissions).
  return SetString(context, "source", options.source) &&
         (options.subtype.empty() || SetString(context, "subtype", options.subtype)) &&
         SetString(context, "fd", absl::StrCat(device)) &&
         SetString(context, "rootmode", absl::StrFormat("%o", S_IFDIR)) &&
         SetString(context, "user_id", user) && SetString(context, "group_id", group) &&
         SetString(context, "max_read", absl::StrCat(kMaxData)) &&
         fsconfig(context, FSCONFIG_SET_FLAG, "default_permissions", nullptr, 0) == 0 &&
         (!options.allow_other ||
          fsconfig(context, FSCONFIG_SET_FLAG, "allow_other", nullptr, 0) == 0) &&
         (!options.read_only || fsconfig(context, FSCONFIG_SET_FLAG, "ro", nullptr, 0) == 0);
}

absl::Status MountError(int error, absl::string_view doing) {
  const std::string what = WithErrno(doing, error);
  switch (error) {
    case EPERM:
    case EACCES:
      return absl::PermissionDeniedError(absl::StrCat(
          what,
          "; run as root, or in a user namespace of its own (unshare --user --map-root-user "
          "--mount), and open /dev/fuse in the same one"));
    case ENODEV:
      return absl::UnavailableError(absl::StrCat(what, "; the kernel has no FUSE: modprobe fuse"));
    case ENOENT:
      return absl::NotFoundError(what);
    case EINVAL:
      return absl::InvalidArgumentError(absl::StrCat(
          what,
          "; user_id and group_id must exist in the user namespace, and /dev/fuse must have "
          "been opened in it and not be mounted yet"));
    default:
      return absl::FailedPreconditionError(what);
  }
}

}  // namespace

absl::StatusOr<UniqueFd> OpenDevice(const std::string& path) {
  UniqueFd device(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (device.valid()) return device;
  const int error = errno;
  const std::string what = WithErrno(absl::StrCat("opening ", path), error);
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(absl::StrCat(
          what, "; load the driver (modprobe fuse), in a container add the device (--device ", path,
          "), or make it: mknod ", path, " c 10 229"));
    case ENXIO:
    case ENODEV:
      return absl::UnavailableError(absl::StrCat(what, "; the kernel has no FUSE: modprobe fuse"));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat(what, "; it should have mode 0666 (chmod 666 ", path,
                       "); in a container the device cgroup must allow c 10:229 rw"));
    default:
      return absl::InternalError(what);
  }
}

absl::StatusOr<DetachedMount> OpenDetached(const MountOptions& options) {
  auto device = OpenDevice(options.device);
  if (!device.ok()) return device.status();
  const UniqueFd context(fsopen("fuse", FSOPEN_CLOEXEC));
  if (!context.valid() || !Configure(context.get(), device->get(), options) ||
      fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return MountError(errno, "making a FUSE filesystem");
  UniqueFd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, AttributesOf(options)));
  if (!mount.valid()) return MountError(errno, "making a FUSE mount");
  return DetachedMount{*std::move(device), std::move(mount)};
}

absl::StatusOr<UniqueFd> OpenAndMount(const std::string& target, const MountOptions& options) {
  const std::string what = absl::StrCat("mounting FUSE on ", target);
  const UniqueFd place(open(target.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!place.valid()) return MountError(errno, what);
  auto made = OpenDetached(options);
  if (!made.ok()) return made.status();
  if (move_mount(made->mount.get(), "", place.get(), "",
                 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return MountError(errno, what);
  return std::move(made->device);
}

absl::Status UnmountLazily(const std::string& target) {
  if (umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return absl::OkStatus();
  const int error = errno;
  const std::string what = WithErrno(absl::StrCat("unmounting ", target), error);
  if (error == EINVAL || error == ENOENT) return absl::NotFoundError(what);
  if (error == EPERM) {
    return absl::PermissionDeniedError(
        absl::StrCat(what, "; only who may mount in this mount namespace may unmount"));
  }
  return absl::FailedPreconditionError(what);
}

}  // namespace stasis::fuse
