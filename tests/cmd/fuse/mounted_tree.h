// SPDX-License-Identifier: Apache-2.0
//
// mounted_tree.h: a memfs behind a real FUSE mount.
//
// The server is a child process: a process that uses its own FUSE mount can wait for itself, even
// after it was killed. The mount is in a mount namespace of the test's; a watchdog in the child
// ends the connection when the test takes too long, and the child dies with the test. So nothing
// hangs and nothing is left.

#ifndef STASIS_TESTS_CMD_FUSE_MOUNTED_TREE_H_
#define STASIS_TESTS_CMD_FUSE_MOUNTED_TREE_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "cmd/fuse/server.h"
#include "state/base/unique_fd.h"
#include "tests/cmd/fuse/fake_kernel.h"

namespace stasis::fuse {

// What the test does to the tree behind the kernel's back; both run in the server's process.
struct TreeActions {
  // Before the server is there, and once the mount is.
  std::function<void(TestTree&)> prepare;
  std::function<void()> mounted;
  // When the test calls Do.
  std::function<uint64_t(TestTree&, uint64_t what)> act;
};

class MountedTree {
 public:
  // Needs root. Aborts with a message if the mount cannot be made.
  explicit MountedTree(int watchdog_seconds = 60, const ServerOptions& options = {},
                       const TreeActions& actions = {});
  ~MountedTree();
  MountedTree(const MountedTree&) = delete;
  MountedTree& operator=(const MountedTree&) = delete;

  // The mount point, without a slash at the end.
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  void CloseGate() { Command('c'); }
  void OpenGate() { Command('o'); }
  struct Counts {
    ServerStats stats;
    uint64_t nodes = 0;
    uint64_t handles = 0;
  };
  Counts Count();
  // TreeActions::act.
  uint64_t Do(uint64_t what);
  // Stops the server as the end of the test would.
  void StopServer();

 private:
  void Command(char command);
  [[noreturn]] void RunServer(UniqueFd control, int watchdog_seconds, const ServerOptions& options,
                              const TreeActions& actions);

  std::string path_;
  UniqueFd control_;
  pid_t server_ = -1;
};

}  // namespace stasis::fuse

#endif  // STASIS_TESTS_CMD_FUSE_MOUNTED_TREE_H_
