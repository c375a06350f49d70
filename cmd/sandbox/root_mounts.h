// SPDX-License-Identifier: Apache-2.0
//
// root_mounts.h: completes a sandbox's root, inside its new mount namespace.

#ifndef STASIS_CMD_SANDBOX_ROOT_MOUNTS_H_
#define STASIS_CMD_SANDBOX_ROOT_MOUNTS_H_

#include <absl/status/status.h>

#include <vector>

#include "cmd/sandbox/mount_plan.h"
#include "state/base/unique_fd.h"

namespace stasis::sandbox {

// Attaches /proc, /dev and then the binds, in their order, to the tree at `root`, a mount, and
// makes that the root; the old one is gone afterwards. Places of binds in /dev are made. Requires:
// in the sandbox's own mount namespace, none of whose mounts is shared; whoever serves the tree
// does.
absl::Status EnterRoot(const UniqueFd& root, const std::vector<Bind>& binds);

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_ROOT_MOUNTS_H_
