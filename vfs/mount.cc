// SPDX-License-Identifier: Apache-2.0

#include "vfs/mount.h"

#include <limits>
#include <tuple>
#include <utility>

#include "state/base/rcu.h"
#include "state/load_context.h"
#include "vfs/inode.h"

namespace stasis::vfs {
namespace {

constexpr int64_t kReadOnlyBit = std::numeric_limits<int64_t>::min();

}  // namespace

Mount::Mount(RefPtr<Filesystem> filesystem, RefPtr<Dentry> root, MountFlags flags, uint64_t id)
    : filesystem_(std::move(filesystem)),
      root_(std::move(root)),
      id_(id),
      no_exec_(flags.no_exec),
      no_suid_(flags.no_suid),
      no_dev_(flags.no_dev),
      no_atime_(flags.no_atime && !flags.strict_atime),
      no_dir_atime_(flags.no_dir_atime),
      strict_atime_(flags.strict_atime),
      writers_(flags.read_only ? kReadOnlyBit : 0) {}

Mount::~Mount() {
  Detach();
  std::ignore = root_.release();  // OnZeroRefs has dropped the reference
}

// As Dentry::OnZeroRefs. The parent stays until nobody reads: a chain of mounts may be long.
void Mount::OnZeroRefs() {
  if (Dentry* point = point_.exchange(nullptr); point != nullptr) point->Unref();
  if (root_) root_->Unref();
  rcu::Retire(this);
}

MountFlags Mount::flags() const {
  return {.read_only = read_only(),
          .no_exec = no_exec_,
          .no_suid = no_suid_,
          .no_dev = no_dev_,
          .no_atime = no_atime_,
          .no_dir_atime = no_dir_atime_,
          .strict_atime = strict_atime_};
}

// As atime_needs_update() of Linux.
void Mount::TouchAtime(Inode& inode, const Clock& clock) const {
  if (no_atime_ || read_only() || (no_dir_atime_ && inode.is_dir())) return;
  inode.TouchAtime(clock.Now(), strict_atime_ ? AtimeRule::kStrict : AtimeRule::kRelative);
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

void Mount::Attach(Mount& parent, Dentry& point) {
  parent.Ref();
  point.Ref();
  point_.store(&point, std::memory_order_release);
  parent_.store(&parent, std::memory_order_release);
}

void Mount::Detach() {
  if (Mount* parent = parent_.exchange(nullptr); parent != nullptr) parent->Unref();
  if (Dentry* point = point_.exchange(nullptr); point != nullptr) point->Unref();
}

absl::Status Mount::LoadWriters(bool read_only, state::LoadContext&) {
  writers_.store(read_only ? kReadOnlyBit : 0);
  return absl::OkStatus();
}

absl::Status Mount::LoadParent(Mount* parent, state::LoadContext& context) {
  if (parent == this) return context.Invalid(*this, "parent", "is the mount itself");
  if (parent != nullptr) parent->Ref();
  parent_.store(parent);
  return absl::OkStatus();
}

absl::Status Mount::LoadPoint(Dentry* point, state::LoadContext&) {
  if (point != nullptr) point->Ref();
  point_.store(point);
  return absl::OkStatus();
}

absl::Status Mount::AfterLoad(state::LoadContext& context) {
  if (!filesystem_) return context.Invalid(*this, "filesystem", "is missing");
  if (!root_) return context.Invalid(*this, "root", "is missing");
  if (!root_->IsOf(*filesystem_))
    return context.Invalid(*this, "root", "is not of the filesystem that is mounted");
  if ((parent() == nullptr) != (point() == nullptr))
    return context.Invalid(*this, "point", "must be there exactly if parent is");
  if (parent() != nullptr && (!parent()->filesystem_ || !point()->IsOf(parent()->filesystem())))
    return context.Invalid(*this, "point", "is not in the filesystem of the parent");
  return absl::OkStatus();
}

}  // namespace stasis::vfs
