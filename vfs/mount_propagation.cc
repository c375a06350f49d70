// SPDX-License-Identifier: Apache-2.0
//
// mount_propagation.cc: peers and slaves, and mounting where they are.

#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <utility>

#include "vfs/dentry.h"
#include "vfs/mount_tree.h"

namespace stasis::vfs {

void MountTree::InsertPeer(Mount& peer, Mount& mount) {
  mount.next_peer_ = peer.next_peer_;
  mount.prev_peer_ = &peer;
  peer.next_peer_->prev_peer_ = &mount;
  peer.next_peer_ = &mount;
}

void MountTree::RemovePeer(Mount& mount) {
  mount.next_peer_->prev_peer_ = mount.prev_peer_;
  mount.prev_peer_->next_peer_ = mount.next_peer_;
  mount.next_peer_ = mount.prev_peer_ = &mount;
}

void MountTree::InsertSlave(Mount& master, Mount* before, Mount& slave) {
  slave.master_ = &master;
  slave.prev_slave_ = before;
  Mount*& place = before == nullptr ? master.slaves_ : before->next_slave_;
  slave.next_slave_ = place;
  if (place != nullptr) place->prev_slave_ = &slave;
  place = &slave;
}

void MountTree::RemoveSlave(Mount& slave) {
  if (slave.master_ == nullptr) return;
  (slave.prev_slave_ == nullptr ? slave.master_->slaves_ : slave.prev_slave_->next_slave_) =
      slave.next_slave_;
  if (slave.next_slave_ != nullptr) slave.next_slave_->prev_slave_ = slave.prev_slave_;
  slave.next_slave_ = slave.prev_slave_ = slave.master_ = nullptr;
}

// To the head of the other's list, in their order.
void MountTree::MoveSlaves(Mount& from, Mount* to) {
  Mount* before = nullptr;
  while (Mount* slave = from.slaves_) {
    RemoveSlave(*slave);
    if (to != nullptr) InsertSlave(*to, before, *slave);
    before = slave;
  }
}

void MountTree::SetPropagation(Mount& mount, Propagation type) {
  if (type == Propagation::kShared) {
    if (mount.peer_group_ == 0) mount.peer_group_ = NewPeerGroup();
    mount.unbindable_ = false;
    return;
  }
  // Who takes its place for its slaves: a peer, else its own master.
  Mount* master = mount.master_;
  if (mount.next_peer_ != &mount) {
    master = mount.next_peer_;
    RemovePeer(mount);
  }
  mount.peer_group_ = 0;
  MoveSlaves(mount, master);
  RemoveSlave(mount);
  if (type == Propagation::kSlave) {
    if (master != nullptr) InsertSlave(*master, nullptr, mount);
  } else {
    mount.unbindable_ = type == Propagation::kUnbindable;
  }
}

// Adds the peer group of `first`; without it if it is not asked for.
void MountTree::AppendGroup(Mount& first, bool skip_first, std::vector<Receiver>& receivers) {
  const bool shared = first.peer_group_ != 0;
  if (!skip_first) receivers.push_back({&first, true, shared});
  for (Mount* peer = first.next_peer_; peer != &first; peer = peer->next_peer_)
    receivers.push_back({peer, false, shared});
}

std::vector<MountTree::Receiver> MountTree::ReceiversOf(Mount& mount) {
  std::vector<Receiver> receivers;
  AppendGroup(mount, /*skip_first=*/true, receivers);
  // Where the walk is: a member of a group, the group's first, and which of the member's slaves
  // begins the next group.
  struct Level {
    Mount* member;
    Mount* first;
    Mount* next;
  };
  std::vector<Level> levels = {{&mount, &mount, mount.slaves_}};
  while (!levels.empty()) {
    Level& level = levels.back();
    if (level.next == nullptr) {
      level.member = level.member->next_peer_;
      level.next = level.member->slaves_;
      if (level.member == level.first) levels.pop_back();
      continue;
    }
    Mount* group = level.next;
    do level.next = level.next->next_slave_;
    while (level.next != nullptr && ArePeers(*level.next, *group));
    AppendGroup(*group, /*skip_first=*/false, receivers);
    levels.push_back({group, group, group->slaves_});
  }
  return receivers;
}

Mount* MountTree::NextPast(const Mount& at, const Mount& origin) {
  for (const Mount* m = &at;; m = m->master_) {
    if (m->master_ == origin.master_) return m->next_peer_ == &origin ? nullptr : m->next_peer_;
    if (m->next_slave_ != nullptr) return m->next_slave_;
  }
}

Mount* MountTree::NextReceiver(const Mount& at, const Mount& origin) {
  return at.slaves_ != nullptr ? at.slaves_ : NextPast(at, origin);
}

Mount* MountTree::SkipReceivers(const Mount& at, const Mount& origin) {
  Mount* next = NextPast(at, origin);
  while (next != nullptr && ArePeers(at, *next)) next = NextPast(*next, origin);
  return next;
}

uint32_t MountTree::DominatingGroup(const Mount& mount, const VirtualDentry& root) {
  for (const Mount* master = mount.master_; master != nullptr; master = master->master_) {
    const Mount* peer = master;
    do {
      if (peer->ns() == mount.ns() && IsReachable(*peer, peer->root(), root))
        return peer->peer_group_;
      peer = peer->next_peer_;
    } while (peer != master);
  }
  return 0;
}

// Not if it does not show the point, or was made just now: a copy may be a peer of where it goes.
bool MountTree::GetsCopy(const Mount& receiver, const Dentry& point) {
  return receiver.ns() != nullptr && receiver.root().IsAncestorOf(point);
}

// Makes the copies of a tree for the mounts to which it is propagated. The copies are connected as
// their parents are: those for peers are peers, those for slaves are slaves of the copy that the
// masters got.
class MountTree::Copies {
 public:
  Copies(MountTree& tree, Mount& source, Mount& target, Dentry& point, MountChange& change)
      : tree_(tree), source_(source), point_(point), change_(change), last_(&source) {
    if (target.master_ != nullptr) masters_.insert(target.master_);
  }

