// SPDX-License-Identifier: Apache-2.0
//
// mount_tree.cc: attaching, detaching and copying.

#include "vfs/mount_tree.h"

#include <utility>

#include "vfs/dentry.h"

namespace stasis::vfs {

Mount* MountTree::Next(const Mount& mount, const Mount& root) {
  if (mount.first_child_ != nullptr) return mount.first_child_;
  for (const Mount* m = &mount; m != &root; m = m->parent()) {
    if (m->next_sibling_ != nullptr) return m->next_sibling_;
  }
  return nullptr;
}

Mount* MountTree::Last(Mount& mount) {
  Mount* last = &mount;
  while (last->last_child_ != nullptr) last = last->last_child_;
  return last;
}

bool MountTree::IsAncestor(const Mount& above, const Mount& mount) {
  const Mount* m = &mount;
  while (m != nullptr && m != &above) m = m->parent();
  return m == &above;
}

bool MountTree::HasUnbindable(const Mount& root) {
  for (const Mount* m = &root; m != nullptr; m = Next(*m, root)) {
    if (m->unbindable_) return true;
  }
  return false;
}

bool MountTree::HasLockedChildren(const Mount& mount, const Dentry& dentry) {
  for (const Mount* child = mount.first_child_; child != nullptr; child = child->next_sibling_) {
    if (child->locked() && dentry.IsAncestorOf(*child->point())) return true;
  }
  return false;
}

bool MountTree::IsReachable(const Mount& mount, const Dentry& dentry, const VirtualDentry& root) {
  const Mount* m = &mount;
  const Dentry* d = &dentry;
  while (m != &root.mount() && m->parent() != nullptr) {
    d = m->point();
    m = m->parent();
  }
  return m == &root.mount() && root.dentry().IsAncestorOf(*d);
}

Mount& MountTree::Top(Mount& mount) const {
  Mount* top = &mount;
  while (Mount* over = Lookup(*top, top->root())) top = over;
  return *top;
}

Mount* MountTree::FirstAt(const Dentry& point) const {
  const auto it = points_.find(&point);
  return it == points_.end() ? nullptr : it->second;
}

bool MountTree::IsMountPointIn(const Dentry& point, const MountNamespace& ns) const {
  for (const Mount* mount = FirstAt(point); mount != nullptr; mount = mount->next_at_point_) {
    if (mount->ns() == &ns) return true;
  }
  return false;
}

void MountTree::AddChild(Mount& parent, Mount& child) {
  child.prev_sibling_ = parent.last_child_;
  child.next_sibling_ = nullptr;
  (parent.last_child_ == nullptr ? parent.first_child_ : parent.last_child_->next_sibling_) =
      &child;
  parent.last_child_ = &child;
}

// Of one that is in no list: nothing.
void MountTree::RemoveChild(Mount& child) {
  Mount* parent = child.parent();
  if (parent == nullptr) return;
  if (child.prev_sibling_ != nullptr)
    child.prev_sibling_->next_sibling_ = child.next_sibling_;
  else if (parent->first_child_ == &child)
    parent->first_child_ = child.next_sibling_;
  if (child.next_sibling_ != nullptr)
    child.next_sibling_->prev_sibling_ = child.prev_sibling_;
  else if (parent->last_child_ == &child)
    parent->last_child_ = child.prev_sibling_;
  child.next_sibling_ = child.prev_sibling_ = nullptr;
}

void MountTree::SetPoint(Mount& mount, Mount& parent, Dentry& point) {
  point.Ref();
  mount.point_.store(&point, std::memory_order_release);
  mount.parent_.store(&parent, std::memory_order_release);
  Mount*& first = points_[&point];
  mount.prev_at_point_ = nullptr;
  mount.next_at_point_ = first;
  if (first != nullptr) first->prev_at_point_ = &mount;
  first = &mount;
  point.set_mountpoint(true);
}

void MountTree::Attach(Mount& mount, Mount& parent, Dentry& point) {
  table_.AssertLocked();
  const MountTable::Writer writer(table_);
  SetPoint(mount, parent, point);
  table_.Insert(mount);
  AddChild(parent, mount);
}

void MountTree::ClearPoint(Mount& mount, MountChange& change) {
  Dentry* point = mount.point();
  if (mount.next_at_point_ != nullptr) mount.next_at_point_->prev_at_point_ = mount.prev_at_point_;
  if (mount.prev_at_point_ != nullptr) {
    mount.prev_at_point_->next_at_point_ = mount.next_at_point_;
  } else if (mount.next_at_point_ != nullptr) {
    points_[point] = mount.next_at_point_;
  } else {
    points_.erase(point);
    point->set_mountpoint(false);
  }
  mount.next_at_point_ = mount.prev_at_point_ = nullptr;
  mount.parent_.store(nullptr, std::memory_order_release);
  mount.point_.store(nullptr, std::memory_order_release);
  change.points.push_back(RefPtr<Dentry>::Adopt(point));
}

void MountTree::Detach(Mount& mount, MountChange& change) {
  table_.AssertLocked();
  const MountTable::Writer writer(table_);
  table_.Erase(mount);
  RemoveChild(mount);
  ClearPoint(mount, change);
}

void MountTree::ChangePoint(Mount& mount, Mount& parent, Dentry& point, MountChange& change) {
  table_.AssertLocked();
  const MountTable::Writer writer(table_);
  Detach(mount, change);
  Attach(mount, parent, point);
}

Mount& MountTree::Make(RefPtr<Filesystem> filesystem, RefPtr<Dentry> root, const MountFlags& flags,
                       MountChange& change) {
  change.made.push_back(MakeRef<Mount>(std::move(filesystem), std::move(root), flags,
                                       next_id_.fetch_add(1, std::memory_order_relaxed)));
  return *change.made.back();
}

Mount& MountTree::Clone(Mount& original, Dentry& root, unsigned how, MountChange& change) {
  Mount& copy = Make(RefPtr<Filesystem>(&original.filesystem()), RefPtr<Dentry>(&root),
                     original.flags(), change);
  copy.locks_ = original.locks_ & ~Mount::kLocked;
  if ((how & kSlaves) == 0) copy.peer_group_ = original.peer_group_;
  if (copy.peer_group_ != 0) InsertPeer(original, copy);
  if ((how & kShared) != 0 && copy.peer_group_ == 0) copy.peer_group_ = NewPeerGroup();
  if ((how & kSlaves) != 0 && original.peer_group_ != 0)
    InsertSlave(original, nullptr, copy);
  else if (original.master_ != nullptr)
    InsertSlave(*original.master_, &original, copy);
  return copy;
}

Result<Mount*> MountTree::CopyTree(Mount& source, Dentry& root, unsigned how, MountChange& change) {
  const bool with_unbindable = (how & kWithUnbindable) != 0;
  if (!with_unbindable && source.unbindable_) return Err(EINVAL);
  Mount& copy = Clone(source, root, how, change);
  const Mount* original_parent = &source;  // and its copy
  Mount* parent = &copy;
  for (Mount* m = source.first_child_; m != nullptr; m = Next(*m, source)) {
    if (m->parent() == &source && !root.IsAncestorOf(*m->point())) {
      m = Last(*m);
      continue;
    }
    if (!with_unbindable && m->unbindable_) {
      if (m->locked()) return Err(EPERM);
      m = Last(*m);
      continue;
    }
    while (original_parent != m->parent()) {
      original_parent = original_parent->parent();
      parent = parent->parent();
    }
    Mount& child = Clone(*m, m->root(), how, change);
    child.locks_ |= m->locks_ & Mount::kLocked;
    Attach(child, *parent, *m->point());
    original_parent = m;
    parent = &child;
  }
  return &copy;
}

void MountTree::Discard(MountChange& change) {
  table_.AssertLocked();
  const MountTable::Writer writer(table_);
  for (const RefPtr<Mount>& mount : change.made) {
    if (mount->parent() != nullptr) Detach(*mount, change);
    SetPropagation(*mount, Propagation::kPrivate);
  }
  // All at once, when nothing points to another any more.
  change.dropped.insert(change.dropped.end(), std::make_move_iterator(change.made.begin()),
                        std::make_move_iterator(change.made.end()));
  change.made.clear();
}

void MountTree::Adopt(MountNamespace& ns, Mount& root) {
  for (Mount* m = &root; m != nullptr; m = Next(*m, root)) {
    if (m->ns() == nullptr) ns.Add(RefPtr<Mount>(m));
  }
}

bool MountTree::MayChangeFlags(const Mount& mount, const MountFlags& flags) {
  const MountFlags now = mount.flags();
  const uint8_t locks = mount.locks_;
  const bool same_atime = flags.no_atime == now.no_atime &&
                          flags.no_dir_atime == now.no_dir_atime &&
                          flags.strict_atime == now.strict_atime;
  return ((locks & Mount::kLockReadOnly) == 0 || flags.read_only) &&
         ((locks & Mount::kLockNoExec) == 0 || flags.no_exec) &&
         ((locks & Mount::kLockNoSuid) == 0 || flags.no_suid) &&
         ((locks & Mount::kLockNoDev) == 0 || flags.no_dev) &&
         ((locks & Mount::kLockAtime) == 0 || same_atime);
}

void MountTree::LockTree(Mount& root) {
  for (Mount* m = &root; m != nullptr; m = Next(*m, root)) {
    const MountFlags flags = m->flags();
    m->locks_ |= Mount::kLockAtime;
    if (flags.read_only) m->locks_ |= Mount::kLockReadOnly;
    if (flags.no_exec) m->locks_ |= Mount::kLockNoExec;
    if (flags.no_suid) m->locks_ |= Mount::kLockNoSuid;
    if (flags.no_dev) m->locks_ |= Mount::kLockNoDev;
    if (m != &root) m->locks_ |= Mount::kLocked;
  }
}

void MountTree::Pivot(Mount& root, Mount& fresh, Mount& old_parent, Dentry& put_old,
                      MountChange& change) {
  table_.AssertLocked();
  const MountTable::Writer writer(table_);
  Mount& parent = *root.parent();
  Dentry& point = *root.point();
  Detach(fresh, change);
  if (root.locked()) {
    fresh.locks_ |= Mount::kLocked;
    root.locks_ &= ~Mount::kLocked;
  }
  // For a moment both are there: the place never looks empty.
  Attach(fresh, parent, point);
  Detach(root, change);
  Attach(root, old_parent, put_old);
}

}  // namespace stasis::vfs
