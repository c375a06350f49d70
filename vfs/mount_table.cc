// SPDX-License-Identifier: Apache-2.0

#include "vfs/mount_table.h"

#include <absl/hash/hash.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "state/base/rcu.h"

namespace stasis::vfs {
namespace {

size_t HashPoint(const Mount* parent, const Dentry* point) { return absl::HashOf(parent, point); }

}  // namespace

MountTable::~MountTable() { delete snapshot_.load(); }

Mount* MountTable::Lookup(const Mount& parent, const Dentry& point) const {
  const Snapshot* snapshot = snapshot_.load(std::memory_order_acquire);
  if (snapshot == nullptr) return nullptr;
  const size_t mask = snapshot->slots.size() - 1;
  for (size_t i = HashPoint(&parent, &point) & mask;; i = (i + 1) & mask) {
    Mount* mount = snapshot->slots[i];
    if (mount == nullptr) return nullptr;
    if (mount->parent() == &parent && mount->point() == &point) return mount;
  }
}

void MountTable::Publish(std::vector<Mount*> mounts) {
  auto* fresh = new Snapshot();
  size_t slots = 8;
  while (slots < mounts.size() * 2) slots *= 2;
  fresh->slots.assign(slots, nullptr);
  for (Mount* mount : mounts) {
    size_t i = HashPoint(mount->parent(), mount->point()) & (slots - 1);
    while (fresh->slots[i] != nullptr) i = (i + 1) & (slots - 1);
    fresh->slots[i] = mount;
  }
  mounts_ = std::move(mounts);
  if (Snapshot* old = snapshot_.exchange(fresh); old != nullptr) rcu::Retire(old);
}

void MountTable::Connect(Mount& mount, Mount& parent, Dentry& point) {
  mount.Attach(parent, point);
  AddRestored(mount);
}

void MountTable::AddRestored(Mount& mount) {
  mount.point()->set_mountpoint(true);
  std::vector<Mount*> mounts = mounts_;
  mounts.push_back(&mount);
  Publish(std::move(mounts));
}

void MountTable::Disconnect(Mount& mount) {
  std::vector<Mount*> mounts = mounts_;
  mounts.erase(std::find(mounts.begin(), mounts.end(), &mount));
  Dentry* point = mount.point();
  const bool last = std::none_of(mounts.begin(), mounts.end(),
                                 [&](Mount* other) { return other->point() == point; });
  if (last) point->set_mountpoint(false);
  Publish(std::move(mounts));
  mount.Detach();
}

std::vector<Mount*> MountTable::MountsAt(const Dentry& point) const {
  std::vector<Mount*> found;
  std::copy_if(mounts_.begin(), mounts_.end(), std::back_inserter(found),
               [&](Mount* mount) { return mount->point() == &point; });
  return found;
}

std::vector<Mount*> MountTable::ChildrenOf(const Mount& parent) const {
  std::vector<Mount*> found;
  std::copy_if(mounts_.begin(), mounts_.end(), std::back_inserter(found),
               [&](Mount* mount) { return mount->parent() == &parent; });
  return found;
}

bool MountTable::HasChildren(const Mount& parent) const {
  return std::any_of(mounts_.begin(), mounts_.end(),
                     [&](Mount* mount) { return mount->parent() == &parent; });
}

}  // namespace stasis::vfs
