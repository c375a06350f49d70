// SPDX-License-Identifier: Apache-2.0
//
// kernel_posix.h: the system calls themselves, in a filesystem that the kernel has mounted.
//
// The calling thread moves into the mount (chroot) for the lifetime of a KernelPosix, and takes on
// the identities; so there is one at a time, and whatever needs the host's files is done before.

#ifndef STASIS_TESTS_POSIX_KERNEL_POSIX_H_
#define STASIS_TESTS_POSIX_KERNEL_POSIX_H_

#include <set>
#include <string>
#include <vector>

#include "state/base/unique_fd.h"
#include "tests/posix/posix.h"

namespace stasis::posix {

class KernelPosix : public Posix {
 public:
  ~KernelPosix() override;
  KernelPosix(const KernelPosix&) = delete;
  KernelPosix& operator=(const KernelPosix&) = delete;

  Result<int> Open(const At& at, int flags, uint32_t mode) override;
  Result<void> Close(int fd) override;
  Result<int> Dup(int fd) override;
  Result<int> GetFlags(int fd) override;
  Result<void> SetFlags(int fd, int flags) override;
  Result<std::string> Read(int fd, size_t size) override;
  Result<std::string> PRead(int fd, int64_t offset, size_t size) override;
  Result<size_t> Write(int fd, std::string_view bytes) override;
  Result<size_t> PWrite(int fd, int64_t offset, std::string_view bytes) override;
  Result<int64_t> Seek(int fd, int64_t offset, int whence) override;
  Result<void> Fsync(int fd) override;
  Result<void> FTruncate(int fd, int64_t size) override;
  Result<void> Fallocate(int fd, int mode, int64_t offset, int64_t length) override;
  Result<int64_t> CopyFileRange(int from, int64_t from_offset, int to, int64_t to_offset,
                                size_t length) override;
  Result<std::vector<Dirent>> GetDents(int fd, size_t buffer_size) override;
  Result<void> Truncate(const At& at, int64_t size) override;
  Result<void> Mkdir(const At& at, uint32_t mode) override;
  Result<void> Mknod(const At& at, uint32_t mode, uint64_t rdev) override;
  Result<void> Symlink(const std::string& target, const At& at) override;
  Result<std::string> ReadLink(const At& at) override;
  Result<void> Link(const At& from, const At& to, int flags) override;
  Result<void> Unlink(const At& at) override;
  Result<void> Rmdir(const At& at) override;
  Result<void> Rename(const At& from, const At& to, uint32_t flags) override;
  Result<vfs::Stat> Stat(const At& at, int flags) override;
  Result<void> Chmod(const At& at, uint32_t mode) override;
  Result<void> Chown(const At& at, uint32_t uid, uint32_t gid, int flags) override;
  Result<void> UTimens(const At& at, std::optional<SetTime> atime, std::optional<SetTime> mtime,
                       int flags) override;
  Result<void> SetXattr(const At& at, const std::string& name, std::string_view value,
                        int xattr_flags, int flags) override;
  Result<std::string> GetXattr(const At& at, const std::string& name, int flags) override;
  Result<std::vector<std::string>> ListXattr(const At& at, int flags) override;
  Result<void> RemoveXattr(const At& at, const std::string& name, int flags) override;
  Result<void> Access(const At& at, int mode) override;
  Result<vfs::StatFs> StatFs(const At& at) override;
  Result<void> SetLock(int fd, int command, const struct flock& lock) override;
  Result<struct flock> GetLock(int fd, int command, const struct flock& lock) override;
  Result<void> Flock(int fd, int operation) override;
  Result<int> InotifyInit() override;
  Result<int> InotifyAddWatch(int fd, const std::string& path, uint32_t mask) override;
  Result<void> InotifyRmWatch(int fd, int wd) override;
  Result<std::vector<InotifyEvent>> ReadEvents(int fd, size_t buffer_size) override;
  std::unique_ptr<Process> Fork() override;
  Result<void> Chdir(const At& at) override;
  uint32_t Umask(uint32_t mask) override;
  void Become(const Identity& identity) override;
  Result<void> MountAnother(const std::string& directory, vfs::MountFlags flags) override;
  Result<void> SetReadOnly(bool read_only) override;
  void Tick() override;

 protected:
  // Makes the directory for the mount. The process gets a mount namespace of its own.
  KernelPosix();
  // The mount point, as it is outside of Enter() and Leave().
  const std::string& mount_point() const { return mount_point_; }
  // Moves into the mount, which is there now; and out of it, so that it can be unmounted.
  void Enter();
  void Leave();

 private:
  Result<int> Opened(int fd);

  std::string mount_point_;
  UniqueFd outside_;  // the root directory of before
  std::set<int> open_fds_;
};

// A new tmpfs of the kernel.
class TmpfsPosix final : public KernelPosix {
 public:
  // 0: no limit.
  TmpfsPosix(uint64_t size_limit, uint64_t inode_limit);
  ~TmpfsPosix() override;
};

}  // namespace stasis::posix

#endif  // STASIS_TESTS_POSIX_KERNEL_POSIX_H_
