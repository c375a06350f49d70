// SPDX-License-Identifier: Apache-2.0
//
// gofer_posix.h: the system calls on the API of the VFS, with a directory of the host.
//
// The directory is a tmpfs of its own, so that limits are those of the host's filesystem.

#ifndef STASIS_TESTS_POSIX_GOFER_POSIX_H_
#define STASIS_TESTS_POSIX_GOFER_POSIX_H_

#include "fsimpl/gofer/filesystem.h"
#include "tests/posix/kernel_posix.h"
#include "tests/posix/vfs_posix.h"

namespace stasis::posix {

struct HostTmpfs : MountPoint {
  HostTmpfs(uint64_t size_limit, uint64_t inode_limit) { MountTmpfs(size_limit, inode_limit); }
};

// A base, so that it is there before the VFS and after it.
class GoferPosix final : private HostTmpfs, public VfsPosix {
 public:
  // Limits of the host's filesystem; 0: none.
  GoferPosix(gofer::Interop interop, uint64_t size_limit, uint64_t inode_limit, Saves saves);

  // Times are the host's.
  void Tick() override;

 protected:
  void BeforeCall() override;
};

}  // namespace stasis::posix

#endif  // STASIS_TESTS_POSIX_GOFER_POSIX_H_
