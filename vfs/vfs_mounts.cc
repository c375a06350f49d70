// SPDX-License-Identifier: Apache-2.0
//
// vfs_mounts.cc: VirtualFilesystem's operations that mount, and its mounts after a load.

#include <algorithm>
#include <utility>

#include "state/load_context.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {
namespace {

// Keeps a dentry's name: nobody removes or renames it meanwhile, for that takes its parent's lock.
// Requires: a read-copy-update section.
class NameLock {
 public:
  explicit NameLock(const Dentry& dentry) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    while ((parent_ = dentry.parent()) != nullptr) {
      parent_->directory().mu.Lock();
      if (dentry.parent() == parent_) return;
      parent_->directory().mu.Unlock();  // moved before we had the lock
    }
  }
  ~NameLock() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (parent_ != nullptr) parent_->directory().mu.Unlock();
  }
  NameLock(const NameLock&) = delete;
  NameLock& operator=(const NameLock&) = delete;

 private:
  Dentry* parent_;  // null for a root
};

}  // namespace

// Links are followed, and what is found is held.
Result<VirtualDentry> VirtualFilesystem::GetMountPlace(const Credentials& creds,
                                                       const PathOperation& where) {
  return GetDentry(creds, where, /*follow=*/true, /*keep_expired=*/false);
}

Result<VirtualDentry> VirtualFilesystem::GetMount(const Credentials& creds,
                                                  const MountNamespace& ns,
                                                  const PathOperation& where) {
  STASIS_ASSIGN_OR_RETURN(VirtualDentry at, GetMountPlace(creds, where));
  if (!creds.Has(Capability::kSysAdmin)) return Err(EPERM);
  if (at.mount().ns() != &ns || &at.dentry() != &at.mount().root()) return Err(EINVAL);
  return at;
}

Result<void> VirtualFilesystem::OnTopOf(
    VirtualDentry place, absl::FunctionRef<Result<void>(Mount& parent, Dentry& point)> fn) {
  for (;;) {
    VirtualDentry over;
    {
      const NameLock name_lock(place.dentry());
      absl::MutexLock lock(&locks_.mount_mu);
      mount_tree_.AssertLocked();
      Mount* mount = mount_tree_.Lookup(place.mount(), place.dentry());
      if (mount == nullptr) {
        if (place.dentry().disconnected() || place.mount().ns() == nullptr) return Err(ENOENT);
        return fn(place.mount(), place.dentry());
      }
      over = VirtualDentry(RefPtr<Mount>(mount), RefPtr<Dentry>(&mount->root()));
    }
    place = std::move(over);
  }
}

Result<RefPtr<Mount>> VirtualFilesystem::MountAt(const Credentials& creds, MountNamespace& ns,
                                                 const PathOperation& target,
                                                 RefPtr<Filesystem> filesystem, MountFlags flags) {
  Operation operation(gate_);
  MountChange change;
  STASIS_ASSIGN_OR_RETURN(VirtualDentry place, GetMountPlace(creds, target));
  if (!creds.Has(Capability::kSysAdmin)) return Err(EPERM);
  RefPtr<Mount> mounted;
  STASIS_RETURN_IF_ERROR(
      OnTopOf(std::move(place), [&](Mount& parent, Dentry& point) -> Result<void> {
        mount_tree_.AssertLocked();
        if (parent.ns() != &ns) return Err(EINVAL);
        if (&parent.filesystem() == filesystem.get() && &point == &parent.root()) return Err(EBUSY);
        RefPtr<Dentry> root(&filesystem->root());
        if (root->is_dir() != point.is_dir()) return Err(ENOTDIR);
        Mount& mount = mount_tree_.Make(std::move(filesystem), std::move(root), flags, change);
        mounted = RefPtr<Mount>(&mount);
        return mount_tree_.Graft(mount, parent, point, ns, change);
      }));
  return mounted;
}

