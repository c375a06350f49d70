// SPDX-License-Identifier: Apache-2.0

#include "vfs/filesystem.h"

#include "state/load_context.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {

Filesystem::Filesystem(VirtualFilesystem& vfs) : vfs_(&vfs), dev_(vfs.next_dev_.fetch_add(1)) {}

absl::Status Filesystem::AfterLoad(state::LoadContext& context) {
  if (vfs_ == nullptr) return context.Invalid(*this, "vfs", "is missing");
  // Nobody would take its tree down.
  if (!vfs_->Lists(*this)) return context.Invalid(*this, "vfs", "does not list it");
  return absl::OkStatus();
}

}  // namespace stasis::vfs