  // Requires: CheckRoom has found that nothing is in the way.
  void MakeFor(const Receiver& receiver) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    tree_.AssertLocked();
    Mount& parent = *receiver.mount;
    if (receiver.first) {
      how_ = kSlaves | (receiver.shared ? kShared : kPeers);
    }
    if (!GetsCopy(parent, point_)) return;
    Mount* original = (how_ & kSlaves) != 0 ? FindMaster(parent) : last_;
    const auto copy = tree_.CopyTree(*original, original->root(), how_, change_);
    if (!copy) return;  // of an unbindable one: there is none in what is propagated
    tree_.SetPoint(**copy, parent, point_);
    if (parent.master_ != nullptr) masters_.insert(parent.master_);
    last_ = *copy;
    roots.push_back(*copy);
    how_ = kShared;
  }

  std::vector<Mount*> roots;  // in the order of making

 private:
  // The copy of which the one for `parent`, the first of its group, is a slave.
  Mount* FindMaster(const Mount& parent) const {
    // Up to a mount whose master has the same copy as some earlier one.
    const Mount* m = &parent;
    while (m->master_ != nullptr && !masters_.contains(m->master_)) m = m->master_;
    const Mount* master = m->master_;
    Mount* copy = last_;
    while (!ArePeers(*copy, source_)) {
      const Mount& at = *copy->parent();
      if (at.master_ == master) {
        if (!ArePeers(at, *m)) copy = copy->master_;
        break;
      }
      copy = copy->master_;
    }
    return copy;
  }

  MountTree& tree_;
  Mount& source_;
  Dentry& point_;
  MountChange& change_;
  Mount* last_;
  unsigned how_ = kShared;                     // the first group is that of the target
  absl::flat_hash_set<const Mount*> masters_;  // of mounts that have a copy
};

Result<void> MountTree::CheckRoom(const std::vector<Receiver>& receivers, const Mount& source,
                                  const Mount& target, const Dentry& point) const {
  size_t size = 0;
  for (const Mount* m = &source; m != nullptr; m = Next(*m, source)) ++size;
  absl::flat_hash_map<const MountNamespace*, size_t> added;
  const auto fits = [&](const MountNamespace& ns) {
    return ns.size() + (added[&ns] += size) <= limit_.load(std::memory_order_relaxed);
  };
  if (source.parent() == nullptr && !fits(*target.ns())) return Err(ENOSPC);
  for (const Receiver& receiver : receivers) {
    if (GetsCopy(*receiver.mount, point) && !fits(*receiver.mount->ns())) return Err(ENOSPC);
  }
  return {};
}

void MountTree::Commit(Mount& copy, const MountNamespace& caller, MountChange& change) {
  Mount& parent = *copy.parent();
  MountNamespace& ns = *parent.ns();
  if (ns.owner() != caller.owner()) LockTree(copy);
  Mount* covered = Lookup(parent, *copy.point());
  Adopt(ns, copy);
  if (covered != nullptr) {
    Mount& top = Top(copy);
    ChangePoint(*covered, top, top.root(), change);
  }
  table_.AssertLocked();
  table_.Insert(copy);
  AddChild(parent, copy);
}

Result<void> MountTree::Graft(Mount& source, Mount& target, Dentry& point,
                              const MountNamespace& caller, MountChange& change) {
  table_.AssertLocked();
  const MountTable::Writer writer(table_);
  // What stands in the way of a copy is to go on its top.
  if (Top(source).root().disconnected()) return Err(ENOENT);
  const bool shared = target.peer_group_ != 0;
  std::vector<Receiver> receivers;
  if (shared) receivers = ReceiversOf(target);
  STASIS_RETURN_IF_ERROR(CheckRoom(receivers, source, target, point));
  Copies copies(*this, source, target, point, change);
  if (shared) {
    for (Mount* m = &source; m != nullptr; m = Next(*m, source))
      SetPropagation(*m, Propagation::kShared);
    for (const Receiver& receiver : receivers) copies.MakeFor(receiver);
  }
  if (source.parent() != nullptr) Detach(source, change);
  SetPoint(source, target, point);
  Commit(source, caller, change);
  // The last one first, as in Linux: it shows in the order of what is mounted in one place.
  for (auto it = copies.roots.rbegin(); it != copies.roots.rend(); ++it)
    Commit(**it, caller, change);
  change.made.clear();
  return {};
}

}  // namespace stasis::vfs
