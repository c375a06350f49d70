// SPDX-License-Identifier: Apache-2.0
//
// cgroup.h: a control group that can be frozen.
//
// Version 2 (cgroup.freeze, wherever cgroup2 is mounted) is preferred; the freezer of version 1 is
// the second choice. Root puts sandboxes below stasis/ at the top of the hierarchy; others below
// the group they are in themselves, which works if it was delegated to them.

#ifndef STASIS_CMD_SANDBOX_CGROUP_H_
#define STASIS_CMD_SANDBOX_CGROUP_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

namespace stasis::sandbox {

// A value: copies name the same group.
class Cgroup {
 public:
  // A hierarchy of this host in which processes can be frozen.
  struct Hierarchy {
    int version = 0;       // 1 or 2
    std::string mount;     // where it is mounted
    std::string own_path;  // the caller's group in it, "/" for the top
  };

  // Best first.
  static std::vector<Hierarchy> Hierarchies();

  // The groups that Create(name) tries, best first; whoever cleans up has to know them before.
  static std::vector<Cgroup> Candidates(const std::string& name);
  // Makes a group. Errors: kUnavailable with the reasons of each hierarchy that would not do.
  static absl::StatusOr<Cgroup> Create(const std::string& name);
  // Names a group that may exist.
  static Cgroup Adopt(std::string path, int version) { return {std::move(path), version}; }

  const std::string& path() const { return path_; }
  int version() const { return version_; }

  // Moves the calling process into the group. 0 or an errno.
  int Join() const;
  // Stops every process and waits until all of them have stopped.
  // Errors: kDeadlineExceeded; some may be stopped then, so Thaw() must follow.
  absl::Status Freeze(absl::Duration timeout) const;
  absl::Status Thaw() const;
  // Processes in the group, by the caller's numbers.
  std::vector<int> Pids() const;
  // SIGKILL to all of them; those that are frozen die when they are thawed, if not at once.
  void Kill() const;
  // Thaws and kills what is inside, and removes the group. Fails silently: there may be none.
  void Destroy() const;

 private:
  Cgroup(std::string path, int version) : path_(std::move(path)), version_(version) {}

  bool IsFrozen() const;
  std::string WhoWaits() const;

  std::string path_;
  int version_;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_CGROUP_H_
