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
// Each verb is the system call of that name, with its errors; most are declared in posix_calls.inc.
// "/" is the root of the filesystem, which belongs to root and has the mode 0755; it is where a new
// Posix starts, as root, with a umask of 0.

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
#define STASIS_POSIX_CALL = 0
#include "tests/posix/posix_calls.inc"

  Result<vfs::Stat> LStat(const At& at) { return Stat(at, AT_SYMLINK_NOFOLLOW); }
  Result<void> LChown(const At& at, uint32_t uid, uint32_t gid) {
    return Chown(at, uid, gid, AT_SYMLINK_NOFOLLOW);
  }
};

}  // namespace stasis::posix

#endif  // STASIS_TESTS_POSIX_POSIX_H_
