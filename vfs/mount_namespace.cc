// SPDX-License-Identifier: Apache-2.0

#include "vfs/mount_namespace.h"

#include <algorithm>

#include "state/load_context.h"

namespace stasis::vfs {

void MountNamespace::Remove(const Mount& mount) {
  mounts_.erase(std::find(mounts_.begin(), mounts_.end(), &mount));
}

bool MountNamespace::Contains(const Mount& mount) const {
  return root_ == &mount || std::find(mounts_.begin(), mounts_.end(), &mount) != mounts_.end();
}

absl::Status MountNamespace::AfterLoad(state::LoadContext& context) {
  if (!root_) return context.Invalid(*this, "root", "is missing");
  if (root_->parent() != nullptr)
    return context.Invalid(*this, "root", "is a mount that is attached to another");
  // A mount's parent is the root or stands before it: so there is no cycle.
  for (auto it = mounts_.begin(); it != mounts_.end(); ++it) {
    if (!*it) return context.Invalid(*this, "mounts", "has a missing mount");
    Mount* parent = (*it)->parent();
    const bool known = parent != nullptr &&
                       (parent == root_.get() || std::find(mounts_.begin(), it, parent) != it);
    if (!known) return context.Invalid(*this, "mounts", "has a mount before or without its parent");
  }
  return absl::OkStatus();
}

}  // namespace stasis::vfs
