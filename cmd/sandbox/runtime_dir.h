// SPDX-License-Identifier: Apache-2.0
//
// runtime_dir.h: where running sandboxes are found.
//
// Each sandbox has a folder in the runtime root: its lock, control socket, log, record and the
// directory on which its tree is mounted inside its own mount namespace. The daemon holds an
// exclusive flock on the lock for as long as it lives, so a folder whose lock is free belongs to a
// dead one.

#ifndef STASIS_CMD_SANDBOX_RUNTIME_DIR_H_
#define STASIS_CMD_SANDBOX_RUNTIME_DIR_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "state/base/unique_fd.h"

namespace stasis::sandbox {

// $STASIS_RUNTIME_DIR; /run/stasis for root; $XDG_RUNTIME_DIR/stasis or /tmp/stasis-UID otherwise.
std::string RuntimeRoot();

// A name starts with a letter or digit and has at most 63 letters, digits, '_', '.' and '-'.
// Errors: kInvalidArgument.
absl::Status CheckName(std::string_view name);

// A name that nobody has chosen, such as "box-4f2a91".
std::string RandomName();

// What is needed to clear up after a daemon that was killed.
struct Record {
  pid_t daemon_pid = 0;
  pid_t init_pid = 0;
  std::string cgroup;  // empty if there is none
  int cgroup_version = 0;
  int64_t created = 0;  // nanoseconds since 1970
};

// The folder of one sandbox. A value.
class RuntimeDir {
 public:
  RuntimeDir(std::string root, std::string name) : root_(std::move(root)), name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  std::string path() const { return root_ + "/" + name_; }
  std::string lock_path() const { return path() + "/lock"; }
  std::string socket_path() const { return path() + "/control.sock"; }
  std::string log_path() const { return path() + "/log"; }
  std::string output_path() const { return path() + "/output"; }
  std::string record_path() const { return path() + "/record.json"; }
  std::string mount_path() const { return path() + "/root"; }

  // Makes the folder, and the root with mode 0700 if it is missing, and takes the lock. What a dead
  // sandbox of that name left is cleared up first.
  // Errors: kUnavailable if a live one has the name; kFailedPrecondition if the runtime root
  // belongs to somebody else.
  absl::StatusOr<UniqueFd> Claim() const;

  bool Exists() const;
  // True if a daemon holds the lock.
  bool Alive() const;
  // Waits until the daemon is gone. False after `timeout_ms`.
  bool WaitUntilDead(int timeout_ms) const;

  absl::Status WriteRecord(const Record& record) const;
  absl::StatusOr<Record> ReadRecord() const;

  // Removes the folder and what the record names: processes, cgroup, mounts.
  // Requires: the caller holds the lock.
  absl::Status CleanUp() const;
  // The same if nobody holds the lock; otherwise there is nothing to clear up.
  absl::Status CleanUpIfDead() const;

  // All folders below `root`, sorted by name.
  static std::vector<RuntimeDir> List(const std::string& root);

 private:
  absl::StatusOr<UniqueFd> TryLock() const;
  absl::Status MakeFolders() const;

  std::string root_;
  std::string name_;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_RUNTIME_DIR_H_
