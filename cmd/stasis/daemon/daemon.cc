// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/daemon.h"

#include <absl/cleanup/cleanup.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <thread>

#include "cmd/control/server.h"
#include "cmd/stasis/daemon/box.h"
#include "cmd/stasis/daemon/service.h"

namespace stasis::cli {
namespace {

// Its life: starts the sandbox, waits, ends it.
class Daemon {
 public:
  explicit Daemon(const DaemonOptions& options)
      : options_(options), box_(options), service_(box_) {}

  // Requires: one thread.
  absl::Status Start(StartupLine& line);
  // What the launcher wants to know. Requires: started.
  nlohmann::json Result();
  // Returns when the sandbox has to end.
  void Wait();
  void End();

 private:
  absl::Status WatchSignals();
  absl::Status WriteRecord();
  absl::Status MakeSandbox(std::unique_ptr<sandbox::Init> init, StartupLine& line);
  absl::StatusOr<Content> MakeContentOrEnd(StartupLine& line);
  bool Terminated();
  bool InitEnded();

  const DaemonOptions& options_;
  UniqueFd signals_;
  std::atomic<bool> terminated_{false};  // by SIGTERM
  Box box_;
  Service service_;
  std::unique_ptr<control::Server> control_;
  // Of the start, for Result().
  std::vector<std::string> warnings_;
  std::string report_;
};

absl::Status Daemon::WatchSignals() {
  sigset_t watched;
  sigemptyset(&watched);
  for (int signal : {SIGTERM, SIGCHLD}) sigaddset(&watched, signal);
  sigprocmask(SIG_BLOCK, &watched, nullptr);
  signals_.reset(signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid() || !box_.wake().valid())
    return absl::ErrnoToStatus(errno, "cannot watch signals");
  return absl::OkStatus();
}

// Before there is anything to clear up.
absl::Status Daemon::WriteRecord() {
  sandbox::Record record;
  record.daemon_pid = getpid();
  record.daemon_start = sandbox::StartTimeOf(getpid());
  if (options_.sandbox.freezer != sandbox::FreezerKind::kSignal)
    record.cgroups = sandbox::Cgroup::Candidates(sandbox::Sandbox::CgroupName(options_.sandbox));
  return options_.dir.WriteRecord(record);
}

absl::Status Daemon::Start(StartupLine& line) {
  prctl(PR_SET_NAME, "stasis-daemon");
  if (absl::Status watching = WatchSignals(); !watching.ok()) return watching;
  if (absl::Status written = WriteRecord(); !written.ok()) return written;
  absl::StatusOr<std::unique_ptr<sandbox::Init>> init =
      sandbox::Init::Start(options_.sandbox.rootless);
  if (!init.ok()) return init.status();
  if (absl::Status made = MakeSandbox(std::move(*init), line); !made.ok()) return made;
  box_.lazy()->Start();
  absl::StatusOr<std::unique_ptr<control::Server>> control =
      control::Server::Start(options_.dir.socket_path(), service_);
  if (!control.ok()) return control.status();
  control_ = std::move(*control);
  box_.log().info("serving sandbox {} as process {}, init {}", options_.dir.name(), getpid(),
                  box_.sandbox()->init().pid());
  return absl::OkStatus();
}

// SIGTERM ends it.
absl::StatusOr<Content> Daemon::MakeContentOrEnd(StartupLine& line) {
  std::atomic<bool> made{false};
  std::thread watch([this, &made] {
    while (!made && !Terminated()) {
      pollfd entries[] = {{signals_.get(), POLLIN, 0}, {box_.wake().get(), POLLIN, 0}};
      (void)poll(entries, 2, -1);
    }
  });
  const absl::Cleanup end_watch = [this, &made, &watch] {
    made = true;
    const uint64_t one = 1;
    (void)!write(box_.wake().get(), &one, sizeof one);
    watch.join();
  };
  return MakeContent(
      box_.types(), options_.content, [&line](const Step& step) { line.Report(step); },
      &terminated_, box_.NewDataLog());
}

absl::Status Daemon::MakeSandbox(std::unique_ptr<sandbox::Init> init, StartupLine& line) {
  if (absl::Status set = ApplyMemoryLimits(options_.memory); !set.ok()) return set;
  absl::StatusOr<Content> content = MakeContentOrEnd(line);
  if (!content.ok()) return content.status();
  for (const std::string& warning : content->warnings) box_.log().warn("{}", warning);
  warnings_ = content->warnings;
  report_ = content->report;
  sandbox::Tree tree = std::move(content->tree);
  box_.SetOrigin(*std::move(content));
  absl::StatusOr<std::unique_ptr<sandbox::Sandbox>> sandbox =
      sandbox::Sandbox::Start(std::move(init), std::move(tree), options_.sandbox);
  if (!sandbox.ok()) return sandbox.status();
  box_.SetSandbox(std::move(*sandbox));
  return absl::OkStatus();
}

nlohmann::json Daemon::Result() {
  const sandbox::Sandbox& sandbox = *box_.sandbox();
  nlohmann::json result = {{"daemon_pid", getpid()},
                           {"init_pid", box_.sandbox()->init().pid()},
                           {"cgroup", ""},
                           {"cgroup_version", 0},
                           {"warnings", warnings_}};
  for (const std::string& warning : sandbox.warnings()) result["warnings"].push_back(warning);
  if (const auto& group = sandbox.cgroup(); group.has_value()) {
    result["cgroup"] = group->path();
    result["cgroup_version"] = group->version();
  }
  if (const auto config = box_.origin().base_config; config.has_value()) {
    std::vector<std::string> command = config->entrypoint;
    command.insert(command.end(), config->cmd.begin(), config->cmd.end());
    result["image"] = {
        {"command", command}, {"environment", config->env}, {"workdir", config->working_dir}};
  }
  if (!report_.empty()) result["content"] = nlohmann::json::parse(report_, nullptr, false);
  return result;
}

bool Daemon::Terminated() {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) == sizeof info)
    if (info.ssi_signo == SIGTERM) terminated_ = true;
  return terminated_;
}

