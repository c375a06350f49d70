// SPDX-License-Identifier: Apache-2.0

#include "vfs/mount.h"

#include <limits>
#include <tuple>
#include <utility>

#include "state/base/rcu.h"
#include "vfs/inode.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {
namespace {

constexpr int64_t kReadOnlyBit = std::numeric_limits<int64_t>::min();

}  // namespace

Mount::Mount(RefPtr<Filesystem> filesystem, RefPtr<Dentry> root, MountFlags flags, uint64_t id)
    : filesystem_(std::move(filesystem)),
      root_(std::move(root)),
      id_(id),
      writers_(flags.read_only ? kReadOnlyBit : 0) {
  SetFlags(flags);
}

Mount::~Mount() {
  if (Dentry* point = point_.load(); point != nullptr) point->Unref();  // of a load that failed
  std::ignore = root_.release();  // OnZeroRefs has dropped the reference
}

// As Dentry::OnZeroRefs. It is attached to nothing by now.
void Mount::OnZeroRefs() {
  if (!kept_children_.empty()) filesystem_->vfs().ReleaseKeptMounts(*this);
  if (root_) root_->Unref();
  rcu::Retire(this);
}

MountFlags Mount::flags() const {
  return {.read_only = read_only(),
          .no_exec = no_exec(),
          .no_suid = no_suid_.load(std::memory_order_relaxed),
          .no_dev = no_dev(),
          .no_atime = no_atime_.load(std::memory_order_relaxed),
          .no_dir_atime = no_dir_atime_.load(std::memory_order_relaxed),
          .strict_atime = strict_atime_.load(std::memory_order_relaxed),
          .no_sym_follow = no_sym_follow()};
}

void Mount::SetFlags(const MountFlags& flags) {
  no_exec_.store(flags.no_exec, std::memory_order_relaxed);
  no_suid_.store(flags.no_suid, std::memory_order_relaxed);
  no_dev_.store(flags.no_dev, std::memory_order_relaxed);
  no_atime_.store(flags.no_atime && !flags.strict_atime, std::memory_order_relaxed);
  no_dir_atime_.store(flags.no_dir_atime, std::memory_order_relaxed);
  strict_atime_.store(flags.strict_atime, std::memory_order_relaxed);
  no_sym_follow_.store(flags.no_sym_follow, std::memory_order_relaxed);
}

// As atime_needs_update() of Linux.
void Mount::TouchAtime(Inode& inode, const Clock& clock) const {
  if (no_atime_.load(std::memory_order_relaxed) || read_only()) return;
  if (no_dir_atime_.load(std::memory_order_relaxed) && inode.is_dir()) return;
  const bool strict = strict_atime_.load(std::memory_order_relaxed);
  inode.TouchAtime(clock.Now(), strict ? AtimeRule::kStrict : AtimeRule::kRelative);
}

Result<void> Mount::BeginWrite() {
  if (writers_.fetch_add(1, std::memory_order_acquire) < 0) {
    writers_.fetch_sub(1, std::memory_order_release);
    return Err(EROFS);
  }
  return {};
}

Result<void> Mount::SetReadOnly(bool on) {
  if (!on) {
    writers_.fetch_and(~kReadOnlyBit, std::memory_order_acq_rel);
    return {};
  }
  int64_t expected = 0;
  if (read_only() || writers_.compare_exchange_strong(expected, kReadOnlyBit)) return {};
  return Err(EBUSY);
}

}  // namespace stasis::vfs