Result<RefPtr<Mount>> VirtualFilesystem::BindAt(const Credentials& creds, MountNamespace& ns,
                                                const PathOperation& source,
                                                const PathOperation& target,
                                                const BindOptions& options) {
  Operation operation(gate_);
  MountChange change;
  STASIS_ASSIGN_OR_RETURN(VirtualDentry place, GetMountPlace(creds, target));
  if (!creds.Has(Capability::kSysAdmin)) return Err(EPERM);
  STASIS_ASSIGN_OR_RETURN(const VirtualDentry what, GetMountPlace(creds, source));
  RefPtr<Mount> bound;
  const auto bind = [&](Mount& parent, Dentry& point) -> Result<void> {
    mount_tree_.AssertLocked();
    Mount& from = what.mount();
    if (parent.ns() != &ns || from.ns() != &ns || from.unbindable()) return Err(EINVAL);
    if (!options.recursive && MountTree::HasLockedChildren(from, what.dentry())) return Err(EINVAL);
    Mount* copy = nullptr;
    if (options.recursive) {
      STASIS_ASSIGN_OR_RETURN(copy,
                              mount_tree_.CopyTree(from, what.dentry(), MountTree::kPeers, change));
    } else {
      copy = &mount_tree_.Clone(from, what.dentry(), MountTree::kPeers, change);
    }
    if (what.dentry().is_dir() != point.is_dir()) return Err(ENOTDIR);
    if (options.flags) {
      if (!MountTree::MayChangeFlags(*copy, *options.flags)) return Err(EPERM);
      MountTree::SetFlags(*copy, *options.flags);
      STASIS_RETURN_IF_ERROR(copy->SetReadOnly(options.flags->read_only));
    }
    bound = RefPtr<Mount>(copy);
    return mount_tree_.Graft(*copy, parent, point, ns, change);
  };
  STASIS_RETURN_IF_ERROR(
      OnTopOf(std::move(place), [&](Mount& parent, Dentry& point) -> Result<void> {
        auto done = bind(parent, point);
        mount_tree_.AssertLocked();
        if (!done) mount_tree_.Discard(change);
        return done;
      }));
  return bound;
}

// In the order of Linux.
Result<void> VirtualFilesystem::CheckMove(const MountNamespace& ns, const Mount& moved,
                                          const Mount& parent) {
  if (moved.ns() != &ns || moved.parent() == nullptr || moved.locked()) return Err(EINVAL);
  if (parent.ns() != &ns || moved.parent()->peer_group() != 0) return Err(EINVAL);
  if (parent.peer_group() != 0 && MountTree::HasUnbindable(moved)) return Err(EINVAL);
  if (MountTree::IsAncestor(moved, parent)) return Err(ELOOP);
  return {};
}

Result<void> VirtualFilesystem::MoveMountAt(const Credentials& creds, MountNamespace& ns,
                                            const PathOperation& source,
                                            const PathOperation& target) {
  Operation operation(gate_);
  MountChange change;
  STASIS_ASSIGN_OR_RETURN(VirtualDentry place, GetMountPlace(creds, target));
  if (!creds.Has(Capability::kSysAdmin)) return Err(EPERM);
  STASIS_ASSIGN_OR_RETURN(const VirtualDentry what, GetMountPlace(creds, source));
  if (&what.dentry() != &what.mount().root()) return Err(EINVAL);
  if (what.dentry().is_dir() != place.dentry().is_dir()) return Err(EINVAL);
  return OnTopOf(std::move(place), [&](Mount& parent, Dentry& point) -> Result<void> {
    locks_.mount_mu.AssertHeld();
    mount_tree_.AssertLocked();
    STASIS_RETURN_IF_ERROR(CheckMove(ns, what.mount(), parent));
    return mount_tree_.Graft(what.mount(), parent, point, ns, change);
  });
}

