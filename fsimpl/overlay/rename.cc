// SPDX-License-Identifier: Apache-2.0
//
// rename.cc: how names go and move. Where a lower layer has a name, a whiteout is left.

#include <linux/fs.h>

#include <optional>
#include <tuple>
#include <utility>

#include "fsimpl/overlay/inode.h"
#include "fsimpl/overlay/layer.h"

namespace stasis::overlay {
namespace {

OverlayInode& Overlay(vfs::Inode& inode) { return static_cast<OverlayInode&>(inode); }
OverlayDirectory& Directory(vfs::Inode& inode) { return static_cast<OverlayDirectory&>(inode); }

// Whether a directory of a layer has that name. Errors: of the layer.
Result<bool> Has(const vfs::VirtualDentry& dir, std::string_view name) {
  auto found = layer::Lookup(dir, name);
  if (!found && found.error() != Errno(ENOENT)) return Err(found.error());
  return found.has_value();
}

}  // namespace

// In the work directory, where it can be linked from when another of its names is changed. The
// next start of an overlay removes it: then the others are the lower file again.
Result<bool> OverlayDirectory::KeepForOthers(std::string_view name, OverlayInode& child,
                                             bool leave_whiteout) {
  if (child.nlink() <= 1 || child.upper() == nullptr || child.upper()->inode().nlink() != 1)
    return false;
  STASIS_RETURN_IF_ERROR(layer::Rename(UpperAt(), name, fs().work(), fs().NextWorkName(),
                                       leave_whiteout ? RENAME_WHITEOUT : 0));
  return true;
}

// The file is locked: nobody copies it up to the name meanwhile.
Result<void> OverlayDirectory::RemoveFile(std::string_view name, OverlayInode& child) {
  absl::MutexLock lock(&child.mu());
  const vfs::VirtualDentry dir = UpperAt();
  STASIS_ASSIGN_OR_RETURN(const bool in_upper, Has(dir, name));
  STASIS_ASSIGN_OR_RETURN(const bool in_lowers, IsInLowers(fs().layers(), lowers_, name));
  if (!in_upper) return layer::MakeWhiteout(dir, name);
  STASIS_ASSIGN_OR_RETURN(const bool kept, KeepForOthers(name, child, in_lowers));
  if (kept) return {};
  return in_lowers ? fs().WhiteOut(dir, name) : layer::Unlink(dir, name);
}

Result<void> OverlayDirectory::UnlinkChild(std::string_view name, vfs::Inode& target, TimeNs now) {
  OverlayInode& child = Overlay(target);
  STASIS_RETURN_IF_ERROR(fs().CopyUp(*this));
  STASIS_RETURN_IF_ERROR(RemoveFile(name, child));
  child.DropLink(now);
  TouchModified(now);
  return {};
}

// Opaque first: then the whiteouts in it are of no use, and may go one by one.
Result<void> OverlayDirectory::Purge(OverlayDirectory& victim, TimeNs now) {
  const vfs::VirtualDentry dir = victim.UpperAt();
  STASIS_ASSIGN_OR_RETURN(const std::vector<layer::Entry> entries, layer::List(dir));
  if (entries.empty()) return {};
  STASIS_RETURN_IF_ERROR(fs().format().SetOpaque(dir.inode(), now));
  for (const layer::Entry& entry : entries) STASIS_RETURN_IF_ERROR(layer::Unlink(dir, entry.name));
  return {};
}

Result<void> OverlayDirectory::RemoveDirectory(std::string_view name, OverlayDirectory& child,
                                               TimeNs now) {
  absl::MutexLock lock(&child.mu());
  const vfs::VirtualDentry dir = UpperAt();
  STASIS_ASSIGN_OR_RETURN(const bool in_lowers, IsInLowers(fs().layers(), lowers_, name));
  if (child.upper() == nullptr) return layer::MakeWhiteout(dir, name);
  STASIS_RETURN_IF_ERROR(Purge(child, now));
  return in_lowers ? fs().WhiteOut(dir, name) : layer::Rmdir(dir, name);
}

Result<void> OverlayDirectory::RmdirChild(std::string_view name, vfs::Inode& target, TimeNs now) {
  OverlayDirectory& child = Directory(target);
  if (!child.complete()) {
    STASIS_ASSIGN_OR_RETURN(const bool any, child.HasVisibleChildren());
    if (any) return Err(ENOTEMPTY);
  }
  STASIS_RETURN_IF_ERROR(fs().CopyUp(*this));
  STASIS_RETURN_IF_ERROR(RemoveDirectory(name, child, now));
  child.DropLink(now);
  TouchModified(now);
  return {};
}

Result<std::string> OverlayDirectory::RedirectFor(std::string_view name, bool same_directory) {
  if (same_directory) return std::string(name);
  vfs::Dentry* self = fs().PlaceOf(*this, 0);
  if (self == nullptr) self = &fs().root();
  auto path = fs().RedirectPathOf(*self, name);
  if (!path) return Err(EXDEV);
  return path;
}

Result<void> OverlayDirectory::PrepareMove(std::string_view name, OverlayInode& child,
                                           const OverlayDirectory& new_dir,
                                           std::string_view new_name, TimeNs now) {
  const Format& format = fs().format();
  const bool same = this == &new_dir;
  if (child.is_dir()) {
    OverlayDirectory& dir = Directory(child);
    vfs::Inode& upper = dir.upper()->inode();
    if (!dir.merged()) {
      // Nothing of the new place is to be merged with it.
      STASIS_ASSIGN_OR_RETURN(const bool below,
                              IsInLowers(fs().layers(), new_dir.lowers_, new_name));
      return below ? format.SetOpaque(upper, now) : Result<void>();
    }
    std::string known;
    {
      absl::ReaderMutexLock lock(&dir.mu());
      known = dir.redirect_;
    }
    if (!known.empty() && (same || known.front() == '/')) return {};
    STASIS_ASSIGN_OR_RETURN(std::string redirect, RedirectFor(known.empty() ? name : known, same));
    if (!format.SetRedirect(upper, redirect, now)) return Err(EXDEV);
    absl::MutexLock lock(&dir.mu());
    dir.redirect_ = std::move(redirect);
    return {};
  }
  if (!child.is_regular() || fs().lazy_data()) return {};
  auto& file = static_cast<OverlayRegular&>(child);
  if (!file.needs_lower()) return {};
  STASIS_ASSIGN_OR_RETURN(const std::string known, format.RedirectOf(file.upper()->inode()));
  if (!known.empty() && known.front() == '/') return {};
  STASIS_ASSIGN_OR_RETURN(const std::string redirect,
                          RedirectFor(known.empty() ? name : std::string_view(known), false));
  if (!format.SetRedirect(file.upper()->inode(), redirect, now)) return Err(EXDEV);
  return {};
}

Result<void> OverlayDirectory::RenameChild(std::string_view name, vfs::Inode& target,
                                           vfs::Inode& new_parent, std::string_view new_name,
                                           vfs::Inode* replaced, TimeNs now) {
  OverlayInode& child = Overlay(target);
  OverlayDirectory& new_dir = Directory(new_parent);
  if (replaced != nullptr && replaced->is_dir() && !Directory(*replaced).complete()) {
    STASIS_ASSIGN_OR_RETURN(const bool any, Directory(*replaced).HasVisibleChildren());
    if (any) return Err(ENOTEMPTY);
  }
  STASIS_RETURN_IF_ERROR(fs().CopyUp(*this));
  STASIS_RETURN_IF_ERROR(fs().CopyUp(new_dir));
  STASIS_RETURN_IF_ERROR(fs().CopyUp(child));
  STASIS_RETURN_IF_ERROR(EnsureNamed(name, child));
  STASIS_RETURN_IF_ERROR(PrepareMove(name, child, new_dir, new_name, now));
  const vfs::VirtualDentry from = UpperAt();
  const vfs::VirtualDentry to = new_dir.UpperAt();
  STASIS_ASSIGN_OR_RETURN(const bool in_lowers, IsInLowers(fs().layers(), lowers_, name));
  // As in RemoveFile: nobody copies it up to the name meanwhile.
  std::optional<absl::MutexLock> lock;
  if (replaced != nullptr && !replaced->is_dir()) lock.emplace(&replaced->mu());
  STASIS_ASSIGN_OR_RETURN(const bool target_in_upper, Has(to, new_name));
  const bool over_whiteout = target_in_upper && replaced == nullptr;
  if (target_in_upper && replaced != nullptr) {
    if (replaced->is_dir()) {
      STASIS_RETURN_IF_ERROR(new_dir.Purge(Directory(*replaced), now));
    } else {
      STASIS_RETURN_IF_ERROR(new_dir.KeepForOthers(new_name, Overlay(*replaced), false));
    }
  }
  uint32_t flags = in_lowers ? RENAME_WHITEOUT : 0;
  const bool exchange = over_whiteout && (in_lowers || child.is_dir());
  if (exchange) flags = RENAME_EXCHANGE;  // the whiteout gets the old name
  STASIS_RETURN_IF_ERROR(layer::Rename(from, name, to, new_name, flags));
  lock.reset();
  // One that is left where nothing is below does no harm.
  if (exchange && !in_lowers) std::ignore = layer::Unlink(from, name);
  if (replaced != nullptr) Overlay(*replaced).DropLink(now);
  TouchModified(now);
  new_dir.TouchModified(now);
  child.TouchChanged(now);
  return {};
}

Result<RefPtr<vfs::Inode>> OverlayDirectory::RenameLeavingWhiteout(std::string_view, vfs::Inode&,
                                                                   vfs::Inode&, std::string_view,
                                                                   vfs::Inode*, const vfs::NewFile&,
                                                                   TimeNs) {
  return Err(EINVAL);
}

Result<void> OverlayDirectory::ExchangeChildren(std::string_view name, vfs::Inode& target,
                                                vfs::Inode& other_parent,
                                                std::string_view other_name,
                                                vfs::Inode& other_target, TimeNs now) {
  OverlayInode& child = Overlay(target);
  OverlayInode& other = Overlay(other_target);
  OverlayDirectory& other_dir = Directory(other_parent);
  STASIS_RETURN_IF_ERROR(fs().CopyUp(*this));
  STASIS_RETURN_IF_ERROR(fs().CopyUp(other_dir));
  STASIS_RETURN_IF_ERROR(fs().CopyUp(child));
  STASIS_RETURN_IF_ERROR(fs().CopyUp(other));
  STASIS_RETURN_IF_ERROR(EnsureNamed(name, child));
  STASIS_RETURN_IF_ERROR(other_dir.EnsureNamed(other_name, other));
  STASIS_RETURN_IF_ERROR(PrepareMove(name, child, other_dir, other_name, now));
  STASIS_RETURN_IF_ERROR(other_dir.PrepareMove(other_name, other, *this, name, now));
  STASIS_RETURN_IF_ERROR(
      layer::Rename(UpperAt(), name, other_dir.UpperAt(), other_name, RENAME_EXCHANGE));
  TouchModified(now);
  other_dir.TouchModified(now);
  child.TouchChanged(now);
  other.TouchChanged(now);
  return {};
}

}  // namespace stasis::overlay
