// SPDX-License-Identifier: Apache-2.0
//
// tree_namespace.cc: the operations that make, remove and rename files.

#include <linux/fs.h>
#include <sys/inotify.h>

#include <tuple>
#include <utility>

#include "vfs/tree_filesystem.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {
namespace {

bool IsDots(std::string_view name) { return name == "." || name == ".."; }

}  // namespace

// Locks one or two directories, an ancestor first. Requires the rename lock for two.
class TreeFilesystem::TwoDirectories {
 public:
  TwoDirectories(Dentry& a, Dentry& b) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const bool swap = b.IsAncestorOf(a) || (!a.IsAncestorOf(b) && &b < &a);
    outer_ = &(swap ? b : a).directory().mu;
    outer_->Lock();
    if (&a == &b) return;
    inner_ = &(swap ? a : b).directory().mu;
    inner_->Lock();
  }
  ~TwoDirectories() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (inner_ != nullptr) {
      inner_->Unlock();
      inner_->ForgetDeadlockInfo();  // as InnerDirectoryLock
    }
    outer_->Unlock();
  }
  TwoDirectories(const TwoDirectories&) = delete;
  TwoDirectories& operator=(const TwoDirectories&) = delete;

 private:
  absl::Mutex* outer_;
  absl::Mutex* inner_ = nullptr;  // null if the two are one
};

void TreeFilesystem::PrepareNew(const Credentials& creds, const Inode& dir, NewFile& file) {
  const Ownership owner = OwnershipOfNew(creds, file.mode, dir.mode(), dir.gid());
  file.mode = owner.mode;
  file.uid = owner.uid;
  file.gid = owner.gid;
  // After the set-group-ID bit was judged by the mode that was asked for.
  dir.ApplyDefaultAcl(creds, file);
}

