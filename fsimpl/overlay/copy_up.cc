// SPDX-License-Identifier: Apache-2.0
//
// copy_up.cc: how a lower file gets into the upper layer.
//
// The copy is made in the work directory and renamed into place, where nothing may be: whoever
// looks at the upper layer sees it whole or not at all. A file that has no name any more gets a
// copy without one.

#include <absl/cleanup/cleanup.h>
#include <fcntl.h>
#include <linux/fs.h>

#include <tuple>
#include <utility>

#include "fsimpl/overlay/inode.h"
#include "state/base/rcu.h"

namespace stasis::overlay {
namespace {

OverlayDirectory* DirectoryOf(const vfs::Dentry* dentry) {
  return dentry == nullptr ? nullptr : dynamic_cast<OverlayDirectory*>(&dentry->inode());
}

}  // namespace

// One file. Its parents are in the upper layer.
class CopyUpRun {
 public:
  CopyUpRun(OverlayFilesystem& fs, OverlayInode& inode, uint64_t kept)
      : fs_(fs), inode_(inode), kept_(kept) {}

  // Errors: ENOENT of a file that nobody uses any more, those of the layers.
  // Requires: the inode is locked, which clang does not follow.
  Result<void> Run() ABSL_NO_THREAD_SAFETY_ANALYSIS;

 private:
  // Gives the copy the n-th of the file's names. Errors: EEXIST if that is taken in the upper
  // layer: the file has just lost it. ENOENT if there is no such name.
  Result<void> Place(size_t n);
  Result<void> Discard(const vfs::VirtualDentry& copy);

  OverlayFilesystem& fs_;
  OverlayInode& inode_;
  const uint64_t kept_;
  std::string temporary_;
};

Result<void> CopyUpRun::Place(size_t n) {
  const vfs::Dentry* place = fs_.PlaceOf(inode_, n);
  if (place == nullptr) return Err(ENOENT);
  const OverlayDirectory* parent = DirectoryOf(place->parent());
  if (parent == nullptr || parent->upper() == nullptr) return Err(EEXIST);
  vfs::Inode& directory = parent->upper()->inode();
  // What is in the directory stays the same, and so do its times.
  vfs::Stat before;
  directory.FillStat(before);
  STASIS_RETURN_IF_ERROR(layer::Rename(fs_.work(), temporary_,
                                       fs_.layers().UpperAt(RefPtr<vfs::Dentry>(parent->upper())),
                                       place->name(), RENAME_NOREPLACE));
  std::ignore = directory.SetAttributes(
      vfs::Credentials::Root(),
      {.atime = vfs::SetTime{before.atime}, .mtime = vfs::SetTime{before.mtime}},
      fs_.vfs().clock().Now());
  return {};
}

// It goes on without a name for as long as somebody has it open.
Result<void> CopyUpRun::Discard(const vfs::VirtualDentry& copy) {
  return copy.inode().is_dir() ? layer::Rmdir(fs_.work(), temporary_)
                               : layer::Unlink(fs_.work(), temporary_);
}

Result<void> CopyUpRun::Run() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  // Who changes a file by its name does not keep it.
  if (inode_.released() || inode_.lower() == nullptr) return Err(ENOENT);
  temporary_ = fs_.NextWorkName();
  vfs::VirtualDentry copy;
  absl::Cleanup clean = [&] {
    if (copy.ok()) fs_.ForgetAt(inode_, copy.inode());
    std::ignore = layer::RemoveTree(fs_.work(), temporary_);
  };
  STASIS_ASSIGN_OR_RETURN(copy, inode_.MakeCopy(temporary_, kept_));
  STASIS_RETURN_IF_ERROR(inode_.CopyAttributes(copy.inode()));
  // Known before it can be found.
  fs_.RegisterAt(inode_, copy.inode());
  Result<void> placed = Err(EEXIST);
  for (size_t n = 0; !placed && placed.error() == Errno(EEXIST); ++n) placed = Place(n);
  if (!placed && placed.error() == Errno(ENOENT)) placed = Discard(copy);
  if (!placed) return placed;
  std::move(clean).Cancel();
  inode_.SetUpper(RefPtr<vfs::Dentry>(&copy.dentry()));
  if (!inode_.is_dir() && inode_.nlink() > 1) fs_.Pin(inode_);
  inode_.MirrorLocked();
  return inode_.AfterCopyUp();
}

