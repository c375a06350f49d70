// SPDX-License-Identifier: Apache-2.0
//
// inode.cc: attributes of the overlay's files, and what all kinds share.

#include "fsimpl/overlay/inode.h"

#include <absl/cleanup/cleanup.h>

#include <algorithm>
#include <utility>

#include "state/base/rcu.h"
#include "state/load_context.h"

namespace stasis::overlay {
namespace {

vfs::NewFile NewFileLike(const vfs::Inode& real) {
  vfs::Stat stat;
  real.FillStat(stat);
  return {.mode = stat.mode, .uid = stat.uid, .gid = stat.gid};
}

vfs::Dentry* Hold(vfs::Dentry* dentry) {
  if (dentry != nullptr) dentry->Ref();
  return dentry;
}

bool IsLike(const vfs::Inode& inode, const vfs::Dentry& place) {
  return ((place.inode().mode() ^ inode.mode()) & S_IFMT) == 0;
}

constexpr std::string_view kCapability = "security.capability";

}  // namespace

OverlayInode::OverlayInode(OverlayFilesystem& fs, const Found& found, bool loaded)
    : Inode(fs, fs.NextIno(), NewFileLike(found.inode()), found.inode().nlink(), 0),
      upper_(Hold(found.upper.get())),
      loaded_(loaded),
      ours_(true) {
  if (!found.lowers.empty()) SetLower(found.lowers.front());
  MirrorLocked();
}

OverlayInode::~OverlayInode() {
  if (ours_ && has_filesystem()) fs().Forget(*this);
  DropPlaces();
}

void OverlayInode::DropPlaces() {
  if (vfs::Dentry* upper = upper_.exchange(nullptr); upper != nullptr) upper->Unref();
  if (vfs::Dentry* lower = lower_.exchange(nullptr); lower != nullptr) lower->Unref();
}

void OverlayInode::SetUpper(RefPtr<vfs::Dentry> dentry) {
  upper_.store(dentry.release(), std::memory_order_release);
}

void OverlayInode::SetLower(const LowerFile& file) {
  lower_layer_ = file.layer;
  lower_.store(Hold(file.dentry.get()), std::memory_order_release);
}

// The bytes are given back by the layer. Readers may still be at its file, which outlives them.
void OverlayInode::ReleaseUnlinked() {
  vfs::Dentry* upper = nullptr;
  {
    absl::MutexLock lock(&mu());
    fs().Forget(*this);
    upper = upper_.exchange(nullptr);
  }
  if (upper != nullptr) upper->Unref();
}

Result<vfs::Inode*> OverlayInode::UpperFile() const {
  const vfs::Dentry* upper = this->upper();
  if (upper == nullptr) return Err(ENOENT);
  return &upper->inode();
}

// As in Linux: how many directories are in a merged one is not known without a look.
uint32_t OverlayInode::LinksOf(const vfs::Stat& real) const {
  if (!is_dir() || nlink() == 0) return nlink();
  return static_cast<const OverlayDirectory&>(*this).merged() ? 1 : real.nlink;
}

void OverlayInode::FillStat(vfs::Stat& stat) const {
  Inode::FillStat(stat);
  const vfs::Inode* real = released() ? nullptr : this->real();
  if (real == nullptr) return;
  vfs::Stat found;
  real->FillStat(found);
  found.ino = stat.ino;
  found.atime = std::max(stat.atime, found.atime);
  found.nlink = LinksOf(found);
  stat = found;
}

void OverlayInode::MirrorLocked() {
  vfs::Inode* real = this->real();
  if (real == nullptr) return;
  vfs::Stat known;
  Inode::FillStat(known);
  vfs::Stat found;
  real->FillStat(found);
  found.atime = std::max(known.atime, found.atime);
  found.nlink = nlink();
  SetAttributesFrom(found);
  CopyAclsFrom(*real);
}

Result<void> OverlayInode::LearnAcl() {
  absl::MutexLock lock(&mu());
  const vfs::Inode* real = this->real();
  if (!acl_unknown() || real == nullptr) return {};
  CopyAclsFrom(*real);
  if (!acl_unknown()) return {};
  auto stored = real->GetXattr(vfs::kAclAccessXattr);
  if (!stored && (stored.error() == Errno(ENODATA) || stored.error() == Errno(EOPNOTSUPP)))
    stored = std::string();
  STASIS_RETURN_IF_ERROR(stored);
  const Result<vfs::Acl> acl = stored->empty() ? vfs::Acl() : vfs::Acl::Parse(*stored);
  if (!acl || (!stored->empty() && !acl->IsValid())) return Err(EIO);
  SetLearntAcl(acl->extended() ? *std::move(stored) : std::string(), /*kept=*/true);
  return {};
}

Result<void> OverlayInode::SetAttributes(const vfs::Credentials& creds, const vfs::SetStat& set,
                                         TimeNs now) {
  // Writers may set times.
  if ((set.atime || set.mtime) && acl_unknown() && AclMayDecide(creds, vfs::kWrite))
    STASIS_RETURN_IF_ERROR(LearnAcl());
  {
    absl::ReaderMutexLock lock(&mu());
    STASIS_RETURN_IF_ERROR(CheckSetAttributes(creds, set));
  }
  // Before the copy, which leaves out what is cut off.
  if (set.size) STASIS_RETURN_IF_ERROR(BeginWriting());
  const absl::Cleanup written = [&] {
    if (set.size) EndWriting();
  };
  STASIS_RETURN_IF_ERROR(fs().CopyUp(*this, set.size.value_or(OverlayFilesystem::kAllData)));
  absl::MutexLock lock(&mu());
  STASIS_RETURN_IF_ERROR(CheckSetAttributes(creds, set));
  STASIS_ASSIGN_OR_RETURN(vfs::Inode * real, UpperFile());
  Result<void> done = set.size ? PrepareTruncate(*set.size) : Result<void>();
  // The rules once more: they are the same there, and say the same.
  if (done) done = real->SetAttributes(creds, set, now);
  if (done && set.atime) {
    vfs::Stat stat;
    real->FillStat(stat);
    stat.nlink = nlink();
    SetAttributesFrom(stat);  // also to an earlier time
  }
  MirrorLocked();
  return done;
}

Result<bool> OverlayInode::Drop(const vfs::DropPrivileges& drop, TimeNs now) {
  if (is_dir()) return false;
  if (upper() == nullptr) {
    const bool bits = (drop.set_ids && (mode() & (S_ISUID | S_ISGID)) != 0) ||
                      (drop.set_gid && (mode() & S_ISGID) != 0);
    if (!bits && !(drop.capabilities && GetXattr(kCapability))) return false;
  }
  STASIS_RETURN_IF_ERROR(fs().CopyUp(*this));
  absl::MutexLock lock(&mu());
  STASIS_ASSIGN_OR_RETURN(vfs::Inode * real, UpperFile());
  STASIS_ASSIGN_OR_RETURN(const bool changed, real->Drop(drop, now));
  if (changed) MirrorLocked();
  return changed;
}

Result<std::string> OverlayInode::GetXattr(std::string_view name) const {
  if (fs().format().IsPrivate(name)) return Err(EOPNOTSUPP);
  const vfs::Inode* real = this->real();
  if (real == nullptr) return Err(ENODATA);
  return real->GetXattr(name);
}

Result<void> OverlayInode::SetXattr(std::string_view name, std::string_view value, int flags,
                                    TimeNs now) {
  if (fs().format().IsPrivate(name)) return Err(EOPNOTSUPP);
  STASIS_RETURN_IF_ERROR(fs().CopyUp(*this));
  absl::MutexLock lock(&mu());
  STASIS_ASSIGN_OR_RETURN(vfs::Inode * real, UpperFile());
  STASIS_RETURN_IF_ERROR(real->SetXattr(name, value, flags, now));
  TouchChanged(now);
  return {};
}

Result<std::vector<std::string>> OverlayInode::ListXattr() const {
  const vfs::Inode* real = this->real();
  if (real == nullptr) return std::vector<std::string>();
  STASIS_ASSIGN_OR_RETURN(std::vector<std::string> names, real->ListXattr());
  std::erase_if(names, [this](const std::string& name) { return fs().format().IsPrivate(name); });
  return names;
}

Result<void> OverlayInode::RemoveXattr(std::string_view name, TimeNs now) {
  STASIS_RETURN_IF_ERROR(GetXattr(name));
  STASIS_RETURN_IF_ERROR(fs().CopyUp(*this));
  absl::MutexLock lock(&mu());
  STASIS_ASSIGN_OR_RETURN(vfs::Inode * real, UpperFile());
  STASIS_RETURN_IF_ERROR(real->RemoveXattr(name, now));
  TouchChanged(now);
  return {};
}

Result<void> OverlayInode::SetAcl(const vfs::Credentials& creds, std::string_view name,
                                  vfs::Acl acl, TimeNs now) {
  if (is_symlink()) return Err(EOPNOTSUPP);
  if (name == vfs::kAclDefaultXattr && !is_dir()) return acl.empty() ? Result<void>() : Err(EACCES);
  if (!vfs::IsOwnerOrCapable(creds, uid())) return Err(EPERM);
  if (!acl.empty() && !acl.IsValid()) return Err(EINVAL);
  STASIS_RETURN_IF_ERROR(fs().CopyUp(*this));
  absl::MutexLock lock(&mu());
  STASIS_ASSIGN_OR_RETURN(vfs::Inode * real, UpperFile());
  STASIS_RETURN_IF_ERROR(real->SetAcl(creds, name, std::move(acl), now));
  MirrorLocked();
  return {};
}

// What is in a lower layer is not changed, so it needs none.
Result<void> OverlayInode::Sync() {
  vfs::Dentry* upper = this->upper();
  return upper == nullptr ? Result<void>() : upper->inode().Sync();
}

void OverlayInode::OnConnected(vfs::Dentry& dentry) {
  if (!ours_ || !has_filesystem()) return;
  if (!loaded()) dentry.set_unchecked(true);
  absl::MutexLock lock(&fs().inodes_mu_);
  if (place_ == nullptr) {
    place_ = &dentry;
  } else {
    fs().more_places_.emplace(this, &dentry);
  }
}

void OverlayInode::OnDisconnected(vfs::Dentry& dentry) {
  if (!ours_ || !has_filesystem()) return;
  absl::MutexLock lock(&fs().inodes_mu_);
  auto [first, last] = fs().more_places_.equal_range(this);
  if (place_ == &dentry) {
    place_ = first == last ? nullptr : first->second;
  } else {
    first = std::find_if(first, last, [&](const auto& more) { return more.second == &dentry; });
  }
  if (first != last) fs().more_places_.erase(first);
}

void OverlayInode::DropLink(TimeNs now) {
  {
    absl::MutexLock lock(&mu());
    set_nlink(is_dir() || nlink() <= 1 ? 0 : nlink() - 1);
    TouchChanged(now);
  }
  if (nlink() == 0) fs().Unpin(*this);
}

bool OverlayInode::Is(const Found& found) const {
  const auto same = [&](const vfs::Dentry* mine, const vfs::Dentry* other) {
    return mine == other ||
           (!is_dir() && mine != nullptr && other != nullptr && &mine->inode() == &other->inode());
  };
  if (found.inode().is_dir() != is_dir()) return false;
  if (found.upper) return same(upper(), found.upper.get());
  return same(lower(), found.lowers.front().dentry.get()) && (!is_dir() || upper() == nullptr);
}

void OverlayInode::Load(const Found& found) {
  absl::MutexLock lock(&mu());
  if (lower() == nullptr && !found.lowers.empty()) SetLower(found.lowers.front());
  LoadLocked(found);
  if (!loaded()) set_nlink(found.inode().nlink());
  MirrorLocked();
  loaded_.store(true, std::memory_order_release);
}

absl::Status OverlayInode::LoadUpper(vfs::Dentry* dentry, state::LoadContext&) {
  upper_.store(Hold(dentry));
  return absl::OkStatus();
}

absl::Status OverlayInode::LoadLower(vfs::Dentry* dentry, state::LoadContext&) {
  lower_.store(Hold(dentry));
  return absl::OkStatus();
}

absl::Status OverlayInode::CheckLower(const vfs::Dentry& dentry, uint32_t layer,
                                      absl::string_view field, state::LoadContext& context) const {
  const std::vector<vfs::VirtualDentry>& lowers = fs().lowers();
  if (layer >= lowers.size()) return context.Invalid(*this, field, "is in no layer there is");
  const vfs::VirtualDentry& top = lowers[layer];
  if (!top.complete() || !top.mount().has_filesystem() || !dentry.IsOf(top.mount().filesystem()))
    return context.Invalid(*this, field, "is not in its layer");
  if (!IsLike(*this, dentry)) return context.Invalid(*this, field, "is of another type");
  return absl::OkStatus();
}

absl::Status OverlayInode::AfterLoad(state::LoadContext& context) {
  auto* overlay = dynamic_cast<OverlayFilesystem*>(&filesystem());
  if (overlay == nullptr) return context.Invalid(*this, "filesystem", "is no overlay");
  if (ino() == 0 || ino() >= overlay->next_ino_.load())
    return context.Invalid(*this, "ino", "was never given out");
  if (const vfs::Dentry* upper = this->upper(); upper != nullptr) {
    if (!overlay->upper_.complete() || !overlay->upper_.mount().has_filesystem() ||
        !upper->IsOf(overlay->upper_.mount().filesystem()))
      return context.Invalid(*this, "upper", "is not in the upper layer");
    if (!IsLike(*this, *upper)) return context.Invalid(*this, "upper", "is of another type");
  }
  if (const vfs::Dentry* lower = this->lower(); lower != nullptr) {
    if (absl::Status status = CheckLower(*lower, lower_layer_, "lower", context); !status.ok())
      return status;
  }
  if (real() == nullptr)
    return context.Invalid(*this, "upper", "is missing, and the file is in no lower layer");
  // Whether somebody had looked is not saved.
  if (!has_acl()) ForgetAcl();
  ours_ = true;
  if (!overlay->Register(*this))
    return context.Invalid(*this, "upper", "or its lower file is another inode's, too");
  return absl::OkStatus();
}

Result<std::string_view> OverlaySymlink::ReadLink() const {
  const vfs::Inode* real = this->real();
  if (real == nullptr) return Err(ENOENT);
  return real->ReadLink();
}

absl::Status OverlaySymlink::AfterLoad(state::LoadContext& context) {
  if (!is_symlink()) return context.Invalid(*this, "mode", "is not that of a symbolic link");
  return absl::OkStatus();
}

absl::Status OverlaySpecial::AfterLoad(state::LoadContext& context) {
  return CheckIsSpecial(context);
}

}  // namespace stasis::overlay