Result<RefPtr<Dentry>> TreeFilesystem::Create(ResolvingPath& path, Dentry& parent, NewFile file) {
  const std::string_view name = path.component();
  if (IsDots(name)) return Err(EEXIST);
  if (name.size() > kNameMax) return Err(ENAMETOOLONG);
  if (!IsValidName(name)) return Err(EINVAL);
  Directory& directory = parent.directory();
  absl::MutexLock lock(&directory.mu);
  if (directory.dead()) return Err(ENOENT);
  auto existing = LookupChildLocked(parent, directory, name);
  if (existing) return Err(EEXIST);
  if (existing.error() != Errno(ENOENT)) return Err(existing.error());
  if (path.must_be_dir() && !S_ISDIR(file.mode)) return Err(ENOENT);
  MountWriter writer(path.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  Inode& dir = parent.inode();
  STASIS_RETURN_IF_ERROR(dir.CheckAccess(path.creds(), kWrite | kExecute));
  // A whiteout is a device that nobody can open.
  const bool whiteout = S_ISCHR(file.mode) && file.rdev == 0;
  if ((S_ISCHR(file.mode) || S_ISBLK(file.mode)) && !whiteout &&
      !path.creds().Has(Capability::kMknod)) {
    return Err(EPERM);
  }
  PrepareNew(path.creds(), dir, file);
  STASIS_ASSIGN_OR_RETURN(auto inode, dir.MakeChild(name, file, path.clock().Now()));
  RefPtr<Dentry> dentry = Dentry::Make(name, std::move(inode));
  directory.Insert(dentry);
  watches()->OnEntry(parent, name, dentry->inode(), IN_CREATE);
  return dentry;
}

// A file that goes with its last name says so before its directory does.
void TreeFilesystem::ReportRemoved(const Dentry& parent, std::string_view name,
                                   RefPtr<Dentry>& removed) const {
  if (!watches()->active()) return;
  const Inode& inode = removed->inode();  // there until the gate is left
  removed.reset();
  watches()->OnEntry(parent, name, inode, IN_DELETE);
}

void TreeFilesystem::ReportMoved(const Dentry& old_dir, std::string_view old_name,
                                 const Dentry& new_dir, std::string_view new_name,
                                 const Inode& moved, const Inode* replaced) const {
  if (!watches()->active()) return;
  const uint32_t cookie = vfs().NextRenameCookie();
  watches()->OnEntry(old_dir, old_name, moved, IN_MOVED_FROM, cookie);
  watches()->OnEntry(new_dir, new_name, moved, IN_MOVED_TO, cookie);
  if (replaced != nullptr) watches()->OnInode(*replaced, IN_ATTRIB);
  watches()->OnInode(moved, IN_MOVE_SELF);
}

Result<void> TreeFilesystem::MkdirAt(ResolvingPath& path, uint32_t mode, Placement placement) {
  STASIS_ASSIGN_OR_RETURN(Dentry * parent, WalkToParent(path));
  if (path.done()) return Err(EEXIST);
  STASIS_RETURN_IF_ERROR(
      Create(path, *parent, {.mode = S_IFDIR | (mode & 01777), .placement = placement}));
  return {};
}

Result<void> TreeFilesystem::MknodAt(ResolvingPath& path, const MknodOptions& options) {
  uint32_t type = options.mode & S_IFMT;
  if (type == 0) type = S_IFREG;
  const bool device = type == S_IFCHR || type == S_IFBLK;
  STASIS_ASSIGN_OR_RETURN(Dentry * parent, WalkToParent(path));
  if (path.done()) return Err(EEXIST);
  STASIS_RETURN_IF_ERROR(Create(path, *parent,
                                {.mode = type | (options.mode & kPermissionBits),
                                 .rdev = device ? options.rdev : 0,
                                 .placement = options.placement}));
  return {};
}

Result<void> TreeFilesystem::SymlinkAt(ResolvingPath& path, std::string_view target,
                                       Placement placement) {
  constexpr size_t kPathMax = 4096;
  if (target.empty()) return Err(ENOENT);
  if (target.size() >= kPathMax) return Err(ENAMETOOLONG);
  STASIS_ASSIGN_OR_RETURN(Dentry * parent, WalkToParent(path));
  if (path.done()) return Err(EEXIST);
  STASIS_RETURN_IF_ERROR(Create(
      path, *parent, {.mode = S_IFLNK | 0777, .placement = placement, .symlink_target = target}));
  return {};
}

Result<void> TreeFilesystem::LinkAt(ResolvingPath& path, Mount& old_mount, Dentry& old) {
  STASIS_ASSIGN_OR_RETURN(Dentry * parent, WalkToParent(path));
  const std::string_view name = path.component();
  if (path.done() || IsDots(name)) return Err(EEXIST);
  if (name.size() > kNameMax) return Err(ENAMETOOLONG);
  if (!IsValidName(name)) return Err(EINVAL);
  Directory& directory = parent->directory();
  absl::MutexLock lock(&directory.mu);
  if (directory.dead()) return Err(ENOENT);
  auto existing = LookupChildLocked(*parent, directory, name);
  if (existing) return Err(EEXIST);
  if (existing.error() != Errno(ENOENT)) return Err(existing.error());
  if (path.must_be_dir()) return Err(ENOENT);
  MountWriter writer(path.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  if (&old_mount != &path.mount()) return Err(EXDEV);
  Inode& dir = parent->inode();
  STASIS_RETURN_IF_ERROR(dir.CheckAccess(path.creds(), kWrite | kExecute));
  if (old.is_dir()) return Err(EPERM);
  STASIS_RETURN_IF_ERROR(dir.LinkChild(name, old.inode(), path.clock().Now()));
  directory.Insert(Dentry::Make(name, RefPtr<Inode>(&old.inode())));
  watches()->OnInode(old.inode(), IN_ATTRIB);
  watches()->OnEntry(*parent, name, old.inode(), IN_CREATE);
  return {};
}

Result<void> TreeFilesystem::CheckRemovable(const Credentials& creds, const Dentry& parent,
                                            const Dentry& child) const {
  const Inode& dir = parent.inode();
  STASIS_RETURN_IF_ERROR(dir.CheckAccess(creds, kWrite | kExecute));
  STASIS_RETURN_IF_ERROR(CheckSticky(creds, dir.mode(), dir.uid(), child.inode().uid()));
  return {};
}

Result<void> TreeFilesystem::UnlinkAt(ResolvingPath& path) {
  STASIS_ASSIGN_OR_RETURN(Dentry * parent, WalkToParent(path));
  const std::string_view name = path.component();
  if (path.done() || IsDots(name)) return Err(EISDIR);
  Directory& directory = parent->directory();
  MountChange unmounted;   // ends after the lock
  RefPtr<Dentry> removed;  // released after the lock
  absl::MutexLock lock(&directory.mu);
  MountWriter writer(path.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  if (name.size() > kNameMax) return Err(ENAMETOOLONG);
  STASIS_ASSIGN_OR_RETURN(Dentry * child, LookupChildLocked(*parent, directory, name));
  if (path.must_be_dir()) return child->is_dir() ? Err(EISDIR) : Err(ENOTDIR);
  STASIS_RETURN_IF_ERROR(CheckRemovable(path.creds(), *parent, *child));
  if (child->is_dir()) return Err(EISDIR);
  if (vfs().IsBusyMountpoint(path.root_mount(), *child)) return Err(EBUSY);
  STASIS_RETURN_IF_ERROR(parent->inode().UnlinkChild(name, child->inode(), path.clock().Now()));
  removed = directory.Remove(*child);
  vfs().UnmountRemoved(*child, unmounted);
  watches()->OnInode(child->inode(), IN_ATTRIB);
  ReportRemoved(*parent, name, removed);
  return {};
}

void TreeFilesystem::ForgetGoneChildren(Dentry& parent, std::string_view name) {
  if (exclusive() || IsDots(name)) return;
  auto child = LookupChild(parent, name);
  if (!child || !(*child)->is_dir()) return;
  {
    Directory& directory = (*child)->directory();
    absl::ReaderMutexLock lock(&directory.mu);
    if (directory.empty()) return;
  }
  std::ignore = (*child)->inode().BeginListing(**child);
}

Result<void> TreeFilesystem::RmdirAt(ResolvingPath& path) {
  STASIS_ASSIGN_OR_RETURN(Dentry * parent, WalkToParent(path));
  const std::string_view name = path.component();
  if (path.done()) return Err(EBUSY);
  if (name == ".") return Err(EINVAL);
  if (name == "..") return Err(ENOTEMPTY);
  ForgetGoneChildren(*parent, name);
  MountWriter writer(path.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  if (name.size() > kNameMax) return Err(ENAMETOOLONG);
  Directory& directory = parent->directory();
  MountChange unmounted;   // ends after the locks
  RefPtr<Dentry> removed;  // released after the locks
  absl::MutexLock lock(&directory.mu);
  STASIS_ASSIGN_OR_RETURN(Dentry * child, LookupChildLocked(*parent, directory, name));
  STASIS_RETURN_IF_ERROR(CheckRemovable(path.creds(), *parent, *child));
  if (!child->is_dir()) return Err(ENOTDIR);
  if (vfs().IsBusyMountpoint(path.root_mount(), *child)) return Err(EBUSY);
  Directory& victim = child->directory();
  const InnerDirectoryLock victim_lock(victim);
  if (!victim.empty()) return Err(ENOTEMPTY);
  STASIS_RETURN_IF_ERROR(parent->inode().RmdirChild(name, child->inode(), path.clock().Now()));
  victim.set_dead();
  removed = directory.Remove(*child);
  vfs().UnmountRemoved(*child, unmounted);
  ReportRemoved(*parent, name, removed);
  return {};
}

Result<void> TreeFilesystem::CheckRename(const ResolvingPath& path, Dentry& old_parent,
                                         Dentry& moved, Dentry& new_parent, Dentry* replaced,
                                         uint32_t flags) {
  const Credentials& creds = path.creds();
  STASIS_RETURN_IF_ERROR(CheckRemovable(creds, old_parent, moved));
  if (replaced == nullptr) {
    STASIS_RETURN_IF_ERROR(new_parent.inode().CheckAccess(creds, kWrite | kExecute));
  } else {
    STASIS_RETURN_IF_ERROR(CheckRemovable(creds, new_parent, *replaced));
  }
  const bool exchange = (flags & RENAME_EXCHANGE) != 0;
  if (replaced != nullptr && !exchange) {
    if (moved.is_dir() && !replaced->is_dir()) return Err(ENOTDIR);
    if (!moved.is_dir() && replaced->is_dir()) return Err(EISDIR);
  }
  // A directory that gets another parent has its ".." changed.
  if (&old_parent != &new_parent) {
    if (moved.is_dir()) STASIS_RETURN_IF_ERROR(moved.inode().CheckAccess(creds, kWrite));
    if (exchange && replaced->is_dir())
      STASIS_RETURN_IF_ERROR(replaced->inode().CheckAccess(creds, kWrite));
  }
  const auto is_busy = [&](const Dentry& dentry) {
    return vfs().IsBusyMountpoint(path.root_mount(), dentry);
  };
  if (is_busy(moved) || (replaced != nullptr && is_busy(*replaced))) return Err(EBUSY);
  return {};
}

Result<void> TreeFilesystem::CheckRenamePlaces(const ResolvingPath& path,
                                               const RenameSource& source, const Dentry& moved,
                                               const Dentry& new_parent, const Dentry* replaced,
                                               uint32_t flags) {
  const bool exchange = (flags & RENAME_EXCHANGE) != 0;
  if (replaced != nullptr && (flags & RENAME_NOREPLACE) != 0) return Err(EEXIST);
  if (replaced == nullptr && exchange) return Err(ENOENT);
  // A slash after a name asks for a directory: each of its own name, but for a target that is made.
  if (source.must_be_dir && !moved.is_dir()) return Err(ENOTDIR);
  if (path.must_be_dir() && !(exchange ? *replaced : moved).is_dir()) return Err(ENOTDIR);
  if (moved.IsAncestorOf(new_parent)) return Err(EINVAL);
  if (replaced != nullptr && replaced->IsAncestorOf(source.parent))
    return Err(exchange ? EINVAL : ENOTEMPTY);
  return {};
}

// The directories' locks are taken by address and ancestry, which clang cannot follow.
Result<void> TreeFilesystem::RenameLocked(ResolvingPath& path, const RenameSource& source,
                                          Dentry& new_parent,
                                          uint32_t flags) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Dentry& old_parent = source.parent;
  const std::string_view old_name = source.name;
  const std::string_view new_name = path.component();
  MountChange unmounted;   // ends after the locks
  RefPtr<Dentry> removed;  // released after the locks
  TwoDirectories lock(old_parent, new_parent);
  Directory& from = old_parent.directory();
  Directory& to = new_parent.directory();
  STASIS_ASSIGN_OR_RETURN(Dentry * moved, LookupChildLocked(old_parent, from, old_name));
  if (from.dead() || to.dead()) return Err(ENOENT);
  if (new_name.size() > kNameMax) return Err(ENAMETOOLONG);
  if (!IsValidName(new_name)) return Err(EINVAL);
  auto target = LookupChildLocked(new_parent, to, new_name);
  if (!target && target.error() != Errno(ENOENT)) return Err(target.error());
  Dentry* replaced = target ? *target : nullptr;
  STASIS_RETURN_IF_ERROR(CheckRenamePlaces(path, source, *moved, new_parent, replaced, flags));
  if (replaced != nullptr && &replaced->inode() == &moved->inode()) return {};
  STASIS_RETURN_IF_ERROR(CheckRename(path, old_parent, *moved, new_parent, replaced, flags));
  const bool exchange = (flags & RENAME_EXCHANGE) != 0;
  const TimeNs now = path.clock().Now();
  Inode& old_dir = old_parent.inode();
  Inode& new_dir = new_parent.inode();
  if (exchange) {
    STASIS_RETURN_IF_ERROR(old_dir.ExchangeChildren(old_name, moved->inode(), new_dir, new_name,
                                                    replaced->inode(), now));
    Directory::Exchange(from, *moved, to, *replaced);
    ReportMoved(old_parent, old_name, new_parent, new_name, moved->inode(), nullptr);
    ReportMoved(new_parent, new_name, old_parent, old_name, replaced->inode(), nullptr);
    return {};
  }
  if (replaced != nullptr && replaced->is_dir()) {
    // Nothing can be added to it once it is dead, and nothing is in it.
    Directory& victim = replaced->directory();
    const InnerDirectoryLock victim_lock(victim);
    if (!victim.empty()) return Err(ENOTEMPTY);
    victim.set_dead();
  }
  RefPtr<Dentry> whiteout;
  Result<void> renamed;
  Inode* replaced_inode = replaced == nullptr ? nullptr : &replaced->inode();
  if ((flags & RENAME_WHITEOUT) != 0) {
    // What an overlay takes for "not here".
    NewFile file{.mode = S_IFCHR};
    PrepareNew(path.creds(), old_dir, file);
    auto left = old_dir.RenameLeavingWhiteout(old_name, moved->inode(), new_dir, new_name,
                                              replaced_inode, file, now);
    if (left) whiteout = Dentry::Make(old_name, *std::move(left));
    if (!left) renamed = Err(left.error());
  } else {
    renamed = old_dir.RenameChild(old_name, moved->inode(), new_dir, new_name, replaced_inode, now);
  }
  if (!renamed) {
    if (replaced != nullptr && replaced->is_dir()) replaced->directory().Revive();
    return renamed;
  }
  removed = Directory::Move(from, *moved, to, new_name, replaced, std::move(whiteout));
  if (removed) vfs().UnmountRemoved(*removed, unmounted);
  ReportMoved(old_parent, old_name, new_parent, new_name, moved->inode(), replaced_inode);
  return {};
}

Result<void> TreeFilesystem::RenameAt(ResolvingPath& path, const RenameSource& from,
                                      uint32_t flags) {
  STASIS_ASSIGN_OR_RETURN(Dentry * new_parent, WalkToParent(path));
  const std::string_view new_name = path.component();
  if (&from.mount != &path.mount()) return Err(EXDEV);
  if (from.name.empty() || IsDots(from.name)) return Err(EBUSY);
  if (path.done() || IsDots(new_name)) return Err((flags & RENAME_NOREPLACE) != 0 ? EEXIST : EBUSY);
  MountWriter writer(path.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  if (from.name.size() > kNameMax) return Err(ENAMETOOLONG);
  ForgetGoneChildren(*new_parent, new_name);
  absl::MutexLock lock(&rename_mu_);
  return RenameLocked(path, from, *new_parent, flags);
}

}  // namespace stasis::vfs
