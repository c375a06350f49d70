// SPDX-License-Identifier: Apache-2.0
//
// host_ops.h: the system calls that a gofer makes on the host.
//
// An interface, so that tests can make any of them fail. Descriptors may be O_PATH ones wherever
// the call has no need of more. Files are named by one component relative to a directory's
// descriptor, or by a descriptor of their own: nothing here follows a symbolic link, and only
// OpenBeneath takes more than one component, and cannot leave the directory that it starts from.
//
// Errors are those of the system calls.

#ifndef STASIS_FSIMPL_GOFER_HOST_OPS_H_
#define STASIS_FSIMPL_GOFER_HOST_OPS_H_

#include <absl/functional/function_ref.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "state/base/clock.h"
#include "state/base/result.h"
#include "state/base/unique_fd.h"
#include "vfs/stat.h"

namespace stasis::gofer {

// What tells one file of the host from all others, as long as it exists.
struct HostKey {
  uint64_t dev = 0;
  uint64_t ino = 0;

  friend bool operator==(const HostKey&, const HostKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const HostKey& key) {
    return H::combine(std::move(h), key.dev, key.ino);
  }
};

// statx(2). `stat.ino` and `stat.dev` are not set: `key` has the host's. `stat.btime` is 0 where
// the host's filesystem keeps none.
struct HostStat {
  HostKey key;
  vfs::Stat stat;

  uint32_t type() const { return stat.mode & S_IFMT; }
};

struct HostDirent {
  std::string_view name;
  uint64_t ino = 0;
  uint32_t type = 0;  // S_IFMT bits; 0 if the filesystem does not say
};

// Thread-safe.
class HostOps {
 public:
  virtual ~HostOps() = default;

  // A directory by its path, which may lead over links: where a tree begins.
  virtual Result<UniqueFd> OpenRoot(const std::string& path) = 0;
  // openat2(2) that neither leaves `dir` nor follows a link. `flags` without O_CLOEXEC. Errors
  // also: ESTALE if it would have left, because of a rename.
  virtual Result<UniqueFd> OpenBeneath(int dir, const std::string& path, int flags,
                                       uint32_t mode) = 0;
  // The file of a descriptor (O_PATH or not, deleted or not) once more, with other flags.
  virtual Result<UniqueFd> Reopen(int fd, int flags) = 0;

  // Of a file by name, or with an empty name of `fd` itself.
  virtual Result<HostStat> Statx(int fd, const std::string& name) = 0;
  virtual Result<std::string> ReadLink(int fd, const std::string& name) = 0;
  virtual Result<vfs::StatFs> GetStatFs(int fd) = 0;
  // All entries but "." and "..". `dir` is readable; its position changes.
  virtual Result<void> ReadDir(int dir, absl::FunctionRef<void(const HostDirent&)> fn) = 0;

  virtual Result<void> Mkdir(int dir, const std::string& name, uint32_t mode) = 0;
  virtual Result<void> Mknod(int dir, const std::string& name, uint32_t mode, uint64_t rdev) = 0;
  virtual Result<void> Symlink(const std::string& target, int dir, const std::string& name) = 0;
  // Gives the file of `fd` another name, also one without any (O_TMPFILE).
  virtual Result<void> Link(int fd, int dir, const std::string& name) = 0;
  virtual Result<void> Unlink(int dir, const std::string& name, bool directory) = 0;
  virtual Result<void> Rename(int old_dir, const std::string& old_name, int new_dir,
                              const std::string& new_name, uint32_t flags) = 0;

  virtual Result<void> Chmod(int fd, uint32_t mode) = 0;
  // -1 leaves an owner as it is.
  virtual Result<void> Chown(int fd, uint32_t uid, uint32_t gid) = 0;
  // As utimensat(2): UTIME_NOW and UTIME_OMIT as nanoseconds.
  virtual Result<void> SetTimes(int fd, const timespec& atime, const timespec& mtime) = 0;

  virtual Result<std::string> GetXattr(int fd, const std::string& name) = 0;
  virtual Result<void> SetXattr(int fd, const std::string& name, std::string_view value,
                                int flags) = 0;
  virtual Result<std::vector<std::string>> ListXattr(int fd) = 0;
  virtual Result<void> RemoveXattr(int fd, const std::string& name) = 0;

  // May do less than asked for; 0 only at the end of the file.
  virtual Result<size_t> Read(int fd, uint64_t offset, std::span<std::byte> out) = 0;
  virtual Result<size_t> Write(int fd, uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual Result<void> Truncate(int fd, uint64_t size) = 0;
  virtual Result<void> Allocate(int fd, int mode, uint64_t offset, uint64_t length) = 0;
  virtual Result<uint64_t> CopyRange(int from, uint64_t from_offset, int to, uint64_t to_offset,
                                     uint64_t length) = 0;
  // SEEK_DATA and SEEK_HOLE.
  virtual Result<uint64_t> Seek(int fd, uint64_t offset, int whence) = 0;
  virtual Result<void> Sync(int fd) = 0;
  virtual Result<void> SyncFs(int fd) = 0;
};

// The host's own.
std::shared_ptr<HostOps> MakeHostOps();
// None at all: ESTALE.
std::shared_ptr<HostOps> MakeNoHostOps();

}  // namespace stasis::gofer

#endif  // STASIS_FSIMPL_GOFER_HOST_OPS_H_
