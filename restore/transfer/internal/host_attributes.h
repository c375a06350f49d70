// SPDX-License-Identifier: Apache-2.0
//
// host_attributes.h: owner, extended attributes, mode and times of host files.

#ifndef STASIS_RESTORE_TRANSFER_INTERNAL_HOST_ATTRIBUTES_H_
#define STASIS_RESTORE_TRANSFER_INTERNAL_HOST_ATTRIBUTES_H_

#include <string>

#include "restore/transfer/internal/tree_copy.h"
#include "state/base/result.h"

namespace stasis::restore {

// Sets them in the order in which they do not undo each other. What the caller may not set gives a
// warning: owners of others once for all files, if the caller is not root.
class HostAttributes {
 public:
  // Borrows `report`.
  explicit HostAttributes(TransferReport& report);

  // Of the file that is open as `fd`.
  Result<void> Set(const TreeNode& node, int fd);
  // Of `node.name` in the directory `dir`, for files that are not to be opened. A symbolic link is
  // not followed.
  Result<void> SetAt(const TreeNode& node, int dir);

  // Only the first ten thousand are kept.
  void Warn(const TreeNode& node, std::string message);

 private:
  Result<void> CheckOwner(const TreeNode& node, int result);
  void CheckXattr(const TreeNode& node, const std::string& key, const Result<void>& result);

  TransferReport& report_;
  const bool is_root_;
  bool warned_owner_ = false;
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_INTERNAL_HOST_ATTRIBUTES_H_
