// SPDX-License-Identifier: Apache-2.0
//
// tree_filesystem.cc: the path walk, and the operations on the file at its end.

#include "vfs/tree_filesystem.h"

#include <absl/strings/str_cat.h>
#include <sys/inotify.h>

#include <utility>

#include "vfs/file_description.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {
namespace {

// Opens what a walk has found.
Result<RefPtr<FileDescription>> OpenFound(ResolvingPath& path, Dentry& dentry,
                                          const OpenOptions& options) {
  STASIS_ASSIGN_OR_RETURN(const VirtualDentry at, VirtualDentry::Hold(path.mount(), dentry));
  STASIS_ASSIGN_OR_RETURN(auto file, dentry.inode().Open(at, options));
  if ((options.flags & O_PATH) == 0 && !options.unreported)
    path.mount().filesystem().watches()->OnOpenFile(dentry, IN_OPEN);
  return file;
}

void TouchAtime(ResolvingPath& path, Inode& inode) { path.mount().TouchAtime(inode, path.clock()); }

// Whether `creds` may pass through a directory. Errors: ENOTDIR, EACCES.
Result<void> CheckSearch(const Credentials& creds, const Dentry& dir) {
  if (!dir.is_dir()) return Err(ENOTDIR);
  const Inode& inode = dir.inode();
  if (inode.everybody_may_search()) return {};
  return inode.CheckAccess(creds, kExecute);
}

}  // namespace

Result<Dentry*> TreeFilesystem::LookupChild(Dentry& dir, std::string_view name) {
  Dentry* child = dir.directory().Lookup(name);
  if (child != nullptr && !child->unchecked()) [[likely]]
    return child;
  Directory& directory = dir.directory();
  if (name.size() > kNameMax) {
    // In a removed directory there is nothing, whatever its name.
    absl::ReaderMutexLock lock(&directory.mu);
    return directory.dead() ? Err(ENOENT) : Err(ENAMETOOLONG);
  }
  if (child == nullptr && !dir.inode().has_uncached_children()) return Err(ENOENT);
  Result<Dentry*> found = Err(ENOENT);
  {
    absl::MutexLock lock(&directory.mu);
    found = LookupChildLocked(dir, directory, name);
  }
  if (has_forgotten_.load(std::memory_order_relaxed)) UnmountForgotten();
  return found;
}

Result<Dentry*> TreeFilesystem::LookupChildLocked(Dentry& dir, Directory& directory,
                                                  std::string_view name) {
  if (Dentry* child = directory.LookupLocked(name); child != nullptr) {
    if (!child->unchecked()) return child;
    STASIS_ASSIGN_OR_RETURN(const bool valid, dir.inode().CheckChild(*child));
    if (valid) return child;
    ForgetLocked(directory, *child);
  }
  if (directory.dead() || !dir.inode().has_uncached_children()) return Err(ENOENT);
  STASIS_ASSIGN_OR_RETURN(auto inode, dir.inode().LookupChild(name));
  RefPtr<Dentry> child = Dentry::Make(name, std::move(inode));
  Dentry* found = child.get();
  directory.Insert(std::move(child));
  return found;
}

// Below it everything loses its place, or the cycle of parents and children would keep it all.
void TreeFilesystem::ForgetLocked(Directory& directory, Dentry& child) {
  std::vector<RefPtr<Dentry>> doomed;
  doomed.push_back(directory.Remove(child));
  while (!doomed.empty()) {
    const RefPtr<Dentry> dentry = std::move(doomed.back());
    doomed.pop_back();
    if (dentry->is_mountpoint()) {
      absl::MutexLock lock(&forgotten_mu_);
      forgotten_.push_back(dentry);
      has_forgotten_.store(true, std::memory_order_relaxed);
    }
    if (!dentry->is_dir()) continue;
    const InnerDirectoryLock lock(dentry->directory());
    dentry->directory().set_dead();
    for (RefPtr<Dentry>& below : dentry->directory().RemoveEach())
      doomed.push_back(std::move(below));
  }
}

void TreeFilesystem::UnmountForgotten() {
  std::vector<RefPtr<Dentry>> points;
  {
    absl::MutexLock lock(&forgotten_mu_);
    points.swap(forgotten_);
    has_forgotten_.store(false, std::memory_order_relaxed);
  }
  for (const RefPtr<Dentry>& point : points) vfs().UnmountAllAt(*point);
}

