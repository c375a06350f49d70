// SPDX-License-Identifier: Apache-2.0
//
// path_operation.h: what an operation is done to.

#ifndef STASIS_VFS_PATH_OPERATION_H_
#define STASIS_VFS_PATH_OPERATION_H_

#include <string_view>
#include <utility>

#include "state/annotations.h"
#include "state/base/ref_ptr.h"
#include "state/base/result.h"
#include "vfs/dentry.h"
#include "vfs/mount.h"

namespace stasis::vfs {

// A place in a mount namespace: a dentry as seen through a mount. Holds references on both.
class VirtualDentry {
 public:
  VirtualDentry() = default;
  VirtualDentry(RefPtr<Mount> mount, RefPtr<Dentry> dentry)
      : mount_(std::move(mount)), dentry_(std::move(dentry)) {}

  // Takes the references on what a path walk has found. Errors: kRetry (resolving_path.h) if the
  // dentry has lost its last one meanwhile.
  static Result<VirtualDentry> Hold(Mount& mount, Dentry& dentry);

  bool ok() const { return static_cast<bool>(dentry_); }
  // Always true of one that is ok(), but for one that an image describes.
  bool complete() const { return mount_ && dentry_; }
  // Whether the file is of the filesystem that is mounted. Requires: complete(). Safe to ask while
  // a load is not finished.
  bool IsConsistent() const;
  Mount& mount() const { return *mount_; }
  Dentry& dentry() const { return *dentry_; }
  Inode& inode() const { return dentry_->inode(); }

  friend bool operator==(const VirtualDentry&, const VirtualDentry&) = default;

 private:
  STATE_SAVABLE(VirtualDentry);

  RefPtr<Mount> mount_;
  RefPtr<Dentry> dentry_;
};

// The file of a path. Borrows everything; lives as long as one call.
struct PathOperation {
  // What "/" is, and where ".." stops.
  const VirtualDentry& root;
  // Where relative paths start.
  const VirtualDentry& start;
  // Empty: `start` itself.
  std::string_view path;
  // Whether a symbolic link as the last component is followed.
  bool follow_final_symlink = false;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_PATH_OPERATION_H_
