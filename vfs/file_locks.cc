// SPDX-License-Identifier: Apache-2.0

#include "vfs/file_locks.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace stasis::vfs {
namespace {

using Locks = std::vector<FileLock>;

// The locks of one owner in a list: [first, second).
std::pair<Locks::iterator, Locks::iterator> GroupOf(Locks& locks, const FileLock& lock) {
  const auto own = [&](const FileLock& l) { return l.SameOwner(lock); };
  const auto first = std::find_if(locks.begin(), locks.end(), own);
  return {first, std::find_if_not(first, locks.end(), own)};
}

// What is left of the owner's locks outside of the range of `lock`.
Locks Outside(Locks::const_iterator first, Locks::const_iterator end, const FileLock& lock) {
  Locks left;
  for (; first != end; ++first) {
    if (first->start < lock.start) {
      left.push_back(*first);
      left.back().last = std::min(first->last, lock.start - 1);
    }
    if (first->last > lock.last) {
      left.push_back(*first);
      left.back().start = std::max(first->start, lock.last + 1);
    }
  }
  return left;
}

// Makes one lock of neighbours of the same type. Requires: ordered, without overlaps.
void MergeNeighbours(Locks& locks) {
  Locks merged;
  for (const FileLock& lock : locks) {
    if (!merged.empty() && merged.back().type == lock.type &&
        merged.back().last + 1 == lock.start) {
      merged.back().last = lock.last;
    } else {
      merged.push_back(lock);
    }
  }
  locks = std::move(merged);
}

// Takes the range from the owner, and gives it back with the type of `lock` if it is to be locked.
void Apply(Locks& locks, const FileLock& lock, bool locked) {
  const auto [first, end] = GroupOf(locks, lock);
  Locks own = Outside(first, end, lock);
  if (locked) {
    own.push_back(lock);
    std::sort(own.begin(), own.end(),
              [](const FileLock& a, const FileLock& b) { return a.start < b.start; });
    MergeNeighbours(own);
  }
  // The group keeps its place: F_GETLK tells of the first.
  const auto place = locks.erase(first, end);
  locks.insert(place, own.begin(), own.end());
}

bool HasSameType(Locks& locks, const FileLock& lock) {
  const auto [first, end] = GroupOf(locks, lock);
  return first != end && first->type == lock.type;
}

}  // namespace

FileLockTable::~FileLockTable() = default;

const FileLock* FileLockTable::InodeLocks::FindConflict(const FileLock& lock) const {
  const Locks& locks = lock.kind == LockKind::kFlock ? whole : ranges;
  for (const FileLock& held : locks) {
    if (held.ConflictsWith(lock)) return &held;
  }
  return nullptr;
}

FileLockTable::InodeLocks* FileLockTable::Find(const Inode& inode) const {
  const auto it = inodes_.find(&inode);
  return it == inodes_.end() ? nullptr : it->second.get();
}

FileLockTable::InodeLocks& FileLockTable::FindOrAdd(const Inode& inode) {
  std::unique_ptr<InodeLocks>& locks = inodes_[&inode];
  if (locks == nullptr) locks = std::make_unique<InodeLocks>();
  return *locks;
}

void FileLockTable::Settle(const Inode& inode) {
  InodeLocks* locks = Find(inode);
  if (locks == nullptr) return;
  std::vector<const FileLock*> promised;
  for (Wait* wait : locks->queue) {
    const bool flock = wait->lock.kind == LockKind::kFlock;
    const bool behind = std::any_of(promised.begin(), promised.end(), [&](const FileLock* other) {
      return (other->kind == LockKind::kFlock) == flock && other->ConflictsWith(wait->lock);
    });
    if (!wait->woken && (behind || locks->FindConflict(wait->lock) != nullptr)) continue;
    promised.push_back(&wait->lock);
    if (!wait->woken) wait->waiter->Wake();
    wait->woken = true;
  }
  if (locks->empty()) inodes_.erase(&inode);
}

bool FileLockTable::WouldDeadlock(const InodeLocks& locks, const FileLock& lock) const {
  absl::flat_hash_set<uint64_t> seen;
  std::vector<uint64_t> waited_for;  // owners
  const auto add_holders = [&](const InodeLocks& of, const FileLock& wanted) {
    for (const FileLock& held : of.ranges) {
      if (held.kind == LockKind::kPosix && held.ConflictsWith(wanted) &&
          seen.insert(held.owner).second) {
        waited_for.push_back(held.owner);
      }
    }
  };
  add_holders(locks, lock);
  while (!waited_for.empty()) {
    const uint64_t owner = waited_for.back();
    waited_for.pop_back();
    if (owner == lock.owner) return true;
    const auto waits = waits_.find(owner);
    if (waits == waits_.end()) continue;
    for (const Wait* wait : waits->second) {
      if (const InodeLocks* of = Find(*wait->inode); of != nullptr) add_holders(*of, wait->lock);
    }
  }
  return false;
}

void FileLockTable::Enqueue(InodeLocks& locks, Wait& wait) {
  wait.woken = false;
  if (wait.queued) return;  // keeps its place
  wait.queued = true;
  locks.queue.push_back(&wait);
  if (wait.lock.kind == LockKind::kPosix) waits_[wait.lock.owner].push_back(&wait);
}

void FileLockTable::Dequeue(InodeLocks& locks, Wait& wait) {
  if (!wait.queued) return;
  wait.queued = false;
  std::erase(locks.queue, &wait);
  if (wait.lock.kind != LockKind::kPosix) return;
  const auto waits = waits_.find(wait.lock.owner);
  std::erase(waits->second, &wait);
  if (waits->second.empty()) waits_.erase(waits);
}

