// SPDX-License-Identifier: Apache-2.0
//
// restore_apply.cc: what a restore does about drift, once every filesystem has been compared.

#include <absl/strings/str_cat.h>

#include <tuple>

#include "fsimpl/gofer/restore_run.h"

namespace stasis::gofer {
namespace {

using vfs::DriftKind;

HostInode& Host(vfs::Dentry& dentry) { return static_cast<HostInode&>(dentry.inode()); }

}  // namespace

absl::Status RestoreRun::Complete() {
  for (const vfs::Drift& drift : context_.drifts()) {
    if (drift.filesystem != &fs_) continue;
    if (absl::Status status = Apply(drift); !status.ok()) return status;
  }
  return OpenHandles();
}

absl::Status RestoreRun::Apply(const vfs::Drift& drift) {
  if (drift.policy == vfs::DriftPolicy::kHeal) {
    if (auto healed = Heal(drift); !healed)
      return absl::ErrnoToStatus(
          healed.error().value(),
          absl::StrCat("cannot heal ", std::string(vfs::NameOf(drift.kind)), " of ", drift.path,
                       " in the host directory '", fs_.root_name_, "'"));
    return absl::OkStatus();
  }
  bool unbound = false;
  {
    absl::MutexLock lock(&mu_);
    unbound = unbound_.contains(drift.dentry.get());
  }
  switch (drift.kind) {
    case DriftKind::kNew:
      static_cast<HostDirectory&>(Host(*drift.dentry)).complete_.store(false);
      break;
    case DriftKind::kContent:
      if (auto* link = dynamic_cast<HostSymlink*>(&drift.dentry->inode())) link->target_.clear();
      break;
    default:
      if (drift.kind == DriftKind::kMissing || unbound) Forget(*drift.dentry);
  }
  return absl::OkStatus();
}

void RestoreRun::Forget(vfs::Dentry& dentry) {
  if (dentry.disconnected() || dentry.parent() == nullptr) return;  // with its directory, before
  auto& parent = static_cast<HostDirectory&>(Host(*dentry.parent()));
  vfs::Directory& directory = dentry.parent()->directory();
  absl::MutexLock lock(&directory.mu);
  fs_.ForgetLocked(directory, dentry);
  parent.complete_.store(false);
}

Result<void> RestoreRun::Heal(const vfs::Drift& drift) {
  switch (drift.kind) {
    case DriftKind::kMtime:
    case DriftKind::kMode:
    case DriftKind::kOwner:
      return HealAttributes(Host(*drift.dentry), drift.kind);
    case DriftKind::kMissing:
      return HealMissing(drift);
    case DriftKind::kContent:
      return HealLink(drift);
    default:
      return Err(EOPNOTSUPP);
  }
}

Result<void> RestoreRun::HealAttributes(HostInode& inode, DriftKind kind) {
  vfs::Stat saved;
  {
    absl::MutexLock lock(&mu_);
    saved = saved_.at(&inode);
  }
  vfs::SetStat set;
  if (kind == DriftKind::kMode) set.mode = saved.mode & vfs::kPermissionBits;
  if (kind == DriftKind::kMtime) set.mtime = vfs::SetTime{saved.mtime, false};
  if (kind == DriftKind::kOwner) {
    set.uid = saved.uid;
    set.gid = saved.gid;
    // chown(2) takes set-ID bits away.
    if (!inode.is_symlink()) set.mode = inode.mode() & vfs::kPermissionBits;
  }
  return inode.SetAttributes(vfs::Credentials::Root(), set, fs_.vfs().clock().Now());
}

// An empty directory or a link: they are saved whole.
Result<void> RestoreRun::HealMissing(const vfs::Drift& drift) {
  vfs::Dentry& dentry = *drift.dentry;
  HostInode& inode = Host(dentry);
  STASIS_ASSIGN_OR_RETURN(const FdCache::Pin dir, fs_.Control(Host(*dentry.parent())));
  const std::string name(dentry.name());
  HostOps& ops = fs_.ops();
  if (inode.is_dir()) {
    STASIS_RETURN_IF_ERROR(ops.Mkdir(dir.fd(), name, inode.mode() & vfs::kPermissionBits));
  } else {
    const std::string& target = static_cast<HostSymlink&>(inode).target_;
    STASIS_RETURN_IF_ERROR(ops.Symlink(target, dir.fd(), name));
  }
  STASIS_ASSIGN_OR_RETURN(const HostStat found, ops.Statx(dir.fd(), name));
  fs_.Rebind(inode, found.key);
  inode.Adopt(found);
  for (const DriftKind kind : {DriftKind::kOwner, DriftKind::kMode, DriftKind::kMtime}) {
    if (kind == DriftKind::kMode && inode.is_symlink()) continue;
    STASIS_RETURN_IF_ERROR(HealAttributes(inode, kind));
  }
  return {};
}

// The old link goes when the new one is there.
Result<void> RestoreRun::HealLink(const vfs::Drift& drift) {
  vfs::Dentry& dentry = *drift.dentry;
  auto* link = dynamic_cast<HostSymlink*>(&dentry.inode());
  if (link == nullptr) return Err(EOPNOTSUPP);
  STASIS_ASSIGN_OR_RETURN(const FdCache::Pin dir, fs_.Control(Host(*dentry.parent())));
  HostOps& ops = fs_.ops();
  const std::string temporary = absl::StrCat(".stasis-heal-", link->ino());
  STASIS_RETURN_IF_ERROR(ops.Symlink(link->target_, dir.fd(), temporary));
  if (auto renamed =
          ops.Rename(dir.fd(), temporary, dir.fd(), std::string(dentry.name()), /*flags=*/0);
      !renamed) {
    std::ignore = ops.Unlink(dir.fd(), temporary, false);
    return renamed;
  }
  STASIS_ASSIGN_OR_RETURN(const HostStat found, ops.Statx(dir.fd(), std::string(dentry.name())));
  fs_.fds_->Drop(link->control_);
  fs_.Rebind(*link, found.key);
  link->Adopt(found);
  STASIS_RETURN_IF_ERROR(HealAttributes(*link, DriftKind::kOwner));
  return HealAttributes(*link, DriftKind::kMtime);
}

absl::Status RestoreRun::OpenHandles() {
  for (const RefPtr<HostInode>& inode : fs_.Inodes(&HostInode::IsRegular)) {
    auto* file = static_cast<HostRegular*>(inode.get());
    absl::MutexLock lock(&file->mu());
    if (file->handles_ == nullptr || file->handles_->unused()) continue;
    const bool write = file->handles_->writers != 0;
    if (auto opened = file->OpenHandlesAgain(/*force=*/true); !opened) {
      const vfs::Dentry* place = fs_.PlaceOf(*file);
      return absl::ErrnoToStatus(
          opened.error().value(),
          absl::StrCat("cannot open ", place == nullptr ? "a file" : place->PathForMessages(),
                       " of the host directory '", fs_.root_name_, "' for ",
                       write ? "writing" : "reading", " again"));
    }
  }
  return absl::OkStatus();
}

}  // namespace stasis::gofer
