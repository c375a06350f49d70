// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/overlay/filesystem.h"

#include <absl/strings/str_cat.h>
#include <linux/fs.h>

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "fsimpl/overlay/inode.h"
#include "fsimpl/overlay/layer.h"
#include "state/load_context.h"

namespace stasis::overlay {
namespace {

using vfs::VirtualDentry;

constexpr uint64_t kOverlayMagic = 0x794c7630;  // OVERLAYFS_SUPER_MAGIC
// As Linux calls it, which removes what is in there when it mounts.
constexpr std::string_view kWork = "work";

// Whether one of two layers is in the other. By their trees: what several filesystems show of one
// directory of a host is not seen.
bool Overlap(const VirtualDentry& a, const VirtualDentry& b) {
  return a.dentry().IsAncestorOf(b.dentry()) || b.dentry().IsAncestorOf(a.dentry());
}

Result<void> CheckLayers(const vfs::VirtualFilesystem& vfs, const OverlayOptions& options) {
  if (options.lowers.empty() || options.lowers.size() > kMaxLowers) return Err(EINVAL);
  if (options.upper.has_value() != options.work.has_value()) return Err(EINVAL);
  std::vector<VirtualDentry> all = options.lowers;
  if (options.upper) all.insert(all.end(), {*options.upper, *options.work});
  for (const VirtualDentry& layer : all) {
    if (!layer.ok() || &layer.mount().filesystem().vfs() != &vfs) return Err(EINVAL);
    if (!layer.inode().is_dir()) return Err(ENOTDIR);
    if (layer.dentry().disconnected()) return Err(ENOENT);
  }
  if (options.upper && &options.upper->inode().filesystem() != &options.work->inode().filesystem())
    return Err(EINVAL);
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = 0; j < i; ++j)
      if (Overlap(all[i], all[j])) return Err(ELOOP);
  }
  return {};
}

}  // namespace

OverlayFilesystem::OverlayFilesystem(vfs::VirtualFilesystem& vfs, const OverlayOptions& options)
    : TreeFilesystem(vfs),
      user_xattrs_(options.user_xattrs),
      metacopy_(options.metacopy),
      lazy_data_(options.lazy_data),
      format_(options.user_xattrs) {
  const auto place = [&](const VirtualDentry& layer, RefPtr<vfs::Mount> mount) {
    return VirtualDentry(std::move(mount), RefPtr<vfs::Dentry>(&layer.dentry()));
  };
  const auto mount = [&](const VirtualDentry& layer, bool read_only) {
    return vfs.MakePrivateMount(layer.inode().filesystem(),
                                {.read_only = read_only, .no_atime = true});
  };
  if (options.upper) upper_ = place(*options.upper, mount(*options.upper, false));
  for (const VirtualDentry& lower : options.lowers)
    lowers_.push_back(place(lower, mount(lower, true)));
}

OverlayFilesystem::~OverlayFilesystem() = default;

Result<RefPtr<OverlayFilesystem>> OverlayFilesystem::Create(vfs::VirtualFilesystem& vfs,
                                                            const OverlayOptions& options) {
  const vfs::Operation operation(vfs.gate());
  STASIS_RETURN_IF_ERROR(CheckLayers(vfs, options));
  auto fs = RefPtr<OverlayFilesystem>::Adopt(new OverlayFilesystem(vfs, options));
  STASIS_RETURN_IF_ERROR(fs->MakeRoot(options.work));
  vfs.AddFilesystem(fs);
  return fs;
}

Result<void> OverlayFilesystem::MakeRoot(const std::optional<VirtualDentry>& work) {
  Found root;
  if (writable()) {
    STASIS_RETURN_IF_ERROR(PrepareWork(layers().UpperAt(RefPtr<vfs::Dentry>(&work->dentry()))));
    root.upper = RefPtr<vfs::Dentry>(&upper_.dentry());
    STASIS_ASSIGN_OR_RETURN(const Opacity opacity, format_.OpacityOf(root.upper->inode()));
    root.xattr_whiteouts = opacity == Opacity::kXattrWhiteouts;
  }
  for (uint32_t i = 0; i < lowers_.size(); ++i) {
    const VirtualDentry& lower = lowers_[i];
    STASIS_ASSIGN_OR_RETURN(const Opacity opacity, format_.OpacityOf(lower.inode()));
    root.lowers.push_back(
        {RefPtr<vfs::Dentry>(&lower.dentry()), i, opacity == Opacity::kXattrWhiteouts});
  }
  set_root(vfs::Dentry::MakeRoot(MakeInode(root, /*loaded=*/true)));
  return {};
}