Result<bool> FileLockTable::Take(Wait& wait) {
  InodeLocks& locks = FindOrAdd(*wait.inode);
  Locks& held = locks.Of(wait.lock.kind);
  if (wait.lock.kind == LockKind::kFlock) {
    if (HasSameType(held, wait.lock)) {
      Dequeue(locks, wait);
      return true;
    }
    // A conversion gives the old lock away first, and may not get it back: flock(2).
    Apply(held, wait.lock, /*locked=*/false);
  }
  if (locks.FindConflict(wait.lock) == nullptr) {
    Dequeue(locks, wait);
    Apply(held, wait.lock, /*locked=*/true);
    return true;
  }
  if (wait.waiter == nullptr) return Err(EAGAIN);
  if (wait.lock.kind == LockKind::kPosix && WouldDeadlock(locks, wait.lock)) {
    Dequeue(locks, wait);
    return Err(EDEADLK);
  }
  Enqueue(locks, wait);
  return false;
}

Result<void> FileLockTable::Lock(OperationGate& gate, const Inode& inode, const FileLock& lock,
                                 Waiter* waiter) {
  Wait wait{.inode = &inode, .lock = lock, .waiter = waiter};
  for (;;) {
    {
      Operation operation(gate);
      absl::MutexLock table_lock(&mu_);
      const Result<bool> taken = Take(wait);
      Settle(inode);
      if (!taken) return Err(taken.error());
      if (*taken) return {};
    }
    if (waiter->Await()) continue;
    absl::MutexLock table_lock(&mu_);
    Dequeue(FindOrAdd(inode), wait);
    Settle(inode);
    return Err(EINTR);
  }
}

void FileLockTable::Unlock(const Inode& inode, const FileLock& lock) {
  absl::MutexLock table_lock(&mu_);
  InodeLocks* locks = Find(inode);
  if (locks == nullptr) return;
  Apply(locks->Of(lock.kind), lock, /*locked=*/false);
  Settle(inode);
}

std::optional<FileLock> FileLockTable::FindConflict(const Inode& inode,
                                                    const FileLock& lock) const {
  absl::MutexLock table_lock(&mu_);
  const InodeLocks* locks = Find(inode);
  const FileLock* conflict = locks == nullptr ? nullptr : locks->FindConflict(lock);
  if (conflict == nullptr) return std::nullopt;
  return *conflict;
}

std::optional<FileLock> FileLockTable::FindOwn(const Inode& inode, const FileLock& lock) const {
  absl::MutexLock table_lock(&mu_);
  InodeLocks* locks = Find(inode);
  if (locks == nullptr) return std::nullopt;
  for (const FileLock& held : locks->Of(lock.kind)) {
    if (held.SameOwner(lock) && held.Overlaps(lock)) return held;
  }
  return std::nullopt;
}

void FileLockTable::Release(const Inode& inode, const FileDescription& description) {
  absl::MutexLock table_lock(&mu_);
  InodeLocks* locks = Find(inode);
  if (locks == nullptr) return;
  const auto own = [&](const FileLock& lock) { return lock.description == &description; };
  std::erase_if(locks->ranges, own);
  std::erase_if(locks->whole, own);
  Settle(inode);
}

void FileLockTable::Forget(const Inode& inode) {
  absl::MutexLock table_lock(&mu_);
  inodes_.erase(&inode);
}

bool FileLockTable::empty() const {
  absl::MutexLock table_lock(&mu_);
  return inodes_.empty() && waits_.empty();
}

size_t FileLockTable::Waiting(const Inode& inode) const {
  absl::MutexLock table_lock(&mu_);
  const InodeLocks* locks = Find(inode);
  return locks == nullptr ? 0 : locks->queue.size();
}

std::vector<FileLock> FileLockTable::PosixLocks(const Inode& inode) const {
  absl::MutexLock table_lock(&mu_);
  Locks found;
  if (const InodeLocks* locks = Find(inode); locks != nullptr) {
    std::copy_if(locks->ranges.begin(), locks->ranges.end(), std::back_inserter(found),
                 [](const FileLock& lock) { return lock.kind == LockKind::kPosix; });
  }
  return found;
}

std::vector<FileLock> FileLockTable::LocksOf(const Inode& inode,
                                             const FileDescription& description) const {
  absl::MutexLock table_lock(&mu_);
  Locks found;
  const InodeLocks* locks = Find(inode);
  if (locks == nullptr) return found;
  for (const Locks* list : {&locks->ranges, &locks->whole}) {
    std::copy_if(list->begin(), list->end(), std::back_inserter(found),
                 [&](const FileLock& lock) { return lock.description == &description; });
  }
  return found;
}

bool FileLockTable::Restore(const Inode& inode, const FileLock& lock) {
  if (lock.start > lock.last || lock.last > FileLock::kMaxOffset) return false;
  const bool whole = lock.start == 0 && lock.last == FileLock::kMaxOffset;
  if (lock.kind == LockKind::kFlock && !whole) return false;
  absl::MutexLock table_lock(&mu_);
  InodeLocks& locks = FindOrAdd(inode);
  Locks& held = locks.Of(lock.kind);
  const bool has_it = std::any_of(held.begin(), held.end(), [&](const FileLock& other) {
    return other.SameOwner(lock) && other.Overlaps(lock);
  });
  if (has_it || locks.FindConflict(lock) != nullptr) return false;
  Apply(held, lock, /*locked=*/true);
  return true;
}

}  // namespace stasis::vfs
