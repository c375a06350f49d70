// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/fuse_posix.h"

#include <absl/time/clock.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "cmd/fuse/gen/types.h"
#include "cmd/fuse/mount.h"
#include "cmd/fuse/server.h"
#include "restore/checkpoint.h"
#include "restore/restore.h"
#include "restore/types.h"
#include "state/base/clock.h"
#include "state/registry.h"
#include "tests/testing/scratch_dir.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::posix {
namespace {

constexpr int kWatchdogMs = 60'000;
// Between two takeovers; each takes about as long.
constexpr int kTakeoverMs = 2;
constexpr int kSavesPerLayout = 16;

// A tree and its server, which another one can take the place of.
class ServedTree {
 public:
  explicit ServedTree(const FusePosix::MakeFilesystem& make)
      : vfs_(MakeRef<vfs::VirtualFilesystem>(clock_)) {
    restore::RegisterTypes(registry_);
    fuse::gen::RegisterTypes(registry_);
    const auto ns = vfs_->NewMountNamespace(make(*vfs_), {});
    server_ = std::make_unique<fuse::Server>(vfs_, ns->root(), fuse::ServerOptions{});
  }

  absl::Status Serve(UniqueFd device) { return server_->Serve(std::move(device)); }
  void Stop() { server_->Stop(); }

  absl::Status TakeOver() {
    if (!server_->PauseFor(absl::Seconds(5)))
      return absl::DeadlineExceededError("the server does not pause");
    absl::StatusOr<restore::RestoredImage> restored = SaveAndRestore();
    if (!restored.ok()) return restored.status();
    RefPtr<fuse::FuseState> state = restored->Root<fuse::FuseState>(kRoot);
    auto successor = std::make_unique<fuse::Server>(
        RefPtr<vfs::VirtualFilesystem>(&restored->vfs()), std::move(state), fuse::ServerOptions{});
    UniqueFd device(fcntl(server_->device(), F_DUPFD_CLOEXEC, 0));
    const fuse::Connection connection = server_->connection();
    server_.reset();
    successor->Know(connection);
    if (absl::Status adopted = successor->Adopt(std::move(device)); !adopted.ok()) return adopted;
    vfs_->Teardown();
    vfs_ = restored->TakeVfs();
    server_ = std::move(successor);
    server_->Resume();
    return absl::OkStatus();
  }

 private:
  static constexpr char kRoot[] = "fuse";

  // What is not loaded yet is read from the layout before.
  absl::StatusOr<restore::RestoredImage> SaveAndRestore() {
    const std::string layout =
        scratch_ / ("layout" + std::to_string(saves_++ / kSavesPerLayout % 3));
    if (saves_ % kSavesPerLayout == 1) std::filesystem::remove_all(layout);
    restore::CheckpointRequest save;
    save.vfs = vfs_.get();
    save.registry = &registry_;
    save.clock = &clock_;
    save.roots.push_back({kRoot, server_->state().get()});
    save.directory = layout;
    save.tag = "now";
    save.rows = restore::RowsPlace::kInPause;
    if (const auto saved = restore::Checkpoint(save); !saved.ok()) return saved.status();
    restore::RestoreRequest load;
    load.registry = &registry_;
    load.clock = &clock_;
    load.directory = layout;
    load.tag = "now";
    return restore::Restore(load);
  }

  RealClock clock_;
  state::Registry registry_;
  const testing::ScratchDir scratch_{testing::ScratchDir::Where::kInMemory};
  int saves_ = 0;
  RefPtr<vfs::VirtualFilesystem> vfs_;
  std::unique_ptr<fuse::Server> server_;
};

}  // namespace

FusePosix::FusePosix(const MakeFilesystem& make, Server server) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) abort();
  control_ = UniqueFd(ends[0]);
  server_ = fork();
  if (server_ == 0) {
    control_.reset(ends[1]);
    Serve(make, server);
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

void FusePosix::Serve(const MakeFilesystem& make, Server server) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto device = fuse::OpenAndMount(mount_point().path(), {});
  if (!device.ok()) {
    std::cerr << device.status() << "\n";
    _exit(1);
  }
  {
    ServedTree tree(make);
    if (!tree.Serve(*std::move(device)).ok()) _exit(1);
    (void)!send(control_.get(), "r", 1, MSG_NOSIGNAL);
    const absl::Time deadline = absl::Now() + absl::Milliseconds(kWatchdogMs);
    const int interval = server == Server::kIsTakenOver ? kTakeoverMs : kWatchdogMs;
    pollfd fd{control_.get(), POLLIN, 0};
    while (poll(&fd, 1, interval) == 0 && absl::Now() < deadline) {
      if (const absl::Status taken = tree.TakeOver(); !taken.ok()) {
        std::cerr << "takeover: " << taken << "\n";
        _exit(1);
      }
    }
    if (fd.revents == 0)
      fprintf(stderr, "watchdog: the test took too long, the connection is cut\n");
    tree.Stop();
  }
  _exit(0);
}

}  // namespace stasis::posix
