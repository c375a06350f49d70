// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/life.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace stasis::cli {

absl::Status Life::WatchSignals() {
  sigset_t watched;
  sigemptyset(&watched);
  for (int signal : {SIGTERM, SIGCHLD}) sigaddset(&watched, signal);
  sigprocmask(SIG_BLOCK, &watched, nullptr);
  signals_.reset(signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid() || !box_.wake().valid())
    return absl::ErrnoToStatus(errno, "cannot watch signals");
  return absl::OkStatus();
}

absl::Status Life::WriteRecord(std::vector<sandbox::Cgroup> cgroups) {
  sandbox::Record record;
  record.daemon_pid = getpid();
  record.daemon_start = sandbox::StartTimeOf(getpid());
  record.cgroups = std::move(cgroups);
  if (keeping_ != nullptr) {
    record.keeper_pid = keeping_->keeper();
    record.keeper_start = sandbox::StartTimeOf(record.keeper_pid);
  }
  return options_.dir.WriteRecord(record);
}

absl::Status Life::StartControl() {
  absl::StatusOr<std::unique_ptr<control::Server>> control =
      control::Server::Start(options_.dir.socket_path(), service_);
  if (control.ok()) control_ = *std::move(control);
  return control.status();
}

absl::Status Life::PrepareControl() {
  absl::StatusOr<std::unique_ptr<control::Server>> control =
      control::Server::Prepare(options_.dir.socket_path(), service_);
  if (control.ok()) control_ = *std::move(control);
  return control.status();
}

bool Life::Terminated() {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) == sizeof info)
    if (info.ssi_signo == SIGTERM) terminated_ = true;
  return terminated_;
}

bool Life::InitEnded() {
  const bool init_gone = box_.sandbox()->init().ended();
  if (init_gone) box_.log().error("the sandbox's init has ended");
  return init_gone;
}

void Life::Wait() {
  absl::Duration left;
  while ((left = box_.TimeLeft()) > absl::ZeroDuration() && !Terminated() &&
         (box_.successor() != 0 || !InitEnded())) {
    pollfd entries[] = {{signals_.get(), POLLIN, 0},
                        {box_.wake().get(), POLLIN, 0},
                        {box_.sandbox()->init().process_fd(), POLLIN, 0}};
    const nfds_t count = box_.successor() != 0 ? 2 : 3;
    const int timeout = left == absl::InfiniteDuration()
                            ? -1
                            : static_cast<int>(absl::ToInt64Milliseconds(left)) + 1;
    if (poll(entries, count, timeout) < 0 && errno != EINTR) return;
    uint64_t times = 0;
    (void)!read(box_.wake().get(), &times, sizeof times);
  }
}

void Life::End() {
  // Cancels what goes on, and waits for it: after that it is known whose the sandbox is.
  const bool asked = box_.successor() == 0;
  if (asked) control_.reset();
  if (const pid_t successor = box_.successor(); successor != 0) {
    if (asked || terminated_) kill(successor, SIGTERM);
    box_.log().flush();
    _exit(0);  // what this process still has is another one's, too
  }
  if (keeping_ != nullptr) keeping_->End();
  const absl::Duration grace = box_.grace();
  if (box_.sandbox() != nullptr && grace > absl::ZeroDuration()) {
    const absl::Status ended = box_.sandbox()->init().Terminate(grace);
    if (!ended.ok()) box_.log().warn("{}", std::string(ended.message()));
  }
  if (const auto lazy = box_.lazy(); lazy != nullptr) lazy->Stop();
  box_.SetSandbox(nullptr);
  box_.log().info("ended");
}

}  // namespace stasis::cli
