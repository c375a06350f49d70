// SPDX-License-Identifier: Apache-2.0

#include "tests/cmd/fuse/host_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "state/base/unique_fd.h"
#include "vfs/file_description.h"

namespace stasis::fuse {
namespace {

Result<size_t> ToResult(ssize_t done) {
  if (done < 0) return Err(errno);
  return static_cast<size_t>(done);
}

class HostDescription final : public vfs::FileDescription {
 public:
  HostDescription(const vfs::VirtualDentry& at, const vfs::OpenOptions& options, int fd)
      : FileDescription(at, options), fd_(fd) {}
  int backing_fd() const override { return fd_; }

 private:
  const int fd_;
};

class HostFile final : public vfs::Inode {
 public:
  HostFile(HostFiles& fs, const vfs::NewFile& file, UniqueFd fd, uint32_t nlink, TimeNs now)
      : Inode(fs, fs.next_ino++, file, nlink, now), fs_(fs), fd_(std::move(fd)) {
    Look();
  }

  void FillStat(vfs::Stat& stat) const override {
    if (passthrough_ > 0) Look();
    Inode::FillStat(stat);
    stat.size = size_;
    stat.mtime = mtime_;
  }
  Result<RefPtr<vfs::FileDescription>> Open(const vfs::VirtualDentry& at,
                                            const vfs::OpenOptions& options) override {
    return RefPtr<vfs::FileDescription>(MakeRef<HostDescription>(
        at, options, fs_.options().backings && (options.flags & O_PATH) == 0 ? fd_.get() : -1));
  }
  Result<size_t> Read(uint64_t offset, std::span<std::byte> out) override {
    return ToResult(pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset)));
  }
  Result<size_t> Write(uint64_t offset, std::span<const std::byte> bytes, TimeNs) override {
    auto done = ToResult(pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)));
    Look();
    return done;
  }
  Result<void> Sync() override {
    ++fs_.file_syncs;
    return {};
  }
  void BeginPassthrough() override {
    ++passthrough_;
    ++fs_.passthrough;
  }
  void EndPassthrough() override {
    Look();
    --passthrough_;
    --fs_.passthrough;
  }
  void Unlink() { AddLinks(-1); }

 private:
  Result<void> DoTruncate(uint64_t size) override {
    if (ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return Err(errno);
    Look();
    return {};
  }
  void Look() const {
    struct stat status {};
    fstat(fd_.get(), &status);
    size_ = static_cast<uint64_t>(status.st_size);
    mtime_ = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
  }

  HostFiles& fs_;
  const UniqueFd fd_;
  std::atomic<int> passthrough_{0};
  mutable std::atomic<uint64_t> size_{0};
  mutable std::atomic<TimeNs> mtime_{0};
};

class Link final : public vfs::Inode {
 public:
  Link(HostFiles& fs, const vfs::NewFile& file, TimeNs now)
      : Inode(fs, fs.next_ino++, file, 1, now), target_(file.symlink_target) {}
  Result<std::string_view> ReadLink() const override { return std::string_view(target_); }

 private:
  const std::string target_;
};

class HostDirectory final : public vfs::Inode {
 public:
  HostDirectory(HostFiles& fs, const vfs::NewFile& file, TimeNs now)
      : Inode(fs, fs.next_ino++, file, 2, now), fs_(fs) {}

  Result<RefPtr<vfs::Inode>> MakeChild(std::string_view name, const vfs::NewFile& file,
                                       TimeNs now) override {
    TouchModified(now);
    if (S_ISDIR(file.mode)) return RefPtr<vfs::Inode>(MakeRef<HostDirectory>(fs_, file, now));
    if (S_ISLNK(file.mode)) return RefPtr<vfs::Inode>(MakeRef<Link>(fs_, file, now));
    const std::string path = fs_.options().directory + "/" + std::string(name);
    return MakeFile(path, O_CREAT | O_TRUNC, file, 1, now);
  }
  Result<RefPtr<vfs::Inode>> MakeTmpfile(const vfs::NewFile& file, TimeNs now) override {
    return MakeFile(fs_.options().directory, O_TMPFILE, file, 0, now);
  }
  Result<void> UnlinkChild(std::string_view name, vfs::Inode& child, TimeNs now) override {
    TouchModified(now);
    if (!child.is_regular()) return {};
    static_cast<HostFile&>(child).Unlink();
    unlink((fs_.options().directory + "/" + std::string(name)).c_str());
    return {};
  }
  Result<void> RmdirChild(std::string_view, vfs::Inode&, TimeNs) override { return {}; }
  Result<void> RenameChild(std::string_view, vfs::Inode&, vfs::Inode&, std::string_view,
                           vfs::Inode*, TimeNs) override {
    return {};
  }

 private:
  Result<RefPtr<vfs::Inode>> MakeFile(const std::string& path, int flags, const vfs::NewFile& file,
                                      uint32_t nlink, TimeNs now) {
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC | flags, 0600));
    if (!fd.valid()) return Err(errno);
    return RefPtr<vfs::Inode>(MakeRef<HostFile>(fs_, file, std::move(fd), nlink, now));
  }

  HostFiles& fs_;
};

}  // namespace

RefPtr<HostFiles> HostFiles::Create(vfs::VirtualFilesystem& vfs, const HostFilesOptions& options) {
  auto fs = RefPtr<HostFiles>::Adopt(new HostFiles(vfs, options));
  const vfs::NewFile root{.mode = S_IFDIR | 0755};
  fs->set_root(vfs::Dentry::MakeRoot(MakeRef<HostDirectory>(*fs, root, vfs.clock().Now())));
  vfs.AddFilesystem(fs);
  return fs;
}

RefPtr<HostFiles> MountHostFiles(TestTree& tree, const HostFilesOptions& options) {
  RefPtr<HostFiles> fs = HostFiles::Create(*tree.vfs(), options);
  tree.MakeDirectory("host");
  const vfs::VirtualDentry root = tree.root();
  if (!tree.vfs()->MountAt(tree.creds(), tree.mounts(), {root, root, "host"}, fs, {})) abort();
  return fs;
}

}  // namespace stasis::fuse
