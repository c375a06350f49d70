// SPDX-License-Identifier: Apache-2.0
//
// kernel_posix.h: the system calls themselves, in a filesystem that the kernel has mounted.
//
// The calling thread moves into the mount (chroot) for the lifetime of a KernelPosix, and takes on
// the identities; so there is one at a time, and whatever needs the host's files is done before.

#ifndef STASIS_TESTS_POSIX_KERNEL_POSIX_H_
#define STASIS_TESTS_POSIX_KERNEL_POSIX_H_

#include <set>
#include <string>
#include <vector>

#include "state/base/unique_fd.h"
#include "tests/posix/posix.h"

namespace stasis::posix {

// An empty directory in a mount namespace that the process gets for itself. What is mounted on it
// goes with it.
class MountPoint {
 public:
  MountPoint();
  ~MountPoint();
  MountPoint(const MountPoint&) = delete;
  MountPoint& operator=(const MountPoint&) = delete;

  const std::string& path() const { return path_; }
  // A new tmpfs of the kernel. 0: no limit.
  void MountTmpfs(uint64_t size_limit, uint64_t inode_limit);

 private:
  std::string path_;
};

class KernelPosix : public Posix {
 public:
  KernelPosix(const KernelPosix&) = delete;
  KernelPosix& operator=(const KernelPosix&) = delete;

  Result<void> Close(int fd) override;
  Result<void> SetLock(int fd, int command, const struct flock& lock) override;
  Result<struct flock> GetLock(int fd, int command, const struct flock& lock) override;
  Result<void> Flock(int fd, int operation) override;
#define STASIS_POSIX_CALL override
#include "tests/posix/posix_calls.inc"

 protected:
  KernelPosix() = default;
  // Its path holds outside of Enter() and Leave().
  MountPoint& mount_point() { return mount_point_; }
  // Moves into the mount, which is there now; and out of it, so that it can be unmounted.
  void Enter();
  void Leave();

 private:
  Result<int> Opened(int fd);

  MountPoint mount_point_;
  UniqueFd outside_;  // the root directory of before
  std::set<int> open_fds_;
};

// A new tmpfs of the kernel.
class TmpfsPosix final : public KernelPosix {
 public:
  // 0: no limit.
  TmpfsPosix(uint64_t size_limit, uint64_t inode_limit);
  ~TmpfsPosix() override;
};

}  // namespace stasis::posix

#endif  // STASIS_TESTS_POSIX_KERNEL_POSIX_H_
