// SPDX-License-Identifier: Apache-2.0
//
// mount_unmount.cc: taking mounts away, also where they came by propagation.
//
// What propagation takes along: the mounts in the same places of the mounts that get propagation,
// unless something stays on them (a mount that covers one whole may stay: it takes its place), or
// they are locked to something that stays.

#include <algorithm>
#include <utility>

#include "vfs/dentry.h"
#include "vfs/mount_tree.h"

namespace stasis::vfs {

bool MountTree::IsBusy(const Mount& mount, uint32_t refs) const {
  if (HasChildren(mount) || mount.RefsRacy() > refs) return true;
  const Mount* parent = mount.parent();
  if (parent == nullptr) return false;
  for (const Mount* m = NextReceiver(*parent, *parent); m != nullptr;
       m = NextReceiver(*m, *parent)) {
    const Mount* child = Lookup(*m, *mount.point());
    if (child == nullptr) continue;
    // What carries other mounts does not go along.
    const Mount* on_it = child->first_child_;
    if (on_it != nullptr && (on_it->next_sibling_ != nullptr || !on_it->is_overmount())) continue;
    if (child->RefsRacy() > 1) return true;
  }
  return false;
}

void MountTree::UnlockReceivers(const Mount& mount) {
  const Mount* parent = mount.parent();
  if (parent == nullptr) return;
  for (const Mount* m = NextReceiver(*parent, *parent); m != nullptr;
       m = NextReceiver(*m, *parent)) {
    if (Mount* child = Lookup(*m, *mount.point()); child != nullptr)
      child->locks_ &= ~Mount::kLocked;
  }
}

void MountTree::Unmount(Mount& root, unsigned how, MountChange& change) {
  table_.AssertLocked();
  const MountTable::Writer writer(table_);
  if ((how & kEverywhere) != 0) UnlockReceivers(root);
  std::vector<Mount*> leaving;
  for (Mount* m = &root; m != nullptr; m = Next(*m, root)) {
    m->SetMark(Mount::kLeaving);
    leaving.push_back(m);
  }
  for (Mount* m : leaving) RemoveChild(*m);
  if ((how & kEverywhere) != 0) PropagateUnmount(leaving, change);
  for (Mount* m : leaving) {
    RefPtr<Mount> held = m->ns()->Remove(*m);
    m->ns_.store(nullptr, std::memory_order_release);
    Mount* parent = m->parent();
    const bool stays = parent != nullptr && (how & kAtOnce) == 0 &&
                       parent->HasMark(Mount::kLeaving) && ((how & kTogether) != 0 || m->locked());
    if (stays) {
      AddChild(*parent, *m);
      parent->kept_children_.push_back(std::move(held));
    } else {
      if (parent != nullptr) Detach(*m, change);
      change.dropped.push_back(std::move(held));
    }
    SetPropagation(*m, Propagation::kPrivate);
  }
}

void MountTree::UnmountAt(const Dentry& point, MountChange& change) {
  table_.AssertLocked();
  const MountTable::Writer writer(table_);
  while (Mount* mount = FirstAt(point)) {
    if (mount->ns() != nullptr) {
      Unmount(*mount, kTogether, change);
      continue;
    }
    std::vector<RefPtr<Mount>>& kept = mount->parent()->kept_children_;
    const auto it = std::find(kept.begin(), kept.end(), mount);
    change.dropped.push_back(std::move(*it));
    kept.erase(it);
    Detach(*mount, change);
  }
}

// In a loop: there may be as many on each other as memory allows.
void MountTree::ReleaseKept(Mount& mount, MountChange& change) {
  table_.AssertLocked();
  const MountTable::Writer writer(table_);
  const auto release = [&](Mount& parent) {
    locks_.mount_mu.AssertHeld();
    for (RefPtr<Mount>& child : parent.kept_children_) {
      Detach(*child, change);
      change.dropped.push_back(std::move(child));
    }
    parent.kept_children_.clear();
  };
  size_t done = change.dropped.size();
  release(mount);
  for (; done < change.dropped.size(); ++done) {
    if (change.dropped[done]->HasOneRef()) release(*change.dropped[done]);
  }
}

void MountTree::Clear(MountChange& change) {
  table_.AssertLocked();
  const MountTable::Writer writer(table_);
  for (Mount* mount : table_.All()) {
    Mount& parent = *mount->parent();
    Detach(*mount, change);
    std::move(parent.kept_children_.begin(), parent.kept_children_.end(),
              std::back_inserter(change.dropped));
    parent.kept_children_.clear();
  }
}

std::vector<Mount*> MountTree::GatherCandidates(const std::vector<Mount*>& leaving) const {
  std::vector<Mount*> candidates;
  for (Mount* m : leaving) {
    if (m->HasMark(Mount::kCandidate)) continue;
    m->SetMark(Mount::kCandidate);
    const Mount* parent = m->parent();
    if (parent == nullptr) continue;
    const Mount* at = NextReceiver(*parent, *parent);
    while (at != nullptr) {
      Mount* child = Lookup(*at, *m->point());
      if (child != nullptr && child->HasMark(Mount::kCandidate)) {
        // Met before, and with it all that get theirs from here.
        at = SkipReceivers(*at, *parent);
        continue;
      }
      if (child != nullptr) {
        child->SetMark(Mount::kCandidate);
        if (!child->HasMark(Mount::kLeaving)) {
          child->SetMark(Mount::kListed);
          candidates.push_back(child);
        }
      }
      at = NextReceiver(*at, *parent);
    }
  }
  for (Mount* m : leaving) m->ClearMark(Mount::kCandidate);
  // The last one found is looked at first.
  std::reverse(candidates.begin(), candidates.end());
  return candidates;
}

void MountTree::Take(Mount& mount, std::vector<Mount*>& taken) {
  mount.SetMark(Mount::kLeaving);
  RemoveChild(mount);
  taken.push_back(&mount);
}

// A child of `mount` stays: so do those that carry it, but for those that it covers whole.
void MountTree::TrimAncestors(Mount& mount) {
  Mount* m = &mount;
  for (Mount* p = m->parent(); p != nullptr && p->HasMark(Mount::kCandidate);
       m = p, p = p->parent()) {
    if (m->HasMark(Mount::kMarked)) return;  // done before
    m->SetMark(Mount::kMarked);
    if (!m->is_overmount()) p->ClearMark(Mount::kCandidate);
  }
}

void MountTree::TrimCandidate(Mount& mount, std::vector<Mount*>& taken) {
  const auto remove = [&mount] {
    mount.ClearMark(Mount::kMarked);
    mount.ClearMark(Mount::kCandidate);
    mount.ClearMark(Mount::kListed);
  };
  if (!mount.HasMark(Mount::kCandidate)) return remove();
  bool child_stays = false;
  bool child_beside = false;  // one that does not cover it
  for (const Mount* child = mount.first_child_; child != nullptr && !child_beside;
       child = child->next_sibling_) {
    if (child->HasMark(Mount::kCandidate)) continue;
    child_stays = true;
    child_beside = !child->is_overmount();
  }
  if (child_stays) {
    TrimAncestors(mount);
    if (child_beside) remove();
  } else if (!mount.locked() && mount.first_child_ == nullptr) {
    remove();
    Take(mount, taken);
  }
}

// Takes `mount` and what carries it, as far up as no lock binds it to what stays.
void MountTree::TakeUnlocked(Mount& mount, std::vector<Mount*>& taken) {
  if (!mount.HasMark(Mount::kCandidate)) {
    mount.ClearMark(Mount::kMarked);
    mount.ClearMark(Mount::kListed);
    return;
  }
  Mount* end = &mount;
  Mount* m = &mount;
  for (; m != nullptr && m->HasMark(Mount::kCandidate); m = m->parent()) {
    m->ClearMark(Mount::kMarked);
    m->ClearMark(Mount::kCandidate);
    m->ClearMark(Mount::kListed);
    if (!m->locked()) end = m->parent();
  }
  if (m != nullptr && m->HasMark(Mount::kLeaving)) end = m;
  for (m = &mount; m != end; m = m->parent()) Take(*m, taken);
}

void MountTree::PropagateUnmount(std::vector<Mount*>& leaving, MountChange& change) {
  const std::vector<Mount*> candidates = GatherCandidates(leaving);
  std::vector<Mount*> taken;
  for (Mount* m : candidates) TrimCandidate(*m, taken);
  for (Mount* m : candidates) {
    if (m->HasMark(Mount::kListed)) TakeUnlocked(*m, taken);
  }
  // What covers one that goes comes down to where the lowest one that goes was.
  for (Mount* m : taken) {
    Mount* over = Lookup(*m, m->root());
    if (over == nullptr || over->HasMark(Mount::kLeaving)) continue;
    Mount* parent = over;
    Dentry* point = nullptr;
    do {
      point = parent->point();
      parent = parent->parent();
    } while (parent->HasMark(Mount::kLeaving));
    ChangePoint(*over, *parent, *point, change);
  }
  leaving.insert(leaving.end(), taken.begin(), taken.end());
}

}  // namespace stasis::vfs
