// SPDX-License-Identifier: Apache-2.0
//
// root_mounts.h: completes a sandbox's root, inside its new mount namespace.

#ifndef STASIS_CMD_SANDBOX_ROOT_MOUNTS_H_
#define STASIS_CMD_SANDBOX_ROOT_MOUNTS_H_

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

#include <utility>
#include <vector>

#include "cmd/sandbox/mount_plan.h"
#include "state/base/unique_fd.h"

namespace stasis::sandbox {

// Belongs to init, in the sandbox's own mount namespace, none of whose mounts is shared.
class RootMounts {
 public:
  // What is bound, as a mount tree that is attached nowhere.
  using Trees = std::vector<std::pair<Bind, UniqueFd>>;

  // Attaches /proc, /dev and then the binds, in their order, to the tree at `root`, a mount, and
  // makes that the root; the old one is gone afterwards. Places of binds in /dev are made. On
  // failure the old one stays. `attached` is called when nothing more is to be attached; what it
  // returns counts. Requires: whoever serves the tree does.
  //
  // The first time, binds are of the host's tree. That is out of reach then, so they are kept, and
  // there can be no others later: kFailedPrecondition.
  absl::Status Enter(const UniqueFd& root, const std::vector<Bind>& binds,
                     absl::FunctionRef<absl::Status()> attached);

 private:
  absl::Status TakeTrees(const std::vector<Bind>& binds, Trees& trees);
  static absl::Status Attach(const Trees& trees, int root);

  bool entered_ = false;
  Trees spares_;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_ROOT_MOUNTS_H_
