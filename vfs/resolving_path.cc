// SPDX-License-Identifier: Apache-2.0

#include "vfs/resolving_path.h"

#include <algorithm>
#include <bit>

#include "vfs/internal/name.h"
#include "vfs/mount_table.h"

namespace stasis::vfs {
namespace {

std::string_view SkipSlashes(std::string_view path) {
  size_t i = 0;
  while (i < path.size() && path[i] == '/') ++i;
  return path.substr(i);
}

// Position of the first slash, or the size. Names are short: eight bytes at once mostly find it.
size_t FindSlash(std::string_view path) {
  if (path.size() >= 8) {
    const uint64_t x = internal::LoadWord<uint64_t>(path.data()) ^ 0x2f2f2f2f2f2f2f2f;
    const uint64_t zero_bytes = (x - 0x0101010101010101) & ~x & 0x8080808080808080;
    if (zero_bytes != 0) return static_cast<size_t>(std::countr_zero(zero_bytes)) / 8;
  } else {
    for (size_t i = 0; i < path.size(); ++i) {
      if (path[i] == '/') return i;
    }
    return path.size();
  }
  return std::min(path.find('/', 8), path.size());
}

}  // namespace

Result<VirtualDentry> VirtualDentry::Hold(Mount& mount, Dentry& dentry) {
  // A mount goes away only while nobody is inside the operation gate.
  if (!dentry.TryRef()) return Err(kRetry);
  return VirtualDentry(RefPtr<Mount>(&mount), RefPtr<Dentry>::Adopt(&dentry));
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
  if (!path.empty() && path.back() == '/' && pending_.empty()) must_be_dir_ = true;
  rest_ = SkipSlashes(path);
  component_ = {};
  if (!rest_.empty() || !pending_.empty()) NextComponent();
}

void ResolvingPath::NextComponent() {
  if (rest_.empty()) {
    rest_ = pending_.back();
    pending_.pop_back();
  }
  const size_t slash = FindSlash(rest_);
  component_ = rest_.substr(0, slash);
  rest_ = SkipSlashes(rest_.substr(slash));
}

Result<bool> ResolvingPath::CheckRootSlow(Dentry& dentry) {
  if (mount_ == root_mount_ && &dentry == root_dentry_) return true;
  if (&dentry != &mount_->root()) return false;
  Mount* parent = mount_->parent();
  Dentry* point = mount_->point();
  if (parent == nullptr || point == nullptr) return true;
  SetStart(*parent, *point);
  return Err(kJump);
}

Result<void> ResolvingPath::CheckMountSlow(Dentry& dentry) {
  Dentry* top = &dentry;
  while (Mount* mount = mounts_.Lookup(*mount_, *top)) {
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
  if (!rest_.empty()) pending_.push_back(rest_);
  Begin(target);
  if (target.front() != '/') {
    start_ = &dir;
    return {};
  }
  SetStart(*root_mount_, *root_dentry_);
  return Err(kJump);
}

}  // namespace stasis::vfs
