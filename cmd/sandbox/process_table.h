// SPDX-License-Identifier: Apache-2.0
//
// process_table.h: the processes of a pid namespace, as its /proc shows them.

#ifndef STASIS_CMD_SANDBOX_PROCESS_TABLE_H_
#define STASIS_CMD_SANDBOX_PROCESS_TABLE_H_

#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>
#include <absl/time/time.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "state/base/unique_fd.h"

namespace stasis::sandbox {

// Not thread-safe.
class ProcessTable {
 public:
  ProcessTable() = default;
  // `proc` is a descriptor of the namespace's /proc.
  explicit ProcessTable(UniqueFd proc) : proc_(std::move(proc)) {}

  // Living processes but the caller.
  std::vector<pid_t> List() const;

  // Stops all that run by SIGSTOP and waits until every thread has stopped; remembers which.
  // Errors: kDeadlineExceeded, with the name of one that did not; ContinueAll() is due then too.
  absl::Status StopAll(absl::Duration timeout);
  // Lets those run on that StopAll stopped, and no other.
  void ContinueAll();

 private:
  enum class Activity { kGone, kStopped, kRunning };

  // What the threads of a process do; the most active one counts.
  Activity ActivityOf(pid_t pid) const;
  // One that still had to be stopped; 0 if there was none.
  pid_t StopOnce(const absl::flat_hash_set<pid_t>& stopped_before);
  // The same, again and again until there is none or the time is over.
  pid_t StopUntil(absl::Time deadline, const absl::flat_hash_set<pid_t>& stopped_before);
  std::string NameOf(pid_t pid) const;

  UniqueFd proc_;
  absl::flat_hash_set<pid_t> stopped_;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_PROCESS_TABLE_H_
