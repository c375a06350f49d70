// SPDX-License-Identifier: Apache-2.0

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "state/base/unique_fd.h"
#include "tests/testing/storm.h"
#include "vfs/file_description.h"

namespace stasis::testing {
namespace {

Result<void> ResultOf(long returned) {
  if (returned < 0) return Err(errno);
  return {};
}

}  // namespace

Result<void> VfsCalls::Create(const std::string& path) {
  STASIS_RETURN_IF_ERROR(
      vfs_.OpenAt(creds_, At(path), {.flags = O_CREAT | O_EXCL | O_WRONLY, .mode = 0644}));
  return {};
}

Result<void> VfsCalls::Mkdir(const std::string& path) {
  return vfs_.MkdirAt(creds_, At(path), 0755);
}

Result<void> VfsCalls::Link(const std::string& from, const std::string& to) {
  return vfs_.LinkAt(creds_, At(from), At(to));
}

Result<void> VfsCalls::Unlink(const std::string& path) { return vfs_.UnlinkAt(creds_, At(path)); }

Result<void> VfsCalls::Rmdir(const std::string& path) { return vfs_.RmdirAt(creds_, At(path)); }

Result<void> VfsCalls::Rename(const std::string& from, const std::string& to, uint32_t flags) {
  return vfs_.RenameAt(creds_, At(from), At(to), flags);
}

Result<StormCalls::File> VfsCalls::Stat(const std::string& path) {
  STASIS_ASSIGN_OR_RETURN(const vfs::Stat stat, vfs_.StatAt(creds_, At(path)));
  return File{stat.ino, stat.nlink, S_ISDIR(stat.mode)};
}

Result<std::vector<std::string>> VfsCalls::List(const std::string& path) {
  constexpr size_t kAtATime = 7;
  STASIS_ASSIGN_OR_RETURN(
      auto dir, vfs_.OpenAt(creds_, At(path), {.flags = O_RDONLY | O_DIRECTORY, .mode = 0}));
  std::vector<std::string> names;
  for (size_t taken = 1; taken != 0;) {
    taken = 0;
    STASIS_RETURN_IF_ERROR(dir->ReadDirectory([&](const vfs::DirectoryEntry& entry) {
      if (taken == kAtATime) return false;
      ++taken;
      if (entry.name != "." && entry.name != "..") names.emplace_back(entry.name);
      return true;
    }));
  }
  return names;
}

Result<void> KernelCalls::Create(const std::string& path) {
  const UniqueFd fd(open(At(path).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
  return ResultOf(fd.get());
}

Result<void> KernelCalls::Mkdir(const std::string& path) {
  return ResultOf(mkdir(At(path).c_str(), 0755));
}

Result<void> KernelCalls::Link(const std::string& from, const std::string& to) {
  return ResultOf(link(At(from).c_str(), At(to).c_str()));
}

Result<void> KernelCalls::Unlink(const std::string& path) {
  return ResultOf(unlink(At(path).c_str()));
}

Result<void> KernelCalls::Rmdir(const std::string& path) {
  return ResultOf(rmdir(At(path).c_str()));
}

Result<void> KernelCalls::Rename(const std::string& from, const std::string& to, uint32_t flags) {
  return ResultOf(renameat2(AT_FDCWD, At(from).c_str(), AT_FDCWD, At(to).c_str(), flags));
}

Result<StormCalls::File> KernelCalls::Stat(const std::string& path) {
  struct stat stat {};
  STASIS_RETURN_IF_ERROR(ResultOf(lstat(At(path).c_str(), &stat)));
  return File{stat.st_ino, static_cast<uint32_t>(stat.st_nlink), S_ISDIR(stat.st_mode)};
}

Result<std::vector<std::string>> KernelCalls::List(const std::string& path) {
  const UniqueFd fd(open(At(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  STASIS_RETURN_IF_ERROR(ResultOf(fd.get()));
  std::vector<std::string> names;
  alignas(dirent64) char buffer[256];  // for a few entries
  for (;;) {
    const long size = syscall(SYS_getdents64, fd.get(), buffer, sizeof(buffer));
    STASIS_RETURN_IF_ERROR(ResultOf(size));
    if (size == 0) return names;
    for (long at = 0; at < size;) {
      uint16_t length = 0;
      memcpy(&length, buffer + at + offsetof(dirent64, d_reclen), sizeof(length));
      const std::string name = buffer + at + offsetof(dirent64, d_name);
      if (name != "." && name != "..") names.push_back(name);
      at += length;
    }
  }
}

}  // namespace stasis::testing
