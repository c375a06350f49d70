// SPDX-License-Identifier: Apache-2.0
//
// mount_namespace.h: a set of mounts with one root.

#ifndef STASIS_VFS_MOUNT_NAMESPACE_H_
#define STASIS_VFS_MOUNT_NAMESPACE_H_

#include <utility>
#include <vector>

#include "vfs/mount.h"
#include "vfs/path_operation.h"

namespace stasis::vfs {

// Guarded by VfsLocks::mount_mu, but for the root, which never changes.
class MountNamespace final : public state::Object {
 public:
  explicit MountNamespace(RefPtr<Mount> root) : root_(std::move(root)) {}

  Mount& root_mount() const { return *root_; }
  VirtualDentry root() const { return {root_, RefPtr<Dentry>(&root_->root())}; }

  // All but the root, in the order in which they were attached.
  const std::vector<RefPtr<Mount>>& mounts() const { return mounts_; }
  void Add(RefPtr<Mount> mount) { mounts_.push_back(std::move(mount)); }
  void Remove(const Mount& mount);
  // True of the root, too.
  bool Contains(const Mount& mount) const;

 private:
  STATE_SAVABLE(MountNamespace);
  MountNamespace() = default;
  absl::Status AfterLoad(state::LoadContext& context);

  RefPtr<Mount> root_ STATE(wait);
  std::vector<RefPtr<Mount>> mounts_ STATE(wait);
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_MOUNT_NAMESPACE_H_
