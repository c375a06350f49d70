// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/kernel_posix.h"

#include <absl/synchronization/mutex.h>
#include <dirent.h>
#include <limits.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <type_traits>

namespace stasis::posix {
namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  perror(what);
  fprintf(stderr, "this test needs root and mounts\n");
  abort();
}

// Once per process. What is mounted in it goes with the process.
void EnterPrivateMountNamespace() {
  static const bool entered = [] {
    Require(unshare(CLONE_NEWNS | CLONE_FS) == 0, "unshare");
    Require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "making / private");
    return true;
  }();
  (void)entered;
}

Result<void> Done(long result) {
  if (result < 0) return Err(errno);
  return {};
}

template <typename T>
Result<T> Value(long result) {
  if (result < 0) return Err(errno);
  return static_cast<T>(result);
}

TimeNs ToNs(const struct statx_timestamp& time) {
  return TimeNs{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

timespec ToTimespec(const std::optional<SetTime>& time) {
  if (!time) return {0, UTIME_OMIT};
  if (time->now) return {0, UTIME_NOW};
  constexpr TimeNs kSecond = 1'000'000'000;
  const TimeNs ns = (time->value % kSecond + kSecond) % kSecond;
  return {(time->value - ns) / kSecond, ns};
}

Result<void> SetLockOf(int fd, int command, const struct flock& lock) {
  return Done(fcntl(fd, command, &lock));
}

Result<struct flock> GetLockOf(int fd, int command, struct flock lock) {
  if (fcntl(fd, command, &lock) < 0) return Err(errno);
  return lock;
}

// What tells processes apart here is the table of descriptors: a thread with one of its own.
class KernelProcess final : public Process {
 public:
  KernelProcess() : thread_([this] { Run(); }) {
    Do([] {
      Require(unshare(CLONE_FILES) == 0, "unshare");
      return true;
    });
  }
  ~KernelProcess() override {
    // The kernel itself would do it only after the thread was joined.
    Do([] { return close_range(0, UINT_MAX, 0); });
    Give(nullptr);
    thread_.join();
  }
  KernelProcess(const KernelProcess&) = delete;
  KernelProcess& operator=(const KernelProcess&) = delete;

  Result<void> Close(int fd) override {
    return Do([=] { return Done(close(fd)); });
  }
  Result<void> SetLock(int fd, int command, const struct flock& lock) override {
    return Do([=] { return SetLockOf(fd, command, lock); });
  }
  Result<struct flock> GetLock(int fd, int command, const struct flock& lock) override {
    return Do([=] { return GetLockOf(fd, command, lock); });
  }
  Result<void> Flock(int fd, int operation) override {
    return Do([=] { return Done(flock(fd, operation)); });
  }

 private:
  // Runs `call` on the thread.
  template <typename Call>
  std::invoke_result_t<Call> Do(Call call) {
    std::optional<decltype(call())> result;
    Give([&] { result = call(); });
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(
        +[](bool* given) { return !*given; }, &given_));
    return *std::move(result);
  }
  void Give(std::function<void()> task) {
    absl::MutexLock lock(&mu_);
    task_ = std::move(task);
    given_ = true;
  }
  void Run() {
    absl::MutexLock lock(&mu_);
    for (;;) {
      mu_.Await(absl::Condition(&given_));
      if (!task_) return;
      task_();
      given_ = false;
    }
  }

  absl::Mutex mu_;
  std::function<void()> task_ ABSL_GUARDED_BY(mu_);  // none: the end
  bool given_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

int EmptyPathFlag(const At& at) { return at.is_file() ? AT_EMPTY_PATH : 0; }

}  // namespace

MountPoint::MountPoint() {
  EnterPrivateMountNamespace();
  char directory[] = "/tmp/stasis-posix-XXXXXX";
  Require(mkdtemp(directory) != nullptr, "mkdtemp");
  path_ = directory;
}

MountPoint::~MountPoint() {
  umount2(path_.c_str(), MNT_DETACH);
  rmdir(path_.c_str());
}

void MountPoint::MountTmpfs(uint64_t size_limit, uint64_t inode_limit) {
  const std::string options =
      "mode=0755,size=" + std::to_string(size_limit) + ",nr_inodes=" + std::to_string(inode_limit);
  Require(mount("tmpfs", path_.c_str(), "tmpfs", 0, options.c_str()) == 0, "tmpfs");
}

void KernelPosix::Enter() {
  outside_ = UniqueFd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  Require(outside_.valid(), "/");
  Require(chroot(mount_point_.path().c_str()) == 0 && chdir("/") == 0, "chroot");
  umask(0);
}

void KernelPosix::Leave() {
  Become({});
  for (const int fd : open_fds_) close(fd);
  open_fds_.clear();
  Require(fchdir(outside_.get()) == 0 && chroot(".") == 0, "leaving");
  outside_.reset();
}

Result<int> KernelPosix::Opened(int fd) {
  if (fd < 0) return Err(errno);
  open_fds_.insert(fd);
  return fd;
}

Result<int> KernelPosix::Open(const At& at, int flags, uint32_t mode) {
  return Opened(openat(at.dir, at.path.c_str(), flags | O_CLOEXEC, mode));
}

Result<void> KernelPosix::Close(int fd) {
  open_fds_.erase(fd);
  return Done(close(fd));
}

Result<int> KernelPosix::Dup(int fd) { return Opened(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

Result<int> KernelPosix::GetFlags(int fd) {
  // The C library says that this flag is 0.
  constexpr int kLargeFile = 0100000;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return Err(errno);
  return flags & ~kLargeFile;
}

Result<void> KernelPosix::SetFlags(int fd, int flags) { return Done(fcntl(fd, F_SETFL, flags)); }

Result<std::string> KernelPosix::Read(int fd, size_t size) {
  std::string bytes(size, '\0');
  const ssize_t n = read(fd, bytes.data(), size);
  if (n < 0) return Err(errno);
  bytes.resize(static_cast<size_t>(n));
  return bytes;
}

Result<std::string> KernelPosix::PRead(int fd, int64_t offset, size_t size) {
  std::string bytes(size, '\0');
  const ssize_t n = pread(fd, bytes.data(), size, offset);
  if (n < 0) return Err(errno);
  bytes.resize(static_cast<size_t>(n));
  return bytes;
}

Result<size_t> KernelPosix::Write(int fd, std::string_view bytes) {
  return Value<size_t>(write(fd, bytes.data(), bytes.size()));
}

Result<size_t> KernelPosix::PWrite(int fd, int64_t offset, std::string_view bytes) {
  return Value<size_t>(pwrite(fd, bytes.data(), bytes.size(), offset));
}

Result<int64_t> KernelPosix::Seek(int fd, int64_t offset, int whence) {
  return Value<int64_t>(lseek(fd, offset, whence));
}

Result<void> KernelPosix::Fsync(int fd) { return Done(fsync(fd)); }

Result<void> KernelPosix::FTruncate(int fd, int64_t size) { return Done(ftruncate(fd, size)); }

Result<void> KernelPosix::Fallocate(int fd, int mode, int64_t offset, int64_t length) {
  return Done(fallocate(fd, mode, offset, length));
}

Result<int64_t> KernelPosix::CopyFileRange(int from, int64_t from_offset, int to, int64_t to_offset,
                                           size_t length) {
  return Value<int64_t>(copy_file_range(from, &from_offset, to, &to_offset, length, 0));
}

Result<std::vector<Dirent>> KernelPosix::GetDents(int fd, size_t buffer_size) {
  struct Header {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
  };
  constexpr size_t kNameOffset = 19;
  std::string buffer(buffer_size, '\0');
  const long n = syscall(SYS_getdents64, fd, buffer.data(), buffer.size());
  if (n < 0) return Err(errno);
  std::vector<Dirent> entries;
  for (size_t at = 0; at < static_cast<size_t>(n);) {
    Header header;
    std::memcpy(&header, &buffer[at], kNameOffset);
    entries.push_back({&buffer[at + kNameOffset], header.ino, header.type, header.off});
    at += header.reclen;
  }
  return entries;
}

Result<void> KernelPosix::Truncate(const At& at, int64_t size) {
  return Done(truncate(at.path.c_str(), size));
}

Result<void> KernelPosix::Mkdir(const At& at, uint32_t mode) {
  return Done(mkdirat(at.dir, at.path.c_str(), mode));
}

Result<void> KernelPosix::Mknod(const At& at, uint32_t mode, uint64_t rdev) {
  return Done(mknodat(at.dir, at.path.c_str(), mode, rdev));
}

Result<void> KernelPosix::Symlink(const std::string& target, const At& at) {
  return Done(symlinkat(target.c_str(), at.dir, at.path.c_str()));
}

Result<std::string> KernelPosix::ReadLink(const At& at) {
  std::string target(PATH_MAX, '\0');
  const ssize_t n = readlinkat(at.dir, at.path.c_str(), target.data(), target.size());
  if (n < 0) return Err(errno);
  target.resize(static_cast<size_t>(n));
  return target;
}

Result<void> KernelPosix::Link(const At& from, const At& to, int flags) {
  return Done(
      linkat(from.dir, from.path.c_str(), to.dir, to.path.c_str(), flags | EmptyPathFlag(from)));
}

Result<void> KernelPosix::Unlink(const At& at) {
  return Done(unlinkat(at.dir, at.path.c_str(), 0));
}

Result<void> KernelPosix::Rmdir(const At& at) {
  return Done(unlinkat(at.dir, at.path.c_str(), AT_REMOVEDIR));
}

Result<void> KernelPosix::Rename(const At& from, const At& to, uint32_t flags) {
  return Done(syscall(SYS_renameat2, from.dir, from.path.c_str(), to.dir, to.path.c_str(), flags));
}

Result<vfs::Stat> KernelPosix::Stat(const At& at, int flags) {
  struct statx stx;
  if (statx(at.dir, at.path.c_str(), flags | EmptyPathFlag(at), STATX_BASIC_STATS | STATX_BTIME,
            &stx) != 0) {
    return Err(errno);
  }
  vfs::Stat stat;
  stat.ino = stx.stx_ino;
  stat.size = stx.stx_size;
  stat.blocks = stx.stx_blocks;
  stat.rdev = makedev(stx.stx_rdev_major, stx.stx_rdev_minor);
  stat.atime = ToNs(stx.stx_atime);
  stat.mtime = ToNs(stx.stx_mtime);
  stat.ctime = ToNs(stx.stx_ctime);
  stat.btime = (stx.stx_mask & STATX_BTIME) != 0 ? ToNs(stx.stx_btime) : 0;
  stat.mode = stx.stx_mode;
  stat.nlink = stx.stx_nlink;
  stat.uid = stx.stx_uid;
  stat.gid = stx.stx_gid;
  stat.blksize = stx.stx_blksize;
  stat.dev = stx.stx_dev_minor;
  return stat;
}

Result<void> KernelPosix::Chmod(const At& at, uint32_t mode) {
  return Done(at.is_file() ? fchmod(at.dir, mode) : fchmodat(at.dir, at.path.c_str(), mode, 0));
}

Result<void> KernelPosix::Chown(const At& at, uint32_t uid, uint32_t gid, int flags) {
  return Done(at.is_file() ? fchown(at.dir, uid, gid)
                           : fchownat(at.dir, at.path.c_str(), uid, gid, flags));
}

Result<void> KernelPosix::UTimens(const At& at, std::optional<SetTime> atime,
                                  std::optional<SetTime> mtime, int flags) {
  const std::array<timespec, 2> times = {ToTimespec(atime), ToTimespec(mtime)};
  return Done(at.is_file() ? futimens(at.dir, times.data())
                           : utimensat(at.dir, at.path.c_str(), times.data(), flags));
}

Result<void> KernelPosix::SetXattr(const At& at, const std::string& name, std::string_view value,
                                   int xattr_flags, int flags) {
  if (at.is_file())
    return Done(fsetxattr(at.dir, name.c_str(), value.data(), value.size(), xattr_flags));
  const auto set = flags == 0 ? setxattr : lsetxattr;
  return Done(set(at.path.c_str(), name.c_str(), value.data(), value.size(), xattr_flags));
}

Result<std::string> KernelPosix::GetXattr(const At& at, const std::string& name, int flags) {
  std::string value(XATTR_SIZE_MAX, '\0');
  const auto get = flags == 0 ? getxattr : lgetxattr;
  const ssize_t n = at.is_file() ? fgetxattr(at.dir, name.c_str(), value.data(), value.size())
                                 : get(at.path.c_str(), name.c_str(), value.data(), value.size());
  if (n < 0) return Err(errno);
  value.resize(static_cast<size_t>(n));
  return value;
}

Result<std::vector<std::string>> KernelPosix::ListXattr(const At& at, int flags) {
  std::string list(XATTR_LIST_MAX, '\0');
  const auto get = flags == 0 ? listxattr : llistxattr;
  const ssize_t n = at.is_file() ? flistxattr(at.dir, list.data(), list.size())
                                 : get(at.path.c_str(), list.data(), list.size());
  if (n < 0) return Err(errno);
  std::vector<std::string> names;
  for (size_t i = 0; i < static_cast<size_t>(n); i += names.back().size() + 1)
    names.emplace_back(&list[i]);
  return names;
}

Result<void> KernelPosix::RemoveXattr(const At& at, const std::string& name, int flags) {
  if (at.is_file()) return Done(fremovexattr(at.dir, name.c_str()));
  const auto remove = flags == 0 ? removexattr : lremovexattr;
  return Done(remove(at.path.c_str(), name.c_str()));
}

Result<void> KernelPosix::Access(const At& at, int mode) {
  return Done(
      syscall(SYS_faccessat2, at.dir, at.path.c_str(), mode, AT_EACCESS | EmptyPathFlag(at)));
}

Result<vfs::StatFs> KernelPosix::StatFs(const At& at) {
  struct statfs st;
  const int result = at.is_file() ? fstatfs(at.dir, &st) : statfs(at.path.c_str(), &st);
  if (result != 0) return Err(errno);
  vfs::StatFs stat;
  stat.type = static_cast<uint64_t>(st.f_type);
  stat.block_size = static_cast<uint64_t>(st.f_bsize);
  stat.blocks = st.f_blocks;
  stat.blocks_free = st.f_bfree;
  stat.files = st.f_files;
  stat.files_free = st.f_ffree;
  stat.name_max = static_cast<uint64_t>(st.f_namelen);
  return stat;
}

Result<void> KernelPosix::SetLock(int fd, int command, const struct flock& lock) {
  return SetLockOf(fd, command, lock);
}

Result<struct flock> KernelPosix::GetLock(int fd, int command, const struct flock& lock) {
  return GetLockOf(fd, command, lock);
}

Result<void> KernelPosix::Flock(int fd, int operation) { return Done(flock(fd, operation)); }

std::unique_ptr<Process> KernelPosix::Fork() { return std::make_unique<KernelProcess>(); }

Result<int> KernelPosix::InotifyInit() { return Opened(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)); }

Result<int> KernelPosix::InotifyAddWatch(int fd, const std::string& path, uint32_t mask) {
  return Value<int>(inotify_add_watch(fd, path.c_str(), mask));
}

Result<void> KernelPosix::InotifyRmWatch(int fd, int wd) { return Done(inotify_rm_watch(fd, wd)); }

Result<std::vector<InotifyEvent>> KernelPosix::ReadEvents(int fd, size_t buffer_size) {
  STASIS_ASSIGN_OR_RETURN(const std::string bytes, Read(fd, buffer_size));
  std::vector<InotifyEvent> events;
  for (size_t at = 0; at < bytes.size();) {
    struct inotify_event event;
    memcpy(&event, &bytes[at], sizeof(event));
    at += sizeof(event);
    events.push_back({event.wd, event.mask, event.cookie, ""});
    if (event.len != 0) events.back().name = &bytes[at];
    at += event.len;
  }
  return events;
}

Result<void> KernelPosix::Chdir(const At& at) {
  return Done(at.is_file() ? fchdir(at.dir) : chdir(at.path.c_str()));
}

uint32_t KernelPosix::Umask(uint32_t mask) { return umask(mask); }

// Of this thread, where the C library would change the whole process. The real and the saved user
// stay root, so that there is a way back.
void KernelPosix::Become(const Identity& identity) {
  const std::vector<gid_t> groups(identity.groups.begin(), identity.groups.end());
  Require(syscall(SYS_setresuid, -1, 0, -1) == 0, "setresuid");
  Require(syscall(SYS_setgroups, groups.size(), groups.data()) == 0, "setgroups");
  Require(syscall(SYS_setresgid, -1, identity.gid, -1) == 0, "setresgid");
  Require(syscall(SYS_setresuid, -1, identity.uid, -1) == 0, "setresuid");
}

Result<void> KernelPosix::MountAnother(const std::string& directory, vfs::MountFlags flags) {
  const unsigned long atime = (flags.no_atime ? MS_NOATIME : 0) |
                              (flags.no_dir_atime ? MS_NODIRATIME : 0) |
                              (flags.strict_atime ? MS_STRICTATIME : 0);
  return Done(mount("tmpfs", directory.c_str(), "tmpfs", atime, nullptr));
}

Result<void> KernelPosix::SetReadOnly(bool read_only) {
  return Done(
      mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | (read_only ? MS_RDONLY : 0), nullptr));
}

// The kernel's clock for files moves with the timer interrupt.
void KernelPosix::Tick() { std::this_thread::sleep_for(std::chrono::milliseconds(12)); }

TmpfsPosix::TmpfsPosix(uint64_t size_limit, uint64_t inode_limit) {
  mount_point().MountTmpfs(size_limit, inode_limit);
  Enter();
}

TmpfsPosix::~TmpfsPosix() { Leave(); }

}  // namespace stasis::posix
