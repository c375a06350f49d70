// SPDX-License-Identifier: Apache-2.0
//
// host_dir_stack.h: the way from a host directory down to one below it.
//
// Every step is one openat(2) of one component that is a directory and not a symbolic link, so the
// way never leaves the tree. However deep it is, a few dozen descriptors are open at most: those in
// the middle are opened again through ".." and must then be the same directories.

#ifndef STASIS_RESTORE_TRANSFER_INTERNAL_HOST_DIR_STACK_H_
#define STASIS_RESTORE_TRANSFER_INTERNAL_HOST_DIR_STACK_H_

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "state/base/result.h"
#include "state/base/unique_fd.h"

namespace stasis::restore {

// openat(2) for reading that leaves the access time alone if the caller may ask for that (owners
// and root). Not valid on failure, with errno set.
UniqueFd OpenNoAtime(int dir, const char* name, int flags);

// Not thread-safe.
class HostDirStack {
 public:
  // Requires: `root` is a directory's descriptor.
  explicit HostDirStack(UniqueFd root);

  // The current directory and the first; borrowed.
  int fd() const { return levels_.back().fd.get(); }
  int root_fd() const { return levels_.front().fd.get(); }

  // Errors: those of openat(2): ENOTDIR, ELOOP, ENOENT, EACCES, EMFILE.
  Result<void> Enter(const std::string& name);
  // Back to the directory above. Errors: ESTALE if it is not the one that Enter left.
  // Requires: not at the root.
  Result<void> Leave();

  // The directory of `path` ("a/b" is in "a") relative to the root, reached component by component.
  Result<UniqueFd> OpenParentOf(std::string_view path) const;

 private:
  static constexpr size_t kMaxOpen = 48;

  struct Level {
    UniqueFd fd;
    dev_t dev = 0;
    ino_t ino = 0;
  };

  static Result<Level> Open(int dir, const char* name);

  std::vector<Level> levels_;
};

// The last component of a path, and "" for "".
std::string LastComponent(std::string_view path);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_INTERNAL_HOST_DIR_STACK_H_
