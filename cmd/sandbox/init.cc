// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/init.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>
#include <string_view>

#include "cmd/sandbox/init_process.h"

namespace stasis::sandbox {
namespace {

constexpr absl::Duration kSetUpTimeout = absl::Seconds(30);
constexpr absl::Duration kAnswerTimeout = absl::Seconds(5);
constexpr absl::Duration kReapTimeout = absl::Seconds(1);

absl::Status WriteProcFile(pid_t pid, const char* file, std::string_view text) {
  const std::string path = absl::StrCat("/proc/", pid, "/", file);
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid() || write(fd.get(), text.data(), text.size()) < 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write to ", path));
  return absl::OkStatus();
}

// Makes the caller root in the new user namespace, and nobody else anything.
absl::Status MapOwner(pid_t pid) {
  const std::string uid_map = absl::StrCat("0 ", geteuid(), " 1\n");
  const std::string gid_map = absl::StrCat("0 ", getegid(), " 1\n");
  if (absl::Status s = WriteProcFile(pid, "setgroups", "deny"); !s.ok()) return s;
  if (absl::Status s = WriteProcFile(pid, "uid_map", uid_map); !s.ok()) return s;
  return WriteProcFile(pid, "gid_map", gid_map);
}

// As fork(2), with new namespaces for the child.
pid_t ForkIntoNamespaces(bool rootless) {
  unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC |
                        static_cast<unsigned long>(SIGCHLD);
  if (rootless) flags |= CLONE_NEWUSER;
  return static_cast<pid_t>(syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr));
}

const char* NamespaceRemedy(bool rootless) {
  if (!rootless)
    return "root without CAP_SYS_ADMIN cannot make namespaces: start the container with "
           "--privileged, or run as another user";
  // Ubuntu: such a namespace can be made, but nothing can be done in it.
  int restricted = 0;
  std::ifstream("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") >> restricted;
  if (restricted != 0)
    return "AppArmor restricts user namespaces: sysctl "
           "kernel.apparmor_restrict_unprivileged_userns=0, or run as root";
  return "user namespaces are off for this user: set /proc/sys/user/max_user_namespaces (or "
         "kernel.unprivileged_userns_clone) above 0, or run as root";
}

absl::Status NamespaceError(absl::string_view reason, bool rootless) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot make namespaces: ", reason, "; ", NamespaceRemedy(rootless)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Init>> Init::Start(bool rootless) {
  absl::StatusOr<std::pair<InitChannel, InitChannel>> ends = InitChannel::MakePair();
  if (!ends.ok()) return ends.status();
  const pid_t pid = ForkIntoNamespaces(rootless);
  if (pid < 0) return NamespaceError(strerror(errno), rootless);
  if (pid == 0) {
    ends->first = InitChannel();
    RunInit(std::move(ends->second), rootless);
  }
  ends->second = InitChannel();
  // Only this process reaps it: the number is its own.
  UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) {
    absl::Status failed = absl::ErrnoToStatus(errno, "cannot watch the sandbox's init");
    kill(pid, SIGKILL);
    (void)waitpid(pid, nullptr, 0);
    return failed;
  }
  std::unique_ptr<Init> init(new Init({pid, std::move(process), ends->first.Detach()}));
  if (rootless)
    if (absl::Status mapped = MapOwner(pid); !mapped.ok())
      return NamespaceError(mapped.message(), rootless);
  absl::StatusOr<Packet> ready = init->Call({{"do", "begin"}}, kSetUpTimeout);
  if (!ready.ok()) return NamespaceError(ready.status().message(), rootless);
  return init;
}

Init::Init(InitLine line)
    : pid_(line.pid),
      protocol_(line.protocol),
      process_(std::move(line.process)),
      channel_(std::move(line.channel)),
      next_id_(line.next_id) {}

std::unique_ptr<Init> Init::Adopt(InitLine line) {
  return std::unique_ptr<Init>(new Init(std::move(line)));
}

absl::StatusOr<InitLine> Init::Lend() {
  const absl::MutexLock lock(&mu_);
  InitLine line{pid_, UniqueFd(fcntl(process_.get(), F_DUPFD_CLOEXEC, 3)),
                UniqueFd(fcntl(channel_.fd(), F_DUPFD_CLOEXEC, 3)), next_id_, protocol_};
  if (!line.process.valid() || !line.channel.valid())
    return absl::ErrnoToStatus(errno, "cannot copy the descriptors of the sandbox's init");
  return line;
}

int64_t Init::HoldRequests() {
  const absl::MutexLock lock(&mu_);
  held_ = true;
  return next_id_;
}

void Init::GoOn() {
  const absl::MutexLock lock(&mu_);
  held_ = false;
}

void Init::SkipTo(int64_t id) {
  const absl::MutexLock lock(&mu_);
  next_id_ = std::max(next_id_, id);
}

void Init::Release() {
  const absl::MutexLock lock(&mu_);
  awaited_ = true;
  channel_ = InitChannel();
}

