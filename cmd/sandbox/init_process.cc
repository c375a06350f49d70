// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/init_process.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <set>
#include <string>

#include "cmd/sandbox/mount_plan.h"
#include "cmd/sandbox/process_table.h"
#include "cmd/sandbox/root_mounts.h"
#include "cmd/sandbox/served_mounts.h"
#include "cmd/sandbox/syncer.h"

namespace stasis::sandbox {
namespace {

class InitProcess {
 public:
  InitProcess(InitChannel channel, bool rootless)
      : channel_(std::move(channel)), rootless_(rootless) {}

  absl::Status Prepare();
  [[noreturn]] void Serve();

 private:
  void Handle(const nlohmann::json& request);
  void HandleMounts(int64_t id, const std::string& verb, const nlohmann::json& request);
  absl::Status Begin();
  absl::Status Enter(const MountPlan& plan);
  absl::Status TryToEnter(const MountPlan& plan);
  void StartSync(int64_t id);
  void FinishSync();
  absl::Status End(int signal, absl::Duration grace);
  void Reap();
  void Answer(int64_t id, const absl::Status& status, nlohmann::json extra = {}, int fd = -1);

  InitChannel channel_;
  const bool rootless_;
  UniqueFd signals_;
  ServedMounts mounts_;
  RootMounts root_mounts_;
  ProcessTable processes_;
  Syncer syncer_;
  int64_t sync_id_ = 0;  // the request that it is at work for
};

absl::Status InitProcess::Prepare() {
  // Everything else of the daemon's (its lock above all) must not live on in here.
  const int keep = fcntl(channel_.fd(), F_DUPFD_CLOEXEC, 3);
  if (dup3(keep, 3, O_CLOEXEC) < 0 && keep != 3) return absl::ErrnoToStatus(errno, "dup3");
  (void)close_range(4, ~0U, 0);
  channel_ = InitChannel(UniqueFd(3));
  setsid();
  prctl(PR_SET_NAME, "stasis-init");
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGCHLD);
  signals_.reset(signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) return absl::ErrnoToStatus(errno, "signalfd");
  return syncer_.Prepare();
}

// Requires: in a user namespace, the maps are written.
absl::Status InitProcess::Begin() {
  if (rootless_ && (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0))
    return absl::ErrnoToStatus(errno, "cannot become root of the user namespace");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return absl::ErrnoToStatus(errno, "cannot make the mounts private");
  return absl::OkStatus();
}

// Again, it leaves what there was if it fails.
absl::Status InitProcess::Enter(const MountPlan& plan) {
  const absl::Status entered = TryToEnter(plan);
  if (!entered.ok()) mounts_.GiveUp(plan.mounts);
  return entered;
}

absl::Status InitProcess::TryToEnter(const MountPlan& plan) {
  if (sethostname(plan.hostname.data(), plan.hostname.size()) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot set the host name ", plan.hostname));
  absl::StatusOr<UniqueFd> root = mounts_.Build(plan.mounts);
  if (!root.ok()) return root.status();
  const auto share = [this] { return mounts_.Share(); };
  if (absl::Status entered = root_mounts_.Enter(*root, plan.binds, share); !entered.ok())
    return entered;
  mounts_.Entered();
  UniqueFd proc(open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!proc.valid()) return absl::ErrnoToStatus(errno, "cannot open the sandbox's /proc");
  processes_ = ProcessTable(std::move(proc));
  return absl::OkStatus();
}

void InitProcess::StartSync(int64_t id) {
  if (syncer_.running())
    return Answer(id, absl::UnavailableError("the sandbox's files are still being written back"));
  const std::vector<int> roots = mounts_.Roots();
  if (roots.empty()) return Answer(id, absl::FailedPreconditionError("the root is not mounted"));
  if (absl::Status started = syncer_.Start(roots); !started.ok()) return Answer(id, started);
  sync_id_ = id;
}

void InitProcess::FinishSync() {
  pollfd done{syncer_.fd(), POLLIN, 0};
  if (poll(&done, 1, 0) > 0) Answer(sync_id_, syncer_.Finish());
}

void InitProcess::Reap() {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
  }
  while (waitpid(-1, nullptr, WNOHANG | __WALL) > 0) {
  }
}

absl::Status InitProcess::End(int signal, absl::Duration grace) {
  const absl::Time deadline = absl::Now() + grace;
  for (pid_t pid : processes_.List()) {
    kill(pid, signal);
    kill(pid, SIGCONT);
  }
  while (!processes_.List().empty()) {
    if (absl::Now() > deadline)
      return absl::DeadlineExceededError(
          absl::StrCat("some processes did not end on SIG", sigabbrev_np(signal)));
    // One that was made since.
    if (signal == SIGKILL)
      for (pid_t pid : processes_.List()) kill(pid, signal);
    absl::SleepFor(absl::Milliseconds(5));
    if (channel_.closed()) _exit(0);  // nobody waits for their end any more
    Reap();
    FinishSync();
  }
  return absl::OkStatus();
}

void InitProcess::Answer(int64_t id, const absl::Status& status, nlohmann::json extra, int fd) {
  nlohmann::json answer = AnswerOf(status);
  answer["id"] = id;
  if (extra.is_object()) answer.update(extra);
  if (!channel_.Send(answer, fd).ok()) _exit(1);
}

void InitProcess::Handle(const nlohmann::json& request) {
  const int64_t id = request.value("id", int64_t{0});
  const std::string verb = request.value("do", "");
  const absl::Duration time = absl::Milliseconds(request.value("ms", int64_t{0}));
  if (verb == "begin") return Answer(id, Begin());
  if (verb == "enter") return Answer(id, Enter(MountPlan::FromJson(request.at("plan"))));
  if (verb == "sync") return StartSync(id);
  if (verb == "stop") return Answer(id, processes_.StopAll(time));
  if (verb == "terminate") return Answer(id, End(SIGTERM, time));
  if (verb == "kill") return Answer(id, End(SIGKILL, time));
  if (verb == "count") return Answer(id, absl::OkStatus(), {{"count", processes_.List().size()}});
  if (verb == "continue") {
    processes_.ContinueAll();
    return Answer(id, absl::OkStatus());
  }
  HandleMounts(id, verb, request);
}

void InitProcess::HandleMounts(int64_t id, const std::string& verb, const nlohmann::json& request) {
  if (verb == "fuse") {
    const absl::StatusOr<UniqueFd> fuse =
        mounts_.Make(request.at("fs"), request.at("source"), request.at("staging"));
    return Answer(id, fuse.status(), {}, fuse.ok() ? fuse->get() : -1);
  }
  if (verb == "attach" || verb == "attach-shared")
    return Answer(id, mounts_.Add(ServedMount::FromJson(request.at("mount"))));
  if (verb == "propagate")
    return Answer(id, mounts_.Change(request.at("fs"), request.at("target"), request.at("type")));
  if (verb == "groups") {
    mounts_.KeepGroups(request.at("kept").get<std::set<ServedMounts::GroupName>>());
    return Answer(id, absl::OkStatus());
  }
  if (verb == "umount")
    return Answer(id, mounts_.Remove(request.at("fs"), request.at("target"), request.at("detach")));
  if (verb == "forget") {
    mounts_.Forget(request.at("fs"));
    return Answer(id, absl::OkStatus());
  }
  Answer(id, absl::UnimplementedError("unknown request " + verb));
}

void InitProcess::Serve() {
  for (;;) {
    pollfd entries[] = {
        {channel_.fd(), POLLIN, 0}, {signals_.get(), POLLIN, 0}, {syncer_.fd(), POLLIN, 0}};
    if (poll(entries, std::size(entries), -1) < 0 && errno != EINTR) _exit(1);
    if (entries[1].revents != 0) Reap();
    if (entries[2].revents != 0) FinishSync();
    if (entries[0].revents == 0) continue;
    const absl::StatusOr<Packet> packet = channel_.Receive();
    if (!packet.ok()) _exit(0);
    try {
      Handle(packet->json);
    } catch (const nlohmann::json::exception& error) {
      Answer(packet->json.value("id", int64_t{0}),
             absl::UnimplementedError(absl::StrCat("not understood: ", error.what())));
    }
  }
}

}  // namespace

void RunInit(InitChannel channel, bool rootless) {
  InitProcess process(std::move(channel), rootless);
  if (!process.Prepare().ok()) _exit(1);
  process.Serve();
}

}  // namespace stasis::sandbox
