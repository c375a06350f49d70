// SPDX-License-Identifier: Apache-2.0
//
// file_locks.h: the advisory locks of fcntl(2) and flock(2).
//
// Three kinds. POSIX locks are an owner's (a process: whoever calls names it by a number) and end
// when that owner closes any description of the file; OFD locks and flock locks are a file
// description's and end with it. POSIX and OFD locks are of byte ranges and exclude each other;
// flock locks are of whole files and know only of themselves.
//
// The table is beside the inodes: a file without locks pays nothing for them. The operations are
// FileDescription's; they check arguments and access modes.
//
// Who waits does so outside the operation gate, in a queue of the file. A lock that goes wakes
// those that could be granted now, in the order of their coming; each looks again before it takes
// the lock. As in Linux, who comes later may be faster than who was woken.
//
// Saved: POSIX locks with their inode, the others with their description. Not saved: who waits; the
// threads that do are not there after a restore, and ask again.
//
// Lock order: mu_ comes after all others of vfs/ but Waiter's.

#ifndef STASIS_VFS_FILE_LOCKS_H_
#define STASIS_VFS_FILE_LOCKS_H_

#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "state/annotations.h"
#include "state/base/ref_ptr.h"
#include "state/base/result.h"
#include "vfs/operation_gate.h"
#include "vfs/waiter.h"

namespace stasis::vfs {

class FileDescription;
class Inode;

// Whose a POSIX lock is: in Linux a process. Owners are told apart by `id`; `pid` is what F_GETLK
// says.
struct LockOwner {
  uint64_t id = 0;
  int32_t pid = 0;
};

enum class LockKind : uint8_t { kPosix = 0, kOpenFile = 1, kFlock = 2 };
enum class LockType : uint8_t { kShared = 0, kExclusive = 1 };

// A lock, held or asked for. A value.
struct FileLock {
  static constexpr uint64_t kMaxOffset = std::numeric_limits<int64_t>::max();

  LockKind kind = LockKind::kPosix;
  LockType type = LockType::kShared;
  uint64_t start = 0;
  uint64_t last = kMaxOffset;  // the last byte of it
  uint64_t owner = 0;          // of a POSIX lock; 0 for the others
  int32_t pid = 0;
  const FileDescription* description STATE(nosave) = nullptr;  // null for a POSIX lock

  bool SameOwner(const FileLock& other) const {
    return description == other.description && owner == other.owner;
  }
  bool Overlaps(const FileLock& other) const { return start <= other.last && other.start <= last; }
  // Requires: both are of flock(2), or neither is.
  bool ConflictsWith(const FileLock& other) const {
    return (type == LockType::kExclusive || other.type == LockType::kExclusive) &&
           Overlaps(other) && !SameOwner(other);
  }

  STATE_SAVABLE(FileLock);
};

// All locks of a VirtualFilesystem. Thread-safe.
class FileLockTable final : public RefCounted {
 public:
  FileLockTable();
  ~FileLockTable() override;

  // Gives the owner of `lock` the range, in place of what he has there. Without a waiter it fails
  // with EAGAIN where with one it waits.
  // Requires: with a waiter, not called from inside the gate.
  // Errors: EAGAIN; EDEADLK if POSIX owners would wait for each other; EINTR.
  Result<void> Lock(OperationGate& gate, const Inode& inode, const FileLock& lock, Waiter* waiter)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Takes the range from the owner of `lock`; its type means nothing.
  void Unlock(const Inode& inode, const FileLock& lock) ABSL_LOCKS_EXCLUDED(mu_);
  // The first lock that keeps `lock` from being taken.
  std::optional<FileLock> FindConflict(const Inode& inode, const FileLock& lock) const
      ABSL_LOCKS_EXCLUDED(mu_);
  // The first lock of the owner himself in the range.
  std::optional<FileLock> FindOwn(const Inode& inode, const FileLock& lock) const
      ABSL_LOCKS_EXCLUDED(mu_);
  // Everything of a description that ends.
  void Release(const Inode& inode, const FileDescription& description) ABSL_LOCKS_EXCLUDED(mu_);
  // Everything of a file that ends.
  void Forget(const Inode& inode) ABSL_LOCKS_EXCLUDED(mu_);

  // Whether nobody holds or waits for any lock.
  bool empty() const ABSL_LOCKS_EXCLUDED(mu_);
  // How many calls wait for a lock of the file.
  size_t Waiting(const Inode& inode) const ABSL_LOCKS_EXCLUDED(mu_);

  // The saved forms: POSIX locks of a file, the locks of a description.
  std::vector<FileLock> PosixLocks(const Inode& inode) const ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<FileLock> LocksOf(const Inode& inode, const FileDescription& description) const
      ABSL_LOCKS_EXCLUDED(mu_);
  // Takes a lock that an image describes. False if it cannot be: an empty range or one past the
  // largest offset, one that its owner has a lock in, part of a file for flock. Conflicts are for
  // FindConflictingFile to find, once all locks are there.
  bool Restore(const Inode& inode, const FileLock& lock) ABSL_LOCKS_EXCLUDED(mu_);
  // A file with locks that conflict; null if there is none.
  const Inode* FindConflictingFile() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Wait;
  struct InodeLocks;

  // Null if the file has no locks.
  InodeLocks* Find(const Inode& inode) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  InodeLocks& FindOrAdd(const Inode& inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // After a change: wakes those who can go on, drops what is empty.
  void Settle(const Inode& inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes the lock, or enters the queue and returns false. Errors: as Lock.
  Result<bool> Take(Wait& wait) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Enqueue(InodeLocks& locks, Wait& wait) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Dequeue(InodeLocks& locks, Wait& wait) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether the owner of `lock` would wait for himself.
  bool WouldDeadlock(const InodeLocks& locks, const FileLock& lock) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  absl::flat_hash_map<const Inode*, std::unique_ptr<InodeLocks>> inodes_ ABSL_GUARDED_BY(mu_);
  // The waits of each POSIX owner.
  absl::flat_hash_map<uint64_t, std::vector<const Wait*>> waits_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_FILE_LOCKS_H_
