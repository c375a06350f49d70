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
// References: a Mount holds its filesystem, its root dentry and, while attached, the mount and the
// dentry it is attached to. Its MountNamespace holds the Mount.

#ifndef STASIS_VFS_MOUNT_H_
#define STASIS_VFS_MOUNT_H_

#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
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
};

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
  bool read_only() const { return writers_.load(std::memory_order_relaxed) < 0; }
  // Notes that `inode` was read through this mount, if its flags say so.
  void TouchAtime(Inode& inode, const Clock& clock) const;

  // What it is attached to; null if nothing. Valid in a read-copy-update section.
  Mount* parent() const { return parent_.load(std::memory_order_acquire); }
  Dentry* point() const { return point_.load(std::memory_order_acquire); }

  // Bracket every change of the filesystem through this mount. Errors: EROFS.
  Result<void> BeginWrite();
  void EndWrite() { writers_.fetch_sub(1, std::memory_order_release); }

  // Errors: EBUSY while somebody writes.
  Result<void> SetReadOnly(bool read_only);

  // For MountTable: takes and drops the references on parent and point.
  void Attach(Mount& parent, Dentry& point);
  void Detach();

 private:
  STATE_SAVABLE(Mount);
  Mount() = default;

  void OnZeroRefs() override;
  bool SaveWriters() const { return read_only(); }
  absl::Status LoadWriters(bool read_only, state::LoadContext& context);
  Mount* SaveParent() const { return parent(); }
  absl::Status LoadParent(Mount* parent, state::LoadContext& context);
  Dentry* SavePoint() const { return point(); }
  absl::Status LoadPoint(Dentry* point, state::LoadContext& context);
  absl::Status AfterLoad(state::LoadContext& context);

  // Immutable after construction.
  RefPtr<Filesystem> filesystem_;
  RefPtr<Dentry> root_ STATE(wait);  // borrowed after OnZeroRefs
  uint64_t id_ = 0;
  bool no_exec_ = false;
  bool no_suid_ = false;
  bool no_dev_ = false;
  bool no_atime_ = false;
  bool no_dir_atime_ = false;
  bool strict_atime_ = false;

  // Number of writers that are inside; the sign bit says read-only.
  std::atomic<int64_t> writers_ STATE(manual){0};
  // Written under mount_mu; hold references.
  std::atomic<Mount*> parent_ STATE(manual){nullptr};
  std::atomic<Dentry*> point_ STATE(manual){nullptr};
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
