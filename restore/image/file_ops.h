// SPDX-License-Identifier: Apache-2.0
//
// file_ops.h: the system calls that images are read and written with.
//
// Everything in restore/image goes through a FileOps, so that tests can let the Nth call fail or
// write less than it was asked to. Names are single components, relative to a directory descriptor
// ("a/b" is used for none but the fixed folders of a layout).

#ifndef STASIS_RESTORE_IMAGE_FILE_OPS_H_
#define STASIS_RESTORE_IMAGE_FILE_OPS_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "state/base/result.h"
#include "state/base/unique_fd.h"

namespace stasis::image {

// Each call is one system call with its errors; EINTR is retried. Thread-safe.
class FileOps {
 public:
  virtual ~FileOps() = default;

  // Adds O_CLOEXEC.
  virtual Result<UniqueFd> OpenAt(int dir, const std::string& name, int flags, mode_t mode) = 0;
  virtual Result<void> MkdirAt(int dir, const std::string& name, mode_t mode) = 0;
  virtual Result<struct stat> Stat(int fd) = 0;
  // Does not follow a symlink.
  virtual Result<struct stat> StatAt(int dir, const std::string& name) = 0;
  // Names in a directory without "." and "..".
  virtual Result<std::vector<std::string>> List(int dir) = 0;
  // May read or write less than asked; a read of 0 bytes is the end of the file.
  virtual Result<size_t> ReadAt(int fd, std::span<std::byte> out, uint64_t offset) = 0;
  virtual Result<size_t> Write(int fd, std::span<const std::byte> data) = 0;
  // Reserves space; the file's size becomes at least `size`.
  virtual Result<void> Allocate(int fd, uint64_t size) = 0;
  virtual Result<void> Truncate(int fd, uint64_t size) = 0;
  // Starts writing a range back without waiting for it.
  virtual Result<void> StartWriteback(int fd, uint64_t offset, uint64_t length) = 0;
  // fdatasync for files, fsync for directories.
  virtual Result<void> SyncData(int fd) = 0;
  virtual Result<void> SyncDirectory(int fd) = 0;
  virtual Result<void> RenameAt(int from_dir, const std::string& from, int to_dir,
                                const std::string& to) = 0;
  virtual Result<void> UnlinkAt(int dir, const std::string& name) = 0;
  // flock(LOCK_EX | LOCK_NB). Errors: EWOULDBLOCK if another holds it.
  virtual Result<void> LockExclusive(int fd) = 0;
};

// The host's system calls.
class PosixFileOps : public FileOps {
 public:
  Result<UniqueFd> OpenAt(int dir, const std::string& name, int flags, mode_t mode) override;
  Result<void> MkdirAt(int dir, const std::string& name, mode_t mode) override;
  Result<struct stat> Stat(int fd) override;
  Result<struct stat> StatAt(int dir, const std::string& name) override;
  Result<std::vector<std::string>> List(int dir) override;
  Result<size_t> ReadAt(int fd, std::span<std::byte> out, uint64_t offset) override;
  Result<size_t> Write(int fd, std::span<const std::byte> data) override;
  Result<void> Allocate(int fd, uint64_t size) override;
  Result<void> Truncate(int fd, uint64_t size) override;
  Result<void> StartWriteback(int fd, uint64_t offset, uint64_t length) override;
  Result<void> SyncData(int fd) override;
  Result<void> SyncDirectory(int fd) override;
  Result<void> RenameAt(int from_dir, const std::string& from, int to_dir,
                        const std::string& to) override;
  Result<void> UnlinkAt(int dir, const std::string& name) override;
  Result<void> LockExclusive(int fd) override;
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_FILE_OPS_H_
