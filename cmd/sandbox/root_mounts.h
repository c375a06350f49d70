// SPDX-License-Identifier: Apache-2.0
//
// root_mounts.h: builds a sandbox's mounts, inside its new mount namespace.
//
// Everything is attached by descriptor (open_tree, fsmount, move_mount) at places that are looked
// up below the sandbox's root only, so a symbolic link in the tree leads nowhere else.

#ifndef STASIS_CMD_SANDBOX_ROOT_MOUNTS_H_
#define STASIS_CMD_SANDBOX_ROOT_MOUNTS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "cmd/sandbox/mount_plan.h"
#include "state/base/unique_fd.h"

namespace stasis::sandbox {

// Opens /dev/fuse and mounts it on the plan's staging directory; the caller serves the descriptor.
// Requires: in the sandbox's own mount namespace, none of whose mounts is shared.
absl::StatusOr<UniqueFd> MountFuseRoot(const MountPlan& plan);

// Attaches /proc, /dev and then the binds, in their order, below the staging directory, and makes
// that the root; the old one is gone afterwards. Places of binds in /dev are made.
// Requires: MountFuseRoot, and that somebody serves.
absl::Status EnterRoot(const MountPlan& plan);

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_ROOT_MOUNTS_H_
