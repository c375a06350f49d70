// SPDX-License-Identifier: Apache-2.0
//
// posix.h: the system calls that deal with files, as an interface that several filesystems have.
//
//   sys.Mkdir("/d", 0755);
//   const int fd = sys.Open("/d/f", O_RDWR | O_CREAT, 0644).value();
//   sys.Write(fd, "hello");
//   EXPECT_THAT(sys.Rmdir("/d"), IsErrno(ENOTEMPTY));
//   sys.Become({.uid = 1000, .gid = 1000});
//   EXPECT_THAT(sys.Unlink({dir_fd, "f"}), IsErrno(EACCES));
//   const auto child = sys.Fork();
//   EXPECT_THAT(child->SetLock(fd, F_SETLK, lock), IsErrno(EAGAIN));
//
// Each verb is the system call of that name, with its errors. "/" is the root of the filesystem,
// which belongs to root and has the mode 0755; it is where a new Posix starts, as root, with a
// umask of 0.

#ifndef STASIS_TESTS_POSIX_POSIX_H_
#define STASIS_TESTS_POSIX_POSIX_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "state/base/clock.h"
#include "state/base/result.h"
#include "vfs/inotify.h"
#include "vfs/mount.h"
#include "vfs/stat.h"

namespace stasis::posix {

// A path, as the ...at() calls take it. The empty path with a descriptor is the open file itself
// (AT_EMPTY_PATH), and so are the calls that take a descriptor instead of a path.
struct At {
  At(const char* to) : path(to) {}                                       // NOLINT
  At(std::string to) : path(std::move(to)) {}                            // NOLINT
  At(int from, std::string to = "") : dir(from), path(std::move(to)) {}  // NOLINT

  bool is_file() const { return dir != AT_FDCWD && path.empty(); }

  int dir = AT_FDCWD;
  std::string path;
};

// Root (0) has all capabilities, others have none.
struct Identity {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups = {};  // supplementary
};

struct Dirent {
  std::string name;
  uint64_t ino = 0;
  uint32_t type = 0;     // DT_...
  int64_t position = 0;  // d_off: where lseek(2) leads to the entry after this one
};

using vfs::InotifyEvent;
using vfs::SetTime;
using vfs::Stat;
using vfs::StatFs;

// The calls whose effect is one process's: POSIX locks, and what ends them.
class Process {
 public:
  virtual ~Process() = default;  // as exit(2)

  virtual Result<void> Close(int fd) = 0;
  // `command`: F_SETLK, F_OFD_SETLK, F_GETLK, F_OFD_GETLK of fcntl(2).
  virtual Result<void> SetLock(int fd, int command, const struct flock& lock) = 0;
  virtual Result<struct flock> GetLock(int fd, int command, const struct flock& lock) = 0;
  virtual Result<void> Flock(int fd, int operation) = 0;
};

class Posix : public Process {
 public:
  virtual Result<int> Open(const At& at, int flags, uint32_t mode = 0) = 0;
  virtual Result<int> Dup(int fd) = 0;
  // F_GETFL, without O_LARGEFILE; F_SETFL.
  virtual Result<int> GetFlags(int fd) = 0;
  virtual Result<void> SetFlags(int fd, int flags) = 0;

  virtual Result<std::string> Read(int fd, size_t size) = 0;
  virtual Result<std::string> PRead(int fd, int64_t offset, size_t size) = 0;
  virtual Result<size_t> Write(int fd, std::string_view bytes) = 0;
  virtual Result<size_t> PWrite(int fd, int64_t offset, std::string_view bytes) = 0;
  virtual Result<int64_t> Seek(int fd, int64_t offset, int whence) = 0;
  virtual Result<void> Fsync(int fd) = 0;
  virtual Result<void> FTruncate(int fd, int64_t size) = 0;
  virtual Result<void> Fallocate(int fd, int mode, int64_t offset, int64_t length) = 0;
  virtual Result<int64_t> CopyFileRange(int from, int64_t from_offset, int to, int64_t to_offset,
                                        size_t length) = 0;
  // getdents64(2) with a buffer of that size. Nothing at the end.
  virtual Result<std::vector<Dirent>> GetDents(int fd, size_t buffer_size = 32768) = 0;

