// SPDX-License-Identifier: Apache-2.0
//
// kernel_mounts.cc: the kernel's side, in a process of its own, which enters the namespaces.

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "state/base/result.h"
#include "state/base/unique_fd.h"
#include "tests/vfs/mount_model/mounts.h"

namespace stasis::mount_model {
namespace {

// What must work for the test to mean anything.
void Must(bool worked, const char* what) {
  if (worked) return;
  std::perror(what);
  ::_exit(1);
}

std::string ReadWhole(int fd) {
  std::string text;
  char piece[4096];
  for (ssize_t n = 0; (n = ::read(fd, piece, sizeof(piece))) > 0;)
    text.append(piece, static_cast<size_t>(n));
  return text;
}

void Exchange(int fd, void* bytes, size_t size, bool in) {
  for (auto* at = static_cast<char*>(bytes); size != 0;) {
    const ssize_t n = in ? ::read(fd, at, size) : ::write(fd, at, size);
    if (n <= 0) ::_exit(1);
    at += n;
    size -= static_cast<size_t>(n);
  }
}

// Runs in the process.
class Namespaces {
 public:
  Namespaces() : proc_(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    Must(::unshare(CLONE_NEWNS) == 0, "unshare");
    Must(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make private");
    char directory[] = "/tmp/stasis-mounts-XXXXXX";
    const UniqueFd tmp(::open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC));
    Must(::mkdtemp(directory) != nullptr, "mkdtemp");
    Must(::mount("tmpfs", directory, "tmpfs", 0, nullptr) == 0, "mount tmpfs");
    Must(::chdir(directory) == 0, "chdir");
    Must(::syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
    // The old root is on top of the new one.
    Must(::umount2(".", MNT_DETACH) == 0, "umount");
    const char* name = std::strrchr(directory, '/') + 1;
    Must(::unlinkat(tmp.get(), name, AT_REMOVEDIR) == 0, "rmdir");
    Must(::chdir("/") == 0, "chdir");
    namespaces_.push_back(OpenNamespace("self/ns/mnt"));
  }

  std::string Do(const Call& call) {
    Enter(call.ns);
    errno = 0;
    const int result = Try(call);
    std::string answer = result == 0 ? "ok" : std::string(ErrnoName(Errno(errno)));
    if (result == 0 && call.kind == Call::kStat) answer += " " + std::to_string(mount_id_);
    answer += "\n";
    for (size_t i = 0; i < namespaces_.size(); ++i) {
      Enter(i);
      const UniqueFd info(::openat(proc_.get(), "self/mountinfo", O_RDONLY | O_CLOEXEC));
      Must(info.valid(), "mountinfo");
      answer += ReadWhole(info.get()) + "--\n";
    }
    return answer;
  }

 private:
  UniqueFd OpenNamespace(const std::string& path) {
    UniqueFd fd(::openat(proc_.get(), path.c_str(), O_RDONLY | O_CLOEXEC));
    Must(fd.valid(), "open namespace");
    return fd;
  }

  void Enter(size_t ns) { Must(::setns(namespaces_[ns].get(), CLONE_NEWNS) == 0, "setns"); }

  int Try(const Call& call) {
    const char* a = call.a.data();
    const char* b = call.b.data();
    const uint64_t recursive = call.recursive != 0 ? MS_REC : 0;
    switch (call.kind) {
      case Call::kMkdir:
        return ::mkdir(a, 0755);
      case Call::kRmdir:
        return ::rmdir(a);
      case Call::kMkfile:
        return ::mknod(a, S_IFREG | 0644, 0);
      case Call::kUnlink:
        return ::unlink(a);
      case Call::kRename:
        return ::rename(a, b);
      case Call::kOpen: {
        UniqueFd fd(::open(a, (call.flags != 0 ? O_RDWR : O_PATH) | O_CLOEXEC));
        if (!fd.valid()) return -1;
        slots_[call.slot] = std::move(fd);
        return 0;
      }
      case Call::kClose:
        slots_[call.slot] = UniqueFd();
        return 0;
      case Call::kStat: {
        struct statx stat = {};
        const bool from_slot = call.flags != 0 && slots_[call.slot].valid();
        const int from = from_slot ? slots_[call.slot].get() : AT_FDCWD;
        if (::statx(from, a, 0, STATX_MNT_ID, &stat) != 0) return -1;
        mount_id_ = stat.stx_mnt_id;
        return 0;
      }
      case Call::kMount:
        return ::mount("tmpfs", a, "tmpfs", call.flags & ~uint64_t{MS_RDONLY}, nullptr);
      case Call::kBind:
        return ::mount(a, b, nullptr, MS_BIND | recursive, nullptr);
      case Call::kMove:
        return ::mount(a, b, nullptr, MS_MOVE, nullptr);
      case Call::kUmount:
        return ::umount2(a, static_cast<int>(call.flags));
      case Call::kPropagation:
        return ::mount("none", a, nullptr, call.flags | recursive, nullptr);
      case Call::kRemount:
        return ::mount("none", a, nullptr, MS_REMOUNT | MS_BIND | call.flags, nullptr);
      case Call::kSetAttributes: {
        mount_attr attributes = {call.set, call.clear, call.propagation, 0};
        return static_cast<int>(::syscall(SYS_mount_setattr, AT_FDCWD, a,
                                          call.recursive != 0 ? AT_RECURSIVE : 0, &attributes,
                                          sizeof(attributes)));
      }
      case Call::kPivotRoot:
        return static_cast<int>(::syscall(SYS_pivot_root, a, b));
      case Call::kClone:
        return Clone(call.flags != 0 || less_privileged_[call.ns]);
      case Call::kRemove:
        Enter(0);
        namespaces_.erase(namespaces_.begin() + call.ns);
        less_privileged_.erase(less_privileged_.begin() + call.ns);
        return 0;
      default:
        return -1;
    }
  }

  int Clone(bool less_privileged) {
    less_privileged_.push_back(less_privileged);
    if (!less_privileged) {
      Must(::unshare(CLONE_NEWNS) == 0, "unshare");
      namespaces_.push_back(OpenNamespace("self/ns/mnt"));
      return 0;
    }
    // By a process with less privileges, which lives until its namespace is open here.
    int ends[2];
    Must(::pipe2(ends, O_CLOEXEC) == 0, "pipe");
    const pid_t process = ::fork();
    if (process == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      Must(::unshare(CLONE_NEWUSER) == 0, "unshare user");
      Must(::unshare(CLONE_NEWNS) == 0, "unshare");
      Must(::write(ends[1], "x", 1) == 1, "write");
      ::pause();
      ::_exit(0);
    }
    char byte = 0;
    ::close(ends[1]);
    Must(::read(ends[0], &byte, 1) == 1, "clone for less privileges");
    ::close(ends[0]);
    namespaces_.push_back(OpenNamespace(std::to_string(process) + "/ns/mnt"));
    ::kill(process, SIGKILL);
    ::waitpid(process, nullptr, 0);
    return 0;
  }

  const UniqueFd proc_;
  std::vector<UniqueFd> namespaces_;
  std::vector<bool> less_privileged_ = {false};  // each of them
  std::array<UniqueFd, kSlots> slots_;
  uint64_t mount_id_ = 0;  // of the last kStat
};

class KernelMounts final : public Mounts {
 public:
  KernelMounts() {
    int calls[2];
    int answers[2];
    if (::pipe2(calls, O_CLOEXEC) != 0 || ::pipe2(answers, O_CLOEXEC) != 0) std::abort();
    process_ = ::fork();
    if (process_ < 0) std::abort();
    if (process_ == 0) {
      ::close(calls[1]);
      ::close(answers[0]);
      Serve(calls[0], answers[1]);
    }
    ::close(calls[0]);
    ::close(answers[1]);
    calls_ = UniqueFd(calls[1]);
    answers_ = UniqueFd(answers[0]);
  }
  // It ends with its mounts when nobody calls any more.
  ~KernelMounts() override {
    calls_ = UniqueFd();
    ::waitpid(process_, nullptr, 0);
  }

