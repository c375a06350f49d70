// SPDX-License-Identifier: Apache-2.0
//
// vfs_sink.h: a tree into a VFS.

#ifndef STASIS_RESTORE_TRANSFER_INTERNAL_VFS_SINK_H_
#define STASIS_RESTORE_TRANSFER_INTERNAL_VFS_SINK_H_

#include <string>
#include <vector>

#include "restore/transfer/internal/tree_copy.h"
#include "vfs/file_description.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::restore {

class VfsSink final : public TreeSink {
 public:
  // Borrows `vfs` and `report`.
  VfsSink(vfs::VirtualFilesystem& vfs, vfs::VirtualDentry target, TransferReport& report)
      : vfs_(vfs), creds_(vfs::Credentials::Root()), report_(report) {
    way_.push_back(std::move(target));
  }

  Result<void> EnterDirectory(const TreeNode& node) override;
  Result<void> LeaveDirectory(const TreeNode& node) override;
  Result<void> BeginFile(const TreeNode& node) override;
  Result<void> WriteData(uint64_t offset, std::span<const std::byte> data) override;
  Result<void> EndFile(const TreeNode& node, bool complete) override;
  Result<bool> MakeNode(const TreeNode& node) override;
  Result<void> MakeLink(const TreeNode& node, const std::string& existing) override;

 private:
  vfs::PathOperation At(const std::string& name) const {
    return {way_.back(), way_.back(), name, false};
  }
  Result<void> SetAttributes(const TreeNode& node, const std::string& name);
  void SetXattrs(const TreeNode& node, const std::string& name);

  vfs::VirtualFilesystem& vfs_;
  const vfs::Credentials creds_;
  TransferReport& report_;
  std::vector<vfs::VirtualDentry> way_;
  RefPtr<vfs::FileDescription> file_;
  uint64_t written_end_ = 0;
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_INTERNAL_VFS_SINK_H_
