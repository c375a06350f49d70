// SPDX-License-Identifier: Apache-2.0
//
// init.h: process 1 of a sandbox.
//
// The daemon starts init in new namespaces before it makes any thread. Init holds the namespaces
// open, mounts the sandbox's root when told to, reaps whatever its orphans leave, and does what
// must not be done by a thread of the daemon: calls that wait for the very filesystem the daemon
// serves. It ends when the last descriptor of the daemon's end of their channel is closed, and
// takes every process of the sandbox with it. So another process can take the daemon's place.

#ifndef STASIS_CMD_SANDBOX_INIT_H_
#define STASIS_CMD_SANDBOX_INIT_H_

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <sys/types.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cmd/sandbox/init_channel.h"
#include "cmd/sandbox/mount_plan.h"
#include "state/base/unique_fd.h"

namespace stasis::sandbox {

// What requests to init mean. It lives as long as its sandbox, also under daemons of later
// versions: what it does not know it answers with kUnimplemented, so that a further request is no
// other protocol. One that means something else is.
inline constexpr int kInitProtocol = 1;

// What a process needs to be the daemon of an init.
struct InitLine {
  pid_t pid = 0;
  UniqueFd process;              // a pidfd: the number may be another process's one day
  UniqueFd channel;              // the daemon's end
  int64_t next_id = 1;           // of requests
  int protocol = kInitProtocol;  // of the version that has started it
};

// The daemon's handle on a running init. Thread-safe.
class Init {
 public:
  // Requires: this process has one thread. With `rootless` a user namespace is made too, in which
  // the caller is root. Errors: kFailedPrecondition with a remedy if the host allows no namespaces.
  static absl::StatusOr<std::unique_ptr<Init>> Start(bool rootless);
  // One that another process has started, which says nothing to it any more.
  static std::unique_ptr<Init> Adopt(InitLine line);
  // Kills init, and with it everything in the sandbox, and waits for its end.
  ~Init() { Await(); }

  pid_t pid() const { return pid_; }
  // Readable once it has ended.
  int process_fd() const { return process_.get(); }
  bool ended() const;
  // Sends SIGKILL, without waiting.
  void Kill();
  // Does that and waits for the end.
  void Await();

  // Copies of what Adopt takes, for a process that is to go on in this one's place.
  absl::StatusOr<InitLine> Lend() ABSL_LOCKS_EXCLUDED(mu_);
  // The next number of a request, which another process may use: this one makes none any more,
  // unless it goes on. What fails for that fails with kUnavailable.
  int64_t HoldRequests() ABSL_LOCKS_EXCLUDED(mu_);
  void GoOn() ABSL_LOCKS_EXCLUDED(mu_);
  // What another process has used since Lend(), this one does not.
  void SkipTo(int64_t id) ABSL_LOCKS_EXCLUDED(mu_);
  // Another process has adopted it: it is not this one's to talk to, or to end, any more.
  void Release() ABSL_LOCKS_EXCLUDED(mu_);

  // See served_mounts.h and root_mounts.h. MakeFuse gives the descriptor to serve.
  absl::StatusOr<UniqueFd> MakeFuse(int number, const std::string& source,
                                    const std::string& staging) ABSL_LOCKS_EXCLUDED(mu_);
  // Called again, it puts another root in the place of the first, or leaves that as it is.
  absl::Status EnterRoot(const MountPlan& plan) ABSL_LOCKS_EXCLUDED(mu_);
  // `whole` are places where all of the filesystem is seen, for an init of an older version.
  absl::Status AddMount(const ServedMount& mount, const std::vector<std::string>& whole)
      ABSL_LOCKS_EXCLUDED(mu_);
  // `type` is MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE.
  absl::Status ChangeMount(int number, const std::string& target, uint64_t type)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Groups of mounts, each by its filesystem and its own number.
  absl::Status KeepGroups(const std::set<std::pair<int, uint32_t>>& kept) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status RemoveMount(int number, const std::string& target, bool detach)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status ForgetFuse(int number) ABSL_LOCKS_EXCLUDED(mu_);

  // syncfs(2) on everything that the daemon serves.
  absl::Status Sync(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);
  // Stops every process but init by SIGSTOP, and lets those that ran before run on.
  absl::Status StopAll(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status ContinueAll() ABSL_LOCKS_EXCLUDED(mu_);
  // Asks every process to end (SIGTERM) and waits until all have, at most `grace`.
  // Errors: kDeadlineExceeded.
  absl::Status Terminate(absl::Duration grace) ABSL_LOCKS_EXCLUDED(mu_);
  // The same with SIGKILL.
  absl::Status KillAll(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);
  // Processes in the sandbox without init. Errors: kUnavailable at once if init is at other work.
  absl::StatusOr<int> CountProcesses() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  explicit Init(InitLine line);

  absl::StatusOr<Packet> Call(nlohmann::json request, absl::Duration timeout)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<Packet> CallLocked(nlohmann::json request, absl::Duration timeout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const pid_t pid_;
  const int protocol_;
  const UniqueFd process_;
  bool awaited_ = false;
  absl::Mutex mu_;  // one request at a time
  InitChannel channel_ ABSL_GUARDED_BY(mu_);
  int64_t next_id_ ABSL_GUARDED_BY(mu_) = 1;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_INIT_H_
