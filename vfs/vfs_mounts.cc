// SPDX-License-Identifier: Apache-2.0
//
// vfs_mounts.cc: VirtualFilesystem's mount operations, and its mounts after a load.

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "state/base/rcu.h"
#include "state/load_context.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {
namespace {

// Keeps a dentry's name: nobody removes or renames it meanwhile, for that takes its parent's lock.
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

Result<RefPtr<Mount>> VirtualFilesystem::Attach(MountNamespace& ns, const VirtualDentry& point,
                                                RefPtr<Filesystem> filesystem, RefPtr<Dentry> root,
                                                MountFlags flags) {
  if (root->is_dir() != point.dentry().is_dir()) return Err(ENOTDIR);
  absl::MutexLock lock(&locks_.mount_mu);
  mount_table_.AssertLocked();
  if (!ns.Contains(point.mount())) return Err(EINVAL);
  const NameLock name_lock(point.dentry());
  if (point.dentry().disconnected()) return Err(ENOENT);
  if (mount_table_.Lookup(point.mount(), point.dentry()) != nullptr) return Err(EBUSY);
  auto mount =
      MakeRef<Mount>(std::move(filesystem), std::move(root), flags, next_mount_id_.fetch_add(1));
  mount_table_.Connect(*mount, point.mount(), point.dentry());
  ns.Add(mount);
  return mount;
}

Result<RefPtr<Mount>> VirtualFilesystem::MountAt(const Credentials& creds, MountNamespace& ns,
                                                 const PathOperation& target,
                                                 RefPtr<Filesystem> filesystem, MountFlags flags) {
  if (!creds.Has(Capability::kSysAdmin)) return Err(EPERM);
  Operation operation(gate_);
  STASIS_ASSIGN_OR_RETURN(const VirtualDentry point, GetDentryAt(creds, target));
  RefPtr<Dentry> root(&filesystem->root());
  return Attach(ns, point, std::move(filesystem), std::move(root), flags);
}

Result<RefPtr<Mount>> VirtualFilesystem::BindAt(const Credentials& creds, MountNamespace& ns,
                                                const PathOperation& source,
                                                const PathOperation& target, MountFlags flags) {
  if (!creds.Has(Capability::kSysAdmin)) return Err(EPERM);
  Operation operation(gate_);
  STASIS_ASSIGN_OR_RETURN(const VirtualDentry what, GetDentryAt(creds, source));
  STASIS_ASSIGN_OR_RETURN(const VirtualDentry point, GetDentryAt(creds, target));
  return Attach(ns, point, RefPtr<Filesystem>(&what.mount().filesystem()),
                RefPtr<Dentry>(&what.dentry()), flags);
}

Result<void> VirtualFilesystem::UmountAt(const Credentials& creds, MountNamespace& ns,
                                         const PathOperation& target) {
  if (!creds.Has(Capability::kSysAdmin)) return Err(EPERM);
  STASIS_ASSIGN_OR_RETURN(VirtualDentry at, GetDentryAt(creds, target));
  RefPtr<Mount> mount(&at.mount());
  if (&at.dentry() != &mount->root() || mount == &ns.root_mount()) return Err(EINVAL);
  at = VirtualDentry();
  // With nobody inside, whoever uses the mount holds a reference on it: the namespace's and ours
  // are the only ones if nobody does.
  gate_.Close();
  absl::Cleanup open = [this] { gate_.Open(); };
  absl::MutexLock lock(&locks_.mount_mu);
  mount_table_.AssertLocked();
  if (mount->parent() == nullptr || !ns.Contains(*mount)) return Err(EINVAL);
  if (mount_table_.HasChildren(*mount) || mount->RefsRacy() > 2) return Err(EBUSY);
  mount_table_.Disconnect(*mount);
  ns.Remove(*mount);
  if (!IsMountedLocked(mount->filesystem())) watches_->OnUnmount(mount->filesystem());
  return {};
}

void VirtualFilesystem::UnmountAllAt(Dentry& point) {
  absl::MutexLock lock(&locks_.mount_mu);
  mount_table_.AssertLocked();
  std::vector<Mount*> doomed = mount_table_.MountsAt(point);
  for (size_t i = 0; i < doomed.size(); ++i) {
    const std::vector<Mount*> children = mount_table_.ChildrenOf(*doomed[i]);
    doomed.insert(doomed.end(), children.begin(), children.end());
  }
  for (auto it = doomed.rbegin(); it != doomed.rend(); ++it) {
    Mount& mount = **it;
    // Walks that are inside may still take a reference on it.
    mount.Ref();
    rcu::Defer([](void* last) { static_cast<Mount*>(last)->Unref(); }, &mount);
    mount_table_.Disconnect(mount);
    for (const RefPtr<MountNamespace>& ns : namespaces_)
      if (ns->Contains(mount)) ns->Remove(mount);
    if (!IsMountedLocked(mount.filesystem())) watches_->OnUnmount(mount.filesystem());
  }
}

bool VirtualFilesystem::exclusive() const {
  absl::MutexLock lock(&locks_.mount_mu);
  return std::all_of(filesystems_.begin(), filesystems_.end(),
                     [](const RefPtr<Filesystem>& filesystem) { return filesystem->exclusive(); });
}

bool VirtualFilesystem::opens_matter() const {
  const auto is_read_only = [](const RefPtr<Mount>& mount) { return mount->read_only(); };
  absl::MutexLock lock(&locks_.mount_mu);
  return std::any_of(filesystems_.begin(), filesystems_.end(),
                     [](const RefPtr<Filesystem>& one) { return one->opens_matter(); }) ||
         std::any_of(namespaces_.begin(), namespaces_.end(), [&](const RefPtr<MountNamespace>& ns) {
           return ns->root_mount().read_only() ||
                  std::any_of(ns->mounts().begin(), ns->mounts().end(), is_read_only);
         });
}

bool VirtualFilesystem::IsMountedLocked(const Filesystem& filesystem) const {
  const auto of_it = [&](const RefPtr<Mount>& mount) {
    return &mount->filesystem() == &filesystem;
  };
  return std::any_of(namespaces_.begin(), namespaces_.end(), [&](const RefPtr<MountNamespace>& ns) {
    return &ns->root_mount().filesystem() == &filesystem ||
           std::any_of(ns->mounts().begin(), ns->mounts().end(), of_it);
  });
}

bool VirtualFilesystem::IsMounted(const Filesystem& filesystem) const {
  absl::MutexLock lock(&locks_.mount_mu);
  return IsMountedLocked(filesystem);
}

bool VirtualFilesystem::Lists(const Filesystem& filesystem) const {
  return std::any_of(filesystems_.begin(), filesystems_.end(),
                     [&](const RefPtr<Filesystem>& listed) { return listed == &filesystem; });
}

absl::Status VirtualFilesystem::AfterLoad(state::LoadContext& context) {
  clock_ = context.Service<Clock>();
  if (clock_ == nullptr)
    return absl::FailedPreconditionError("loading a VirtualFilesystem needs a Clock");
  absl::MutexLock lock(&locks_.mount_mu);
  mount_table_.AssertLocked();
  for (const RefPtr<Filesystem>& filesystem : filesystems_) {
    if (!filesystem) return context.Invalid(*this, "filesystems", "has a missing filesystem");
    if (&filesystem->vfs() != this)
      return context.Invalid(*filesystem, "vfs", "is another one than lists it");
  }
  for (const RefPtr<MountNamespace>& ns : namespaces_) {
    if (!ns) return context.Invalid(*this, "namespaces", "has a missing namespace");
    for (const RefPtr<Mount>& mount : ns->mounts()) {
      if (mount_table_.Lookup(*mount->parent(), *mount->point()) != nullptr)
        return context.Invalid(*mount, "point", "has another mount already");
      mount_table_.AddRestored(*mount);
    }
  }
  // All locks are taken: fields come before hooks.
  if (const Inode* inode = file_locks_->FindConflictingFile(); inode != nullptr)
    return context.Invalid(*inode, "locks", "conflict with each other or those of open files");
  return absl::OkStatus();
}

}  // namespace stasis::vfs
