// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/command.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "cmd/sandbox/cgroup.h"
#include "state/base/unique_fd.h"

namespace stasis::sandbox {
namespace {

// What the children tell the caller through a pipe, which closes when the program runs.
struct Message {
  enum Step : int { kStarted, kCgroup, kNamespaces, kFork, kDirectory, kExec };
  Step step;
  int value;  // of kStarted the process number; of the others, which are failures, errno
};

volatile sig_atomic_t command_pid = 0;

void PassOn(int signal) {
  if (command_pid > 0) kill(static_cast<pid_t>(command_pid), signal);
}

void Tell(int pipe, Message::Step step, int value) {
  const Message message{step, value};
  (void)!write(pipe, &message, sizeof message);
}

[[noreturn]] void Fail(int pipe, Message::Step step, int error) {
  Tell(pipe, step, error);
  _exit(127);
}

void SetEnvironment(const std::vector<std::string>& entries) {
  for (const std::string& entry : entries) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos)
      unsetenv(entry.c_str());
    else
      setenv(entry.substr(0, equals).c_str(), entry.c_str() + equals + 1, 1);
  }
}

void ResetSignals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// The program's process, in the sandbox already.
[[noreturn]] void Exec(const Command& command, int output, int pipe) {
  if (output >= 0) {
    setsid();
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(output, 1);
    dup2(output, 2);
  }
  if (chdir(command.directory.c_str()) != 0) Fail(pipe, Message::kDirectory, errno);
  SetEnvironment(command.environment);
  ResetSignals();
  std::vector<char*> arguments;
  for (const std::string& argument : command.arguments)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  Fail(pipe, Message::kExec, errno);
}

// A process between: it enters the sandbox, makes the program's process as the caller's child, says
// its number and ends.
[[noreturn]] void Enter(const Place& place, const Command& command, int init, int output,
                        int pipe) {
  if (!place.cgroup.empty()) {
    const Cgroup group = Cgroup::Adopt(place.cgroup, place.cgroup_version);
    if (!group.Join().ok()) Fail(pipe, Message::kCgroup, errno);
  }
  int namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
  if (place.rootless) namespaces |= CLONE_NEWUSER;
  if (setns(init, namespaces) != 0) Fail(pipe, Message::kNamespaces, errno);
  if (place.rootless && (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0))
    Fail(pipe, Message::kNamespaces, errno);
  const long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) Fail(pipe, Message::kFork, errno);
  if (pid == 0) Exec(command, output, pipe);
  Tell(pipe, Message::kStarted, static_cast<int>(pid));
  _exit(0);
}

absl::Status Explain(const Message& failure, const Command& command) {
  const std::string reason = strerror(failure.value);
  switch (failure.step) {
    case Message::kDirectory:
      return absl::ErrnoToStatus(
          failure.value, absl::StrCat("cannot start in the directory ", command.directory,
                                      " of the sandbox; choose another --workdir"));
    case Message::kExec:
      return absl::ErrnoToStatus(failure.value, absl::StrCat("cannot run '", command.arguments[0],
                                                             "' in the sandbox"));
    case Message::kCgroup:
      return absl::FailedPreconditionError(absl::StrCat(
          "cannot join the sandbox's cgroup: ", reason,
          "; start the sandbox with --freezer signal, or use stasis from the login that started it"));
    case Message::kNamespaces:
      return absl::FailedPreconditionError(
          absl::StrCat("cannot enter the sandbox's namespaces: ", reason,
                       "; only root and the user who started the sandbox may"));
    case Message::kStarted:
    case Message::kFork:
      break;
  }
  return absl::ErrnoToStatus(failure.value, "cannot start a process in the sandbox");
}

void Reap(pid_t pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// Reads until the program runs or something has failed.
absl::StatusOr<pid_t> AwaitStart(int pipe, const Command& command) {
  pid_t pid = 0;
  absl::Status failed;
  Message message{};
  for (ssize_t size = 0; (size = read(pipe, &message, sizeof message)) != 0;) {
    if (size < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "cannot read from a pipe");
    if (size != sizeof message) continue;
    if (message.step == Message::kStarted)
      pid = message.value;
    else
      failed = Explain(message, command);
  }
  if (failed.ok() && pid != 0) return pid;
  if (pid != 0) Reap(pid);
  return failed.ok() ? absl::FailedPreconditionError("the sandbox ended meanwhile") : failed;
}

}  // namespace

absl::StatusOr<pid_t> StartCommand(const Place& place, const Command& command) {
  UniqueFd output;
  if (!command.detached_output.empty()) {
    output.reset(open(command.detached_output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                      0600));
    if (!output.valid())
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", command.detached_output));
  }
  const UniqueFd init(static_cast<int>(syscall(SYS_pidfd_open, place.init_pid, 0)));
  if (!init.valid())
    return absl::FailedPreconditionError("the sandbox has ended: its first process is gone");
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  const UniqueFd from_child(ends[0]);
  UniqueFd to_caller(ends[1]);
  const pid_t stage = fork();
  if (stage < 0) return absl::ErrnoToStatus(errno, "cannot fork");
  if (stage == 0) Enter(place, command, init.get(), output.get(), to_caller.get());
  to_caller.reset();
  absl::StatusOr<pid_t> pid = AwaitStart(from_child.get(), command);
  Reap(stage);
  return pid;
}

int WaitForCommand(pid_t pid) {
  command_pid = pid;
  struct sigaction pass{};
  pass.sa_handler = PassOn;
  pass.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &pass, nullptr);
  sigaction(SIGHUP, &pass, nullptr);
  signal(SIGINT, SIG_IGN);
  signal(SIGQUIT, SIG_IGN);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return 1;
  command_pid = 0;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int ExitCodeOfStart(const absl::Status& status) {
  if (absl::IsNotFound(status)) return 127;
  return absl::IsPermissionDenied(status) ? 126 : 1;
}

}  // namespace stasis::sandbox