bool Init::ended() const {
  pollfd entry{process_.get(), POLLIN, 0};
  return poll(&entry, 1, 0) > 0;
}

void Init::Kill() { (void)syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0); }

void Init::Await() {
  if (std::exchange(awaited_, true)) return;
  Kill();
  // The kernel keeps process 1 until every process of the namespace has been waited for, also by
  // parents outside: a command line that is stopped, or a host's init that takes its time.
  const absl::Time deadline = absl::Now() + kReapTimeout;
  pollfd entry{process_.get(), POLLIN, 0};
  for (absl::Duration left = kReapTimeout; left > absl::ZeroDuration();
       left = deadline - absl::Now())
    if (poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1) > 0) break;
  (void)waitpid(pid_, nullptr, WNOHANG);  // if it is a child of this process
}

absl::StatusOr<Packet> Init::Call(nlohmann::json request, absl::Duration timeout) {
  const absl::MutexLock lock(&mu_);
  return CallLocked(std::move(request), timeout);
}

absl::StatusOr<Packet> Init::CallLocked(nlohmann::json request, absl::Duration timeout) {
  if (held_) return absl::UnavailableError("the sandbox's init is about to be another daemon's");
  const int64_t id = next_id_++;
  request["id"] = id;
  if (absl::Status sent = channel_.Send(request); !sent.ok()) return sent;
  for (;;) {
    absl::StatusOr<Packet> answer = channel_.Receive(timeout);
    if (!answer.ok()) return answer;
    // An answer to a request that nobody waits for any more.
    if (answer->json.value("id", int64_t{0}) != id) continue;
    if (absl::Status status = StatusOf(answer->json); !status.ok()) return status;
    return answer;
  }
}

absl::StatusOr<UniqueFd> Init::MakeFuse(int number, const std::string& source,
                                        const std::string& staging) {
  absl::StatusOr<Packet> answer = Call(
      {{"do", "fuse"}, {"fs", number}, {"source", source}, {"staging", staging}}, kSetUpTimeout);
  if (!answer.ok()) return answer.status();
  if (!answer->fd.valid()) return absl::InternalError("the sandbox's init sent no descriptor");
  return std::move(answer->fd);
}

// An older init does not know how to share a mount, and says so of the verb.
absl::Status Init::AddMount(const ServedMount& mount, const std::vector<std::string>& whole) {
  const char* verb = mount.sharing.propagates() ? "attach-shared" : "attach";
  return Call({{"do", verb}, {"mount", mount.ToJson()}, {"like", whole}}, kSetUpTimeout).status();
}

absl::Status Init::ChangeMount(int number, const std::string& target, uint64_t type) {
  return Call({{"do", "propagate"}, {"fs", number}, {"target", target}, {"type", type}},
              kSetUpTimeout)
      .status();
}

absl::Status Init::KeepGroups(const std::set<std::pair<int, uint32_t>>& kept) {
  return Call({{"do", "groups"}, {"kept", kept}}, kAnswerTimeout).status();
}

absl::Status Init::RemoveMount(int number, const std::string& target, bool detach) {
  return Call({{"do", "umount"}, {"fs", number}, {"target", target}, {"detach", detach}},
              kSetUpTimeout)
      .status();
}

absl::Status Init::ForgetFuse(int number) {
  return Call({{"do", "forget"}, {"fs", number}}, kAnswerTimeout).status();
}

absl::Status Init::EnterRoot(const MountPlan& plan) {
  return Call({{"do", "enter"}, {"plan", plan.ToJson()}}, kSetUpTimeout).status();
}

absl::Status Init::Sync(absl::Duration timeout) { return Call({{"do", "sync"}}, timeout).status(); }

absl::Status Init::StopAll(absl::Duration timeout) {
  return Call({{"do", "stop"}, {"ms", absl::ToInt64Milliseconds(timeout)}},
              timeout + kAnswerTimeout)
      .status();
}

absl::Status Init::ContinueAll() { return Call({{"do", "continue"}}, kAnswerTimeout).status(); }

absl::Status Init::Terminate(absl::Duration grace) {
  return Call({{"do", "terminate"}, {"ms", absl::ToInt64Milliseconds(grace)}},
              grace + kAnswerTimeout)
      .status();
}

absl::Status Init::KillAll(absl::Duration timeout) {
  return Call({{"do", "kill"}, {"ms", absl::ToInt64Milliseconds(timeout)}},
              timeout + kAnswerTimeout)
      .status();
}

absl::StatusOr<int> Init::CountProcesses() {
  if (!mu_.TryLock()) return absl::UnavailableError("the sandbox's init is at other work");
  const absl::StatusOr<Packet> answer = CallLocked({{"do", "count"}}, kAnswerTimeout);
  mu_.Unlock();
  if (!answer.ok()) return answer.status();
  return answer->json.value("count", 0);
}

}  // namespace stasis::sandbox
