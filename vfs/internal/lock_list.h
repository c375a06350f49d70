// SPDX-License-Identifier: Apache-2.0
//
// lock_list.h: the locks of one file that know of each other: those of flock(2), or all others.
//
// Kept by owner, so that what an owner does costs by the logarithm of his own locks. A search for
// conflicts looks at every owner.

#ifndef STASIS_VFS_INTERNAL_LOCK_LIST_H_
#define STASIS_VFS_INTERNAL_LOCK_LIST_H_

#include <absl/container/btree_map.h>
#include <absl/container/flat_hash_map.h>
#include <absl/functional/function_ref.h>

#include <cstdint>
#include <list>
#include <utility>

#include "vfs/file_locks.h"

namespace stasis::vfs {

// Not thread-safe. Pointers to locks are valid until the next change.
class LockList {
 public:
  bool empty() const { return owners_.empty(); }

  // Gives the owner of `lock` the range, in place of what he has there.
  void Lock(const FileLock& lock);
  // Takes the range from the owner of `lock`.
  void Unlock(const FileLock& lock);
  // Takes everything from the owner of `lock`.
  void Forget(const FileLock& lock);

  // The first lock of the owner himself in the range; null if there is none.
  const FileLock* FindOwn(const FileLock& lock) const;
  // The first lock that `lock` conflicts with, by the coming of the owners; null if there is none.
  const FileLock* FindConflict(const FileLock& lock) const;

  using Visitor = absl::FunctionRef<void(const FileLock&)>;
  void ForEach(Visitor visit) const;
  void ForEachOf(const FileLock& owner, Visitor visit) const;

  // Whether any two conflict. Costs n log n, whatever they are.
  bool HasConflicts() const;

 private:
  using Owner = std::pair<const FileDescription*, uint64_t>;
  // Those of one owner, by their first byte; without overlaps, neighbours of one type merged.
  using Ranges = absl::btree_map<uint64_t, FileLock>;

  static Owner OwnerOf(const FileLock& lock) { return {lock.description, lock.owner}; }
  // The first that does not end before `start`.
  static Ranges::const_iterator FirstFrom(const Ranges& ranges, uint64_t start);
  // Makes the range of `lock` free.
  static void Carve(Ranges& ranges, const FileLock& lock);
  // Requires: the range is free.
  static void Insert(Ranges& ranges, FileLock lock);

  std::list<Ranges> owners_;  // in the order of their coming; none is empty
  absl::flat_hash_map<Owner, std::list<Ranges>::iterator> by_owner_;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_INTERNAL_LOCK_LIST_H_
