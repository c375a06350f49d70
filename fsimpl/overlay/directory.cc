// SPDX-License-Identifier: Apache-2.0
//
// directory.cc: directories of the overlay: lookups, listings, and new files.

#include <absl/container/flat_hash_set.h>
#include <linux/fs.h>

#include <tuple>
#include <utility>

#include "fsimpl/overlay/inode.h"
#include "fsimpl/overlay/layer.h"
#include "state/load_context.h"

namespace stasis::overlay {
namespace {

constexpr int kUpper = -1;

}  // namespace

OverlayDirectory::OverlayDirectory(OverlayFilesystem& fs, const Found& found,
                                   bool loaded) ABSL_NO_THREAD_SAFETY_ANALYSIS
    : OverlayInode(fs, found, loaded),
      lowers_(found.lowers),
      upper_xattr_whiteouts_(found.xattr_whiteouts),
      redirect_(found.redirect) {}

void OverlayDirectory::LoadLocked(const Found& found) {
  if (loaded()) return;
  lowers_ = found.lowers;
  upper_xattr_whiteouts_ = found.xattr_whiteouts;
  redirect_ = found.redirect;
}

// The list may be known to the layer's host alone.
void OverlayDirectory::ApplyDefaultAcl(const vfs::Credentials& creds, vfs::NewFile& file) const {
  const vfs::Inode* real = this->real();
  if (S_ISLNK(file.mode) || real == nullptr) return;
  const auto stored = real->GetXattr(vfs::kAclDefaultXattr);
  auto acl = stored ? vfs::Acl::Parse(*stored) : Err(ENODATA);
  if (!acl || !acl->IsValid()) {
    file.mode &= ~(creds.umask & 0777);
    return;
  }
  file.mode = (file.mode & ~0777u) | acl->LimitTo(file.mode & 0777);
  if (acl->extended()) file.xattrs.emplace(vfs::kAclAccessXattr, acl->Format());
  if (S_ISDIR(file.mode)) file.xattrs.emplace(vfs::kAclDefaultXattr, *stored);
}

Result<RefPtr<vfs::Inode>> OverlayDirectory::LookupChild(std::string_view name) {
  STASIS_ASSIGN_OR_RETURN(const Found found, Resolve(fs().layers(), merged_directory(), name));
  return RefPtr<vfs::Inode>(fs().InodeFor(found, /*loaded=*/true));
}

Result<bool> OverlayDirectory::CheckChild(vfs::Dentry& dentry) {
  auto& child = static_cast<OverlayInode&>(dentry.inode());
  auto found = Resolve(fs().layers(), merged_directory(), dentry.name());
  if (!found && found.error() != Errno(ENOENT)) return Err(found.error());
  if (!found || !child.Is(*found)) {
    complete_.store(false, std::memory_order_release);
    return false;
  }
  child.Load(*found);
  dentry.set_unchecked(false);
  return true;
}

template <typename Fn>
Result<void> OverlayDirectory::ForEachVisible(Fn fn) const {
  const LayerStack layers = fs().layers();
  const MergedDirectory self = merged_directory();
  absl::flat_hash_set<std::string> seen;
  const auto last = static_cast<int>(lowers_.size()) - 1;
  for (int i = self.upper ? kUpper : 0; i <= last; ++i) {
    const bool xattr_whiteouts =
        i == kUpper ? upper_xattr_whiteouts_ : lowers_[static_cast<size_t>(i)].xattr_whiteouts;
    const vfs::VirtualDentry dir =
        i == kUpper ? layers.UpperAt(self.upper) : layers.At(lowers_[static_cast<size_t>(i)]);
    STASIS_ASSIGN_OR_RETURN(const std::vector<layer::Entry> entries, layer::List(dir));
    for (const layer::Entry& entry : entries) {
      if (i == last ? seen.contains(entry.name) : !seen.insert(entry.name).second) continue;
      bool whiteout = false;
      if (S_ISCHR(entry.type) || (xattr_whiteouts && S_ISREG(entry.type))) {
        // A listing may not say what device it is.
        auto found = layer::Lookup(dir, entry.name);
        if (!found && found.error() == Errno(ENOENT)) continue;
        STASIS_RETURN_IF_ERROR(found);
        whiteout = layers.format.IsWhiteout(
            found->inode(), xattr_whiteouts ? Opacity::kXattrWhiteouts : Opacity::kNone);
      }
      if (!whiteout && !fn(entry, i)) return {};
    }
  }
  return {};
}

void OverlayDirectory::Enter(vfs::Dentry& self, const layer::Entry& entry, int layer) {
  if (self.directory().LookupLocked(entry.name) != nullptr) return;
  Found found;
  const bool last = layer + 1 == static_cast<int>(lowers_.size());
  if (layer == kUpper) {
    found.upper = entry.dentry;
  } else {
    found.lowers.push_back({entry.dentry, lowers_[static_cast<size_t>(layer)].layer});
  }
  // What may be merged with others or be a metacopy takes a look.
  const bool known = !entry.dentry->unchecked() && !S_ISDIR(entry.type) &&
                     (!S_ISREG(entry.type) ||
                      (last && layer != kUpper && !MayBeMetacopy(entry.dentry->inode(), last)));
  self.directory().Insert(vfs::Dentry::Make(entry.name, fs().InodeFor(found, known)));
}

Result<bool> OverlayDirectory::HasVisibleChildren() const {
  bool any = false;
  STASIS_RETURN_IF_ERROR(ForEachVisible([&](const layer::Entry&, int) {
    any = true;
    return false;
  }));
  return any;
}

Result<void> OverlayDirectory::BeginListing(vfs::Dentry& self) {
  if (complete() || nlink() == 0) return {};
  vfs::Directory& directory = self.directory();
  absl::MutexLock lock(&directory.mu);
  if (complete() || directory.dead()) return {};
  STASIS_RETURN_IF_ERROR(ForEachVisible([&](const layer::Entry& entry, int layer) {
    Enter(self, entry, layer);
    return true;
  }));
  complete_.store(true, std::memory_order_release);
  return {};
}

Result<RefPtr<OverlayInode>> OverlayDirectory::MakeOverWhiteout(const vfs::VirtualDentry& dir,
                                                                std::string_view name,
                                                                const vfs::NewFile& file) {
  const std::string temporary = fs().NextWorkName();
  const vfs::VirtualDentry& work = fs().work();
  const TimeNs now = fs().vfs().clock().Now();
  Found made;
  const auto finish = [&]() -> Result<void> {
    STASIS_ASSIGN_OR_RETURN(const vfs::VirtualDentry at, layer::Make(work, temporary, file));
    made.upper = RefPtr<vfs::Dentry>(&at.dentry());
    for (const auto& [xattr, value] : file.xattrs) {
      STASIS_ASSIGN_OR_RETURN(vfs::Acl acl, vfs::Acl::Parse(value));
      STASIS_RETURN_IF_ERROR(
          at.inode().SetAcl(vfs::Credentials::Root(), xattr, std::move(acl), now));
    }
    if (!S_ISDIR(file.mode)) return layer::Rename(work, temporary, dir, name, 0);
    STASIS_RETURN_IF_ERROR(fs().format().SetOpaque(at.inode(), now));
    STASIS_RETURN_IF_ERROR(layer::Rename(work, temporary, dir, name, RENAME_EXCHANGE));
    return layer::Unlink(work, temporary);
  };
  if (auto finished = finish(); !finished) {
    std::ignore = layer::RemoveTree(work, temporary);
    return Err(finished.error());
  }
  return fs().InodeFor(made, /*loaded=*/true);
}

Result<RefPtr<OverlayInode>> OverlayDirectory::MakeInUpper(std::string_view name,
                                                           const vfs::NewFile& file) {
  const vfs::VirtualDentry dir = UpperAt();
  const auto whiteout = layer::Lookup(dir, name);
  if (!whiteout && whiteout.error() != Errno(ENOENT)) return Err(whiteout.error());
  if (whiteout) return MakeOverWhiteout(dir, name, file);
  Found made;
  RefPtr<vfs::FileDescription> handle;
  if (S_ISREG(file.mode) && file.opened) {
    STASIS_ASSIGN_OR_RETURN(handle, layer::MakeOpen(dir, name, file));
    made.upper = RefPtr<vfs::Dentry>(&handle->at().dentry());
  } else {
    STASIS_ASSIGN_OR_RETURN(const vfs::VirtualDentry at, layer::Make(dir, name, file));
    made.upper = RefPtr<vfs::Dentry>(&at.dentry());
  }
  RefPtr<OverlayInode> inode = fs().InodeFor(made, /*loaded=*/true);
  if (handle) static_cast<OverlayRegular&>(*inode).TakeHandle(std::move(handle));
  return inode;
}

Result<RefPtr<vfs::Inode>> OverlayDirectory::MakeChild(std::string_view name,
                                                       const vfs::NewFile& file, TimeNs now) {
  if (S_ISCHR(file.mode) && file.rdev == 0) return Err(EPERM);
  STASIS_RETURN_IF_ERROR(fs().CopyUp(*this));
  STASIS_ASSIGN_OR_RETURN(RefPtr<OverlayInode> inode, MakeInUpper(name, file));
  if (inode->is_dir())
    static_cast<OverlayDirectory&>(*inode).complete_.store(true, std::memory_order_release);
  TouchModified(now);
  return RefPtr<vfs::Inode>(std::move(inode));
}

Result<RefPtr<vfs::Inode>> OverlayDirectory::MakeTmpfile(const vfs::NewFile& file, TimeNs) {
  STASIS_RETURN_IF_ERROR(fs().CopyUp(*this));
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> handle, layer::MakeTmpfile(UpperAt(), file));
  Found made;
  made.upper = RefPtr<vfs::Dentry>(&handle->at().dentry());
  RefPtr<OverlayInode> inode = fs().InodeFor(made, /*loaded=*/true);
  auto& regular = static_cast<OverlayRegular&>(*inode);
  regular.SetLinkable(file.linkable);
  regular.TakeHandle(std::move(handle));
  return RefPtr<vfs::Inode>(std::move(inode));
}

