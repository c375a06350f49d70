// SPDX-License-Identifier: Apache-2.0

#include "vfs/mount_namespace.h"

#include "state/load_context.h"
#include "vfs/mount_tree.h"

namespace stasis::vfs {

MountNamespace::MountNamespace(RefPtr<Mount> root, uint64_t owner)
    : root_(std::move(root)), owner_(owner) {
  Add(root_);
}

// Whoever still holds a mount must not find the namespace.
MountNamespace::~MountNamespace() {
  for (const auto& [id, mount] : mounts_) mount->ns_.store(nullptr);
}

void MountNamespace::Add(RefPtr<Mount> mount) {
  mount->ns_.store(this, std::memory_order_release);
  const uint64_t id = mount->id();
  mounts_.emplace(id, std::move(mount));
}

RefPtr<Mount> MountNamespace::Remove(const Mount& mount) {
  auto it = mounts_.find(mount.id());
  RefPtr<Mount> removed = std::move(it->second);
  mounts_.erase(it);
  return removed;
}

std::vector<RefPtr<Mount>> MountNamespace::mounts() const {
  std::vector<RefPtr<Mount>> all;
  for (Mount* mount : SaveMounts()) all.emplace_back(mount);
  return all;
}

std::vector<Mount*> MountNamespace::SaveMounts() const {
  std::vector<Mount*> all;
  for (Mount* mount = MountTree::Next(*root_, *root_); mount != nullptr;
       mount = MountTree::Next(*mount, *root_))
    all.push_back(mount);
  return all;
}

absl::Status MountNamespace::LoadMounts(std::vector<Mount*> mounts, state::LoadContext& context) {
  loaded_.reserve(mounts.size());
  for (Mount* mount : mounts) {
    if (mount == nullptr) return context.Invalid(*this, "mounts", "has a missing mount");
    loaded_.emplace_back(mount);
  }
  return absl::OkStatus();
}

absl::Status MountNamespace::AfterLoad(state::LoadContext& context) {
  if (!root_) return context.Invalid(*this, "root", "is missing");
  if (root_->parent() != nullptr)
    return context.Invalid(*this, "root", "is a mount that is attached to another");
  return absl::OkStatus();
}

}  // namespace stasis::vfs