Result<void> OverlayFilesystem::CopyUpParents(OverlayInode& inode) {
  std::vector<OverlayInode*> missing;
  for (size_t n = 0;; ++n) {
    const vfs::Dentry* place = PlaceOf(inode, n);
    if (place == nullptr) break;
    for (OverlayDirectory* dir = DirectoryOf(place->parent());
         dir != nullptr && dir->upper() == nullptr;) {
      missing.push_back(dir);
      const vfs::Dentry* own = PlaceOf(*dir, 0);
      dir = own == nullptr ? nullptr : DirectoryOf(own->parent());
    }
    while (!missing.empty()) {
      OverlayInode& dir = *missing.back();
      missing.pop_back();
      absl::MutexLock lock(&dir.mu());
      // One that was removed has nothing in it any more.
      if (dir.upper() == nullptr && !dir.released())
        STASIS_RETURN_IF_ERROR(CopyUpRun(*this, dir, kAllData).Run());
    }
  }
  return {};
}

Result<void> OverlayFilesystem::CopyUp(OverlayInode& inode, uint64_t kept) {
  if (inode.upper() != nullptr) [[likely]]
    return {};
  if (!writable()) return Err(EROFS);
  const rcu::ReadLock names_stay;
  STASIS_RETURN_IF_ERROR(CopyUpParents(inode));
  absl::MutexLock lock(&inode.mu());
  if (inode.upper() != nullptr) return {};
  return CopyUpRun(*this, inode, kept).Run();
}

vfs::NewFile OverlayInode::NewFileLikeLower() const {
  vfs::NewFile file;
  vfs::Stat stat;
  lower()->inode().FillStat(stat);
  file.mode = (stat.mode & S_IFMT) | (is_symlink() ? 0777 : 0600);
  file.uid = stat.uid;
  file.gid = stat.gid;
  file.rdev = stat.rdev;
  return file;
}

Result<vfs::VirtualDentry> OverlayInode::MakeCopy(std::string_view name, uint64_t) {
  return layer::Make(fs().work(), name, NewFileLikeLower());
}

Result<vfs::VirtualDentry> OverlaySymlink::MakeCopy(std::string_view name, uint64_t) {
  vfs::NewFile file = NewFileLikeLower();
  STASIS_ASSIGN_OR_RETURN(file.symlink_target, lower()->inode().ReadLink());
  return layer::Make(fs().work(), name, file);
}

Result<vfs::VirtualDentry> OverlayDirectory::MakeCopy(std::string_view name, uint64_t) {
  vfs::NewFile file = NewFileLikeLower();
  file.mode = S_IFDIR | 0700;
  return layer::Make(fs().work(), name, file);
}

Result<void> OverlayInode::CopyAttributes(vfs::Inode& copy) {
  const vfs::Inode& from = lower()->inode();
  const vfs::Credentials root = vfs::Credentials::Root();
  const TimeNs now = fs().vfs().clock().Now();
  auto names = from.ListXattr();
  if (!names && names.error() != Errno(EOPNOTSUPP)) return Err(names.error());
  for (const std::string& name : names.value_or(std::vector<std::string>())) {
    if (fs().format().IsPrivate(name)) continue;
    auto value = from.GetXattr(name);
    if (!value && value.error() == Errno(ENODATA)) continue;
    STASIS_RETURN_IF_ERROR(value);
    if (vfs::IsAclXattr(name)) {
      STASIS_ASSIGN_OR_RETURN(vfs::Acl acl, vfs::Acl::Parse(*value));
      STASIS_RETURN_IF_ERROR(copy.SetAcl(root, name, std::move(acl), now));
    } else if (auto set = copy.SetXattr(name, *value, 0, now);
               !set && set.error() != Errno(EOPNOTSUPP)) {
      return set;
    }
  }
  vfs::Stat stat;
  from.FillStat(stat);
  vfs::SetStat set{.atime = vfs::SetTime{stat.atime}, .mtime = vfs::SetTime{stat.mtime}};
  // A host has no such calls, and tells files apart by their birth.
  if (fs().lazy_data()) {
    set.ctime = stat.ctime;
    set.btime = stat.btime;
  }
  if (!is_symlink()) set.mode = stat.mode & vfs::kPermissionBits;
  return copy.SetAttributes(root, set, now);
}

}  // namespace stasis::overlay
