// SPDX-License-Identifier: Apache-2.0
//
// A tree of the host.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "restore/internal/format.h"
#include "restore/transfer/internal/host_dir_stack.h"
#include "restore/transfer/internal/host_xattr.h"
#include "restore/transfer/tree_source.h"

namespace stasis::restore {
namespace {

TimeNs ToNs(const struct statx_timestamp& t) { return t.tv_sec * 1'000'000'000 + t.tv_nsec; }

FileAttributes FromStatx(const struct statx& stx) {
  FileAttributes a;
  a.stat.ino = stx.stx_ino;
  a.stat.size = stx.stx_size;
  a.stat.blocks = stx.stx_blocks;
  a.stat.rdev = makedev(stx.stx_rdev_major, stx.stx_rdev_minor);
  a.stat.atime = ToNs(stx.stx_atime);
  a.stat.mtime = ToNs(stx.stx_mtime);
  a.stat.ctime = ToNs(stx.stx_ctime);
  a.stat.btime = ToNs(stx.stx_btime);
  a.stat.mode = stx.stx_mode;
  a.stat.nlink = stx.stx_nlink;
  a.stat.uid = stx.stx_uid;
  a.stat.gid = stx.stx_gid;
  a.has_btime = (stx.stx_mask & STATX_BTIME) != 0;
  a.key = {makedev(stx.stx_dev_major, stx.stx_dev_minor), stx.stx_ino};
  return a;
}

Result<FileAttributes> StatHost(int dir, const std::string& name) {
  struct statx stx = {};
  constexpr int kFlags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (::statx(dir, name.c_str(), kFlags, STATX_BASIC_STATS | STATX_BTIME, &stx) != 0)
    return Err(errno);
  return FromStatx(stx);
}

class HostFileReader final : public FileReader {
 public:
  explicit HostFileReader(UniqueFd fd) : fd_(std::move(fd)) {}

  Result<FileAttributes> Stat() override { return StatHost(fd_.get(), ""); }
  Result<Xattrs> GetXattrs() override { return GetHostXattrs(fd_.get()); }

  Result<Extent> NextData(uint64_t offset, uint64_t size) override {
    if (offset >= size) return Extent{size, 0};
    const off_t data = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && errno == ENXIO) return Extent{size, 0};
    if (data < 0 && errno == EINVAL) return Extent{offset, size - offset};  // knows no holes
    if (data < 0) return Err(errno);
    const off_t hole = ::lseek(fd_.get(), data, SEEK_HOLE);
    if (hole < 0) return Err(errno);
    const auto begin = std::min(static_cast<uint64_t>(data), size);
    return Extent{begin, std::min(static_cast<uint64_t>(hole), size) - begin};
  }

  Result<size_t> Read(uint64_t offset, std::span<std::byte> out) override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t n = ::pread(fd_.get(), out.data() + done, out.size() - done,
                                static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Err(errno);
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    return done;
  }

 private:
  UniqueFd fd_;
};

class HostTree final : public TreeSource {
 public:
  explicit HostTree(UniqueFd root) : dirs_(std::move(root)) {}

  Result<std::vector<std::string>> List() override;
  Result<FileAttributes> Stat(const std::string& name) override {
    return StatHost(dirs_.fd(), name);
  }
  Result<std::string> ReadLink(const std::string& name) override;
  Result<Xattrs> GetXattrs(const std::string& name) override {
    return name.empty() ? GetHostXattrs(dirs_.fd()) : GetHostXattrsAt(dirs_.fd(), name);
  }
  Result<std::unique_ptr<FileReader>> Open(const std::string& name) override;
  Result<void> Enter(const std::string& name) override { return dirs_.Enter(name); }
  Result<void> Leave() override { return dirs_.Leave(); }

 private:
  HostDirStack dirs_;
};

Result<std::vector<std::string>> HostTree::List() {
  // A descriptor of its own: fdopendir takes it and moves its position.
  UniqueFd fd = OpenNoAtime(dirs_.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!fd.valid()) return Err(errno);
  DIR* dir = ::fdopendir(fd.get());
  if (dir == nullptr) return Err(errno);
  (void)fd.release();
  std::vector<std::string> names;
  errno = 0;
  while (const struct dirent* entry = ::readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int error = errno;
  ::closedir(dir);
  if (error != 0) return Err(error);
  return names;
}

Result<std::string> HostTree::ReadLink(const std::string& name) {
  std::string target(256, '\0');
  while (true) {
    const ssize_t n = ::readlinkat(dirs_.fd(), name.c_str(), target.data(), target.size());
    if (n < 0) return Err(errno);
    if (static_cast<size_t>(n) < target.size()) {
      target.resize(static_cast<size_t>(n));
      return target;
    }
    target.resize(target.size() * 2);
  }
}

Result<std::unique_ptr<FileReader>> HostTree::Open(const std::string& name) {
  // Not blocking, in case a FIFO has taken the file's place.
  UniqueFd fd =
      OpenNoAtime(dirs_.fd(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (!fd.valid()) return Err(errno);
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return Err(errno);
  if (!S_ISREG(st.st_mode)) return Err(EINVAL);
  return std::make_unique<HostFileReader>(std::move(fd));
}

}  // namespace

absl::StatusOr<std::unique_ptr<TreeSource>> OpenHostTree(const std::string& directory) {
  UniqueFd fd = OpenNoAtime(AT_FDCWD, directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!fd.valid()) return ErrnoStatus(errno, "cannot open directory " + PrintablePath(directory));
  return std::make_unique<HostTree>(std::move(fd));
}

}  // namespace stasis::restore
