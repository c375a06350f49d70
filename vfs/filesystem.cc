// SPDX-License-Identifier: Apache-2.0

#include "vfs/filesystem.h"

#include "state/load_context.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {

Filesystem::Filesystem(VirtualFilesystem& vfs)
    : vfs_(&vfs),
      dev_(vfs.next_dev_.fetch_add(1)),
      file_locks_(&vfs.file_locks()),
      watches_(&vfs.watches()) {}

FileLockTable* Filesystem::FileLocksInLoad() const {
  return vfs_ == nullptr ? nullptr : &vfs_->file_locks();
}

absl::Status Filesystem::AfterLoad(state::LoadContext& context) {
  if (vfs_ == nullptr) return context.Invalid(*this, "vfs", "is missing");
  // Nobody would take its tree down.
  if (!vfs_->Lists(*this)) return context.Invalid(*this, "vfs", "does not list it");
  file_locks_ = RefPtr<FileLockTable>(&vfs_->file_locks());
  watches_ = RefPtr<WatchTable>(&vfs_->watches());
  return absl::OkStatus();
}

}  // namespace stasis::vfs
