// SPDX-License-Identifier: Apache-2.0
//
// mount_tree_load.cc: attaches the mounts of an image, and checks how they are connected. What one
// mount can check itself is in mount_load.cc.

#include <absl/container/flat_hash_set.h>

#include <iterator>
#include <utility>

#include "state/load_context.h"
#include "vfs/dentry.h"
#include "vfs/mount_tree.h"

namespace stasis::vfs {

absl::Status MountTree::AttachRestored(Mount& mount, state::LoadContext& context) {
  Mount& parent = *mount.parent();
  Dentry& point = *mount.point();
  if (Lookup(parent, point) != nullptr)
    return context.Invalid(mount, "point", "has another mount already");
  mount.load_marks_ |= Mount::kKept;
  Attach(mount, parent, point);
  point.Unref();  // the load's own
  return absl::OkStatus();
}

absl::Status MountTree::Restore(const VirtualFilesystem& vfs, MountNamespace& ns,
                                state::LoadContext& context) {
  table_.AssertLocked();
  const MountTable::Writer writer(table_);
  const uint64_t next_id = next_id_.load();
  std::vector<RefPtr<Mount>> mounts = {ns.root_};
  std::move(ns.loaded_.begin(), ns.loaded_.end(), std::back_inserter(mounts));
  ns.loaded_.clear();
  for (RefPtr<Mount>& mount : mounts) {
    if ((mount->load_marks_ & Mount::kKept) != 0 || !mount->kept_children_.empty() ||
        mount->ns() != nullptr)
      return context.Invalid(*mount, "parent", "is one of two that have the mount");
    if (mount->filesystem().VfsInLoad() != &vfs)
      return context.Invalid(*mount, "filesystem", "is of another vfs than the namespace");
    if (mount->id() >= next_id || ns.mounts_.contains(mount->id()))
      return context.Invalid(*mount, "id", "is not given out yet, or that of another mount");
    const bool is_root = mount == ns.root_;
    // A parent that stands before it is in the namespace: so there is no circle.
    if (!is_root && (mount->parent() == nullptr || mount->parent()->ns() != &ns))
      return context.Invalid(ns, "mounts", "has a mount before or without its parent");
    if (!is_root) {
      if (absl::Status status = AttachRestored(*mount, context); !status.ok()) return status;
    }
    mount->load_marks_ |= Mount::kKept;
    ns.Add(std::move(mount));
  }
  return absl::OkStatus();
}

absl::Status MountTree::RestoreKept(Mount& mount, state::LoadContext& context) {
  table_.AssertLocked();
  const MountTable::Writer writer(table_);
  loaded_.push_back(&mount);
  for (const RefPtr<Mount>& child : mount.kept_children_) {
    if (!child || child->parent() != &mount || (child->load_marks_ & Mount::kKept) != 0 ||
        child->point() == nullptr)
      return context.Invalid(mount, "kept_children", "has a mount that is attached elsewhere");
    if (absl::Status status = AttachRestored(*child, context); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status MountTree::CheckRing(Mount& mount, state::LoadContext& context) {
  // Each is the next of one only: so it is a ring if nobody has no next or no one before.
  if (mount.next_peer_->prev_peer_ != &mount || mount.prev_peer_->next_peer_ != &mount)
    return context.Invalid(mount, "next_peer", "is part of a ring that does not close");
  const Mount& next = *mount.next_peer_;
  if (&next == &mount) return absl::OkStatus();
  if (mount.peer_group_ == 0 || next.peer_group_ != mount.peer_group_ ||
      next.master_ != mount.master_)
    return context.Invalid(mount, "next_peer", "is of another group, or has another master");
  return absl::OkStatus();
}

// A walk over slaves takes each group for one piece, in the order of its ring.
absl::Status MountTree::CheckSlaves(Mount& mount, state::LoadContext& context) {
  for (const Mount* slave = mount.slaves_; slave != nullptr; slave = slave->next_slave_) {
    const Mount* last = slave;
    for (const Mount* peer = slave->next_peer_; peer != slave; peer = peer->next_peer_) {
      last = last->next_slave_;
      if (last != peer)
        return context.Invalid(mount, "slaves", "has peers that do not follow each other");
    }
    slave = last;
  }
  return absl::OkStatus();
}

// Rings are rings by now: each has a number of its own.
absl::Status MountTree::CheckGroups(state::LoadContext& context) {
  absl::flat_hash_set<uint32_t> groups;
  for (Mount* mount : loaded_) {
    if (mount->peer_group_ == 0 || (mount->load_marks_ & Mount::kInRing) != 0) continue;
    if (mount->peer_group_ >= next_peer_group_.load())
      return context.Invalid(*mount, "peer_group", "is not given out yet");
    if (!groups.insert(mount->peer_group_).second)
      return context.Invalid(*mount, "peer_group", "is that of a mount that is no peer");
    Mount* peer = mount;
    do {
      peer->load_marks_ |= Mount::kInRing;
      peer = peer->next_peer_;
    } while (peer != mount);
  }
  return absl::OkStatus();
}

absl::Status MountTree::CheckRestored(state::LoadContext& context) {
  for (Mount* mount : loaded_) {
    if (mount->parent() != nullptr && (mount->load_marks_ & Mount::kKept) == 0)
      return context.Invalid(*mount, "parent", "is set of a mount that is in no namespace");
    if (mount->ns() == nullptr && (mount->peer_group_ != 0 || mount->master_ != nullptr ||
                                   mount->slaves_ != nullptr || mount->unbindable_))
      return context.Invalid(*mount, "peer_group", "or master is set, and the mount unmounted");
    if (mount->master_ != nullptr && mount->master_->peer_group_ == 0)
      return context.Invalid(*mount, "master", "is not shared");
    if (absl::Status status = CheckRing(*mount, context); !status.ok()) return status;
  }
  if (absl::Status status = CheckGroups(context); !status.ok()) return status;
  for (Mount* mount : loaded_) {
    if (absl::Status status = CheckSlaves(*mount, context); !status.ok()) return status;
  }
  loaded_.clear();
  return absl::OkStatus();
}

}  // namespace stasis::vfs
