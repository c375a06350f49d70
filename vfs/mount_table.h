// SPDX-License-Identifier: Apache-2.0
//
// mount_table.h: which mount stands on (mount, dentry).
//
// Path walks look it up for every dentry that says it is a mount point. The table is immutable:
// a change makes a new one and publishes it, so a lookup is a load and a probe.

#ifndef STASIS_VFS_MOUNT_TABLE_H_
#define STASIS_VFS_MOUNT_TABLE_H_

#include <atomic>
#include <vector>

#include "vfs/internal/locks.h"
#include "vfs/mount.h"

namespace stasis::vfs {

// Thread-safe.
class MountTable {
 public:
  explicit MountTable(VfsLocks& locks) : locks_(locks) {}
  ~MountTable();
  MountTable(const MountTable&) = delete;
  MountTable& operator=(const MountTable&) = delete;

  // Tells the compiler, and checks in debug builds, that the caller holds mount_mu: clang does not
  // see that locks_ here and there are the same.
  void AssertLocked() const ABSL_ASSERT_EXCLUSIVE_LOCK(locks_.mount_mu) {
    locks_.mount_mu.AssertHeld();
  }

  // The mount attached to `point` of `parent`, or null. Requires: a read-copy-update section.
  Mount* Lookup(const Mount& parent, const Dentry& point) const;

  // Attaches `mount`. Requires: nothing is attached there.
  void Connect(Mount& mount, Mount& parent, Dentry& point)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Requires: attached.
  void Disconnect(Mount& mount) ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Enters a mount that a restore has attached already.
  void AddRestored(Mount& mount) ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);

  // The mounts attached to `point`, of whatever parent.
  std::vector<Mount*> MountsAt(const Dentry& point) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Those attached to a dentry of `parent`'s.
  std::vector<Mount*> ChildrenOf(const Mount& parent) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // True if some mount is attached to a dentry of `parent`'s.
  bool HasChildren(const Mount& parent) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);

 private:
  struct Snapshot {
    std::vector<Mount*> slots;  // open addressing by (parent, point); a power of two
  };

  void Publish(std::vector<Mount*> mounts) ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);

  VfsLocks& locks_;
  std::vector<Mount*> mounts_ ABSL_GUARDED_BY(locks_.mount_mu);  // all attached ones
  std::atomic<Snapshot*> snapshot_{nullptr};                     // written under mount_mu
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_MOUNT_TABLE_H_
