// SPDX-License-Identifier: Apache-2.0
//
// vfs_umount.cc: VirtualFilesystem's operations that unmount, and what goes with removed files.

#include <absl/cleanup/cleanup.h>
#include <absl/container/flat_hash_set.h>

#include <utility>

#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {
namespace {

// The flags of umount2(2), as in <sys/mount.h>, which comes with host system calls.
constexpr int kForce = 1;     // MNT_FORCE
constexpr int kDetach = 2;    // MNT_DETACH
constexpr int kExpire = 4;    // MNT_EXPIRE
constexpr int kNoFollow = 8;  // UMOUNT_NOFOLLOW

}  // namespace

void VirtualFilesystem::ReportUnmounted(const MountChange& change) {
  if (!watches_->active()) return;
  absl::flat_hash_set<const Filesystem*> gone;
  for (const RefPtr<Mount>& mount : change.dropped) gone.insert(&mount->filesystem());
  for (const RefPtr<MountNamespace>& ns : namespaces_) {
    for (const auto& [id, mount] : ns->mounts_by_id()) gone.erase(&mount->filesystem());
  }
  // In an order that does not depend on addresses.
  for (const RefPtr<Filesystem>& filesystem : filesystems_) {
    if (gone.contains(filesystem.get())) watches_->OnUnmount(*filesystem);
  }
}

Result<void> VirtualFilesystem::UmountAt(const Credentials& creds, MountNamespace& ns,
                                         const PathOperation& target, int flags) {
  if ((flags & ~(kForce | kDetach | kExpire | kNoFollow)) != 0) return Err(EINVAL);
  const bool follow = (flags & kNoFollow) == 0;
  STASIS_ASSIGN_OR_RETURN(VirtualDentry at,
                          GetDentry(creds, target, follow, /*keep_expired=*/true));
  if (!creds.Has(Capability::kSysAdmin)) return Err(EPERM);
  const RefPtr<Mount> mount(&at.mount());
  if (&at.dentry() != &mount->root() || mount->ns() != &ns) return Err(EINVAL);
  at = VirtualDentry();
  const bool lazy = (flags & kDetach) != 0;
  if ((flags & kExpire) != 0 && (flags & (kForce | kDetach)) != 0) return Err(EINVAL);
  // Linux makes the filesystem read-only instead.
  if (mount.get() == &target.root.mount() && !lazy) return Err(EINVAL);
  MountChange change;
  // With nobody inside, whoever uses a mount holds a reference on it.
  gate_.Close();
  absl::Cleanup open = [this] { gate_.Open(); };
  absl::MutexLock lock(&locks_.mount_mu);
  mount_tree_.AssertLocked();
  if (mount->ns() != &ns || mount->locked()) return Err(EINVAL);
  constexpr uint32_t kUnused = 2;  // the namespace's and ours
  if ((flags & kExpire) != 0) {
    if (MountTree::HasChildren(*mount) || mount->RefsRacy() > kUnused) return Err(EBUSY);
    if (!mount->expired()) {
      mount->set_expired(true);
      return Err(EAGAIN);
    }
  }
  if (mount->parent() == nullptr) return Err(EINVAL);
  if (!lazy && mount_tree_.IsBusy(*mount, kUnused)) return Err(EBUSY);
  mount_tree_.Unmount(*mount, MountTree::kEverywhere | (lazy ? 0U : MountTree::kAtOnce), change);
  ReportUnmounted(change);
  return {};
}

void VirtualFilesystem::UnmountAllAt(Dentry& point) {
  MountChange change;
  UnmountRemoved(point, change);
}

bool VirtualFilesystem::IsBusyMountpointSlow(const Mount& root, const Dentry& dentry) const {
  absl::MutexLock lock(&locks_.mount_mu);
  mount_tree_.AssertLocked();
  const MountNamespace* ns = root.ns();
  return ns == nullptr ? mount_tree_.FirstAt(dentry) != nullptr
                       : mount_tree_.IsMountPointIn(dentry, *ns);
}

void VirtualFilesystem::UnmountRemovedSlow(const Dentry& dentry, MountChange& change) {
  absl::MutexLock lock(&locks_.mount_mu);
  mount_tree_.AssertLocked();
  mount_tree_.UnmountAt(dentry, change);
  ReportUnmounted(change);
}

void VirtualFilesystem::ReleaseKeptMounts(Mount& mount) {
  MountChange change;
  absl::MutexLock lock(&locks_.mount_mu);
  mount_tree_.AssertLocked();
  mount_tree_.ReleaseKept(mount, change);
}

}  // namespace stasis::vfs
