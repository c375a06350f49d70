// SPDX-License-Identifier: Apache-2.0
//
// settle.cc: what goes over all of an overlay: making its upper layer complete by itself, and the
// checks after a restore.

#include <absl/strings/str_cat.h>

#include <utility>

#include "fsimpl/overlay/filesystem.h"
#include "fsimpl/overlay/inode.h"
#include "state/load_context.h"
#include "vfs/mount_tree.h"
#include "vfs/restore_context.h"

namespace stasis::overlay {
namespace {

// A layer is reached by nobody else's mount, and shows nothing but its own filesystem.
bool IsAlone(const vfs::Mount& mount) {
  return mount.ns() == nullptr && mount.parent() == nullptr && !vfs::MountTree::HasChildren(mount);
}

std::vector<RefPtr<vfs::Dentry>> ChildrenOf(const vfs::Dentry& dir) {
  std::vector<RefPtr<vfs::Dentry>> children;
  absl::ReaderMutexLock lock(&dir.directory().mu);
  dir.directory().ForEach([&](vfs::Dentry& child) { children.emplace_back(&child); });
  return children;
}

// Calls `visit(dentry)` on each directory that is cached, parents first.
template <typename Visit>
Result<void> ForEachDirectory(vfs::Dentry& root, Visit visit) {
  std::vector<RefPtr<vfs::Dentry>> todo = {RefPtr<vfs::Dentry>(&root)};
  while (!todo.empty()) {
    const RefPtr<vfs::Dentry> dir = std::move(todo.back());
    todo.pop_back();
    STASIS_RETURN_IF_ERROR(visit(*dir));
    for (RefPtr<vfs::Dentry>& child : ChildrenOf(*dir))
      if (child->is_dir()) todo.push_back(std::move(child));
  }
  return {};
}

bool IsPlaced(const vfs::VirtualDentry& layer, const vfs::Filesystem& overlay) {
  return layer.complete() && layer.mount().has_filesystem() && layer.IsConsistent() &&
         layer.dentry().inode().is_dir() && layer.mount().filesystem().dev() < overlay.dev();
}

}  // namespace

// Names first: a name that leads to a copied file is not to be taken for the lower one.
Result<void> OverlayFilesystem::SettleUpper() {
  if (!writable()) return {};
  bool all = false;
  {
    absl::MutexLock lock(&inodes_mu_);
    for (const RefPtr<OverlayInode>& inode : pinned_) {
      const auto places = more_places_.count(inode.get()) + (inode->place_ != nullptr ? 1 : 0);
      all = all || places < inode->nlink();
    }
  }
  return SettleNames(all);
}

// One operation for each directory, so that a checkpoint does not wait for all of it.
Result<void> OverlayFilesystem::SettleNames(bool all) {
  return ForEachDirectory(root(), [&](vfs::Dentry& dentry) -> Result<void> {
    const vfs::Operation operation(vfs().gate());
    auto& dir = static_cast<OverlayDirectory&>(dentry.inode());
    if (all) STASIS_RETURN_IF_ERROR(dir.BeginListing(dentry));
    for (const RefPtr<vfs::Dentry>& child : ChildrenOf(dentry)) {
      absl::MutexLock lock(&dentry.directory().mu);
      auto& inode = static_cast<OverlayInode&>(child->inode());
      if (child->parent() != &dentry || child->disconnected()) continue;
      if (child->unchecked()) {
        STASIS_ASSIGN_OR_RETURN(const bool valid, dir.CheckChild(*child));
        if (!valid) continue;
      }
      if (inode.is_dir() || inode.upper() == nullptr) continue;
      STASIS_RETURN_IF_ERROR(CopyUp(dir));
      STASIS_RETURN_IF_ERROR(dir.EnsureNamed(child->name(), inode));
      if (inode.is_regular())
        STASIS_RETURN_IF_ERROR(static_cast<OverlayRegular&>(inode).CompleteData());
    }
    return {};
  });
}

// The layers are not what they were: each name is looked up once more, and forgotten if it is
// another file's by now.
Result<void> OverlayFilesystem::CheckAgain() {
  return ForEachDirectory(root(), [&](vfs::Dentry& dentry) -> Result<void> {
    auto& dir = static_cast<OverlayDirectory&>(dentry.inode());
    dir.complete_.store(false, std::memory_order_release);
    for (const RefPtr<vfs::Dentry>& child : ChildrenOf(dentry)) {
      absl::MutexLock lock(&dentry.directory().mu);
      auto& inode = static_cast<OverlayInode&>(child->inode());
      if (!inode.loaded()) continue;
      STASIS_ASSIGN_OR_RETURN(const bool valid, dir.CheckChild(*child));
      if (!valid) ForgetLocked(dentry.directory(), *child);
    }
    return {};
  });
}

absl::Status OverlayFilesystem::CompleteRestore(vfs::RestoreContext& context) {
  const vfs::Operation operation(vfs().gate());
  std::vector<vfs::VirtualDentry> layers = lowers_;
  if (upper_.ok()) layers.push_back(upper_);
  for (const vfs::VirtualDentry& layer : layers)
    if (!IsAlone(layer.mount()))
      return absl::DataLossError(
          "a layer's mount is in a namespace, or something is mounted on it");
  bool foreign = false;
  std::ignore = ForEachDirectory(root(), [&](vfs::Dentry& dentry) -> Result<void> {
    if (dynamic_cast<OverlayDirectory*>(&dentry.inode()) == nullptr) foreign = true;
    for (const RefPtr<vfs::Dentry>& child : ChildrenOf(dentry))
      if (!child->inode().IsOf(*this)) foreign = true;
    return {};
  });
  if (foreign) return absl::DataLossError("an overlay's tree has a file of another filesystem");
  if (context.drifts().empty()) return absl::OkStatus();
  if (auto checked = CheckAgain(); !checked)
    return absl::ErrnoToStatus(checked.error().value(),
                               "cannot look at the layers of an overlay again");
  return absl::OkStatus();
}

absl::Status OverlayFilesystem::AfterLoad(state::LoadContext& context) {
  format_ = Format(user_xattrs_);
  if (lowers_.empty() || lowers_.size() > kMaxLowers)
    return context.Invalid(*this, "lowers",
                           absl::StrCat("are ", lowers_.size(), ", not 1 to ", kMaxLowers));
  for (const vfs::VirtualDentry& lower : lowers_) {
    // What it is made of was made before: so no overlay is a layer of itself.
    if (!IsPlaced(lower, *this))
      return context.Invalid(*this, "lowers",
                             "has one that is no directory of an older filesystem");
  }
  absl::MutexLock lock(&inodes_mu_);
  for (const RefPtr<OverlayInode>& inode : pinned_) {
    if (!inode || !inode->IsOf(*this))
      return context.Invalid(*this, "pinned", "has a file that is missing, or another overlay's");
    inode->pinned_ = true;
  }
  if (upper_.ok() != work_.ok())
    return context.Invalid(*this, "work", "must be there exactly if upper is");
  if (!upper_.ok()) return absl::OkStatus();
  if (!IsPlaced(upper_, *this))
    return context.Invalid(*this, "upper", "is no directory of an older filesystem");
  if (!IsPlaced(work_, *this) || &work_.mount() != &upper_.mount())
    return context.Invalid(*this, "work", "is no directory of the upper layer's filesystem");
  return absl::OkStatus();
}

}  // namespace stasis::overlay
