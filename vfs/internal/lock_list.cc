// SPDX-License-Identifier: Apache-2.0

#include "vfs/internal/lock_list.h"

#include <algorithm>
#include <iterator>
#include <vector>

namespace stasis::vfs {

LockList::Ranges::const_iterator LockList::FirstFrom(const Ranges& ranges, uint64_t start) {
  auto it = ranges.upper_bound(start);
  if (it != ranges.begin() && std::prev(it)->second.last >= start) --it;
  return it;
}

void LockList::Carve(Ranges& ranges, const FileLock& lock) {
  auto it = ranges.upper_bound(lock.start);
  if (it != ranges.begin()) --it;
  while (it != ranges.end() && it->first <= lock.last) {
    FileLock held = it->second;
    if (held.start >= lock.start) {
      it = ranges.erase(it);
    } else {
      it->second.last = std::min(held.last, lock.start - 1);
      ++it;
    }
    if (held.last > lock.last) {
      held.start = lock.last + 1;
      ranges.emplace(held.start, held);
      return;
    }
  }
}

void LockList::Insert(Ranges& ranges, FileLock lock) {
  auto next = ranges.lower_bound(lock.start);
  if (next != ranges.end() && next->first == lock.last + 1 && next->second.type == lock.type) {
    lock.last = next->second.last;
    next = ranges.erase(next);
  }
  if (next != ranges.begin()) {
    FileLock& before = std::prev(next)->second;
    if (before.last + 1 == lock.start && before.type == lock.type) {
      before.last = lock.last;
      return;
    }
  }
  ranges.emplace_hint(next, lock.start, lock);
}

void LockList::Lock(const FileLock& lock) {
  const auto [entry, is_new] = by_owner_.try_emplace(OwnerOf(lock));
  if (is_new) entry->second = owners_.emplace(owners_.end());
  Ranges& ranges = *entry->second;
  Carve(ranges, lock);
  Insert(ranges, lock);
}

void LockList::Unlock(const FileLock& lock) {
  const auto entry = by_owner_.find(OwnerOf(lock));
  if (entry == by_owner_.end()) return;
  Carve(*entry->second, lock);
  if (!entry->second->empty()) return;
  owners_.erase(entry->second);
  by_owner_.erase(entry);
}

void LockList::Forget(const FileLock& lock) {
  const auto entry = by_owner_.find(OwnerOf(lock));
  if (entry == by_owner_.end()) return;
  owners_.erase(entry->second);
  by_owner_.erase(entry);
}

const FileLock* LockList::FindOwn(const FileLock& lock) const {
  const auto entry = by_owner_.find(OwnerOf(lock));
  if (entry == by_owner_.end()) return nullptr;
  const auto it = FirstFrom(*entry->second, lock.start);
  return it != entry->second->end() && it->first <= lock.last ? &it->second : nullptr;
}

const FileLock* LockList::FindConflict(const FileLock& lock) const {
  for (const Ranges& ranges : owners_) {
    for (auto it = FirstFrom(ranges, lock.start); it != ranges.end() && it->first <= lock.last;
         ++it) {
      if (it->second.SameOwner(lock)) break;
      if (it->second.ConflictsWith(lock)) return &it->second;
    }
  }
  return nullptr;
}

void LockList::ForEach(Visitor visit) const {
  for (const Ranges& ranges : owners_) {
    for (const auto& [start, lock] : ranges) visit(lock);
  }
}

void LockList::ForEachOf(const FileLock& owner, Visitor visit) const {
  const auto entry = by_owner_.find(OwnerOf(owner));
  if (entry == by_owner_.end()) return;
  for (const auto& [start, lock] : *entry->second) visit(lock);
}

bool LockList::HasConflicts() const {
  std::vector<FileLock> locks;
  ForEach([&](const FileLock& lock) { locks.push_back(lock); });
  std::sort(locks.begin(), locks.end(),
            [](const FileLock& a, const FileLock& b) { return a.start < b.start; });
  // Where the locks so far, and the exclusive ones among them, end. An owner's do not overlap, so
  // two that do are of two owners.
  uint64_t end = 0;
  uint64_t exclusive_end = 0;
  for (const FileLock& lock : locks) {
    const bool exclusive = lock.type == LockType::kExclusive;
    if (lock.start < (exclusive ? end : exclusive_end)) return true;
    end = std::max(end, lock.last + 1);
    if (exclusive) exclusive_end = std::max(exclusive_end, lock.last + 1);
  }
  return false;
}

}  // namespace stasis::vfs