Result<void> OverlayFilesystem::PrepareWork(const VirtualDentry& work) {
  auto found = layer::Lookup(work, kWork);
  if (!found && found.error() != Errno(ENOENT)) return Err(found.error());
  if (found) STASIS_RETURN_IF_ERROR(layer::RemoveTree(work, kWork));
  STASIS_ASSIGN_OR_RETURN(work_, layer::Make(work, kWork, {.mode = S_IFDIR | 0700}));
  // Files are made here that are to get nothing from this directory.
  const TimeNs now = vfs().clock().Now();
  for (const std::string_view acl : {vfs::kAclAccessXattr, vfs::kAclDefaultXattr}) {
    if (work_.inode().GetXattr(acl))
      STASIS_RETURN_IF_ERROR(work_.inode().SetAcl(vfs::Credentials::Root(), acl, {}, now));
  }
  return work_.inode().SetAttributes(vfs::Credentials::Root(), {.mode = 0700}, now);
}

std::string OverlayFilesystem::NextWorkName() {
  return absl::StrCat("#", absl::Hex(next_work_name_.fetch_add(1, std::memory_order_relaxed)));
}

Result<void> OverlayFilesystem::WhiteOut(const VirtualDentry& dir, std::string_view name) {
  const std::string temporary = NextWorkName();
  STASIS_RETURN_IF_ERROR(layer::MakeWhiteout(work_, temporary));
  auto renamed = layer::Rename(work_, temporary, dir, name, 0);
  if (!renamed && renamed.error() == Errno(EISDIR)) {
    renamed = layer::Rename(work_, temporary, dir, name, RENAME_EXCHANGE);
    if (renamed) std::ignore = layer::RemoveTree(work_, temporary);
  } else if (!renamed) {
    std::ignore = layer::Unlink(work_, temporary);
  }
  return renamed;
}

bool OverlayFilesystem::opens_matter() const {
  const auto matters = [](const VirtualDentry& layer) {
    return layer.mount().filesystem().opens_matter();
  };
  // A file moves to memory when it is written, not before. Lower ones are only read, and nobody
  // removes them.
  if (writable() && lazy_data()) return matters(upper_);
  return (writable() && matters(upper_)) || std::any_of(lowers_.begin(), lowers_.end(), matters);
}

Result<void> OverlayFilesystem::Sync() {
  return writable() ? upper_.mount().filesystem().Sync() : Result<void>();
}

Result<vfs::StatFs> OverlayFilesystem::GetStatFs() const {
  const VirtualDentry& layer = writable() ? upper_ : lowers_.front();
  STASIS_ASSIGN_OR_RETURN(vfs::StatFs stat,
                          vfs().StatFsAt(vfs::Credentials::Root(), {layer, layer, ""}));
  stat.type = kOverlayMagic;
  return stat;
}

void OverlayFilesystem::Teardown() {
  TreeFilesystem::Teardown();
  std::vector<RefPtr<OverlayInode>> pinned;
  {
    absl::MutexLock lock(&inodes_mu_);
    pinned.swap(pinned_);
  }
}

RefPtr<OverlayInode> OverlayFilesystem::MakeInode(const Found& found, bool loaded) {
  switch (found.inode().mode() & S_IFMT) {
    case S_IFDIR:
      return MakeRef<OverlayDirectory>(*this, found, loaded);
    case S_IFREG:
      return MakeRef<OverlayRegular>(*this, found, loaded);
    case S_IFLNK:
      return MakeRef<OverlaySymlink>(*this, found, loaded);
    default:
      return MakeRef<OverlaySpecial>(*this, found, loaded);
  }
}

RefPtr<OverlayInode> OverlayFilesystem::InodeFor(const Found& found, bool loaded) {
  const vfs::Inode& real = found.inode();
  const auto find_known = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(inodes_mu_) {
    auto it = inodes_.find(&real);
    return it != inodes_.end() && it->second->TryRef() ? RefPtr<OverlayInode>::Adopt(it->second)
                                                       : RefPtr<OverlayInode>();
  };
  RefPtr<OverlayInode> known;
  if (!real.is_dir()) {
    absl::MutexLock lock(&inodes_mu_);
    known = find_known();
  }
  if (!known) {
    RefPtr<OverlayInode> made = MakeInode(found, loaded);
    if (real.is_dir()) return made;
    absl::MutexLock lock(&inodes_mu_);
    known = find_known();  // somebody may have been faster
    if (!known) {
      if (const vfs::Dentry* lower = made->lower(); lower != nullptr)
        inodes_.try_emplace(&lower->inode(), made.get());
      inodes_[&real] = made.get();
      return made;
    }
  }
  if (loaded && !known->loaded()) known->Load(found);
  return known;
}

