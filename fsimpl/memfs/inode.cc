// SPDX-License-Identifier: Apache-2.0
//
// inode.cc: directories, links and special files.

#include "fsimpl/memfs/inode.h"

#include <utility>

#include "state/load_context.h"

namespace stasis::memfs {
namespace {

// As of tmpfs: a directory's size is 20 bytes an entry, "." and ".." included.
constexpr uint64_t kEntrySize = 20;
// As of tmpfs: shorter targets are kept in the inode.
constexpr size_t kLongTarget = 128;

RefPtr<MemInode> MakeInode(MemFilesystem& fs, const vfs::NewFile& file, TimeNs now) {
  switch (file.mode & S_IFMT) {
    case S_IFDIR:
      return MakeRef<DirectoryInode>(fs, file, now);
    case S_IFREG:
      return MakeRef<RegularInode>(fs, file, 1, now);
    case S_IFLNK:
      return MakeRef<SymlinkInode>(fs, file, now);
    default:
      return MakeRef<SpecialInode>(fs, file, now);
  }
}

}  // namespace

MemInode::~MemInode() {
  if (!has_filesystem() || released()) return;
  fs().ReleaseBytes(static_cast<uint64_t>(XattrBytes()));
  fs().ReleaseInode();
}

void MemInode::ReleaseUnlinked() {
  fs().ReleaseBytes(static_cast<uint64_t>(XattrBytes()));
  fs().ReleaseInode();
}

Result<void> MemInode::ChargeXattrs(int64_t bytes) {
  if (bytes > 0) return fs().ChargeBytes(static_cast<uint64_t>(bytes));
  fs().ReleaseBytes(static_cast<uint64_t>(-bytes));
  return {};
}

absl::Status MemInode::AfterLoad(state::LoadContext& context) {
  if (dynamic_cast<MemFilesystem*>(&filesystem()) == nullptr)
    return context.Invalid(*this, "filesystem", "is no memfs");
  if (ino() == 0 || ino() >= fs().next_ino())
    return context.Invalid(*this, "ino", "is one that the filesystem has not given out");
  const uint32_t names = is_dir() || nlink() == 0 ? 1 : nlink();
  if (!fs().ChargeInodes(names))
    return context.Invalid(*this, "filesystem", "has more files than its limit allows");
  if (!fs().ChargeBytes(static_cast<uint64_t>(XattrBytes())))
    return context.Invalid(*this, "xattrs", "are more than the filesystem's limit allows");
  return absl::OkStatus();
}

Result<RefPtr<vfs::Inode>> DirectoryInode::MakeChild(std::string_view, const vfs::NewFile& file,
                                                     TimeNs now) {
  STASIS_RETURN_IF_ERROR(fs().ChargeNew(file));
  RefPtr<MemInode> child = MakeInode(fs(), file, now);
  if (child->is_dir()) AddLinks(1);
  Grow(1, now);
  return child;
}

Result<RefPtr<vfs::Inode>> DirectoryInode::MakeTmpfile(const vfs::NewFile& file, TimeNs now) {
  STASIS_RETURN_IF_ERROR(fs().ChargeNew(file));
  return RefPtr<vfs::Inode>(MakeRef<RegularInode>(fs(), file, 0, now));
}

// A change of the directory's entries, by one more, one less or neither.
void DirectoryInode::Grow(int entries, TimeNs now) {
  absl::MutexLock lock(&mu());
  set_size(size() + static_cast<uint64_t>(entries) * kEntrySize);
  TouchModified(now);
}

Result<void> DirectoryInode::LinkChild(std::string_view, vfs::Inode& target, TimeNs now) {
  {
    absl::MutexLock lock(&target.mu());
    // An unlinked file stays so: nobody can name it.
    if (target.nlink() == 0 && !TakeLinkable(target)) return Err(ENOENT);
    if (target.nlink() == UINT32_MAX) return Err(EMLINK);
    // As of tmpfs: each further name counts as a file.
    if (target.nlink() != 0) STASIS_RETURN_IF_ERROR(fs().ChargeInode());
    AddLinksTo(target, 1);
    target.TouchChanged(now);
  }
  Grow(1, now);
  return {};
}

Result<void> DirectoryInode::UnlinkChild(std::string_view, vfs::Inode& child, TimeNs now) {
  {
    absl::MutexLock lock(&child.mu());
    if (child.nlink() > 1) fs().ReleaseInode();
    AddLinksTo(child, -1);
    child.TouchChanged(now);
  }
  Grow(-1, now);
  return {};
}

Result<void> DirectoryInode::RmdirChild(std::string_view, vfs::Inode& child, TimeNs now) {
  {
    absl::MutexLock lock(&child.mu());
    AddLinksTo(child, -2);
    child.TouchChanged(now);
  }
  AddLinks(-1);
  Grow(-1, now);
  return {};
}

Result<void> DirectoryInode::RenameChild(std::string_view, vfs::Inode& child, vfs::Inode& new_dir,
                                         std::string_view new_name, vfs::Inode* replaced,
                                         TimeNs now) {
  auto& to = static_cast<DirectoryInode&>(new_dir);
  if (replaced != nullptr) {
    STASIS_RETURN_IF_ERROR(replaced->is_dir() ? to.RmdirChild(new_name, *replaced, now)
                                              : to.UnlinkChild(new_name, *replaced, now));
  }
  if (child.is_dir()) {
    AddLinks(-1);
    to.AddLinks(1);
  }
  Grow(-1, now);
  to.Grow(1, now);
  child.TouchChanged(now);
  return {};
}

Result<void> DirectoryInode::ExchangeChildren(std::string_view, vfs::Inode& child,
                                              vfs::Inode& other_dir, std::string_view,
                                              vfs::Inode& other, TimeNs now) {
  auto& to = static_cast<DirectoryInode&>(other_dir);
  if (&to != this && child.is_dir() != other.is_dir()) {
    const int links = child.is_dir() ? 1 : -1;
    AddLinks(-links);
    to.AddLinks(links);
  }
  Grow(0, now);
  to.Grow(0, now);
  child.TouchChanged(now);
  other.TouchChanged(now);
  return {};
}

SymlinkInode::SymlinkInode(MemFilesystem& fs, const vfs::NewFile& file, TimeNs now)
    : MemInode(fs, file, 1, now), target_(file.symlink_target) {
  absl::MutexLock lock(&mu());
  set_size(target_.size());
}

SymlinkInode::~SymlinkInode() {
  if (has_filesystem() && !released()) fs().ReleaseBytes(BytesFor(target_));
}

void SymlinkInode::ReleaseUnlinked() {
  fs().ReleaseBytes(BytesFor(target_));
  MemInode::ReleaseUnlinked();
}

uint64_t SymlinkInode::BytesFor(std::string_view target) {
  return target.size() < kLongTarget ? 0 : vfs::kPageSize;
}

void SymlinkInode::FillStat(vfs::Stat& stat) const {
  MemInode::FillStat(stat);
  stat.blocks = BytesFor(target_) / 512;
}

absl::Status SymlinkInode::AfterLoad(state::LoadContext& context) {
  if (!is_symlink()) return context.Invalid(*this, "mode", "is not that of a symbolic link");
  if (target_.empty() || target_.size() != size() || target_.find('\0') != target_.npos)
    return context.Invalid(*this, "target", "is empty, has a NUL or is not as long as the size");
  if (!fs().ChargeBytes(BytesFor(target_)))
    return context.Invalid(*this, "target", "is more than the filesystem's limit allows");
  return absl::OkStatus();
}

void SpecialInode::FillStat(vfs::Stat& stat) const {
  MemInode::FillStat(stat);
  stat.rdev = rdev_;
}

absl::Status SpecialInode::AfterLoad(state::LoadContext& context) {
  return CheckIsSpecial(context);
}

absl::Status DirectoryInode::AfterLoad(state::LoadContext& context) {
  if (!is_dir()) return context.Invalid(*this, "mode", "is not that of a directory");
  return absl::OkStatus();
}

}  // namespace stasis::memfs