Result<Dentry*> TreeFilesystem::StepUp(ResolvingPath& path, Dentry& dir) {
  STASIS_ASSIGN_OR_RETURN(const bool at_root, path.CheckRoot(dir));
  path.Advance();
  Dentry* parent = dir.parent();
  if (at_root || parent == nullptr) {
    STASIS_RETURN_IF_ERROR(path.CheckMount(dir));
    return &dir;
  }
  // A directory that was moved out of the part of the tree that is mounted must not lead out of it.
  const Dentry& top = path.mount().root();
  if (top.parent() != nullptr && !top.IsAncestorOf(*parent)) return Err(ENOENT);
  STASIS_RETURN_IF_ERROR(path.CheckMount(*parent));
  return parent;
}

Result<Dentry*> TreeFilesystem::Step(ResolvingPath& path, Dentry& dir) {
  STASIS_RETURN_IF_ERROR(CheckSearch(path.creds(), dir));
  const std::string_view name = path.component();
  if (name.front() == '.') {
    if (name == ".") {
      path.Advance();
      return &dir;
    }
    if (name == "..") return StepUp(path, dir);
  }
  STASIS_ASSIGN_OR_RETURN(Dentry * child, LookupChild(dir, name));
  if (child->inode().is_symlink() && path.ShouldFollowSymlink()) [[unlikely]] {
    STASIS_RETURN_IF_ERROR(FollowSymlink(path, dir, child->inode()));
    return &dir;
  }
  path.Advance();
  STASIS_RETURN_IF_ERROR(path.CheckMount(*child));
  return child;
}

Result<void> TreeFilesystem::FollowSymlink(ResolvingPath& path, Dentry& dir, Inode& link) {
  if (path.mount().no_sym_follow()) return Err(ELOOP);
  STASIS_ASSIGN_OR_RETURN(const std::string_view target, link.ReadLink());
  TouchAtime(path, link);
  return path.HandleSymlink(dir, target);
}

Dentry* TreeFilesystem::WalkCached(ResolvingPath& path, Dentry* dentry, bool to_parent) {
  const char* at = path.rest().data();
  const char* const end = at + path.rest().size();
  const bool keep_last = to_parent || path.in_symlink();
  // Hidden files, dots and repeated slashes take the long way, and so does a directory that not
  // everybody may search.
  while (at != end && static_cast<unsigned char>(*at - '.') > '/' - '.' &&
         dentry->inode().everybody_may_search()) {
    const internal::NameKey name = internal::FirstComponent(at, end);
    const char* const stop = at + name.text.size();
    if (stop == end && keep_last) break;
    Dentry* child = dentry->TryLookup(name);
    if (child == nullptr || child->needs_attention()) break;
    dentry = child;
    at = stop == end ? end : stop + 1;
  }
  path.set_rest({at, end});
  return dentry;
}

Result<Dentry*> TreeFilesystem::Walk(ResolvingPath& path) {
  Dentry* dentry = WalkCached(path, &path.start(), /*to_parent=*/false);
  while (!path.done()) [[unlikely]] {
      STASIS_ASSIGN_OR_RETURN(dentry, Step(path, *dentry));
      dentry = WalkCached(path, dentry, /*to_parent=*/false);
    }
  if (path.must_be_dir() && !dentry->is_dir()) return Err(ENOTDIR);
  return dentry;
}

Result<Dentry*> TreeFilesystem::WalkToParent(ResolvingPath& path) {
  Dentry* dir = WalkCached(path, &path.start(), /*to_parent=*/true);
  while (!path.done() && !path.final_component()) [[unlikely]] {
      STASIS_ASSIGN_OR_RETURN(dir, Step(path, *dir));
      dir = WalkCached(path, dir, /*to_parent=*/true);
    }
  if (!path.done()) STASIS_RETURN_IF_ERROR(CheckSearch(path.creds(), *dir));
  return dir;
}

Result<Dentry*> TreeFilesystem::GetDentryAt(ResolvingPath& path) { return Walk(path); }

Result<Dentry*> TreeFilesystem::GetParentDentryAt(ResolvingPath& path) {
  return WalkToParent(path);
}

Result<void> TreeFilesystem::StatAt(ResolvingPath& path, Stat& stat) {
  STASIS_ASSIGN_OR_RETURN(Dentry * dentry, Walk(path));
  dentry->inode().FillStat(stat);
  stat.dev = dev();
  stat.mount_id = path.mount().id();
  return {};
}

