// SPDX-License-Identifier: Apache-2.0
//
// open_file_scan.h: reads from /proc what programs have open of a sandbox's files.
//
// For the sandbox's daemon, which must not wait for its own filesystem: links of /proc and fdinfo
// are read, which the kernel answers by itself; nothing is looked up or asked in the sandbox.

#ifndef STASIS_CMD_SANDBOX_OPEN_FILE_SCAN_H_
#define STASIS_CMD_SANDBOX_OPEN_FILE_SCAN_H_

#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cmd/sandbox/open_files.h"
#include "state/base/ref_ptr.h"
#include "state/base/unique_fd.h"

namespace stasis::sandbox {

// The fdinfo of descriptors, held open: looking again then takes two calls for each, not five. What
// is read from one is of the file that the descriptor is by then. Not thread-safe.
class HeldInfos {
 public:
  // Holds at most that many.
  explicit HeldInfos(size_t limit) : limit_(limit) {}

  void Add(pid_t pid, int32_t fd, UniqueFd info);
  // -1 if there is none.
  int Find(pid_t pid, int32_t fd) const;

 private:
  const size_t limit_;
  absl::flat_hash_map<std::pair<pid_t, int32_t>, UniqueFd> infos_;
};

struct ScanOptions {
  std::vector<pid_t> pids;  // of the programs, by the caller's numbers
  // How the sandbox's filesystems are called in the mount table (ServedFilesystems::source).
  std::string source;
  // The numbers of the filesystems that the tree has mounted at a path, in their order.
  std::map<std::string, std::vector<uint32_t>> mounts;
  size_t max_files = size_t{1} << 20;
  // To be filled, by a look before another one; or null.
  HeldInfos* hold = nullptr;
  // Filled by such a look; or null.
  const HeldInfos* held = nullptr;
  absl::Time deadline = absl::InfiniteFuture();
};

// Processes that end meanwhile are left out. What could not be read, or is over a limit, is said in
// OpenFiles::incomplete().
RefPtr<OpenFiles> ScanOpenFiles(const ScanOptions& options);

// The processes of the pid namespace of process `init` without that, and of those below it, by the
// caller's numbers: where there is no cgroup to ask.
std::vector<pid_t> ProcessesBelow(pid_t init);

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_OPEN_FILE_SCAN_H_
