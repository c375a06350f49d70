// SPDX-License-Identifier: Apache-2.0
//
// fuse_posix.h: the system calls on a filesystem behind a FUSE mount.
//
// The server is a child process: a process that uses its own FUSE mount can wait for itself, even
// after it was killed. A watchdog in the child cuts the connection when a test takes too long, and
// the child dies with the test.
//
// The server may be replaced by another one all the while: it pauses, everything is saved and
// restored, and a new server goes on with the same mount. No call may notice.

#ifndef STASIS_TESTS_POSIX_FUSE_POSIX_H_
#define STASIS_TESTS_POSIX_FUSE_POSIX_H_

#include <sys/types.h>

#include <functional>

#include "state/base/unique_fd.h"
#include "tests/posix/kernel_posix.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::posix {

class FusePosix : public KernelPosix {
 public:
  // Makes what is served, in the server.
  using MakeFilesystem = std::function<RefPtr<vfs::Filesystem>(vfs::VirtualFilesystem& vfs)>;

  enum class Server { kStays, kIsTakenOver };

  explicit FusePosix(const MakeFilesystem& make, Server server = Server::kStays);
  ~FusePosix() override;

 private:
  [[noreturn]] void Serve(const MakeFilesystem& make, Server server);

  UniqueFd control_;  // closed: the server ends
  pid_t server_ = -1;
};

}  // namespace stasis::posix

#endif  // STASIS_TESTS_POSIX_FUSE_POSIX_H_
