// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/fuse_posix.h"

#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "cmd/fuse/mount.h"
#include "cmd/fuse/server.h"
#include "state/base/clock.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::posix {
namespace {

constexpr int kWatchdogMs = 60'000;

}  // namespace

FusePosix::FusePosix(const MakeFilesystem& make) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) abort();
  control_ = UniqueFd(ends[0]);
  server_ = fork();
  if (server_ == 0) {
    control_.reset(ends[1]);
    Serve(make);
  }
  close(ends[1]);
  char ready = 0;
  if (recv(control_.get(), &ready, 1, 0) != 1) {
    fprintf(stderr, "the FUSE server did not start\n");
    abort();
  }
  Enter();
}

FusePosix::~FusePosix() {
  Leave();
  umount2(mount_point().path().c_str(), MNT_DETACH);
  control_.reset();
  waitpid(server_, nullptr, 0);
}

void FusePosix::Serve(const MakeFilesystem& make) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  RealClock clock;
  auto vfs = MakeRef<vfs::VirtualFilesystem>(clock);
  const auto ns = vfs->NewMountNamespace(make(*vfs), {});
  auto device = fuse::OpenAndMount(mount_point().path(), {});
  if (!device.ok()) {
    std::cerr << device.status() << "\n";
    _exit(1);
  }
  fuse::Server server(vfs, ns->root(), {});
  if (!server.Serve(*std::move(device)).ok()) _exit(1);
  (void)!send(control_.get(), "r", 1, MSG_NOSIGNAL);
  pollfd fd{control_.get(), POLLIN, 0};
  if (poll(&fd, 1, kWatchdogMs) != 1)
    fprintf(stderr, "watchdog: the test took too long, the connection is cut\n");
  server.Stop();
  _exit(0);
}

}  // namespace stasis::posix