Result<void> TreeFilesystem::AccessAt(ResolvingPath& path, Access want) {
  STASIS_ASSIGN_OR_RETURN(Dentry * dentry, Walk(path));
  const Inode& inode = dentry->inode();
  if ((want & kExecute) != 0 && inode.is_regular() && path.mount().no_exec()) return Err(EACCES);
  STASIS_RETURN_IF_ERROR(inode.CheckAccess(path.creds(), want));
  const bool data = inode.is_regular() || inode.is_dir() || inode.is_symlink();
  if ((want & kWrite) != 0 && data && path.mount().read_only()) return Err(EROFS);
  return {};
}

Result<std::string> TreeFilesystem::ReadLinkAt(ResolvingPath& path) {
  path.set_follow_final_symlink(false);
  STASIS_ASSIGN_OR_RETURN(Dentry * dentry, Walk(path));
  STASIS_ASSIGN_OR_RETURN(const std::string_view target, dentry->inode().ReadLink());
  TouchAtime(path, dentry->inode());
  return std::string(target);
}

Result<void> TreeFilesystem::SetAttributesAt(ResolvingPath& path, const SetStat& set) {
  STASIS_ASSIGN_OR_RETURN(Dentry * dentry, Walk(path));
  if (set.size && dentry->is_dir()) return Err(EISDIR);
  if (set.size && !dentry->inode().is_regular()) return Err(EINVAL);
  if (set.size) STASIS_RETURN_IF_ERROR(dentry->inode().CheckAccess(path.creds(), kWrite));
  MountWriter writer(path.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  STASIS_RETURN_IF_ERROR(dentry->inode().SetAttributes(path.creds(), set, path.clock().Now()));
  watches()->OnFile(*dentry, EventsOf(set));
  return {};
}

Result<StatFs> TreeFilesystem::StatFsAt(ResolvingPath& path) {
  STASIS_RETURN_IF_ERROR(Walk(path));
  return GetStatFs();
}

// What may_open() of Linux checks, in its order.
Result<void> TreeFilesystem::CheckOpen(ResolvingPath& path, const Inode& inode,
                                       const OpenOptions& options) {
  const int flags = options.flags;
  if (inode.is_symlink()) return Err(ELOOP);
  const bool write = options.writable() || (flags & O_TRUNC) != 0;
  if (inode.is_dir() && (write || (flags & O_CREAT) != 0)) return Err(EISDIR);
  if (inode.is_regular() && (flags & O_TRUNC) != 0 && path.mount().read_only()) return Err(EROFS);
  if ((S_ISCHR(inode.mode()) || S_ISBLK(inode.mode())) && path.mount().no_dev()) return Err(EACCES);
  if (options.execute && (!inode.is_regular() || path.mount().no_exec())) return Err(EACCES);
  const Access want =
      options.execute ? kExecute : (options.readable() ? kRead : 0) | (write ? kWrite : 0);
  STASIS_RETURN_IF_ERROR(inode.CheckAccess(path.creds(), want));
  if ((flags & O_NOATIME) != 0 && !IsOwnerOrCapable(path.creds(), inode.uid())) return Err(EPERM);
  return {};
}

Result<RefPtr<FileDescription>> TreeFilesystem::OpenExisting(ResolvingPath& path, Dentry& dentry,
                                                             const OpenOptions& options) {
  Inode& inode = dentry.inode();
  const int flags = options.flags;
  if (path.must_be_dir() && !inode.is_dir()) return Err(ENOTDIR);
  if ((flags & O_DIRECTORY) != 0 && !inode.is_dir()) return Err(ENOTDIR);
  if ((flags & O_PATH) != 0) return OpenFound(path, dentry, options);
  STASIS_RETURN_IF_ERROR(CheckOpen(path, inode, options));
  const bool truncate = (flags & O_TRUNC) != 0 && inode.is_regular();
  if ((!options.writable() && !truncate) || !inode.is_regular())
    return OpenFound(path, dentry, options);
  MountWriter writer(path.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  STASIS_ASSIGN_OR_RETURN(auto file, OpenFound(path, dentry, options));
  if (truncate) {
    STASIS_RETURN_IF_ERROR(inode.SetAttributes(
        path.creds(), {.drop_privileges = options.drop_privileges, .size = 0}, path.clock().Now()));
    watches()->OnFile(dentry, IN_MODIFY);
  }
  return file;
}

Result<RefPtr<FileDescription>> TreeFilesystem::OpenOrCreate(ResolvingPath& path,
                                                             const OpenOptions& options) {
  const bool exclusive = (options.flags & O_EXCL) != 0;
  if (exclusive || (options.flags & O_NOFOLLOW) != 0) path.set_follow_final_symlink(false);
  Dentry* dir = &path.start();
  for (;;) {
    path.SetStart(path.mount(), *dir);
    STASIS_ASSIGN_OR_RETURN(dir, WalkToParent(path));
    const std::string_view name = path.component();
    const bool dots = name == "." || name == "..";
    if ((path.done() || dots) && exclusive) return Err(EEXIST);
    if (path.done()) return OpenExisting(path, *dir, options);
    if (dots) {
      STASIS_ASSIGN_OR_RETURN(Dentry * dentry, Step(path, *dir));
      return OpenExisting(path, *dentry, options);
    }
    if (path.must_be_dir()) return Err(EISDIR);
    auto child = LookupChild(*dir, name);
    if (!child && child.error() != Errno(ENOENT)) return Err(child.error());
    if (!child) {
      auto created =
          Create(path, *dir, {.mode = S_IFREG | (options.mode & kPermissionBits), .opened = true});
      if (created) return OpenFound(path, **created, options);
      // Somebody was faster: then the file is opened.
      if (exclusive || created.error() != Errno(EEXIST)) return Err(created.error());
      continue;
    }
    if (exclusive) return Err(EEXIST);
    auto next = Step(path, *dir);
    // Somebody has removed it since: then it is made.
    if (!next && next.error() == Errno(ENOENT) && path.component().data() == name.data()) continue;
    if (!next) return Err(next.error());
    if (path.done()) return OpenExisting(path, **next, options);
    dir = *next;  // a link: on with its target
  }
}

// The path is that of a directory, whose filesystem and permissions count.
Result<RefPtr<FileDescription>> TreeFilesystem::OpenTmpfile(ResolvingPath& path,
                                                            const OpenOptions& options) {
  if (!options.writable() || (options.flags & O_CREAT) != 0) return Err(EINVAL);
  if ((options.flags & O_NOFOLLOW) != 0) path.set_follow_final_symlink(false);
  STASIS_ASSIGN_OR_RETURN(Dentry * dir, Walk(path));
  if (!dir->is_dir()) return Err(ENOTDIR);
  MountWriter writer(path.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  Inode& parent = dir->inode();
  STASIS_RETURN_IF_ERROR(parent.CheckAccess(path.creds(), kWrite | kExecute));
  NewFile file{.mode = S_IFREG | (options.mode & kPermissionBits),
               .linkable = (options.flags & O_EXCL) == 0};
  PrepareNew(path.creds(), parent, file);
  // It may be removed meanwhile, and its new file holds it.
  STASIS_ASSIGN_OR_RETURN(const VirtualDentry held, VirtualDentry::Hold(path.mount(), *dir));
  STASIS_ASSIGN_OR_RETURN(auto inode, parent.MakeTmpfile(file, path.clock().Now()));
  const std::string name = absl::StrCat("#", inode->ino());
  const RefPtr<Dentry> dentry = Dentry::MakeDisconnected(*dir, name, std::move(inode));
  return OpenFound(path, *dentry, options);
}

Result<RefPtr<FileDescription>> TreeFilesystem::OpenAt(ResolvingPath& path,
                                                       const OpenOptions& options) {
  if ((options.flags & O_TMPFILE) == O_TMPFILE && (options.flags & O_PATH) == 0)
    return OpenTmpfile(path, options);
  if ((options.flags & O_CREAT) != 0 && (options.flags & O_PATH) == 0)
    return OpenOrCreate(path, options);
  if ((options.flags & O_NOFOLLOW) != 0) path.set_follow_final_symlink(false);
  STASIS_ASSIGN_OR_RETURN(Dentry * dentry, Walk(path));
  return OpenExisting(path, *dentry, options);
}

void TreeFilesystem::Teardown() {
  // Breadth first, without recursion: a tree may be as deep as memory allows.
  std::vector<RefPtr<Dentry>> doomed;
  if (root_) doomed.push_back(std::move(root_));
  while (!doomed.empty()) {
    RefPtr<Dentry> dentry = std::move(doomed.back());
    doomed.pop_back();
    if (!dentry->is_dir()) continue;
    absl::MutexLock lock(&dentry->directory().mu);
    for (RefPtr<Dentry>& child : dentry->directory().RemoveAll())
      doomed.push_back(std::move(child));
  }
}

}  // namespace stasis::vfs
