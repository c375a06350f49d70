// SPDX-License-Identifier: Apache-2.0
//
// mount.h: mounts and how they connect.
//
// A Mount puts the tree of a Filesystem (from some dentry of it on) in place of a dentry of another
// Mount, for path walks that come through that other mount. The root mount of a MountNamespace is
// attached to nothing.
//
// Lock order: see internal/locks.h. Everything that connects or disconnects mounts holds
// VfsLocks::mount_mu; path walks hold nothing.
//
// References: a Mount holds its filesystem, its root dentry and, while attached, the dentry it is
// attached to. Its MountNamespace holds the Mount; so a parent lives as long as what is mounted on
// it. A mount that was detached with locked mounts on it holds those.

#ifndef STASIS_VFS_MOUNT_H_
#define STASIS_VFS_MOUNT_H_

#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "state/annotations.h"
#include "state/base/clock.h"
#include "state/base/result.h"
#include "state/object.h"
#include "vfs/dentry.h"
#include "vfs/filesystem.h"

namespace stasis::vfs {

struct MountFlags {
  bool read_only = false;
  bool no_exec = false;
  bool no_suid = false;
  bool no_dev = false;
  // When reads set access times; with none of these, as relatime does (Inode::TouchAtime).
  bool no_atime = false;
  bool no_dir_atime = false;  // not those of directories, whatever else is set
  bool strict_atime = false;  // each time; overrides no_atime, as in mount(2)
  bool no_sym_follow = false;

  friend bool operator==(const MountFlags&, const MountFlags&) = default;
};

// What happens to mounts and unmounts on a mount (mount_namespaces(7)).
enum class Propagation : uint8_t { kShared, kPrivate, kSlave, kUnbindable };

class MountNamespace;

// Thread-safe.
class Mount final : public state::Object {
 public:
  Mount(RefPtr<Filesystem> filesystem, RefPtr<Dentry> root, MountFlags flags, uint64_t id);
  ~Mount() override;

  uint64_t id() const { return id_; }
  Filesystem& filesystem() const { return *filesystem_; }
  bool has_filesystem() const { return static_cast<bool>(filesystem_); }  // false only in a load
  Dentry& root() const { return *root_; }
  MountFlags flags() const;
  bool no_exec() const { return no_exec_.load(std::memory_order_relaxed); }
  bool no_dev() const { return no_dev_.load(std::memory_order_relaxed); }
  bool no_sym_follow() const { return no_sym_follow_.load(std::memory_order_relaxed); }
  bool read_only() const { return writers_.load(std::memory_order_relaxed) < 0; }
  // Notes that `inode` was read through this mount, if its flags say so.
  void TouchAtime(Inode& inode, const Clock& clock) const;

  // What it is attached to; null if nothing. Valid in a read-copy-update section.
  Mount* parent() const { return parent_.load(std::memory_order_acquire); }
  Dentry* point() const { return point_.load(std::memory_order_acquire); }
  // The namespace that it is in; null once it was unmounted. May change at any time.
  MountNamespace* ns() const { return ns_.load(std::memory_order_acquire); }

  // Bracket every change of the filesystem through this mount. Errors: EROFS.
  Result<void> BeginWrite();
  void EndWrite() { writers_.fetch_sub(1, std::memory_order_release); }

  // Errors: EBUSY while somebody writes. Files that are open to be written refuse it from then on.
  Result<void> SetReadOnly(bool read_only);
  // Open files through which it may be written: as long as there are some, front ends do not make
  // it read-only.
  void AddWritableFile() { writable_files_.fetch_add(1, std::memory_order_relaxed); }
  void DropWritableFile() { writable_files_.fetch_sub(1, std::memory_order_relaxed); }
  bool has_writable_files() const { return writable_files_.load(std::memory_order_relaxed) != 0; }

  // Whether nobody has used the mount since it was marked (MNT_EXPIRE of umount2(2)).
  bool expired() const { return expired_.load(std::memory_order_relaxed); }
  void set_expired(bool on) { expired_.store(on, std::memory_order_relaxed); }

  // The group of mounts that share what is mounted on them; 0 if none. Requires: mount_mu, as do
  // the next ones.
  uint32_t peer_group() const { return peer_group_; }
  // A mount of the group that this one gets its mounts from; null if none.
  const Mount* master() const { return master_; }
  bool unbindable() const { return unbindable_; }
  bool locked() const { return (locks_ & kLocked) != 0; }

 private:
  friend class MountTree;
  friend class MountNamespace;
  STATE_SAVABLE(Mount);
  Mount() = default;

