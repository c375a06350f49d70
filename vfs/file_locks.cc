// SPDX-License-Identifier: Apache-2.0

#include "vfs/file_locks.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>

#include "vfs/internal/lock_list.h"

namespace stasis::vfs {

// A call that waits. On its stack.
struct FileLockTable::Wait {
  const Inode* inode;
  FileLock lock;
  Waiter* waiter;
  bool queued = false;
  bool woken = false;
};

struct FileLockTable::InodeLocks {
  LockList ranges;           // POSIX and OFD locks
  LockList whole;            // of flock(2)
  std::vector<Wait*> queue;  // in the order of their coming

  LockList& Of(LockKind kind) { return kind == LockKind::kFlock ? whole : ranges; }
  const FileLock* FindConflict(const FileLock& lock) { return Of(lock.kind).FindConflict(lock); }
  bool empty() const { return ranges.empty() && whole.empty() && queue.empty(); }
};

FileLockTable::FileLockTable() = default;
FileLockTable::~FileLockTable() = default;

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
    of.ranges.ForEach([&](const FileLock& held) {
      if (held.kind == LockKind::kPosix && held.ConflictsWith(wanted) &&
          seen.insert(held.owner).second) {
        waited_for.push_back(held.owner);
      }
    });
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
  LockList& held = locks.Of(wait.lock.kind);
  if (wait.lock.kind == LockKind::kFlock) {
    const FileLock* own = held.FindOwn(wait.lock);
    if (own != nullptr && own->type == wait.lock.type) {
      Dequeue(locks, wait);
      return true;
    }
    // A conversion gives the old lock away first, and may not get it back: flock(2).
    held.Unlock(wait.lock);
  }
  if (held.FindConflict(wait.lock) == nullptr) {
    Dequeue(locks, wait);
    held.Lock(wait.lock);
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
  locks->Of(lock.kind).Unlock(lock);
  Settle(inode);
}

std::optional<FileLock> FileLockTable::FindConflict(const Inode& inode,
                                                    const FileLock& lock) const {
  absl::MutexLock table_lock(&mu_);
  InodeLocks* locks = Find(inode);
  const FileLock* conflict = locks == nullptr ? nullptr : locks->FindConflict(lock);
  if (conflict == nullptr) return std::nullopt;
  return *conflict;
}

std::optional<FileLock> FileLockTable::FindOwn(const Inode& inode, const FileLock& lock) const {
  absl::MutexLock table_lock(&mu_);
  InodeLocks* locks = Find(inode);
  const FileLock* own = locks == nullptr ? nullptr : locks->Of(lock.kind).FindOwn(lock);
  if (own == nullptr) return std::nullopt;
  return *own;
}

void FileLockTable::Release(const Inode& inode, const FileDescription& description) {
  absl::MutexLock table_lock(&mu_);
  InodeLocks* locks = Find(inode);
  if (locks == nullptr) return;
  locks->ranges.Forget({.description = &description});
  locks->whole.Forget({.description = &description});
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
  std::vector<FileLock> found;
  const InodeLocks* locks = Find(inode);
  if (locks == nullptr) return found;
  locks->ranges.ForEach([&](const FileLock& lock) {
    if (lock.kind == LockKind::kPosix) found.push_back(lock);
  });
  return found;
}

std::vector<FileLock> FileLockTable::LocksOf(const Inode& inode,
                                             const FileDescription& description) const {
  absl::MutexLock table_lock(&mu_);
  std::vector<FileLock> found;
  const InodeLocks* locks = Find(inode);
  if (locks == nullptr) return found;
  for (const LockList* list : {&locks->ranges, &locks->whole}) {
    list->ForEachOf({.description = &description},
                    [&](const FileLock& lock) { found.push_back(lock); });
  }
  return found;
}

bool FileLockTable::Restore(const Inode& inode, const FileLock& lock) {
  if (lock.start > lock.last || lock.last > FileLock::kMaxOffset) return false;
  const bool whole = lock.start == 0 && lock.last == FileLock::kMaxOffset;
  if (lock.kind == LockKind::kFlock && !whole) return false;
  absl::MutexLock table_lock(&mu_);
  LockList& held = FindOrAdd(inode).Of(lock.kind);
  if (held.FindOwn(lock) != nullptr) return false;
  held.Lock(lock);
  return true;
}

const Inode* FileLockTable::FindConflictingFile() const {
  absl::MutexLock table_lock(&mu_);
  for (const auto& [inode, locks] : inodes_) {
    if (locks->ranges.HasConflicts() || locks->whole.HasConflicts()) return inode;
  }
  return nullptr;
}

}  // namespace stasis::vfs
