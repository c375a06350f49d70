// SPDX-License-Identifier: Apache-2.0
//
// mount_namespace.h: a set of mounts with one root.

#ifndef STASIS_VFS_MOUNT_NAMESPACE_H_
#define STASIS_VFS_MOUNT_NAMESPACE_H_

#include <absl/container/btree_map.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "vfs/mount.h"
#include "vfs/path_operation.h"

namespace stasis::vfs {

// Guarded by VfsLocks::mount_mu, but for root and owner, which never change.
class MountNamespace final : public state::Object {
 public:
  explicit MountNamespace(RefPtr<Mount> root, uint64_t owner = 0);
  ~MountNamespace() override;

  // The root mount, which is attached to nothing. Others may stand on it:
  // VirtualFilesystem::RootOf.
  Mount& root_mount() const { return *root_; }
  VirtualDentry root() const { return {root_, RefPtr<Dentry>(&root_->root())}; }
  // Namespaces of one owner have the same privileges. What comes to a namespace from one of another
  // owner is locked.
  uint64_t owner() const { return owner_; }

  // All but the root, each after what it is mounted on.
  std::vector<RefPtr<Mount>> mounts() const;
  // All, in the order in which they were made.
  const absl::btree_map<uint64_t, RefPtr<Mount>>& mounts_by_id() const { return mounts_; }
  size_t size() const { return mounts_.size(); }
  bool Contains(const Mount& mount) const { return mount.ns() == this; }

 private:
  friend class MountTree;
  STATE_SAVABLE(MountNamespace);
  MountNamespace() = default;

  void Add(RefPtr<Mount> mount);
  // The mount still knows its namespace.
  RefPtr<Mount> Remove(const Mount& mount);

  std::vector<Mount*> SaveMounts() const;
  absl::Status LoadMounts(std::vector<Mount*> mounts, state::LoadContext& context);
  absl::Status AfterLoad(state::LoadContext& context);

  RefPtr<Mount> root_ STATE(wait);
  absl::btree_map<uint64_t, RefPtr<Mount>> mounts_ STATE(manual);  // by id, with the root
  uint64_t owner_ = 0;
  // In the order of the image, until MountTree::Restore attaches them.
  std::vector<RefPtr<Mount>> loaded_ STATE(nosave);
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_MOUNT_NAMESPACE_H_
