// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/signal_relay.h"

#include <sys/wait.h>

#include <cerrno>

namespace stasis::sandbox {
namespace {

bool IsIgnored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Not passed on: what cannot be held back, what stops and continues a job, what belongs to our own
// children and faults, and what a terminal says to everybody.
bool IsOurs(int signal) {
  for (int ours : {SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGCHLD, SIGSEGV, SIGBUS,
                   SIGFPE, SIGILL, SIGSYS, SIGTRAP, SIGABRT, SIGPIPE, SIGWINCH})
    if (signal == ours) return true;
  return false;
}

}  // namespace

sigset_t EndingSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGINT, SIGTERM, SIGHUP})
    if (!IsIgnored(signal)) sigaddset(&set, signal);
  return set;
}

SignalRelay::SignalRelay() {
  sigemptyset(&held_);
  for (int signal = 1; signal < NSIG; ++signal) {
    ignored_[static_cast<size_t>(signal)] = IsIgnored(signal);
    if (!IsIgnored(signal) && !IsOurs(signal)) sigaddset(&held_, signal);
  }
  sigaddset(&held_, SIGCHLD);
  sigprocmask(SIG_SETMASK, nullptr, &mask_);
  // Where it is ignored, nobody can wait for a child.
  ::signal(SIGCHLD, SIG_DFL);
}

void SignalRelay::Hold() { sigprocmask(SIG_BLOCK, &held_, nullptr); }

bool SignalRelay::Interrupted() const {
  sigset_t pending;
  sigpending(&pending);
  const sigset_t ending = EndingSignals();
  for (int signal = 1; signal < NSIG; ++signal)
    if (sigismember(&pending, signal) == 1 && sigismember(&ending, signal) == 1) return true;
  return false;
}

void SignalRelay::RestoreForProgram() const {
  for (int signal = 1; signal < NSIG; ++signal)
    ::signal(signal, ignored_[static_cast<size_t>(signal)] ? SIG_IGN : SIG_DFL);
  sigprocmask(SIG_SETMASK, &mask_, nullptr);
}

int SignalRelay::Wait(pid_t pid) const {
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (ended < 0 && errno != EINTR) return 1;
    siginfo_t info{};
    const int signal = sigwaitinfo(&held_, &info);
    if (signal > 0 && signal != SIGCHLD && info.si_code != SI_KERNEL) kill(pid, signal);
  }
}

}  // namespace stasis::sandbox