bool VirtualFilesystem::exclusive() const {
  absl::MutexLock lock(&locks_.mount_mu);
  return std::all_of(filesystems_.begin(), filesystems_.end(),
                     [](const RefPtr<Filesystem>& filesystem) { return filesystem->exclusive(); });
}

bool VirtualFilesystem::opens_matter() const {
  const auto is_read_only = [](const auto& mount) { return mount.second->read_only(); };
  absl::MutexLock lock(&locks_.mount_mu);
  // Layers of an overlay are mounted nowhere: it speaks for them.
  const auto matters = [this](const RefPtr<Filesystem>& one) {
    locks_.mount_mu.AssertHeld();
    return one->opens_matter() && IsMountedLocked(*one);
  };
  return std::any_of(filesystems_.begin(), filesystems_.end(), matters) ||
         std::any_of(namespaces_.begin(), namespaces_.end(), [&](const RefPtr<MountNamespace>& ns) {
           const auto& mounts = ns->mounts_by_id();
           return std::any_of(mounts.begin(), mounts.end(), is_read_only);
         });
}

bool VirtualFilesystem::IsMountedLocked(const Filesystem& filesystem) const {
  for (const RefPtr<MountNamespace>& ns : namespaces_) {
    for (const auto& [id, mount] : ns->mounts_by_id())
      if (&mount->filesystem() == &filesystem) return true;
  }
  return false;
}

bool VirtualFilesystem::IsMounted(const Filesystem& filesystem) const {
  absl::MutexLock lock(&locks_.mount_mu);
  return IsMountedLocked(filesystem);
}

RefPtr<Mount> VirtualFilesystem::MakePrivateMount(Filesystem& filesystem, MountFlags flags) {
  return MakeRef<Mount>(RefPtr<Filesystem>(&filesystem), RefPtr<Dentry>(&filesystem.root()), flags,
                        next_mount_id_.fetch_add(1));
}

bool VirtualFilesystem::Lists(const Filesystem& filesystem) const {
  return std::any_of(filesystems_.begin(), filesystems_.end(),
                     [&](const RefPtr<Filesystem>& listed) { return listed == &filesystem; });
}

absl::Status VirtualFilesystem::RestoreMount(Mount& mount, state::LoadContext& context) {
  absl::MutexLock lock(&locks_.mount_mu);
  mount_tree_.AssertLocked();
  return mount_tree_.RestoreKept(mount, context);
}

absl::Status VirtualFilesystem::AfterLoad(state::LoadContext& context) {
  clock_ = context.Service<Clock>();
  if (clock_ == nullptr)
    return absl::FailedPreconditionError("loading a VirtualFilesystem needs a Clock");
  // An image of before it was saved.
  if (mount_limit() == 0) set_mount_limit(MountTree::kDefaultLimit);
  absl::MutexLock lock(&locks_.mount_mu);
  mount_tree_.AssertLocked();
  for (const RefPtr<Filesystem>& filesystem : filesystems_) {
    if (!filesystem) return context.Invalid(*this, "filesystems", "has a missing filesystem");
    if (&filesystem->vfs() != this)
      return context.Invalid(*filesystem, "vfs", "is another one than lists it");
  }
  for (const RefPtr<MountNamespace>& ns : namespaces_) {
    if (!ns) return context.Invalid(*this, "namespaces", "has a missing namespace");
    if (absl::Status status = mount_tree_.Restore(*this, *ns, context); !status.ok()) return status;
    if (ns->owner() >= next_owner_.load())
      return context.Invalid(*ns, "owner", "is not given out yet");
  }
  if (absl::Status status = mount_tree_.CheckRestored(context); !status.ok()) return status;
  // All locks are taken: fields come before hooks.
  if (const Inode* inode = file_locks_->FindConflictingFile(); inode != nullptr)
    return context.Invalid(*inode, "locks", "conflict with each other or those of open files");
  return absl::OkStatus();
}

}  // namespace stasis::vfs
