// SPDX-License-Identifier: Apache-2.0

#include "tests/cmd/fuse/mounted_tree.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "cmd/fuse/mount.h"
#include "state/chunk_memory.h"

namespace stasis::fuse {
namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  perror(what);
  fprintf(stderr, "this test needs root and /dev/fuse\n");
  abort();
}

// Once per process.
void EnterPrivateMountNamespace() {
  static const bool entered = [] {
    Require(unshare(CLONE_NEWNS) == 0, "unshare(CLONE_NEWNS)");
    Require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "making / private");
    return true;
  }();
  (void)entered;
}

}  // namespace

MountedTree::MountedTree(int watchdog_seconds, const ServerOptions& options,
                         const TreeActions& actions) {
  EnterPrivateMountNamespace();
  char directory[] = "/tmp/stasis-fuse-XXXXXX";
  Require(mkdtemp(directory) != nullptr, "mkdtemp");
  path_ = directory;
  int ends[2];
  Require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
  control_ = UniqueFd(ends[0]);
  UniqueFd server_end(ends[1]);
  server_ = fork();
  Require(server_ >= 0, "fork");
  if (server_ == 0) {
    control_.reset();
    (void)state::ChunkMemory::Get();  // before descriptors may run out, as the daemon does
    RunServer(std::move(server_end), watchdog_seconds, options, actions);
  }
  server_end.reset();
  char ready = 0;
  Require(recv(control_.get(), &ready, 1, 0) == 1, "the server did not start");
}

MountedTree::~MountedTree() {
  StopServer();
  umount2(path_.c_str(), MNT_DETACH);
  rmdir(path_.c_str());
}

void MountedTree::StopServer() {
  if (server_ < 0) return;
  // Closing alone would not do: children of the test may have the descriptor as well.
  (void)!send(control_.get(), "q", 1, MSG_NOSIGNAL);
  control_.reset();
  for (int i = 0; i < 1000; ++i) {
    if (waitpid(server_, nullptr, WNOHANG) == server_) {
      server_ = -1;
      return;
    }
    usleep(10'000);
  }
  kill(server_, SIGKILL);
  waitpid(server_, nullptr, 0);
  server_ = -1;
  fprintf(stderr, "the FUSE server did not stop\n");
  abort();
}

void MountedTree::Command(char command) {
  char done;
  Require(send(control_.get(), &command, 1, MSG_NOSIGNAL) == 1, "send");
  Require(recv(control_.get(), &done, 1, 0) == 1, "the server ended");
}

MountedTree::Counts MountedTree::Count() {
  const char command = 's';
  Counts counts;
  Require(send(control_.get(), &command, 1, MSG_NOSIGNAL) == 1, "send");
  Require(recv(control_.get(), &counts, sizeof(counts), 0) == sizeof(counts), "the server ended");
  return counts;
}

uint64_t MountedTree::Do(uint64_t what) {
  const char command = 'd';
  Require(send(control_.get(), &command, 1, MSG_NOSIGNAL) == 1, "send");
  Require(send(control_.get(), &what, sizeof(what), MSG_NOSIGNAL) == sizeof(what), "send");
  uint64_t result = 0;
  Require(recv(control_.get(), &result, sizeof(result), 0) == sizeof(result), "the server ended");
  return result;
}

void MountedTree::RunServer(UniqueFd control, int watchdog_seconds, const ServerOptions& options,
                            const TreeActions& actions) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  TestTree tree;
  if (actions.prepare) actions.prepare(tree);
  auto device = OpenAndMount(path_, {});
  if (!device.ok()) {
    std::cerr << device.status() << "\n";
    _exit(1);
  }
  if (actions.mounted) actions.mounted();
  Server server(tree.vfs(), tree.root(), options);
  Require(server.Serve(*std::move(device)).ok(), "Serve");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(watchdog_seconds);
  char command = 'r';
  for (;;) {
    Counts counts;
    if (command == 'c') tree.vfs()->gate().Close();
    if (command == 'o') tree.vfs()->gate().Open();
    if (command == 's') {
      counts = {server.stats(), server.state()->nodes().size(), server.state()->handles().size()};
      (void)!send(control.get(), &counts, sizeof(counts), MSG_NOSIGNAL);
    } else if (command == 'd') {
      uint64_t what = 0;
      Require(recv(control.get(), &what, sizeof(what), 0) == sizeof(what), "recv");
      what = actions.act(tree, what);
      (void)!send(control.get(), &what, sizeof(what), MSG_NOSIGNAL);
    } else {
      (void)!send(control.get(), &command, 1, MSG_NOSIGNAL);
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd fd{control.get(), POLLIN, 0};
    if (left.count() <= 0 || poll(&fd, 1, static_cast<int>(left.count())) != 1) {
      fprintf(stderr, "watchdog: the test took too long, the connection is cut\n");
      break;
    }
    if (recv(control.get(), &command, 1, 0) != 1 || command == 'q') break;
  }
  server.Stop();
  _exit(0);
}

}  // namespace stasis::fuse
