// SPDX-License-Identifier: Apache-2.0
//
// mount_load.cc: how mounts are saved, and checked when they come back.
//
// A namespace lists its mounts, parents before what is mounted on them, brothers in their order;
// MountTree::Restore attaches them. What connects mounts for propagation is checked there as well,
// when all of it is known. Here: what one mount can say, and that chains end.

#include <limits>
#include <utility>

#include "state/load_context.h"
#include "vfs/mount.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {

absl::Status Mount::LoadWriters(bool read_only, state::LoadContext&) {
  if (read_only) writers_.store(std::numeric_limits<int64_t>::min());
  return absl::OkStatus();
}

// Not attached yet: whoever keeps this mount does that.
absl::Status Mount::LoadParent(Mount* parent, state::LoadContext& context) {
  if (parent == this) return context.Invalid(*this, "parent", "is the mount itself");
  parent_.store(parent);
  return absl::OkStatus();
}

absl::Status Mount::LoadPoint(Dentry* point, state::LoadContext&) {
  if (point != nullptr) point->Ref();
  point_.store(point);
  return absl::OkStatus();
}

absl::Status Mount::LoadNextPeer(Mount* peer, state::LoadContext& context) {
  if (peer == nullptr) return absl::OkStatus();
  if (peer->prev_peer_ != peer)
    return context.Invalid(*this, "next_peer", "is the next of another mount already");
  next_peer_ = peer;
  peer->prev_peer_ = this;
  return absl::OkStatus();
}

std::vector<Mount*> Mount::SaveSlaves() const {
  std::vector<Mount*> slaves;
  for (Mount* slave = slaves_; slave != nullptr; slave = slave->next_slave_)
    slaves.push_back(slave);
  return slaves;
}

absl::Status Mount::LoadSlaves(std::vector<Mount*> slaves, state::LoadContext& context) {
  Mount* last = nullptr;
  for (Mount* slave : slaves) {
    if (slave == nullptr) return context.Invalid(*this, "slaves", "has a missing mount");
    if (slave->master_ != this || (slave->load_marks_ & kIsSlave) != 0)
      return context.Invalid(*this, "slaves", "has a mount of another master, or one twice");
    slave->load_marks_ |= kIsSlave;
    (last == nullptr ? slaves_ : last->next_slave_) = slave;
    slave->prev_slave_ = last;
    last = slave;
  }
  return absl::OkStatus();
}

// Parents and masters are whatever the image says: they must end somewhere. Each mount is walked
// over once in each direction, for kChecked stays.
absl::Status Mount::CheckChains(state::LoadContext& context) {
  const auto ends = [this](auto next, uint8_t on_chain, uint8_t checked) {
    Mount* end = this;
    while (end != nullptr && (end->load_marks_ & checked) == 0) {
      if ((end->load_marks_ & on_chain) != 0) return false;
      end->load_marks_ |= on_chain;
      end = next(*end);
    }
    for (Mount* m = this; m != end; m = next(*m)) m->load_marks_ |= checked;
    return true;
  };
  if (!ends([](Mount& m) { return m.parent(); }, kOnParents, kParentsEnd))
    return context.Invalid(*this, "parent", "leads in a circle");
  if (!ends([](Mount& m) { return m.master_; }, kOnMasters, kMastersEnd))
    return context.Invalid(*this, "master", "leads in a circle");
  return absl::OkStatus();
}

absl::Status Mount::AfterLoad(state::LoadContext& context) {
  if (!filesystem_) return context.Invalid(*this, "filesystem", "is missing");
  if (!root_) return context.Invalid(*this, "root", "is missing");
  if (!root_->IsOf(*filesystem_))
    return context.Invalid(*this, "root", "is not of the filesystem that is mounted");
  if ((parent() == nullptr) != (point() == nullptr))
    return context.Invalid(*this, "point", "must be there exactly if parent is");
  if (parent() != nullptr && (!parent()->filesystem_ || !point()->IsOf(parent()->filesystem())))
    return context.Invalid(*this, "point", "is not in the filesystem of the parent");
  if (parent() != nullptr && point()->is_dir() != root_->is_dir())
    return context.Invalid(*this, "point", "is a directory and the root is none, or the reverse");
  if ((locks_ & ~kAllLocks) != 0) return context.Invalid(*this, "locks", "has unknown bits");
  if (unbindable_ && peer_group_ != 0)
    return context.Invalid(*this, "unbindable", "is set of a mount that is shared");
  if (master_ != nullptr && (load_marks_ & kIsSlave) == 0)
    return context.Invalid(*this, "master", "does not list it as a slave");
  if (absl::Status status = CheckChains(context); !status.ok()) return status;
  VirtualFilesystem* vfs = filesystem_->VfsInLoad();
  if (vfs == nullptr) return context.Invalid(*this, "filesystem", "has no vfs");
  return vfs->RestoreMount(*this, context);
}

// What MountTree has attached it detaches no more.
void Mount::LoadFailed() { kept_children_.clear(); }

}  // namespace stasis::vfs
