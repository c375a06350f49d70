// SPDX-License-Identifier: Apache-2.0

#include "vfs/resolving_path.h"

#include <utility>

#include "vfs/mount_table.h"

namespace stasis::vfs {

Result<VirtualDentry> VirtualDentry::Hold(Mount& mount, Dentry& dentry) {
  if (!mount.TryRef()) return Err(kRetry);
  auto held = RefPtr<Mount>::Adopt(&mount);
  if (!dentry.TryRef()) return Err(kRetry);
  return VirtualDentry(std::move(held), RefPtr<Dentry>::Adopt(&dentry));
}

bool VirtualDentry::IsConsistent() const {
  return mount_->has_filesystem() && dentry_->IsOf(mount_->filesystem());
}

ResolvingPath::ResolvingPath(const MountTable& mounts, const Clock& clock, const Credentials& creds,
                             const PathOperation& operation)
    : mounts_(mounts),
      clock_(clock),
      creds_(creds),
      root_mount_(&operation.root.mount()),
      root_dentry_(&operation.root.dentry()),
      mount_(&operation.start.mount()),
      start_(&operation.start.dentry()),
      follow_final_symlink_(operation.follow_final_symlink) {
  if (!operation.path.empty() && operation.path.front() == '/') {
    mount_ = root_mount_;
    start_ = root_dentry_;
  }
  Begin(operation.path);
}

void ResolvingPath::Begin(std::string_view path) {
  if (!path.empty() && path.back() == '/') {
    if (pending_.empty()) must_be_dir_ = true;
    while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  }
  SetRest(path);
}

void ResolvingPath::SetRest(std::string_view rest) {
  if (rest.empty() && !pending_.empty()) {
    rest = pending_.back();
    pending_.pop_back();
  }
  set_rest(rest);
}

Result<bool> ResolvingPath::CheckRootSlow(Dentry& dentry) {
  if (mount_ == root_mount_ && &dentry == root_dentry_) return true;
  if (&dentry != &mount_->root()) return false;
  for (const Mount* mount = mount_;;) {
    const auto [parent, point] = mounts_.PointOf(*mount);
    if (parent == nullptr || (parent == root_mount_ && point == root_dentry_)) return true;
    mount = parent;
    if (point == &parent->root()) continue;
    SetStart(*parent, *point);
    return Err(kJump);
  }
}

Result<void> ResolvingPath::CheckMountSlow(Dentry& dentry) {
  Dentry* top = &dentry;
  while (Mount* mount = mounts_.Lookup(*mount_, *top)) {
    if (mount->expired() && !keep_expired_) mount->set_expired(false);
    mount_ = mount;
    top = &mount->root();
  }
  if (top == &dentry) return {};  // a mount point in another namespace
  start_ = top;
  return Err(kJump);
}

Result<void> ResolvingPath::HandleSymlink(Dentry& dir, std::string_view target) {
  if (++symlinks_ > kMaxSymlinks) return Err(ELOOP);
  if (target.empty()) return Err(ENOENT);
  if (const std::string_view rest = AfterComponent(); !rest.empty()) pending_.push_back(rest);
  Begin(target);
  if (target.front() != '/') {
    start_ = &dir;
    return {};
  }
  SetStart(*root_mount_, *root_dentry_);
  return Err(kJump);
}

}  // namespace stasis::vfs
