// SPDX-License-Identifier: Apache-2.0
//
// directory.h: the children of a directory's dentry.
//
// Two structures over the same dentries:
//   - a hash table by name, read without a lock (open addressing; a slot is a dentry pointer with
//     16 bits of its name's hash in the upper bits, so that most misses touch no dentry);
//   - the order in which readdir returns them: an array sorted by position, in which removed
//     entries leave a mark until half of it is marks. Positions only grow, so one that a reader
//     keeps stays valid whatever is added or removed, and after a restore.
//
// A lock-free miss counts only if no writer was at work meanwhile (seq_): otherwise the lookup is
// done again under mu.
//
// Lock order: Directory::mu of a parent before that of its child; two unrelated ones only under
// TreeFilesystem's rename lock.

#ifndef STASIS_VFS_DIRECTORY_H_
#define STASIS_VFS_DIRECTORY_H_

#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "state/base/ref_ptr.h"
#include "vfs/internal/name.h"

namespace stasis::vfs {

class Dentry;

// A hash table of names. Readers need no lock; only Directory changes it.
struct ChildTable {
  static constexpr uintptr_t kEmpty = 0;
  static constexpr uintptr_t kTombstone = 1;
  static constexpr int kTagShift = 48;  // user space addresses have 47 bits
  static constexpr uintptr_t kAddressBits = (uintptr_t{1} << kTagShift) - 1;

  // Never 0, which an empty slot and a tombstone have.
  static uintptr_t Tag(uint64_t hash) { return (hash >> kTagShift) | 1; }
  static uintptr_t Tagged(Dentry* dentry, uint64_t hash) {
    return Tag(hash) << kTagShift | reinterpret_cast<uintptr_t>(dentry);
  }
  static Dentry* Untagged(uintptr_t slot) { return reinterpret_cast<Dentry*>(slot & kAddressBits); }

  // A power of two of empty slots.
  static ChildTable* Make(uint32_t slot_count);
  static void Free(void* table);
  // True if an empty slot was taken, false if that of a removed child.
  bool Put(uintptr_t tagged, uint64_t hash);

  uint32_t mask;                    // number of slots - 1
  std::atomic<uintptr_t> slots[1];  // mask + 1 of them
};

// A ChildTable's address with its mask in the upper bits, so that a walk need not load the mask
// before it can load the slot.
class ChildTableRef {
 public:
  ChildTableRef() = default;
  explicit ChildTableRef(const ChildTable* table)
      : bits_(table == nullptr ? 0
                               : std::min<uintptr_t>(table->mask, kLarge) << ChildTable::kTagShift |
                                     reinterpret_cast<uintptr_t>(table)) {}

  // Defined in dentry.h. Null if there is none, or if a writer is in the way.
  Dentry* Find(const Dentry& parent, const internal::NameKey& name) const;

 private:
  static constexpr uintptr_t kLarge = 0xffff;  // the mask is this or more: see the table

  uintptr_t bits_ = 0;
};

class Directory {
 public:
  explicit Directory(Dentry* owner) : owner_(owner) {}
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  // Positions below this one are "." and "..".
  static constexpr uint64_t kFirstPosition = 3;
  // Far more than can be given out, and no overflow when one is added.
  static constexpr uint64_t kLastPosition = uint64_t{1} << 62;

  // The child of that name, or null. Requires: a read-copy-update section, which keeps it alive.
  Dentry* Lookup(std::string_view name) const ABSL_LOCKS_EXCLUDED(mu);
  Dentry* LookupLocked(std::string_view name) const ABSL_SHARED_LOCKS_REQUIRED(mu);

