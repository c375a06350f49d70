// SPDX-License-Identifier: Apache-2.0
//
// mount_tree.h: how mounts are connected: trees, copies of trees, and who gets whose mounts.
//
// The rules are those of Linux, kernel documentation sharedsubtree and propagate_umount. Mounts
// with one peer_group_ are peers: what is mounted on one, or unmounted, is so on all. Their slaves,
// which may be peers among themselves, get it too, and give nothing back.
//
// Everything here is done under mount_mu, and nothing in it waits or calls a filesystem. References
// that end with a change are in the MountChange, whose owner drops them when no lock is held.

#ifndef STASIS_VFS_MOUNT_TREE_H_
#define STASIS_VFS_MOUNT_TREE_H_

#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "state/base/result.h"
#include "vfs/mount_namespace.h"
#include "vfs/mount_table.h"

namespace stasis::vfs {

class VirtualFilesystem;

// What one change makes and lets go of. Declared before the locks, so that it ends after them.
struct MountChange {
  std::vector<RefPtr<Mount>> made;  // in no namespace yet
  std::vector<RefPtr<Mount>> dropped;
  std::vector<RefPtr<Dentry>> points;
};

// Thread-safe.
class MountTree {
 public:
  // As the kernel's fs.mount-max.
  static constexpr uint32_t kDefaultLimit = 100'000;

  // Of Clone and CopyTree; to be combined.
  enum Copy : unsigned {
    kPeers = 0,        // a shared mount's copy is its peer
    kSlaves = 1 << 0,  // the copies of shared mounts are slaves of them
    kShared = 1 << 1,  // each copy is in a peer group
    kWithUnbindable = 1 << 2,
  };
  // Of Unmount; to be combined.
  enum Unmounting : unsigned {
    kLazily = 0,  // locked mounts stay where they are
    kAtOnce = 1 << 0,
    kEverywhere = 1 << 1,  // and what got the mount by propagation
    kTogether = 1 << 2,    // mounts stay on mounts that are unmounted
  };

  // The numbers are of the VirtualFilesystem, which saves them. `limit`: the most mounts that a
  // namespace may have.
  MountTree(VfsLocks& locks, std::atomic<uint64_t>& next_id, std::atomic<uint32_t>& next_peer_group,
            const std::atomic<uint32_t>& limit)
      : locks_(locks),
        table_(locks),
        next_id_(next_id),
        next_peer_group_(next_peer_group),
        limit_(limit) {}
  MountTree(const MountTree&) = delete;
  MountTree& operator=(const MountTree&) = delete;

  // What path walks look at.
  const MountTable& table() const { return table_; }
  void AssertLocked() const ABSL_ASSERT_EXCLUSIVE_LOCK(locks_.mount_mu) { table_.AssertLocked(); }

  // The mount after `mount` in the tree of `root`, each before what is mounted on it; null at the
  // end. Requires: mount_mu, or nobody changes mounts.
  static Mount* Next(const Mount& mount, const Mount& root);
  // The last one of the tree of `mount`.
  static Mount* Last(Mount& mount);
  // Whether `above` is `mount` or carries it.
  static bool IsAncestor(const Mount& above, const Mount& mount);
  static bool HasChildren(const Mount& mount) { return mount.first_child_ != nullptr; }
  static bool HasUnbindable(const Mount& root);
  // Whether something locked is mounted on `mount`, at or below `dentry`.
  static bool HasLockedChildren(const Mount& mount, const Dentry& dentry);
  // Whether a walk from (`root`) comes to (`mount`, `dentry`).
  static bool IsReachable(const Mount& mount, const Dentry& dentry, const VirtualDentry& root);
  // The next group from which `mount` gets mounts and of which a mount is in its namespace and
  // reachable from `root`; 0 if none.
  static uint32_t DominatingGroup(const Mount& mount, const VirtualDentry& root);

