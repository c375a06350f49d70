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

class KernelPosix : public Posix {
 public:
  ~KernelPosix() override;
  KernelPosix(const KernelPosix&) = delete;
  KernelPosix& operator=(const KernelPosix&) = delete;

  Result<void> Close(int fd) override;
  Result<void> SetLock(int fd, int command, const struct flock& lock) override;
  Result<struct flock> GetLock(int fd, int command, const struct flock& lock) override;
  Result<void> Flock(int fd, int operation) override;
#define STASIS_POSIX_CALL override
#include "tests/posix/posix_calls.inc"

 protected:
  // Makes the directory for the mount. The process gets a mount namespace of its own.
  KernelPosix();
  // The mount point, as it is outside of Enter() and Leave().
  const std::string& mount_point() const { return mount_point_; }
  // Moves into the mount, which is there now; and out of it, so that it can be unmounted.
  void Enter();
  void Leave();

 private:
  Result<int> Opened(int fd);

  std::string mount_point_;
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
