// SPDX-License-Identifier: Apache-2.0
//
// vfs_mount_namespaces.cc: VirtualFilesystem's mount namespaces: making, copying, turning, showing.

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <utility>

#include "vfs/mount_info.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {

std::vector<RefPtr<MountNamespace>> VirtualFilesystem::namespaces() const {
  absl::MutexLock lock(&locks_.mount_mu);
  return namespaces_;
}

RefPtr<MountNamespace> VirtualFilesystem::NewMountNamespace(RefPtr<Filesystem> filesystem,
                                                            MountFlags flags) {
  Operation operation(gate_);
  MountChange change;
  RefPtr<Dentry> root(&filesystem->root());
  absl::MutexLock lock(&locks_.mount_mu);
  Mount& mount = mount_tree_.Make(std::move(filesystem), std::move(root), flags, change);
  auto ns = MakeRef<MountNamespace>(RefPtr<Mount>(&mount));
  namespaces_.push_back(ns);
  return ns;
}

Result<RefPtr<MountNamespace>> VirtualFilesystem::CloneMountNamespace(
    const Credentials& creds, MountNamespace& ns, bool less_privileged,
    std::span<VirtualDentry* const> places) {
  if (!creds.Has(Capability::kSysAdmin)) return Err(EPERM);
  Operation operation(gate_);
  MountChange change;
  absl::MutexLock lock(&locks_.mount_mu);
  mount_tree_.AssertLocked();
  Mount& original = ns.root_mount();
  if (original.ns() != &ns) return Err(EINVAL);
  const unsigned how =
      MountTree::kWithUnbindable | (less_privileged ? MountTree::kSlaves : MountTree::kPeers);
  STASIS_ASSIGN_OR_RETURN(Mount * root,
                          mount_tree_.CopyTree(original, original.root(), how, change));
  if (less_privileged) MountTree::LockTree(*root);
  const uint64_t owner = less_privileged ? next_owner_.fetch_add(1) : ns.owner();
  auto copy = MakeRef<MountNamespace>(RefPtr<Mount>(root), owner);
  mount_tree_.Adopt(*copy, *root);
  namespaces_.push_back(copy);
  // The two trees are alike, but for what a rename has taken out of the place that is mounted.
  absl::flat_hash_map<const Mount*, Mount*> copies;
  Mount* m = &original;
  for (Mount* c = root; c != nullptr; c = MountTree::Next(*c, *root)) {
    while (&m->root() != &c->root()) m = MountTree::Next(*MountTree::Last(*m), original);
    copies.emplace(m, c);
    m = MountTree::Next(*m, original);
  }
  for (VirtualDentry* place : places) {
    const auto it = copies.find(&place->mount());
    if (it != copies.end())
      *place = VirtualDentry(RefPtr<Mount>(it->second), RefPtr<Dentry>(&place->dentry()));
  }
  return copy;
}

void VirtualFilesystem::RemoveMountNamespace(MountNamespace& ns) {
  Operation operation(gate_);
  MountChange change;
  RefPtr<MountNamespace> held(&ns);
  absl::MutexLock lock(&locks_.mount_mu);
  mount_tree_.AssertLocked();
  const auto it = std::find(namespaces_.begin(), namespaces_.end(), &ns);
  if (it == namespaces_.end()) return;
  namespaces_.erase(it);
  mount_tree_.Unmount(ns.root_mount(), MountTree::kLazily, change);
  ReportUnmounted(change);
}

VirtualDentry VirtualFilesystem::RootOf(MountNamespace& ns) const {
  absl::MutexLock lock(&locks_.mount_mu);
  mount_tree_.AssertLocked();
  Mount& top = mount_tree_.Top(ns.root_mount());
  return {RefPtr<Mount>(&top), RefPtr<Dentry>(&top.root())};
}