  Mount* Lookup(const Mount& parent, const Dentry& point) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu) {
    table_.AssertLocked();
    return table_.LookupLocked(parent, point);
  }
  // The topmost mount of the stack that begins with `mount`.
  Mount& Top(Mount& mount) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // The first of those attached to `point`, of whatever parent; Mount::next_at_point_ leads on.
  Mount* FirstAt(const Dentry& point) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Whether a mount of `ns` is attached to `point`.
  bool IsMountPointIn(const Dentry& point, const MountNamespace& ns) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);

  // A mount that is connected to nothing.
  Mount& Make(RefPtr<Filesystem> filesystem, RefPtr<Dentry> root, const MountFlags& flags,
              MountChange& change);
  // A copy that shows `root`, connected to the original as `how` says.
  Mount& Clone(Mount& original, Dentry& root, unsigned how, MountChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // The same with what is mounted below `root`. Errors: EINVAL, EPERM of unbindable ones.
  Result<Mount*> CopyTree(Mount& source, Dentry& root, unsigned how, MountChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Mounts the tree of `source`, new or already attached elsewhere, on `point` of `target`, and
  // copies of it wherever that propagates. `caller` is the namespace of the one who asks.
  // Requires: nothing is attached there. Errors: ENOENT if the root of `source` was removed,
  // ENOSPC; then nothing has changed.
  Result<void> Graft(Mount& source, Mount& target, Dentry& point, const MountNamespace& caller,
                     MountChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Takes back what was made and not grafted.
  void Discard(MountChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);

  // Whether umount2(2) without MNT_DETACH refuses: somebody holds `mount` (more than `refs`
  // references), or a mount that would go with it.
  bool IsBusy(const Mount& mount, uint32_t refs) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Unmounts the tree of `root`. Requires: it is in a namespace.
  void Unmount(Mount& root, unsigned how, MountChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Unmounts all that is attached to a dentry which is removed.
  void UnmountAt(const Dentry& point, MountChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Ends what `mount`, which nobody uses any more, keeps.
  void ReleaseKept(Mount& mount, MountChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Takes all apart, when the VirtualFilesystem ends.
  void Clear(MountChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);

  // Mounts `root`, the root of a walk, on `put_old`, and `fresh` where `root` was. All is checked.
  void Pivot(Mount& root, Mount& fresh, Mount& old_parent, Dentry& put_old, MountChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);

  void SetPropagation(Mount& mount, Propagation type)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Changes all but read-only. Requires: MayChangeFlags.
  static void SetFlags(Mount& mount, const MountFlags& flags) { mount.SetFlags(flags); }
  // Whether no flag that is locked would change.
  static bool MayChangeFlags(const Mount& mount, const MountFlags& flags);
  // For a namespace of another owner: all flags and all mounts of the tree but its root.
  static void LockTree(Mount& root);
  // Makes the tree a namespace's. Requires: it is in none.
  static void Adopt(MountNamespace& ns, Mount& root);

  // Attaches what an image says.
  absl::Status Restore(const VirtualFilesystem& vfs, MountNamespace& ns,
                       state::LoadContext& context) ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Before that, with each mount: attaches those that it keeps.
  absl::Status RestoreKept(Mount& mount, state::LoadContext& context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Once all namespaces are restored.
  absl::Status CheckRestored(state::LoadContext& context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);

 private:
  // A mount that gets what is mounted on another.
  struct Receiver {
    Mount* mount;
    bool first;   // of its peer group, which is not that of the other
    bool shared;  // the group's first mount is
  };
  class Copies;

  absl::Status AttachRestored(Mount& mount, state::LoadContext& context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  static absl::Status CheckRing(Mount& mount, state::LoadContext& context);
  absl::Status CheckGroups(state::LoadContext& context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  static absl::Status CheckSlaves(Mount& mount, state::LoadContext& context);

  static void AddChild(Mount& parent, Mount& child);
  static void RemoveChild(Mount& child);
  // The three parts of being attached: knowing where, being found by walks, being in the parent's
  // list.
  void SetPoint(Mount& mount, Mount& parent, Dentry& point)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  void Attach(Mount& mount, Mount& parent, Dentry& point)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  void Detach(Mount& mount, MountChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Lets go of parent and point. Requires: no walk finds it.
  void ClearPoint(Mount& mount, MountChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  void ChangePoint(Mount& mount, Mount& parent, Dentry& point, MountChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);

  uint32_t NewPeerGroup() { return next_peer_group_.fetch_add(1, std::memory_order_relaxed); }
  static bool ArePeers(const Mount& a, const Mount& b) {
    return a.peer_group_ != 0 && a.peer_group_ == b.peer_group_;
  }
  static void InsertPeer(Mount& peer, Mount& mount);
  static void RemovePeer(Mount& mount);
  // As the first slave, or after another one.
  static void InsertSlave(Mount& master, Mount* before, Mount& slave);
  static void RemoveSlave(Mount& slave);
  static void MoveSlaves(Mount& from, Mount* to);

  // Those that get what is mounted on `mount`, each peer group in one piece and before those of its
  // slaves.
  static std::vector<Receiver> ReceiversOf(Mount& mount);
  static void AppendGroup(Mount& first, bool skip_first, std::vector<Receiver>& receivers);
  // The same one by one, in another order: null at the end.
  static Mount* NextReceiver(const Mount& at, const Mount& origin);
  static Mount* SkipReceivers(const Mount& at, const Mount& origin);
  static Mount* NextPast(const Mount& at, const Mount& origin);
  static bool GetsCopy(const Mount& receiver, const Dentry& point);
  Result<void> CheckRoom(const std::vector<Receiver>& receivers, const Mount& source,
                         const Mount& target, const Dentry& point) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Makes a copy visible, beneath what stands there.
  void Commit(Mount& copy, const MountNamespace& caller, MountChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);

  // Unlocks what would go with `mount`.
  void UnlockReceivers(const Mount& mount) ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Adds to `leaving` what propagation takes along.
  void PropagateUnmount(std::vector<Mount*>& leaving, MountChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  std::vector<Mount*> GatherCandidates(const std::vector<Mount*>& leaving) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  static void TrimCandidate(Mount& mount, std::vector<Mount*>& taken);
  static void TrimAncestors(Mount& mount);
  static void TakeUnlocked(Mount& mount, std::vector<Mount*>& taken);
  static void Take(Mount& mount, std::vector<Mount*>& taken);

  VfsLocks& locks_;
  MountTable table_;
  std::atomic<uint64_t>& next_id_;
  std::atomic<uint32_t>& next_peer_group_;
  const std::atomic<uint32_t>& limit_;
  absl::flat_hash_map<const Dentry*, Mount*> points_ ABSL_GUARDED_BY(locks_.mount_mu);
  // Of a load that runs.
  std::vector<Mount*> loaded_ ABSL_GUARDED_BY(locks_.mount_mu);
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_MOUNT_TREE_H_
