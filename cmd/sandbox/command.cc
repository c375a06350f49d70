// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/command.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
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

// What the children tell the caller through a socket, which closes when the program runs. The
// kernel adds the sender's process number, as the caller's namespace has it.
struct Message {
  enum Step : int { kStarted, kCgroup, kNamespaces, kFork, kDirectory, kExec };
  Step step;
  int error;  // 0 for kStarted
};

constexpr const char kDefaultPath[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

void Tell(int socket, Message::Step step, int error) {
  const Message message{step, error};
  (void)!send(socket, &message, sizeof message, MSG_NOSIGNAL);
}

[[noreturn]] void Fail(int socket, Message::Step step, int error) {
  Tell(socket, step, error);
  _exit(127);
}

void Reap(pid_t pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void SetEnvironment(const Command& command) {
  if (command.clear_environment) {
    clearenv();
    setenv("PATH", kDefaultPath, 1);
  }
  for (const std::string& entry : command.environment) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos)
      unsetenv(entry.c_str());
    else
      setenv(entry.substr(0, equals).c_str(), entry.c_str() + equals + 1, 1);
  }
}

// The program's process, in the sandbox already.
[[noreturn]] void Exec(const Command& command, const SignalRelay& signals, int output, int socket) {
  Tell(socket, Message::kStarted, 0);
  if (output >= 0) {
    setsid();
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(output, 1);
    dup2(output, 2);
  }
  if (chdir(command.directory.c_str()) != 0) Fail(socket, Message::kDirectory, errno);
  SetEnvironment(command);
  // A descriptor of the host's would be a way out of the sandbox.
  (void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  signals.RestoreForProgram();
  std::vector<char*> arguments;
  for (const std::string& argument : command.arguments)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  Fail(socket, Message::kExec, errno);
}

// A process between: it enters the sandbox, makes the program's process and ends.
[[noreturn]] void Enter(const Place& place, const Command& command, const SignalRelay& signals,
                        int init, int output, int socket) {
  if (!place.cgroup.empty()) {
    const Cgroup group = Cgroup::Adopt(place.cgroup, place.cgroup_version);
    if (const int error = group.Join(); error != 0) Fail(socket, Message::kCgroup, error);
  }
  int namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
  if (place.rootless) namespaces |= CLONE_NEWUSER;
  if (setns(init, namespaces) != 0) Fail(socket, Message::kNamespaces, errno);
  if (place.rootless && (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0))
    Fail(socket, Message::kNamespaces, errno);
  if (output >= 0) {
    // The orphan of a process in the sandbox is its init's. This process is not in it yet.
    const pid_t inside = fork();
    if (inside == 0 && fork() == 0) Exec(command, signals, output, socket);
    if (inside > 0) Reap(inside);
    _exit(0);
  }
  const long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) Fail(socket, Message::kFork, errno);
  if (pid == 0) Exec(command, signals, output, socket);
  _exit(0);
}

// As a shell tells what is not there from what cannot be used.
absl::StatusCode CodeOfStart(int error) {
  return error == ENOENT || error == ENOTDIR ? absl::StatusCode::kNotFound
                                             : absl::StatusCode::kPermissionDenied;
}

absl::Status Explain(const Message& failure, const Command& command) {
  const std::string reason = strerror(failure.error);
  switch (failure.step) {
    case Message::kDirectory:
      return absl::Status(CodeOfStart(failure.error),
                          absl::StrCat("cannot start in the directory ", command.directory,
                                       " of the sandbox: ", reason, "; choose another --workdir"));
    case Message::kExec:
      return absl::Status(
          CodeOfStart(failure.error),
          absl::StrCat("cannot run '", command.arguments[0], "' in the sandbox: ", reason));
    case Message::kCgroup:
      return absl::FailedPreconditionError(
          absl::StrCat("cannot join the sandbox's cgroup: ", reason,
                       "; start the sandbox with --freezer signal, or use stasis from the login "
                       "that started it"));
    case Message::kNamespaces:
      return absl::FailedPreconditionError(
          absl::StrCat("cannot enter the sandbox's namespaces: ", reason,
                       "; only root and the user who started the sandbox may"));
    case Message::kStarted:
    case Message::kFork:
      break;
  }
  return absl::ErrnoToStatus(failure.error, "cannot start a process in the sandbox");
}

union CredentialsBuffer {
  char bytes[CMSG_SPACE(sizeof(ucred))];
  cmsghdr align;
};

// The next message and its sender; 0 at the end of all, -1 after an error.
ssize_t Receive(int socket, Message& message, pid_t& sender) {
  iovec part{&message, sizeof message};
  CredentialsBuffer control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes;
  header.msg_controllen = sizeof control.bytes;
  ssize_t size = 0;
  do {
    size = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  const cmsghdr* credentials = CMSG_FIRSTHDR(&header);
  if (size <= 0 || credentials == nullptr || credentials->cmsg_type != SCM_CREDENTIALS) return size;
  ucred peer{};
  std::memcpy(&peer, CMSG_DATA(credentials), sizeof peer);
  sender = peer.pid;
  return size;
}

// Reads until the program runs or something has failed.
absl::StatusOr<pid_t> AwaitStart(int socket, bool own_child, const Command& command) {
  pid_t pid = 0;
  absl::Status failed;
  Message message{};
  pid_t sender = 0;
  for (ssize_t size = 0; (size = Receive(socket, message, sender)) > 0;) {
    if (size != sizeof message) continue;
    if (message.step == Message::kStarted)
      pid = sender;
    else
      failed = Explain(message, command);
  }
  if (failed.ok() && pid != 0) return pid;
  if (pid != 0 && own_child) Reap(pid);
  return failed.ok() ? absl::FailedPreconditionError("the sandbox ended meanwhile") : failed;
}

}  // namespace

absl::Status CheckEnvironment(const std::vector<std::string>& entries) {
  for (const std::string& entry : entries)
    if (entry.empty() || entry.front() == '=')
      return absl::InvalidArgumentError(
          absl::StrCat("--env '", entry, "' is not of the form NAME=VALUE or NAME"));
  return absl::OkStatus();
}

absl::StatusOr<pid_t> StartCommand(const Place& place, const Command& command,
                                   const SignalRelay& signals) {
  UniqueFd output;
  if (!command.detached_output.empty()) {
    output.reset(
        open(command.detached_output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!output.valid())
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", command.detached_output));
  }
  const UniqueFd init(static_cast<int>(syscall(SYS_pidfd_open, place.init_pid, 0)));
  if (!init.valid())
    return absl::FailedPreconditionError("the sandbox has ended: its first process is gone");
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return absl::ErrnoToStatus(errno, "cannot make a socket pair");
  const UniqueFd from_child(ends[0]);
  UniqueFd to_caller(ends[1]);
  const int on = 1;
  setsockopt(from_child.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  const pid_t stage = fork();
  if (stage < 0) return absl::ErrnoToStatus(errno, "cannot fork");
  if (stage == 0) Enter(place, command, signals, init.get(), output.get(), to_caller.get());
  to_caller.reset();
  absl::StatusOr<pid_t> pid = AwaitStart(from_child.get(), !output.valid(), command);
  Reap(stage);
  return pid;
}

int ExitCodeOfStart(const absl::Status& status) {
  if (absl::IsNotFound(status)) return 127;
  return absl::IsPermissionDenied(status) ? 126 : 1;
}

}  // namespace stasis::sandbox
