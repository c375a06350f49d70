// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/gofer/host_ops.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace stasis::gofer {
namespace {

Result<void> Check(int64_t result) {
  if (result < 0) return Err(errno);
  return {};
}

// Repeats a call that opens something while signals interrupt it.
template <typename Call>
Result<UniqueFd> OpenBy(Call call) {
  int64_t fd = 0;
  do {
    fd = call();
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return Err(errno);
  return UniqueFd(static_cast<int>(fd));
}

TimeNs ToTime(const statx_timestamp& time) {
  constexpr TimeNs kSecond = 1'000'000'000;
  return time.tv_sec * kSecond + time.tv_nsec;
}

HostStat FromStatx(const struct statx& from) {
  HostStat to;
  to.key.dev = makedev(from.stx_dev_major, from.stx_dev_minor);
  to.key.ino = from.stx_ino;
  vfs::Stat& stat = to.stat;
  stat.size = from.stx_size;
  stat.blocks = from.stx_blocks;
  stat.rdev = makedev(from.stx_rdev_major, from.stx_rdev_minor);
  stat.atime = ToTime(from.stx_atime);
  stat.mtime = ToTime(from.stx_mtime);
  stat.ctime = ToTime(from.stx_ctime);
  if ((from.stx_mask & STATX_BTIME) != 0) stat.btime = ToTime(from.stx_btime);
  stat.mode = from.stx_mode;
  stat.nlink = from.stx_nlink;
  stat.uid = from.stx_uid;
  stat.gid = from.stx_gid;
  stat.blksize = from.stx_blksize;
  return to;
}

// The path that leads to the file of a descriptor, whatever its kind, even if it is a link.
class ProcPath {
 public:
  explicit ProcPath(int fd) { std::snprintf(path_.data(), path_.size(), "/proc/self/fd/%d", fd); }
  const char* c_str() const { return path_.data(); }

 private:
  std::array<char, 32> path_;
};

class RealHostOps final : public HostOps {
 public:
  Result<UniqueFd> OpenRoot(const std::string& path) override {
    return OpenBy([&] { return ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); });
  }

  Result<UniqueFd> OpenBeneath(int dir, const std::string& path, int flags,
                               uint32_t mode) override {
    open_how how{};
    how.flags = static_cast<uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    auto fd = OpenBy([&] { return ::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof how); });
    // No path here leads out by itself: somebody moved a directory that it was just leading over.
    if (!fd && fd.error() == Errno(EXDEV)) return Err(ESTALE);
    return fd;
  }

  Result<UniqueFd> Reopen(int fd, int flags) override {
    const ProcPath path(fd);
    return OpenBy([&] { return ::open(path.c_str(), flags | O_CLOEXEC); });
  }

  Result<HostStat> Statx(int fd, const std::string& name) override {
    struct statx stat {};
    STASIS_RETURN_IF_ERROR(
        Check(::statx(fd, name.c_str(), AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT,
                      STATX_BASIC_STATS | STATX_BTIME, &stat)));
    return FromStatx(stat);
  }

  Result<std::string> ReadLink(int fd, const std::string& name) override {
    std::array<char, 4096> target;  // PATH_MAX: no link is longer
    const ssize_t length = ::readlinkat(fd, name.c_str(), target.data(), target.size());
    STASIS_RETURN_IF_ERROR(Check(length));
    return std::string(target.data(), static_cast<size_t>(length));
  }

  Result<vfs::StatFs> GetStatFs(int fd) override {
    struct statfs from {};
    STASIS_RETURN_IF_ERROR(Check(::fstatfs(fd, &from)));
    vfs::StatFs to;
    to.type = static_cast<uint64_t>(from.f_type);
    to.block_size = static_cast<uint64_t>(from.f_bsize);
    to.blocks = from.f_blocks;
    to.blocks_free = from.f_bavail;
    to.files = from.f_files;
    to.files_free = from.f_ffree;
    to.name_max = static_cast<uint64_t>(from.f_namelen);
    return to;
  }