bool OverlayFilesystem::RegisterAt(OverlayInode& inode, const vfs::Inode& real) {
  absl::MutexLock lock(&inodes_mu_);
  const auto [it, added] = inodes_.try_emplace(&real, &inode);
  return added || it->second == &inode;
}

bool OverlayFilesystem::Register(OverlayInode& inode) {
  if (inode.is_dir()) return true;
  const vfs::Dentry* upper = inode.upper();
  const vfs::Dentry* lower = inode.lower();
  if (upper != nullptr && !RegisterAt(inode, upper->inode())) return false;
  if (lower == nullptr) return true;
  // Names of one file that were copied up apart, before a restart, have it below all the same.
  absl::MutexLock lock(&inodes_mu_);
  const auto [it, added] = inodes_.try_emplace(&lower->inode(), &inode);
  if (added || it->second == &inode || upper != nullptr) return true;
  if (it->second->upper() == nullptr) return false;
  it->second = &inode;
  return true;
}

void OverlayFilesystem::ForgetAt(OverlayInode& inode, const vfs::Inode& real) {
  absl::MutexLock lock(&inodes_mu_);
  auto it = inodes_.find(&real);
  if (it != inodes_.end() && it->second == &inode) inodes_.erase(it);
}

void OverlayFilesystem::Forget(OverlayInode& inode) {
  if (const vfs::Dentry* upper = inode.upper(); upper != nullptr) ForgetAt(inode, upper->inode());
  if (const vfs::Dentry* lower = inode.lower(); lower != nullptr) ForgetAt(inode, lower->inode());
}

vfs::Dentry* OverlayFilesystem::PlaceOf(const OverlayInode& inode, size_t n) const {
  absl::MutexLock lock(&inodes_mu_);
  if (n == 0) return inode.place_;
  const auto [first, last] = more_places_.equal_range(&inode);
  if (n > static_cast<size_t>(std::distance(first, last))) return nullptr;
  return std::next(first, static_cast<std::ptrdiff_t>(n - 1))->second;
}

void OverlayFilesystem::Pin(OverlayInode& inode) {
  absl::MutexLock lock(&inodes_mu_);
  if (std::exchange(inode.pinned_, true)) return;
  pinned_.push_back(RefPtr<OverlayInode>(&inode));
}

void OverlayFilesystem::Unpin(OverlayInode& inode) {
  RefPtr<OverlayInode> last;  // let go of without the lock
  {
    absl::MutexLock lock(&inodes_mu_);
    if (!std::exchange(inode.pinned_, false)) return;
    auto it = std::find_if(pinned_.begin(), pinned_.end(),
                           [&](const RefPtr<OverlayInode>& one) { return one == &inode; });
    if (it == pinned_.end()) return;
    std::swap(*it, pinned_.back());
    last = std::move(pinned_.back());
    pinned_.pop_back();
  }
  const auto entries = layer::List(work_);
  if (!entries) return;
  for (const layer::Entry& entry : *entries) {
    if (&entry.dentry->inode() == inode.real()) std::ignore = layer::Unlink(work_, entry.name);
  }
}

Result<std::string> OverlayFilesystem::RedirectPathOf(vfs::Dentry& dir,
                                                      std::string_view name) const {
  std::string path = absl::StrCat("/", absl::string_view(name.data(), name.size()));
  for (const vfs::Dentry* at = &dir; at->parent() != nullptr; at = at->parent()) {
    std::string own(at->name());
    {
      auto& inode = static_cast<OverlayDirectory&>(at->inode());
      absl::ReaderMutexLock lock(&inode.mu());
      if (!inode.redirect_.empty()) own = inode.redirect_;
    }
    if (own.front() == '/') {
      path.insert(0, own);
      break;
    }
    path.insert(0, absl::StrCat("/", own));
  }
  if (path.size() > kMaxRedirect) return Err(ENAMETOOLONG);
  return path;
}

}  // namespace stasis::overlay
