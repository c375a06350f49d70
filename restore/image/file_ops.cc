// SPDX-License-Identifier: Apache-2.0

#include "restore/image/file_ops.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace stasis::image {
namespace {

// Calls `fn` until it is not interrupted.
template <typename Fn>
auto Retry(Fn fn) {
  decltype(fn()) result;
  do {
    result = fn();
  } while (result < 0 && errno == EINTR);
  return result;
}

Result<void> Check(int result) {
  if (result < 0) return Err(errno);
  return {};
}

}  // namespace

Result<UniqueFd> PosixFileOps::OpenAt(int dir, const std::string& name, int flags, mode_t mode) {
  const int fd = Retry([&] { return ::openat(dir, name.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) return Err(errno);
  return UniqueFd(fd);
}

Result<void> PosixFileOps::MkdirAt(int dir, const std::string& name, mode_t mode) {
  return Check(::mkdirat(dir, name.c_str(), mode));
}

Result<struct stat> PosixFileOps::Stat(int fd) {
  struct stat st;
  if (::fstat(fd, &st) < 0) return Err(errno);
  return st;
}

Result<struct stat> PosixFileOps::StatAt(int dir, const std::string& name) {
  struct stat st;
  if (::fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) return Err(errno);
  return st;
}

Result<std::vector<std::string>> PosixFileOps::List(int dir) {
  STASIS_ASSIGN_OR_RETURN(UniqueFd fd, PosixFileOps::OpenAt(dir, ".", O_RDONLY | O_DIRECTORY, 0));
  struct Close {
    void operator()(DIR* stream) const { ::closedir(stream); }
  };
  std::unique_ptr<DIR, Close> stream(::fdopendir(fd.get()));
  if (stream == nullptr) return Err(errno);
  (void)fd.release();  // the stream's now
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  if (errno != 0) return Err(errno);
  return names;
}

Result<size_t> PosixFileOps::ReadAt(int fd, std::span<std::byte> out, uint64_t offset) {
  const ssize_t n =
      Retry([&] { return ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset)); });
  if (n < 0) return Err(errno);
  return static_cast<size_t>(n);
}

Result<size_t> PosixFileOps::Write(int fd, std::span<const std::byte> data) {
  const ssize_t n = Retry([&] { return ::write(fd, data.data(), data.size()); });
  if (n < 0) return Err(errno);
  return static_cast<size_t>(n);
}

Result<void> PosixFileOps::Allocate(int fd, uint64_t size) {
  return Check(Retry([&] { return ::fallocate(fd, 0, 0, static_cast<off_t>(size)); }));
}

Result<void> PosixFileOps::Truncate(int fd, uint64_t size) {
  return Check(Retry([&] { return ::ftruncate(fd, static_cast<off_t>(size)); }));
}

Result<void> PosixFileOps::StartWriteback(int fd, uint64_t offset, uint64_t length) {
  return Check(::sync_file_range(fd, static_cast<off_t>(offset), static_cast<off_t>(length),
                                 SYNC_FILE_RANGE_WRITE));
}

Result<void> PosixFileOps::SyncData(int fd) {
  return Check(Retry([&] { return ::fdatasync(fd); }));
}

Result<void> PosixFileOps::SyncDirectory(int fd) {
  return Check(Retry([&] { return ::fsync(fd); }));
}

Result<void> PosixFileOps::RenameAt(int from_dir, const std::string& from, int to_dir,
                                    const std::string& to) {
  return Check(::renameat(from_dir, from.c_str(), to_dir, to.c_str()));
}

Result<void> PosixFileOps::UnlinkAt(int dir, const std::string& name) {
  return Check(::unlinkat(dir, name.c_str(), 0));
}

Result<void> PosixFileOps::LockExclusive(int fd) {
  return Check(Retry([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }));
}

}  // namespace stasis::image
