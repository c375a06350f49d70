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

constexpr char kDevice[] = "/dev/fuse";

std::string WithErrno(absl::string_view what, int error) {
  return absl::StrCat(what, ": ", ErrnoName(Errno(error)));
}

unsigned long FlagsOf(const MountOptions& options) {
  unsigned long flags = 0;
  if (options.read_only) flags |= MS_RDONLY;
  if (options.no_suid) flags |= MS_NOSUID;
  if (options.no_dev) flags |= MS_NODEV;
  return flags;
}

std::string DataOf(int device, uint32_t root_mode, const MountOptions& options) {
  // The server relies on the kernel's checks (default_permissions).
  std::string data = absl::StrFormat(
      "fd=%d,rootmode=%o,user_id=%u,group_id=%u,max_read=%u,default_permissions", device, root_mode,
      options.user_id.value_or(geteuid()), options.group_id.value_or(getegid()), kMaxData);
  if (options.allow_other) absl::StrAppend(&data, ",allow_other");
  return data;
}

absl::Status MountError(int error, const std::string& target) {
  const std::string what = WithErrno(absl::StrCat("mounting FUSE on ", target), error);
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

absl::StatusOr<UniqueFd> OpenDevice() {
  UniqueFd device(open(kDevice, O_RDWR | O_CLOEXEC));
  if (device.valid()) return device;
  const int error = errno;
  const std::string what = WithErrno(absl::StrCat("opening ", kDevice), error);
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(absl::StrCat(
          what, "; load the driver (modprobe fuse), in a container add the device (--device ",
          kDevice, "), or make it: mknod ", kDevice, " c 10 229"));
    case ENXIO:
    case ENODEV:
      return absl::UnavailableError(absl::StrCat(what, "; the kernel has no FUSE: modprobe fuse"));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat(what, "; it should have mode 0666 (chmod 666 ", kDevice,
                       "); in a container the device cgroup must allow c 10:229 rw"));
    default:
      return absl::InternalError(what);
  }
}

absl::Status Mount(const UniqueFd& device, const std::string& target, const MountOptions& options) {
  struct stat status;
  if (stat(target.c_str(), &status) != 0) return MountError(errno, target);
  if (!S_ISDIR(status.st_mode)) return MountError(ENOTDIR, target);
  const std::string type =
      options.subtype.empty() ? "fuse" : absl::StrCat("fuse.", options.subtype);
  const std::string data = DataOf(device.get(), status.st_mode & S_IFMT, options);
  if (mount(options.source.c_str(), target.c_str(), type.c_str(), FlagsOf(options), data.c_str()) !=
      0) {
    return MountError(errno, target);
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> OpenAndMount(const std::string& target, const MountOptions& options) {
  auto device = OpenDevice();
  if (!device.ok()) return device.status();
  if (absl::Status status = Mount(*device, target, options); !status.ok()) return status;
  return device;
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
