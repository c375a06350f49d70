// SPDX-License-Identifier: Apache-2.0
//
// fuse_posix.h: the system calls on a memfs behind a FUSE mount.
//
// The server is a child process: a process that uses its own FUSE mount can wait for itself, even
// after it was killed. A watchdog in the child cuts the connection when a test takes too long, and
// the child dies with the test.

#ifndef STASIS_TESTS_POSIX_FUSE_POSIX_H_
#define STASIS_TESTS_POSIX_FUSE_POSIX_H_

#include <sys/types.h>

#include "fsimpl/memfs/filesystem.h"
#include "state/base/unique_fd.h"
#include "tests/posix/kernel_posix.h"

namespace stasis::posix {

class FusePosix final : public KernelPosix {
 public:
  explicit FusePosix(const memfs::MemfsOptions& options);
  ~FusePosix() override;

 private:
  [[noreturn]] void Serve(const memfs::MemfsOptions& options);

  UniqueFd control_;  // closed: the server ends
  pid_t server_ = -1;
};

}  // namespace stasis::posix

#endif  // STASIS_TESTS_POSIX_FUSE_POSIX_H_
