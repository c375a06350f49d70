// SPDX-License-Identifier: Apache-2.0

#include "vfs/mount_table.h"

#include <absl/hash/hash.h>

#include "state/base/rcu.h"

namespace stasis::vfs {
namespace {

size_t HashPoint(const Mount* parent, const Dentry* point) { return absl::HashOf(parent, point); }

}  // namespace

MountTable::~MountTable() { delete slots_.load(); }

MountTable::Writer::Writer(MountTable& table) : table_(table) {
  if (table_.writers_++ != 0) return;
  table_.seq_.store(table_.seq_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
}

// The lock is still held.
MountTable::Writer::~Writer() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (--table_.writers_ != 0) return;
  table_.seq_.store(table_.seq_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

Mount* MountTable::Find(const Mount& parent, const Dentry& point) const {
  const Slots* slots = slots_.load(std::memory_order_acquire);
  if (slots == nullptr) return nullptr;
  for (size_t i = HashPoint(&parent, &point) & slots->mask();; i = (i + 1) & slots->mask()) {
    Mount* mount = slots->slots[i].load(std::memory_order_acquire);
    if (mount == nullptr) return nullptr;
    if (mount != Erased() && mount->parent() == &parent && mount->point() == &point) return mount;
  }
}

void MountTable::Put(Slots& slots, Mount& mount) {
  size_t i = HashPoint(mount.parent(), mount.point()) & slots.mask();
  while (slots.slots[i].load(std::memory_order_relaxed) != nullptr) i = (i + 1) & slots.mask();
  slots.slots[i].store(&mount, std::memory_order_release);
}

// There are always free slots: a lookup ends at one.
void MountTable::Grow() {
  size_t size = 8;
  while (size < (count_ + 1) * 3) size *= 2;
  auto* fresh = new Slots(size);
  for (Mount* mount : All()) Put(*fresh, *mount);
  used_ = count_;
  if (Slots* old = slots_.exchange(fresh); old != nullptr) rcu::Retire(old);
}

void MountTable::Insert(Mount& mount) {
  const Slots* slots = slots_.load(std::memory_order_relaxed);
  if (slots == nullptr || (used_ + 1) * 3 > slots->slots.size() * 2) Grow();
  Put(*slots_.load(std::memory_order_relaxed), mount);
  ++count_;
  ++used_;
}

void MountTable::Erase(Mount& mount) {
  Slots& slots = *slots_.load(std::memory_order_relaxed);
  size_t i = HashPoint(mount.parent(), mount.point()) & slots.mask();
  while (slots.slots[i].load(std::memory_order_relaxed) != &mount) i = (i + 1) & slots.mask();
  slots.slots[i].store(Erased(), std::memory_order_release);
  --count_;
}

std::vector<Mount*> MountTable::All() const {
  std::vector<Mount*> all;
  const Slots* slots = slots_.load(std::memory_order_relaxed);
  if (slots == nullptr) return all;
  for (const std::atomic<Mount*>& slot : slots->slots) {
    Mount* mount = slot.load(std::memory_order_relaxed);
    if (mount != nullptr && mount != Erased()) all.push_back(mount);
  }
  return all;
}

}  // namespace stasis::vfs
