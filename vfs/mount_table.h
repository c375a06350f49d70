// SPDX-License-Identifier: Apache-2.0
//
// mount_table.h: which mount stands on (mount, dentry).
//
// Path walks look it up for every dentry that says it is a mount point, and without a lock: open
// addressing, replaced by a larger table when it is full. A lookup counts only if no change was
// going on meanwhile (seq_); otherwise it is done again with mount_mu held. So no walk sees half of
// a change.

#ifndef STASIS_VFS_MOUNT_TABLE_H_
#define STASIS_VFS_MOUNT_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "vfs/internal/locks.h"
#include "vfs/mount.h"

namespace stasis::vfs {

// Where a mount is attached; null if nowhere.
struct MountPoint {
  Mount* parent = nullptr;
  Dentry* point = nullptr;
};

// Thread-safe.
class MountTable {
 public:
  explicit MountTable(VfsLocks& locks) : locks_(locks) {}
  ~MountTable();
  MountTable(const MountTable&) = delete;
  MountTable& operator=(const MountTable&) = delete;

  // Tells the compiler, and checks in debug builds, that the caller holds mount_mu: clang does not
  // see that locks_ here and there are the same.
  void AssertLocked() const ABSL_ASSERT_EXCLUSIVE_LOCK(locks_.mount_mu) {
    locks_.mount_mu.AssertHeld();
  }

  // The mount attached to `point` of `parent`, or null. Requires: a read-copy-update section.
  Mount* Lookup(const Mount& parent, const Dentry& point) const
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu) {
    return Read<Mount*>([&] { return Find(parent, point); });
  }
  Mount* LookupLocked(const Mount& parent, const Dentry& point) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu) {
    return Find(parent, point);
  }
  // Where `mount` is attached. Requires: a read-copy-update section.
  MountPoint PointOf(const Mount& mount) const ABSL_LOCKS_EXCLUDED(locks_.mount_mu) {
    return Read<MountPoint>([&] { return MountPoint{mount.parent(), mount.point()}; });
  }

  // Changes are made while there is a Writer. Nests.
  class [[nodiscard]] Writer {
   public:
    explicit Writer(MountTable& table) ABSL_EXCLUSIVE_LOCKS_REQUIRED(table.locks_.mount_mu);
    ~Writer();
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

   private:
    MountTable& table_;
  };

  // Enters a mount that is attached. Requires: a Writer.
  void Insert(Mount& mount) ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Takes it out; it is still attached. Requires: entered, a Writer.
  void Erase(Mount& mount) ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);

  // All that are entered, in no order.
  std::vector<Mount*> All() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);

 private:
  struct Slots {
    explicit Slots(size_t count) : slots(count) {}
    size_t mask() const { return slots.size() - 1; }

    std::vector<std::atomic<Mount*>> slots;  // a power of two; null if free, or kErased
  };
  static Mount* Erased() { return reinterpret_cast<Mount*>(uintptr_t{1}); }

  Mount* Find(const Mount& parent, const Dentry& point) const;
  void Grow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  static void Put(Slots& slots, Mount& mount);

  template <typename T, typename Fn>
  T Read(Fn read) const ABSL_LOCKS_EXCLUDED(locks_.mount_mu) {
    const uint32_t before = seq_.load(std::memory_order_acquire);
    if ((before & 1) == 0) [[likely]] {
      T found = read();
      std::atomic_thread_fence(std::memory_order_acquire);
      if (seq_.load(std::memory_order_relaxed) == before) [[likely]]
        return found;
    }
    absl::MutexLock lock(&locks_.mount_mu);
    return read();
  }

  VfsLocks& locks_;
  // Odd while somebody changes mounts.
  std::atomic<uint32_t> seq_{0};
  std::atomic<Slots*> slots_{nullptr};                     // written under mount_mu
  uint32_t writers_ ABSL_GUARDED_BY(locks_.mount_mu) = 0;  // nested ones
  size_t count_ ABSL_GUARDED_BY(locks_.mount_mu) = 0;
  size_t used_ ABSL_GUARDED_BY(locks_.mount_mu) = 0;  // with the erased
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_MOUNT_TABLE_H_