  // Links a dentry that has no parent under its name, at the end of the order, and keeps a
  // reference. Requires: no child of that name.
  void Insert(RefPtr<Dentry> child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // As Insert, at the position that the child has already (a restore). Requires: positions grow.
  void InsertRestored(RefPtr<Dentry> child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // Unlinks a child and returns the reference; the child keeps its name and parent.
  RefPtr<Dentry> Remove(Dentry& child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Moves `child` of `from` to `to` under `name`, in place of `replaced` (may be null) without a
  // moment in which the name is missing; `left_behind` (may be null) gets the old name in the same
  // way. Returns the reference on `replaced`.
  static RefPtr<Dentry> Move(Directory& from, Dentry& child, Directory& to, std::string_view name,
                             Dentry* replaced, RefPtr<Dentry> left_behind)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(from.mu, to.mu);
  // Exchanges the places of two children.
  static void Exchange(Directory& a, Dentry& child_a, Directory& b, Dentry& child_b)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(a.mu, b.mu);

  // Calls `fn(Dentry&)` on the children at `position` and after, in order, until it returns false.
  template <typename Fn>
  void ForEachFrom(uint64_t position, Fn&& fn) const ABSL_SHARED_LOCKS_REQUIRED(mu) {
    for (auto it = LowerBound(position); it != order_.end(); ++it) {
      if (!IsMark(*it) && !fn(*reinterpret_cast<Dentry*>(*it))) return;
    }
  }

  // Calls `fn(Dentry&)` on all children in order.
  template <typename Fn>
  void ForEach(Fn&& fn) const ABSL_SHARED_LOCKS_REQUIRED(mu) {
    for (uintptr_t entry : order_) {
      if (!IsMark(entry)) fn(*reinterpret_cast<Dentry*>(entry));
    }
  }

  // Above the positions of all children that there are and were.
  uint64_t end_position() const ABSL_SHARED_LOCKS_REQUIRED(mu) { return next_position_; }
  // Above those of all that there are.
  uint64_t end_of_children() const ABSL_SHARED_LOCKS_REQUIRED(mu);
  // Leaves out what is before `position` (a restore).
  void SkipTo(uint64_t position) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    next_position_ = std::max(next_position_, position);
  }
  size_t size() const ABSL_SHARED_LOCKS_REQUIRED(mu) { return count_; }
  bool empty() const ABSL_SHARED_LOCKS_REQUIRED(mu) { return count_ == 0; }
  // A restore hands over the children's dentries before they can be linked, and takes them back to
  // do it.
  void StashForLoad(std::vector<Dentry*> children) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  std::vector<Dentry*> TakeStash() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Unlinks all children, for taking a tree down.
  std::vector<RefPtr<Dentry>> RemoveAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // Unlinks all children as Remove does.
  std::vector<RefPtr<Dentry>> RemoveEach() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Once set nothing can be added: the directory was removed.
  bool dead() const ABSL_SHARED_LOCKS_REQUIRED(mu) { return dead_; }
  void set_dead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) { dead_ = true; }
  // Takes set_dead() back when the removal failed.
  void Revive() ABSL_LOCKS_EXCLUDED(mu) {
    absl::MutexLock lock(&mu);
    dead_ = false;
  }

  // Exclusive for every change of the children; shared to list them.
  mutable absl::Mutex mu;

 private:
  class WriteSection;

  static bool IsMark(uintptr_t entry) { return (entry & 1) != 0; }
  static uint64_t PositionOf(uintptr_t entry);
  std::vector<uintptr_t>::const_iterator LowerBound(uint64_t position) const
      ABSL_SHARED_LOCKS_REQUIRED(mu);

  void PublishTable(ChildTable* table) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void PutSlot(Dentry* child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  std::atomic<uintptr_t>* FindSlot(const Dentry& child) const ABSL_SHARED_LOCKS_REQUIRED(mu);
  // Requires: a WriteSection.
  void Add(RefPtr<Dentry> child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void Reserve() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void AppendOrder(Dentry* child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void MarkOrder(const Dentry& child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  Dentry* const owner_;  // owns this
  // Odd while a writer is at work.
  std::atomic<uint32_t> seq_{0};
  bool dead_ ABSL_GUARDED_BY(mu) = false;
  ChildTable* table_ ABSL_GUARDED_BY(mu) = nullptr;  // null if there never was a child
  uint32_t count_ ABSL_GUARDED_BY(mu) = 0;
  uint32_t used_slots_ ABSL_GUARDED_BY(mu) = 0;  // with those of removed children
  std::vector<uintptr_t> order_ ABSL_GUARDED_BY(mu);
  uint32_t marks_ ABSL_GUARDED_BY(mu) = 0;  // removed entries in order_
  uint64_t next_position_ ABSL_GUARDED_BY(mu) = kFirstPosition;
};

// Locks a directory while another one is locked. Which of two is the outer one depends on the tree,
// and a rename can turn it round: so abseil's deadlock detector, which would take that for an
// error, is made to forget that the two were ever locked together.
class ABSL_SCOPED_LOCKABLE InnerDirectoryLock {
 public:
  explicit InnerDirectoryLock(Directory& directory) ABSL_EXCLUSIVE_LOCK_FUNCTION(directory.mu)
      : directory_(directory) {
    directory_.mu.Lock();
  }
  ~InnerDirectoryLock() ABSL_UNLOCK_FUNCTION() {
    directory_.mu.Unlock();
    directory_.mu.ForgetDeadlockInfo();
  }
  InnerDirectoryLock(const InnerDirectoryLock&) = delete;
  InnerDirectoryLock& operator=(const InnerDirectoryLock&) = delete;

 private:
  Directory& directory_;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_DIRECTORY_H_