  Result<void> ReadDir(int dir, absl::FunctionRef<void(const HostDirent&)> fn) override {
    STASIS_RETURN_IF_ERROR(Check(::lseek(dir, 0, SEEK_SET)));
    alignas(dirent64) std::array<char, 32768> buffer;
    for (;;) {
      const int64_t size = ::syscall(SYS_getdents64, dir, buffer.data(), buffer.size());
      STASIS_RETURN_IF_ERROR(Check(size));
      if (size == 0) return {};
      for (int64_t at = 0; at < size;) {
        const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
        at += entry->d_reclen;
        const std::string_view name(entry->d_name);
        if (name != "." && name != "..")
          fn({name, entry->d_ino, static_cast<uint32_t>(DTTOIF(entry->d_type))});
      }
    }
  }

  Result<void> Mkdir(int dir, const std::string& name, uint32_t mode) override {
    return Check(::mkdirat(dir, name.c_str(), mode));
  }
  Result<void> Mknod(int dir, const std::string& name, uint32_t mode, uint64_t rdev) override {
    return Check(::mknodat(dir, name.c_str(), mode, rdev));
  }
  Result<void> Symlink(const std::string& target, int dir, const std::string& name) override {
    return Check(::symlinkat(target.c_str(), dir, name.c_str()));
  }
  Result<void> Link(int fd, int dir, const std::string& name) override {
    return Check(::linkat(AT_FDCWD, ProcPath(fd).c_str(), dir, name.c_str(), AT_SYMLINK_FOLLOW));
  }
  Result<void> Unlink(int dir, const std::string& name, bool directory) override {
    return Check(::unlinkat(dir, name.c_str(), directory ? AT_REMOVEDIR : 0));
  }
  Result<void> Rename(int old_dir, const std::string& old_name, int new_dir,
                      const std::string& new_name, uint32_t flags) override {
    return Check(::renameat2(old_dir, old_name.c_str(), new_dir, new_name.c_str(), flags));
  }

  Result<void> Chmod(int fd, uint32_t mode) override {
    return Check(::chmod(ProcPath(fd).c_str(), mode));
  }
  Result<void> Chown(int fd, uint32_t uid, uint32_t gid) override {
    return Check(::fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
  }
  Result<void> SetTimes(int fd, const timespec& atime, const timespec& mtime) override {
    const std::array<timespec, 2> times = {atime, mtime};
    return Check(::utimensat(fd, "", times.data(), AT_EMPTY_PATH));
  }

  Result<std::string> GetXattr(int fd, const std::string& name) override {
    const ProcPath path(fd);
    std::string value(256, '\0');  // most are short
    ssize_t size = ::getxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (size < 0 && errno == ERANGE) {
      value.resize(XATTR_SIZE_MAX);
      size = ::getxattr(path.c_str(), name.c_str(), value.data(), value.size());
    }
    STASIS_RETURN_IF_ERROR(Check(size));
    value.resize(static_cast<size_t>(size));
    return value;
  }
  Result<void> SetXattr(int fd, const std::string& name, std::string_view value,
                        int flags) override {
    return Check(::setxattr(ProcPath(fd).c_str(), name.c_str(), value.data(), value.size(), flags));
  }
  Result<std::vector<std::string>> ListXattr(int fd) override {
    std::string list(XATTR_LIST_MAX, '\0');
    const ssize_t size = ::listxattr(ProcPath(fd).c_str(), list.data(), list.size());
    STASIS_RETURN_IF_ERROR(Check(size));
    std::vector<std::string> names;
    for (size_t at = 0; at < static_cast<size_t>(size); at += names.back().size() + 1)
      names.emplace_back(list.c_str() + at);
    return names;
  }
  Result<void> RemoveXattr(int fd, const std::string& name) override {
    return Check(::removexattr(ProcPath(fd).c_str(), name.c_str()));
  }

  Result<size_t> Read(int fd, uint64_t offset, std::span<std::byte> out) override {
    const ssize_t size = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    STASIS_RETURN_IF_ERROR(Check(size));
    return static_cast<size_t>(size);
  }
  Result<size_t> Write(int fd, uint64_t offset, std::span<const std::byte> bytes) override {
    const ssize_t size = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    STASIS_RETURN_IF_ERROR(Check(size));
    return static_cast<size_t>(size);
  }
  Result<void> Truncate(int fd, uint64_t size) override {
    return Check(::ftruncate(fd, static_cast<off_t>(size)));
  }
  Result<void> Allocate(int fd, int mode, uint64_t offset, uint64_t length) override {
    return Check(::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length)));
  }
  Result<uint64_t> CopyRange(int from, uint64_t from_offset, int to, uint64_t to_offset,
                             uint64_t length) override {
    auto in = static_cast<off64_t>(from_offset);
    auto out = static_cast<off64_t>(to_offset);
    const ssize_t size = ::copy_file_range(from, &in, to, &out, length, 0);
    STASIS_RETURN_IF_ERROR(Check(size));
    return static_cast<uint64_t>(size);
  }
  Result<uint64_t> Seek(int fd, uint64_t offset, int whence) override {
    const off_t at = ::lseek(fd, static_cast<off_t>(offset), whence);
    STASIS_RETURN_IF_ERROR(Check(at));
    return static_cast<uint64_t>(at);
  }
  Result<void> Sync(int fd) override { return Check(::fsync(fd)); }
  Result<void> SyncFs(int fd) override { return Check(::syncfs(fd)); }
};

