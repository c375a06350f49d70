// SPDX-License-Identifier: Apache-2.0
//
// mount.h: FUSE mounts in the calling process's namespaces.
//
// The device must be opened in the user namespace in which it is mounted: the kernel compares the
// two. In a user namespace of its own, a process without privileges may do both.

#ifndef STASIS_CMD_FUSE_MOUNT_H_
#define STASIS_CMD_FUSE_MOUNT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "state/base/unique_fd.h"

namespace stasis::fuse {

struct MountOptions {
  std::string device = "/dev/fuse";
  std::string source = "stasis";   // first column of /proc/mounts
  std::string subtype = "stasis";  // the type is shown as fuse.SUBTYPE
  // Whose mount it is. Must be mapped in the user namespace. Unset: the caller's.
  std::optional<uint32_t> user_id;
  std::optional<uint32_t> group_id;
  bool allow_other = true;  // users other than user_id may use it
  bool read_only = false;
  bool no_suid = false;  // implied in a user namespace
  bool no_dev = false;   // likewise
};

// Opens the device. Errors: NotFound (no such device), PermissionDenied, Unavailable (no driver).
absl::StatusOr<UniqueFd> OpenDevice(const std::string& device = "/dev/fuse");

// A mount that is attached nowhere, for move_mount(2), and the device to serve it from.
struct DetachedMount {
  UniqueFd device;
  UniqueFd mount;
};
// Opens a device and makes a mount of it. The kernel's INIT request waits in the device: the mount
// can be used once somebody serves it. Errors: of OpenDevice; PermissionDenied, InvalidArgument,
// FailedPrecondition.
absl::StatusOr<DetachedMount> OpenDetached(const MountOptions& options);

// The same, attached to the directory `target`; the device. Errors: also NotFound.
absl::StatusOr<UniqueFd> OpenAndMount(const std::string& target, const MountOptions& options);

// Takes the mount at `target` out of the tree; it ends when nobody uses it any more.
// Errors: NotFound if nothing is mounted there, PermissionDenied.
absl::Status UnmountLazily(const std::string& target);

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_MOUNT_H_
