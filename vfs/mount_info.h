// SPDX-License-Identifier: Apache-2.0
//
// mount_info.h: mounts as text, as the kernel prints them in /proc/PID/mountinfo (proc(5)).

#ifndef STASIS_VFS_MOUNT_INFO_H_
#define STASIS_VFS_MOUNT_INFO_H_

#include <optional>
#include <string>

#include "vfs/path_operation.h"

namespace stasis::vfs {

// The line of `mount` for who has `root`, with its end; nothing if the mount is not reachable.
// Requires: mount_mu, and the operation gate.
std::optional<std::string> MountInfoLine(const Mount& mount, const VirtualDentry& root);

// Where a walk from `root` finds the mount: a path; nothing if it does not. Requires: the same.
std::optional<std::string> PathOfMount(const Mount& mount, const VirtualDentry& root);
// Where a mount's root is in its filesystem. Requires: the same.
std::string PathOfRoot(const Dentry& root);

}  // namespace stasis::vfs

#endif  // STASIS_VFS_MOUNT_INFO_H_
