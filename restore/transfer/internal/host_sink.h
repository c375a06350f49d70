// SPDX-License-Identifier: Apache-2.0
//
// host_sink.h: a tree into a host directory.

#ifndef STASIS_RESTORE_TRANSFER_INTERNAL_HOST_SINK_H_
#define STASIS_RESTORE_TRANSFER_INTERNAL_HOST_SINK_H_

#include <string>
#include <utility>

#include "restore/transfer/internal/host_attributes.h"
#include "restore/transfer/internal/host_dir_stack.h"
#include "restore/transfer/internal/tree_copy.h"
#include "state/base/unique_fd.h"

namespace stasis::restore {

// Every file is made anew, relative to a directory made before; whatever is there already is an
// error.
class HostSink final : public TreeSink {
 public:
  // `root` is an empty directory. Borrows `report`.
  HostSink(UniqueFd root, TransferReport& report);

  Result<void> EnterDirectory(const TreeNode& node) override;
  Result<void> LeaveDirectory(const TreeNode& node) override;
  Result<void> BeginFile(const TreeNode& node) override;
  Result<void> WriteData(uint64_t offset, std::span<const std::byte> data) override;
  Result<void> EndFile(const TreeNode& node, bool complete) override;
  Result<bool> MakeNode(const TreeNode& node) override;
  Result<void> MakeLink(const TreeNode& node, const std::string& existing) override;

 private:
  Result<bool> MakeSpecial(const TreeNode& node);

  HostDirStack dirs_;
  HostAttributes attributes_;
  UniqueFd file_;
  uint64_t written_end_ = 0;
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_INTERNAL_HOST_SINK_H_