bool Daemon::InitEnded() {
  siginfo_t ended{};
  const auto pid = static_cast<id_t>(box_.sandbox()->init().pid());
  const bool init_gone =
      waitid(P_PID, pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != 0;
  if (init_gone) box_.log().error("the sandbox's init has ended");
  return init_gone;
}

void Daemon::Wait() {
  absl::Duration left;
  while ((left = box_.TimeLeft()) > absl::ZeroDuration() && !Terminated() && !InitEnded()) {
    pollfd entries[] = {{signals_.get(), POLLIN, 0}, {box_.wake().get(), POLLIN, 0}};
    const int timeout = left == absl::InfiniteDuration()
                            ? -1
                            : static_cast<int>(absl::ToInt64Milliseconds(left)) + 1;
    if (poll(entries, 2, timeout) < 0 && errno != EINTR) return;
    uint64_t count = 0;
    (void)!read(box_.wake().get(), &count, sizeof count);
  }
}

void Daemon::End() {
  control_.reset();  // cancels a checkpoint that goes on
  const absl::Duration grace = box_.grace();
  if (box_.sandbox() != nullptr && grace > absl::ZeroDuration()) {
    const absl::Status ended = box_.sandbox()->init().Terminate(grace);
    if (!ended.ok()) box_.log().warn("{}", std::string(ended.message()));
  }
  if (const auto lazy = box_.lazy(); lazy != nullptr) lazy->Stop();
  box_.SetSandbox(nullptr);
  box_.log().info("ended");
}

}  // namespace

int RunDaemon(const DaemonOptions& options, UniqueFd lock, StartupLine line) {
  absl::Status started;
  {
    Daemon daemon(options);
    started = daemon.Start(line);
    if (started.ok()) {
      line.Ready(daemon.Result());
      daemon.Wait();
    }
    daemon.End();
  }
  (void)options.dir.CleanUp(lock);
  lock.reset();
  if (!started.ok()) line.Failed(started);
  return started.ok() ? 0 : 1;
}

}  // namespace stasis::cli
