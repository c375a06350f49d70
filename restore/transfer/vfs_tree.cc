// SPDX-License-Identifier: Apache-2.0
//
// A tree of a VFS.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "restore/transfer/internal/same_data.h"
#include "restore/transfer/tree_source.h"
#include "vfs/file_description.h"
#include "vfs/operation_gate.h"

namespace stasis::restore {
namespace {

FileAttributes FromStat(const vfs::Stat& stat) {
  FileAttributes a;
  a.stat = stat;
  a.key = {stat.dev, stat.ino};
  return a;
}

class VfsFileReader final : public FileReader {
 public:
  VfsFileReader(vfs::VirtualFilesystem& vfs, RefPtr<vfs::FileDescription> file)
      : vfs_(vfs), file_(std::move(file)) {}

  Result<FileAttributes> Stat() override {
    STASIS_ASSIGN_OR_RETURN(const vfs::Stat stat, file_->GetStat());
    return FromStat(stat);
  }

  Result<Extent> NextData(uint64_t offset, uint64_t size) override {
    if (offset >= size) return Extent{size, 0};
    const Result<uint64_t> data = file_->Seek(static_cast<int64_t>(offset), SEEK_DATA);
    if (!data && data.error() == Errno(ENXIO)) return Extent{size, 0};
    if (!data) return Err(data.error());
    STASIS_ASSIGN_OR_RETURN(const uint64_t hole,
                            file_->Seek(static_cast<int64_t>(*data), SEEK_HOLE));
    const uint64_t begin = std::min(*data, size);
    return Extent{begin, std::min(hole, size) - begin};
  }

  Result<size_t> Read(uint64_t offset, std::span<std::byte> out) override {
    return file_->PRead(offset, out);
  }

  Result<Xattrs> GetXattrs() override {
    const vfs::VirtualDentry& at = file_->at();
    const vfs::Credentials creds = vfs::Credentials::Root();
    STASIS_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            vfs_.ListXattrAt(creds, {at, at, ""}));
    Xattrs xattrs;
    for (const std::string& name : names) {
      if (auto value = vfs_.GetXattrAt(creds, {at, at, ""}, name)) xattrs[name] = *std::move(value);
    }
    return xattrs;
  }

  bool HasSameDataAs(const FileReader& other) const override {
    const auto* same = dynamic_cast<const VfsFileReader*>(&other);
    return same != nullptr && HaveSameData(file_->inode(), same->file_->inode());
  }

 private:
  vfs::VirtualFilesystem& vfs_;
  RefPtr<vfs::FileDescription> file_;
};

class VfsTree final : public TreeSource {
 public:
  VfsTree(vfs::VirtualFilesystem& vfs, vfs::VirtualDentry root)
      : vfs_(vfs), creds_(vfs::Credentials::Root()) {
    way_.push_back(std::move(root));
  }

  Result<std::vector<std::string>> List() override;
  Result<FileAttributes> Stat(const std::string& name) override {
    STASIS_ASSIGN_OR_RETURN(const vfs::Stat stat, vfs_.StatAt(creds_, At(name)));
    return FromStat(stat);
  }
  Result<std::string> ReadLink(const std::string& name) override;
  Result<Xattrs> GetXattrs(const std::string& name) override;
  Result<std::unique_ptr<FileReader>> Open(const std::string& name) override;
  Result<void> Enter(const std::string& name) override;
  Result<void> Leave() override {
    way_.pop_back();
    return {};
  }

 private:
  // A single component: the root of the operation plays no part.
  vfs::PathOperation At(const std::string& name) const {
    return {way_.back(), way_.back(), name, false};
  }

  vfs::VirtualFilesystem& vfs_;
  const vfs::Credentials creds_;
  std::vector<vfs::VirtualDentry> way_;
};

Result<std::vector<std::string>> VfsTree::List() {
  vfs::OpenOptions options;
  options.flags = O_RDONLY | O_DIRECTORY | O_NOATIME;
  STASIS_ASSIGN_OR_RETURN(const RefPtr<vfs::FileDescription> dir,
                          vfs_.OpenAt(creds_, At(""), options));
  std::vector<std::string> names;
  STASIS_RETURN_IF_ERROR(dir->IterateDirectory(0, [&](const vfs::DirectoryEntry& entry) {
    if (entry.name != "." && entry.name != "..") names.emplace_back(entry.name);
    return true;
  }));
  return names;
}

// Not ReadLinkAt, which notes the access.
Result<std::string> VfsTree::ReadLink(const std::string& name) {
  STASIS_ASSIGN_OR_RETURN(const vfs::VirtualDentry link, vfs_.GetDentryAt(creds_, At(name)));
  const vfs::Operation operation(vfs_.gate());
  STASIS_ASSIGN_OR_RETURN(const std::string_view target, link.inode().ReadLink());
  return std::string(target);
}

Result<Xattrs> VfsTree::GetXattrs(const std::string& name) {
  Xattrs xattrs;
  Result<std::vector<std::string>> names = vfs_.ListXattrAt(creds_, At(name));
  if (!names && names.error() == Errno(EOPNOTSUPP)) return xattrs;
  if (!names) return Err(names.error());
  for (const std::string& key : *names) {
    if (auto value = vfs_.GetXattrAt(creds_, At(name), key)) xattrs[key] = *std::move(value);
  }
  return xattrs;
}

Result<std::unique_ptr<FileReader>> VfsTree::Open(const std::string& name) {
  vfs::OpenOptions options;
  options.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME;
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> file,
                          vfs_.OpenAt(creds_, At(name), options));
  if (!file->inode().is_regular()) return Err(EINVAL);
  return std::make_unique<VfsFileReader>(vfs_, std::move(file));
}

Result<void> VfsTree::Enter(const std::string& name) {
  STASIS_ASSIGN_OR_RETURN(vfs::VirtualDentry dir, vfs_.GetDentryAt(creds_, At(name)));
  if (!dir.dentry().is_dir()) return Err(ENOTDIR);
  way_.push_back(std::move(dir));
  return {};
}

}  // namespace

std::unique_ptr<TreeSource> OpenVfsTree(vfs::VirtualFilesystem& vfs, vfs::VirtualDentry root) {
  return std::make_unique<VfsTree>(vfs, std::move(root));
}

}  // namespace stasis::restore