// In the order of Linux.
Result<void> VirtualFilesystem::CheckPivot(const MountNamespace& ns, const VirtualDentry& root,
                                           const VirtualDentry& fresh, const Mount& old_parent,
                                           const Dentry& put_old) const {
  const auto is_shared = [](const Mount* mount) {
    return mount != nullptr && mount->peer_group() != 0;
  };
  const Mount& root_mount = root.mount();
  const Mount& new_mount = fresh.mount();
  // What has no parent counts as its own.
  const auto parent_of = [](const Mount& m) { return m.parent() == nullptr ? &m : m.parent(); };
  if (is_shared(&old_parent) || is_shared(parent_of(new_mount)) || is_shared(parent_of(root_mount)))
    return Err(EINVAL);
  if (root_mount.ns() != &ns || new_mount.ns() != &ns || new_mount.locked()) return Err(EINVAL);
  if (fresh.dentry().disconnected()) return Err(ENOENT);
  if (&new_mount == &root_mount || &old_parent == &root_mount) return Err(EBUSY);
  if (&root.dentry() != &root_mount.root() || root_mount.parent() == nullptr) return Err(EINVAL);
  if (&fresh.dentry() != &new_mount.root() || new_mount.parent() == nullptr) return Err(EINVAL);
  if (!MountTree::IsReachable(old_parent, put_old, fresh)) return Err(EINVAL);
  if (!MountTree::IsReachable(new_mount, fresh.dentry(), root)) return Err(EINVAL);
  return {};
}

Result<VirtualDentry> VirtualFilesystem::PivotRootAt(const Credentials& creds, MountNamespace& ns,
                                                     const PathOperation& new_root,
                                                     const PathOperation& put_old) {
  if (!creds.Has(Capability::kSysAdmin)) return Err(EPERM);
  Operation operation(gate_);
  MountChange change;
  STASIS_ASSIGN_OR_RETURN(VirtualDentry fresh, GetMountPlace(creds, new_root));
  if (!fresh.dentry().is_dir()) return Err(ENOTDIR);
  STASIS_ASSIGN_OR_RETURN(VirtualDentry place, GetMountPlace(creds, put_old));
  if (!place.dentry().is_dir()) return Err(ENOTDIR);
  const VirtualDentry& root = new_root.root;
  const auto pivot = [&](Mount& parent, Dentry& point) -> Result<void> {
    locks_.mount_mu.AssertHeld();
    mount_tree_.AssertLocked();
    STASIS_RETURN_IF_ERROR(CheckPivot(ns, root, fresh, parent, point));
    mount_tree_.Pivot(root.mount(), fresh.mount(), parent, point, change);
    return {};
  };
  STASIS_RETURN_IF_ERROR(OnTopOf(std::move(place), pivot));
  return fresh;
}

static MountSharing SharingOf(const Mount& mount) {
  MountSharing sharing{mount.peer_group(), {}, mount.unbindable()};
  for (const Mount* master = mount.master(); master != nullptr; master = master->master())
    sharing.masters.push_back(master->peer_group());
  return sharing;
}

std::vector<VirtualFilesystem::MountPlace> VirtualFilesystem::MountPlaces(
    const MountNamespace& ns) {
  Operation operation(gate_);
  absl::MutexLock lock(&locks_.mount_mu);
  const VirtualDentry root = ns.root();
  std::vector<RefPtr<Mount>> mounts = ns.mounts();
  mounts.insert(mounts.begin(), RefPtr<Mount>(&ns.root_mount()));
  std::vector<MountPlace> places;
  for (RefPtr<Mount>& mount : mounts) {
    std::optional<std::string> path = PathOfMount(*mount, root);
    if (!path) continue;  // below a directory that was moved out of what is mounted
    std::string in_filesystem = PathOfRoot(mount->root());
    MountSharing sharing = SharingOf(*mount);
    places.push_back(
        {std::move(mount), *std::move(path), std::move(in_filesystem), std::move(sharing)});
  }
  return places;
}

std::string VirtualFilesystem::MountInfo(const MountNamespace& ns, const VirtualDentry& root) {
  Operation operation(gate_);
  absl::MutexLock lock(&locks_.mount_mu);
  std::string text;
  for (const auto& [id, mount] : ns.mounts_by_id()) {
    if (const auto line = MountInfoLine(*mount, root)) text += *line;
  }
  return text;
}

}  // namespace stasis::vfs