Result<void> OverlayDirectory::EnsureNamed(std::string_view name, OverlayInode& child) {
  const vfs::VirtualDentry dir = UpperAt();
  auto found = layer::Lookup(dir, name);
  if (found) return {};
  if (found.error() != Errno(ENOENT)) return Err(found.error());
  return layer::Link(child.UpperAt(), dir, name);
}

// The other names lead to it by the overlay's memory; for a look at the upper layer alone, by
// SettleUpper.
Result<void> OverlayDirectory::LinkChild(std::string_view name, vfs::Inode& target, TimeNs now) {
  auto& file = static_cast<OverlayInode&>(target);
  STASIS_RETURN_IF_ERROR(fs().CopyUp(*this));
  STASIS_RETURN_IF_ERROR(fs().CopyUp(file));
  if (file.is_regular()) {
    auto& regular = static_cast<OverlayRegular&>(file);
    // Under another name its data would not be found.
    if (regular.needs_lower() && !fs().lazy_data()) STASIS_RETURN_IF_ERROR(regular.CompleteData());
  }
  absl::MutexLock lock(&file.mu());
  STASIS_RETURN_IF_ERROR(file.UpperFile());
  const bool first = file.nlink() == 0;
  if (first && !TakeLinkable(file)) return Err(ENOENT);
  const vfs::VirtualDentry dir = UpperAt();
  const auto link = [&]() -> Result<void> {
    auto whiteout = layer::Lookup(dir, name);
    if (!whiteout && whiteout.error() != Errno(ENOENT)) return Err(whiteout.error());
    if (!whiteout) return layer::Link(file.UpperAt(), dir, name);
    const std::string temporary = fs().NextWorkName();
    STASIS_RETURN_IF_ERROR(layer::Link(file.UpperAt(), fs().work(), temporary));
    auto renamed = layer::Rename(fs().work(), temporary, dir, name, 0);
    if (!renamed) std::ignore = layer::Unlink(fs().work(), temporary);
    return renamed;
  };
  if (auto linked = link(); !linked) {
    if (first && file.is_regular()) static_cast<OverlayRegular&>(file).set_linkable(true);
    return linked;
  }
  file.set_nlink(file.nlink() + 1);
  file.MirrorLocked();
  TouchModified(now);
  return {};
}

absl::Status OverlayDirectory::AfterLoad(state::LoadContext& context) {
  if (!is_dir()) return context.Invalid(*this, "mode", "is not that of a directory");
  const auto& layers = fs().lowers();
  for (const LowerFile& lower : lowers_) {
    if (!lower.dentry || lower.layer >= layers.size())
      return context.Invalid(*this, "lowers", "has a missing directory or layer");
    const vfs::VirtualDentry& layer = layers[lower.layer];
    if (!layer.complete() || !layer.mount().has_filesystem() ||
        !lower.dentry->IsOf(layer.mount().filesystem()) || !lower.dentry->inode().is_dir())
      return context.Invalid(*this, "lowers", "has one that is no directory of its layer");
  }
  const vfs::Dentry* first = lowers_.empty() ? nullptr : lowers_.front().dentry.get();
  if (first != lower())
    return context.Invalid(*this, "lowers", "do not begin with the lower directory");
  absl::ReaderMutexLock lock(&mu());
  if (!redirect_.empty() && !IsValidRedirect(redirect_))
    return context.Invalid(*this, "redirect", "is neither a name nor a path");
  return absl::OkStatus();
}

}  // namespace stasis::overlay