  std::string Do(const Call& call) override {
    Call copy = call;
    if (::write(calls_.get(), &copy, sizeof(copy)) != sizeof(copy)) return "(process ended)\n";
    size_t size = 0;
    if (::read(answers_.get(), &size, sizeof(size)) != sizeof(size)) return "(process ended)\n";
    std::string answer(size, '\0');
    for (size_t done = 0; done < size;) {
      const ssize_t n = ::read(answers_.get(), answer.data() + done, size - done);
      if (n <= 0) return "(process ended)\n";
      done += static_cast<size_t>(n);
    }
    return answer;
  }

 private:
  [[noreturn]] static void Serve(int calls, int answers) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::signal(SIGPIPE, SIG_IGN);
    Namespaces namespaces;
    for (;;) {
      Call call;
      Exchange(calls, &call, sizeof(call), /*in=*/true);
      std::string answer = namespaces.Do(call);
      size_t size = answer.size();
      Exchange(answers, &size, sizeof(size), /*in=*/false);
      Exchange(answers, answer.data(), size, /*in=*/false);
    }
  }

  pid_t process_ = -1;
  UniqueFd calls_;
  UniqueFd answers_;
};

}  // namespace

std::unique_ptr<Mounts> MakeKernelMounts() { return std::make_unique<KernelMounts>(); }

}  // namespace stasis::mount_model