class NoHostOps final : public HostOps {
 public:
  Result<UniqueFd> OpenRoot(const std::string&) override { return kNone; }
  Result<UniqueFd> OpenBeneath(int, const std::string&, int, uint32_t) override { return kNone; }
  Result<UniqueFd> Reopen(int, int) override { return kNone; }
  Result<HostStat> Statx(int, const std::string&) override { return kNone; }
  Result<std::string> ReadLink(int, const std::string&) override { return kNone; }
  Result<vfs::StatFs> GetStatFs(int) override { return kNone; }
  Result<void> ReadDir(int, absl::FunctionRef<void(const HostDirent&)>) override { return kNone; }
  Result<void> Mkdir(int, const std::string&, uint32_t) override { return kNone; }
  Result<void> Mknod(int, const std::string&, uint32_t, uint64_t) override { return kNone; }
  Result<void> Symlink(const std::string&, int, const std::string&) override { return kNone; }
  Result<void> Link(int, int, const std::string&) override { return kNone; }
  Result<void> Unlink(int, const std::string&, bool) override { return kNone; }
  Result<void> Rename(int, const std::string&, int, const std::string&, uint32_t) override {
    return kNone;
  }
  Result<void> Chmod(int, uint32_t) override { return kNone; }
  Result<void> Chown(int, uint32_t, uint32_t) override { return kNone; }
  Result<void> SetTimes(int, const timespec&, const timespec&) override { return kNone; }
  Result<std::string> GetXattr(int, const std::string&) override { return kNone; }
  Result<void> SetXattr(int, const std::string&, std::string_view, int) override { return kNone; }
  Result<std::vector<std::string>> ListXattr(int) override { return kNone; }
  Result<void> RemoveXattr(int, const std::string&) override { return kNone; }
  Result<size_t> Read(int, uint64_t, std::span<std::byte>) override { return kNone; }
  Result<size_t> Write(int, uint64_t, std::span<const std::byte>) override { return kNone; }
  Result<void> Truncate(int, uint64_t) override { return kNone; }
  Result<void> Allocate(int, int, uint64_t, uint64_t) override { return kNone; }
  Result<uint64_t> CopyRange(int, uint64_t, int, uint64_t, uint64_t) override { return kNone; }
  Result<uint64_t> Seek(int, uint64_t, int) override { return kNone; }
  Result<void> Sync(int) override { return kNone; }
  Result<void> SyncFs(int) override { return kNone; }

 private:
  static constexpr tl::unexpected<Errno> kNone = Err(ESTALE);
};

}  // namespace

std::shared_ptr<HostOps> MakeHostOps() { return std::make_shared<RealHostOps>(); }
std::shared_ptr<HostOps> MakeNoHostOps() { return std::make_shared<NoHostOps>(); }

}  // namespace stasis::gofer
