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

#include "cmd/sandbox/cgroup.h"
#include "state/base/unique_fd.h"

namespace stasis::sandbox {

// $STASIS_RUNTIME_DIR; /run/stasis for root; $XDG_RUNTIME_DIR/stasis or /tmp/stasis-UID otherwise.
std::string RuntimeRoot();

// A name starts with a letter or digit, has at most 63 letters, digits, '_', '.' and '-', and does
// not end in ".log". Errors: kInvalidArgument.
absl::Status CheckName(std::string_view name);

// A name that nobody has chosen, such as "box-4f2a91".
std::string RandomName();

// What is needed to end a daemon that does not answer, and to clear up after one that was killed.
struct Record {
  pid_t daemon_pid = 0;
  uint64_t daemon_start = 0;    // see StartTimeOf
  std::vector<Cgroup> cgroups;  // some of which may exist
  pid_t keeper_pid = 0;         // 0: there is none
  uint64_t keeper_start = 0;
  std::string lost;  // why no daemon could go on after one had died
};

// When a process was started, in clock ticks since boot; 0 if it is gone. A process number and
// this together belong to one process only.
uint64_t StartTimeOf(pid_t pid);

// The folder of one sandbox. A value.
class RuntimeDir {
 public:
  RuntimeDir(std::string root, std::string name) : root_(std::move(root)), name_(std::move(name)) {}

  const std::string& root() const { return root_; }
  const std::string& name() const { return name_; }
  std::string path() const { return root_ + "/" + name_; }
  std::string lock_path() const { return path() + "/lock"; }
  std::string socket_path() const { return path() + "/control.sock"; }
  std::string log_path() const { return path() + "/log"; }
  // The log of a dead sandbox, once it is cleared up.
  std::string kept_log_path() const { return path() + ".log"; }
  std::string output_path() const { return path() + "/output"; }
  std::string record_path() const { return path() + "/record.json"; }
  std::string mount_path() const { return path() + "/root"; }

  // Makes the folder, and the root with mode 0700 if it is missing, and takes the lock. What a dead
  // sandbox of that name left is cleared up first.
  // Errors: kUnavailable if a live one has the name; kFailedPrecondition if the runtime root
  // belongs to somebody else.
  absl::StatusOr<UniqueFd> Claim() const;

  bool Exists() const;
  // Errors: kFailedPrecondition if others than us and root can have made what is in the root or the
  // folder. Root may look at everybody's.
  absl::Status CheckOwner() const;
  // True if a daemon holds the lock.
  bool Alive() const;
  // Waits until the daemon is gone. False after `timeout_ms`.
  bool WaitUntilDead(int timeout_ms) const;

  absl::Status WriteRecord(const Record& record) const;
  absl::StatusOr<Record> ReadRecord() const;

  // Sends a signal to the daemon that the record names, if it still lives.
  // Errors: kNotFound if there is no record or no folder, kPermissionDenied if it is somebody
  // else's.
  absl::Status SignalDaemon(int signal) const;

  // Removes the folder and what the record names: processes, cgroups, mounts. Does nothing if the
  // folder is not the one that `lock` locks: it may be another sandbox's by now.
  absl::Status CleanUp(const UniqueFd& lock) const;
  // The same if nobody holds the lock, but keeps the log; otherwise there is nothing to clear up.
  absl::Status CleanUpIfDead() const;

  // All folders below `root` that hold a lock, sorted by name. Errors: as CheckOwner.
  static absl::StatusOr<std::vector<RuntimeDir>> List(const std::string& root);

 private:
  // `flags` are further ones of open(2).
  absl::StatusOr<UniqueFd> TryLock(int flags) const;
  bool Owns(const UniqueFd& lock) const;
  void KeepLog() const;
  absl::Status MakeFolders() const;

  std::string root_;
  std::string name_;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_RUNTIME_DIR_H_