  virtual Result<void> Truncate(const At& at, int64_t size) = 0;
  virtual Result<void> Mkdir(const At& at, uint32_t mode) = 0;
  virtual Result<void> Mknod(const At& at, uint32_t mode, uint64_t rdev = 0) = 0;
  virtual Result<void> Symlink(const std::string& target, const At& at) = 0;
  virtual Result<std::string> ReadLink(const At& at) = 0;
  // `flags`: AT_SYMLINK_FOLLOW. An open file without a name is `from` with an empty path.
  virtual Result<void> Link(const At& from, const At& to, int flags = 0) = 0;
  virtual Result<void> Unlink(const At& at) = 0;
  virtual Result<void> Rmdir(const At& at) = 0;
  virtual Result<void> Rename(const At& from, const At& to, uint32_t flags = 0) = 0;

  // `flags` of these: AT_SYMLINK_NOFOLLOW, which for a path makes the call that starts with an l.
  virtual Result<vfs::Stat> Stat(const At& at, int flags = 0) = 0;
  virtual Result<void> Chmod(const At& at, uint32_t mode) = 0;
  virtual Result<void> Chown(const At& at, uint32_t uid, uint32_t gid, int flags = 0) = 0;
  // A time that is not given stays (UTIME_OMIT).
  virtual Result<void> UTimens(const At& at, std::optional<SetTime> atime,
                               std::optional<SetTime> mtime, int flags = 0) = 0;
  virtual Result<void> SetXattr(const At& at, const std::string& name, std::string_view value,
                                int xattr_flags = 0, int flags = 0) = 0;
  virtual Result<std::string> GetXattr(const At& at, const std::string& name, int flags = 0) = 0;
  virtual Result<std::vector<std::string>> ListXattr(const At& at, int flags = 0) = 0;
  virtual Result<void> RemoveXattr(const At& at, const std::string& name, int flags = 0) = 0;
  // With the effective identity (AT_EACCES).
  virtual Result<void> Access(const At& at, int mode) = 0;
  virtual Result<vfs::StatFs> StatFs(const At& at) = 0;

  // Without IN_CLOEXEC or IN_NONBLOCK; reads never wait.
  virtual Result<int> InotifyInit() = 0;
  virtual Result<int> InotifyAddWatch(int fd, const std::string& path, uint32_t mask) = 0;
  virtual Result<void> InotifyRmWatch(int fd, int wd) = 0;
  // read(2) with a buffer of that size.
  virtual Result<std::vector<InotifyEvent>> ReadEvents(int fd, size_t buffer_size = 65536) = 0;

  // Another process, with the descriptors that there are now.
  virtual std::unique_ptr<Process> Fork() = 0;

  // Of the caller. A umask or an identity holds until the next one.
  virtual Result<void> Chdir(const At& at) = 0;
  virtual uint32_t Umask(uint32_t mask) = 0;
  virtual void Become(const Identity& identity) = 0;

  // Not of a program: another filesystem on a directory, with flags (of which only those about
  // access times count); the mount at "/", read-only or not; time that passes, so that times of
  // what is done before and after differ.
  virtual Result<void> MountAnother(const std::string& directory, vfs::MountFlags flags = {}) = 0;
  virtual Result<void> SetReadOnly(bool read_only) = 0;
  virtual void Tick() = 0;

  Result<vfs::Stat> LStat(const At& at) { return Stat(at, AT_SYMLINK_NOFOLLOW); }
  Result<void> LChown(const At& at, uint32_t uid, uint32_t gid) {
    return Chown(at, uid, gid, AT_SYMLINK_NOFOLLOW);
  }
};

}  // namespace stasis::posix

#endif  // STASIS_TESTS_POSIX_POSIX_H_