  // What whoever has less privileges than the one who mounted it may not change.
  enum Lock : uint8_t {
    kLocked = 1 << 0,  // not unmounted alone
    kLockReadOnly = 1 << 1,
    kLockNoExec = 1 << 2,
    kLockNoSuid = 1 << 3,
    kLockNoDev = 1 << 4,
    kLockAtime = 1 << 5,
    kAllLocks = (1 << 6) - 1,
  };
  // Of one change of the tree.
  enum Mark : uint8_t {
    kLeaving = 1 << 0,    // is unmounted
    kCandidate = 1 << 1,  // may be unmounted because another one is
    kMarked = 1 << 2,
    kListed = 1 << 3,
  };
  enum LoadMark : uint8_t {
    kKept = 1 << 0,  // by a namespace or a parent
    kIsSlave = 1 << 1,
    kOnParents = 1 << 2,
    kParentsEnd = 1 << 3,
    kOnMasters = 1 << 4,
    kMastersEnd = 1 << 5,
    kInRing = 1 << 6,
  };

  // All but read-only.
  void SetFlags(const MountFlags& flags);
  bool HasMark(Mark mark) const { return (marks_ & mark) != 0; }
  void SetMark(Mark mark) { marks_ |= mark; }
  void ClearMark(Mark mark) { marks_ &= static_cast<uint8_t>(~mark); }
  // Whether it is attached to the root of its parent, and so covers it.
  bool is_overmount() const { return parent() != nullptr && point() == &parent()->root(); }

  void OnZeroRefs() override;
  bool SaveWriters() const { return read_only(); }
  absl::Status LoadWriters(bool read_only, state::LoadContext& context);
  Mount* SaveParent() const { return parent(); }
  absl::Status LoadParent(Mount* parent, state::LoadContext& context);
  Dentry* SavePoint() const { return point(); }
  absl::Status LoadPoint(Dentry* point, state::LoadContext& context);
  Mount* SaveNextPeer() const { return next_peer_ == this ? nullptr : next_peer_; }
  absl::Status LoadNextPeer(Mount* peer, state::LoadContext& context);
  std::vector<Mount*> SaveSlaves() const;
  absl::Status LoadSlaves(std::vector<Mount*> slaves, state::LoadContext& context);
  absl::Status AfterLoad(state::LoadContext& context);
  absl::Status CheckChains(state::LoadContext& context);
  void LoadFailed();

  // Immutable after construction.
  RefPtr<Filesystem> filesystem_;
  RefPtr<Dentry> root_ STATE(wait);  // borrowed after OnZeroRefs
  uint64_t id_ = 0;

  // Written under mount_mu.
  std::atomic<bool> no_exec_{false};
  std::atomic<bool> no_suid_{false};
  std::atomic<bool> no_dev_{false};
  std::atomic<bool> no_atime_{false};
  std::atomic<bool> no_dir_atime_{false};
  std::atomic<bool> strict_atime_{false};
  std::atomic<bool> no_sym_follow_{false};
  std::atomic<bool> expired_{false};

  // Number of writers that are inside; the sign bit says read-only.
  std::atomic<int64_t> writers_ STATE(manual){0};
  std::atomic<uint32_t> writable_files_ STATE(nosave){0};

  // All from here on is guarded by mount_mu; atomics are read without it.
  std::atomic<Mount*> parent_ STATE(manual){nullptr};  // borrowed
  std::atomic<Dentry*> point_ STATE(manual){nullptr};  // holds a reference
  std::atomic<MountNamespace*> ns_ STATE(nosave){nullptr};
  uint8_t locks_ = 0;
  uint8_t marks_ STATE(nosave) = 0;
  uint8_t load_marks_ STATE(nosave) = 0;
  // Locked mounts that stay on this one, which was unmounted, for as long as it is used.
  std::vector<RefPtr<Mount>> kept_children_;

  // What is mounted on it, in order.
  Mount* first_child_ STATE(nosave) = nullptr;
  Mount* last_child_ STATE(nosave) = nullptr;
  Mount* next_sibling_ STATE(nosave) = nullptr;
  Mount* prev_sibling_ STATE(nosave) = nullptr;
  // The mounts attached to the same dentry, of whatever parent.
  Mount* next_at_point_ STATE(nosave) = nullptr;
  Mount* prev_at_point_ STATE(nosave) = nullptr;

  bool unbindable_ = false;
  uint32_t peer_group_ = 0;
  // A ring of those with the same peer_group_, which have the same master_, too.
  Mount* next_peer_ STATE(manual) = this;
  Mount* prev_peer_ STATE(nosave) = this;
  Mount* master_ = nullptr;
  // The first of those whose master_ this is. Each peer group stands together.
  Mount* slaves_ STATE(manual) = nullptr;
  Mount* next_slave_ STATE(nosave) = nullptr;
  Mount* prev_slave_ STATE(nosave) = nullptr;
};

// Brackets a change: `MountWriter writer(mount); STASIS_RETURN_IF_ERROR(writer.status());`
class [[nodiscard]] MountWriter {
 public:
  explicit MountWriter(Mount& mount) : mount_(mount), status_(mount.BeginWrite()) {}
  ~MountWriter() {
    if (status_) mount_.EndWrite();
  }
  MountWriter(const MountWriter&) = delete;
  MountWriter& operator=(const MountWriter&) = delete;

  const Result<void>& status() const { return status_; }

 private:
  Mount& mount_;
  const Result<void> status_;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_MOUNT_H_
