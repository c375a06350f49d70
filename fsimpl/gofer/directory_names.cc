// SPDX-License-Identifier: Apache-2.0
//
// directory_names.cc: host directories: files that are made, and changes of names.

#include <absl/cleanup/cleanup.h>
#include <fcntl.h>
#include <linux/fs.h>

#include <optional>
#include <utility>

#include "fsimpl/gofer/asked.h"
#include "fsimpl/gofer/inode.h"

namespace stasis::gofer {
namespace {

HostInode& Host(vfs::Inode& inode) { return static_cast<HostInode&>(inode); }

// Whether what was found can be what was just made.
bool IsNew(const HostStat& found, const vfs::NewFile& file) {
  return found.type() == (file.mode & S_IFMT) && (S_ISDIR(file.mode) || found.stat.nlink <= 1);
}

// Empty for files of the host.
Result<vfs::XattrMap> XattrsOfDetached(const HostInode& file) {
  vfs::XattrMap xattrs;
  if (!file.detached()) return xattrs;
  STASIS_ASSIGN_OR_RETURN(const std::vector<std::string> names, file.ListXattr());
  for (const std::string& name : names) {
    STASIS_ASSIGN_OR_RETURN(xattrs[name], file.GetXattr(name));
  }
  return xattrs;
}

}  // namespace

Result<void> HostDirectory::MakeOnHost(int dir, const std::string& name, const vfs::NewFile& file,
                                       UniqueFd* opened) {
  HostOps& ops = fs().ops();
  const uint32_t bits = file.mode & vfs::kPermissionBits;
  switch (file.mode & S_IFMT) {
    case S_IFDIR:
      return ops.Mkdir(dir, name, bits);
    case S_IFLNK:
      return ops.Symlink(std::string(file.symlink_target), dir, name);
    case S_IFREG: {
      // Never by mknod(2): with a descriptor of it nobody can put another file in its place.
      const int flags = O_CREAT | O_EXCL | O_RDWR | fs().new_file_flags();
      STASIS_ASSIGN_OR_RETURN(*opened, ops.OpenBeneath(dir, name, flags, bits));
      return {};
    }
    case S_IFIFO:
    case S_IFSOCK:
      if (!fs().MayMake(file.mode & S_IFMT)) return Err(EPERM);
      return ops.Mknod(dir, name, file.mode, 0);
    default:
      // Nodes of real devices are not for sandboxes to make on a host; a whiteout opens nothing.
      if (!S_ISCHR(file.mode) || file.rdev != 0) return Err(EPERM);
      return ops.Mknod(dir, name, file.mode, 0);
  }
}

void HostDirectory::TakeAway(int dir, const std::string& name, const vfs::NewFile& file,
                             const std::optional<HostKey>& made) {
  HostOps& ops = fs().ops();
  if (made) {
    auto found = ops.Statx(dir, name);
    if (found && found->key != *made) return;
  }
  // If it stays, lookups are to find it.
  if (!ops.Unlink(dir, name, S_ISDIR(file.mode))) complete_.store(false, std::memory_order_release);
}

Result<HostStat> HostDirectory::Finish(int dir, const std::string& name, const vfs::NewFile& file,
                                       UniqueFd& fd) {
  HostOps& ops = fs().ops();
  std::optional<HostKey> made;
  absl::Cleanup undo = [&] {
    if (!name.empty()) TakeAway(dir, name, file, made);
  };
  STASIS_ASSIGN_OR_RETURN(HostStat found,
                          fd.valid() ? ops.Statx(fd.get(), "") : ops.Statx(dir, name));
  made = found.key;
  if (!IsNew(found, file)) {
    std::move(undo).Cancel();
    return Err(ESTALE);  // replaced by somebody
  }
  const OwnerMap& owners = fs().owners_;
  const uint32_t uid = owners.ToHost(file.uid, owners.host_uid);
  const uint32_t gid = owners.ToHost(file.gid, owners.host_gid);
  const bool other_owner = found.stat.uid != uid || found.stat.gid != gid;
  // The process's own umask must not count; what a default ACL made of the permissions stays.
  uint32_t bits = file.mode & vfs::kPermissionBits;
  const uint32_t made_bits = found.stat.mode & vfs::kPermissionBits;
  if (made_bits != bits && has_default_acl()) bits = (bits & 07000) | (made_bits & 0777);
  const bool other_mode = !S_ISLNK(file.mode) && made_bits != bits;
  if (other_owner || other_mode) {
    if (!fd.valid()) {
      STASIS_ASSIGN_OR_RETURN(fd, ops.OpenBeneath(dir, name, O_PATH, 0));
      STASIS_ASSIGN_OR_RETURN(const HostStat opened, ops.Statx(fd.get(), ""));
      if (opened.key != found.key) return Err(ESTALE);
    }
    if (other_owner) STASIS_RETURN_IF_ERROR(ops.Chown(fd.get(), uid, gid));
    // A change of owner takes set-ID bits away.
    if (other_mode || (!S_ISLNK(file.mode) && (bits & 06000) != 0))
      STASIS_RETURN_IF_ERROR(ops.Chmod(fd.get(), bits));
    STASIS_ASSIGN_OR_RETURN(found, ops.Statx(fd.get(), ""));
  }
  std::move(undo).Cancel();
  return found;
}

RefPtr<HostInode> HostDirectory::NewInode(const HostStat& made, const vfs::NewFile& file,
                                          UniqueFd fd) {
  RefPtr<HostInode> inode = fs().InodeFor(made, /*loaded=*/true);
  if (S_ISREG(file.mode) && fd.valid() && file.opened)
    static_cast<HostRegular&>(*inode).TakeHandle(std::move(fd));
  if (S_ISDIR(file.mode) && fs().exclusive())
    static_cast<HostDirectory&>(*inode).complete_.store(true, std::memory_order_release);
  return inode;
}

Result<RefPtr<vfs::Inode>> HostDirectory::MakeChild(std::string_view name, const vfs::NewFile& file,
                                                    TimeNs now) {
  if (file.placement == vfs::Placement::kSynthetic) {
    if (S_ISDIR(file.mode)) return RefPtr<vfs::Inode>(MakeRef<HostDirectory>(fs(), file, now));
    if (S_ISREG(file.mode)) return RefPtr<vfs::Inode>(MakeRef<HostRegular>(fs(), file, now));
    if (S_ISLNK(file.mode)) return RefPtr<vfs::Inode>(MakeRef<HostSymlink>(fs(), file, now));
  }
  if (detached() || file.placement == vfs::Placement::kSynthetic) return Err(EPERM);
  const std::string text(name);
  UniqueFd opened;
  const auto make = [&]() -> Result<HostStat> {
    STASIS_ASSIGN_OR_RETURN(const FdCache::Pin dir, fs().Control(*this));
    STASIS_RETURN_IF_ERROR(MakeOnHost(dir.fd(), text, file, &opened));
    set_stale();
    return Finish(dir.fd(), text, file, opened);
  };
  const auto made = Asked(fs(), Question::kMake, ino(), name, make);
  if (!made) {
    // It may be there all the same.
    if (fs().without_host()) complete_.store(false, std::memory_order_release);
    return Err(made.error());
  }
  set_stale();
  return RefPtr<vfs::Inode>(NewInode(*made, file, std::move(opened)));
}

// In a deleted directory that came back with a restore.
RefPtr<vfs::Inode> HostDirectory::MakeDetachedTmpfile(const vfs::NewFile& file, TimeNs now) {
  auto inode = MakeRef<HostRegular>(fs(), file, now);
  absl::MutexLock lock(&inode->mu());
  inode->set_nlink(0);
  inode->deleted_.store(true, std::memory_order_release);
  inode->set_linkable(file.linkable);
  return inode;
}

Result<RefPtr<vfs::Inode>> HostDirectory::MakeTmpfile(const vfs::NewFile& file, TimeNs now) {
  if (detached()) return MakeDetachedTmpfile(file, now);
  const int flags = O_TMPFILE | O_RDWR | (file.linkable ? 0 : O_EXCL) | fs().new_file_flags();
  vfs::NewFile opened = file;
  opened.opened = true;
  UniqueFd fd, control;
  const auto make = [&]() -> Result<HostStat> {
    STASIS_ASSIGN_OR_RETURN(const FdCache::Pin dir, fs().Control(*this));
    STASIS_ASSIGN_OR_RETURN(
        fd, fs().ops().OpenBeneath(dir.fd(), ".", flags, file.mode & vfs::kPermissionBits));
    STASIS_ASSIGN_OR_RETURN(control, fs().ops().Reopen(fd.get(), O_PATH));
    return Finish(dir.fd(), "", opened, fd);
  };
  STASIS_ASSIGN_OR_RETURN(const HostStat made, Asked(fs(), Question::kMake, ino(), "", make));
  RefPtr<HostInode> inode = NewInode(made, opened, std::move(fd));
  {
    absl::MutexLock lock(&inode->mu());
    inode->set_linkable(file.linkable);
  }
  inode->deleted_.store(true);
  if (control.valid()) {
    const FdCache::Pin pin = fs().fds_->Put(inode->control_, std::move(control));
    fs().fds_->Keep(inode->control_, true);
  }
  return RefPtr<vfs::Inode>(std::move(inode));
}

// A file without a name that came back with a restore gets one: then it is to be on the host. The
// file is locked, which clang does not follow through the cast.
Result<void> HostDirectory::Attach(std::string_view name, HostInode& file,
                                   const vfs::XattrMap& xattrs) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (!file.is_regular() || file.nlink() != 0) return Err(EXDEV);
  STASIS_ASSIGN_OR_RETURN(const FdCache::Pin dir, fs().Control(*this));
  auto& regular = static_cast<HostRegular&>(file);
  STASIS_RETURN_IF_ERROR(regular.Attach(dir.fd(), std::string(name), xattrs));
  set_stale();
  return {};
}

Result<void> HostDirectory::LinkChild(std::string_view name, vfs::Inode& target, TimeNs) {
  HostInode& file = Host(target);
  STASIS_ASSIGN_OR_RETURN(const vfs::XattrMap xattrs, XattrsOfDetached(file));
  absl::MutexLock lock(&file.mu());
  if (file.nlink() == 0 && !TakeLinkable(file)) return Err(ENOENT);
  if (detached()) return Err(EPERM);
  if (file.detached()) {
    if (fs().without_host()) return Err(ESTALE);
    auto attached = Attach(name, file, xattrs);
    if (!attached && file.nlink() == 0) file.set_linkable(true);
    return attached;
  }
  const bool first = file.deleted();
  const auto link = [&]() -> Result<void> {
    STASIS_ASSIGN_OR_RETURN(const FdCache::Pin dir, fs().Control(*this));
    STASIS_ASSIGN_OR_RETURN(const FdCache::Pin pin, fs().Control(file));
    return fs().ops().Link(pin.fd(), dir.fd(), std::string(name));
  };
  auto linked = Asked(fs(), Question::kAddName, ino(), name, link);
  if (!linked) {
    if (first) file.set_linkable(true);
    return linked;
  }
  file.deleted_.store(false, std::memory_order_release);
  fs().fds_->Keep(file.control_, false);
  file.set_nlink(file.nlink() + 1);
  file.set_stale();
  set_stale();
  return {};
}

// `keep`: the file may be in use without it.
Result<void> HostDirectory::Remove(std::string_view name, HostInode& child, bool keep) {
  const auto remove = [&]() -> Result<void> {
    STASIS_ASSIGN_OR_RETURN(const FdCache::Pin dir, fs().Control(*this));
    if (keep) child.KeepControl();
    auto removed = fs().ops().Unlink(dir.fd(), std::string(name), child.is_dir());
    if (!removed) fs().fds_->Keep(child.control_, false);
    return removed;
  };
  STASIS_RETURN_IF_ERROR(Asked(fs(), Question::kRemove, ino(), name, remove));
  set_stale();
  return {};
}

Result<void> HostDirectory::UnlinkChild(std::string_view name, vfs::Inode& target, TimeNs) {
  HostInode& child = Host(target);
  if (!child.detached()) STASIS_RETURN_IF_ERROR(Remove(name, child, /*keep=*/child.nlink() <= 1));
  child.DropLink();
  return {};
}

Result<void> HostDirectory::RmdirChild(std::string_view name, vfs::Inode& target, TimeNs) {
  HostInode& child = Host(target);
  if (!child.detached()) STASIS_RETURN_IF_ERROR(Remove(name, child, /*keep=*/true));
  child.DropLink();
  return {};
}

Result<void> HostDirectory::Rename(std::string_view name, vfs::Inode& child, vfs::Inode& new_dir,
                                   std::string_view new_name, vfs::Inode* replaced,
                                   uint32_t flags) {
  HostInode& to_dir = Host(new_dir);
  // What is only here cannot be moved about on the host, nor be replaced there.
  if (Host(child).detached() || detached() || to_dir.detached()) return Err(EBUSY);
  if (replaced != nullptr && Host(*replaced).detached()) return Err(EBUSY);
  const bool replaces = replaced != nullptr && (flags & RENAME_EXCHANGE) == 0;
  const bool last = replaces && (replaced->is_dir() || replaced->nlink() <= 1);
  const auto rename = [&]() -> Result<void> {
    STASIS_ASSIGN_OR_RETURN(const FdCache::Pin from, fs().Control(*this));
    STASIS_ASSIGN_OR_RETURN(const FdCache::Pin to, fs().Control(to_dir));
    if (last) Host(*replaced).KeepControl();
    auto renamed =
        fs().ops().Rename(from.fd(), std::string(name), to.fd(), std::string(new_name), flags);
    if (!renamed && last) fs().fds_->Keep(Host(*replaced).control_, false);
    return renamed;
  };
  STASIS_RETURN_IF_ERROR(Asked(fs(), Question::kRename, ino(), name, rename));
  if (replaces) Host(*replaced).DropLink();
  set_stale();
  to_dir.set_stale();
  Host(child).set_stale();
  return {};
}

Result<void> HostDirectory::RenameChild(std::string_view name, vfs::Inode& child,
                                        vfs::Inode& new_dir, std::string_view new_name,
                                        vfs::Inode* replaced, TimeNs) {
  return Rename(name, child, new_dir, new_name, replaced, 0);
}

Result<RefPtr<vfs::Inode>> HostDirectory::RenameLeavingWhiteout(
    std::string_view name, vfs::Inode& child, vfs::Inode& new_dir, std::string_view new_name,
    vfs::Inode* replaced, const vfs::NewFile& file, TimeNs) {
  STASIS_RETURN_IF_ERROR(Rename(name, child, new_dir, new_name, replaced, RENAME_WHITEOUT));
  // Too late for an error of this: a whiteout that is somebody else's is one, too.
  if (auto left = TakeWhiteout(std::string(name), file)) return left;
  auto whiteout = LookupChild(name);
  if (whiteout) return whiteout;
  // The host has renamed it all the same.
  fs().CheckAgain(Host(child));
  if (replaced != nullptr) fs().CheckAgain(Host(*replaced));
  complete_.store(false, std::memory_order_release);
  static_cast<HostDirectory&>(new_dir).complete_.store(false, std::memory_order_release);
  return whiteout;
}

// The whiteout that a rename has left belongs to whom `file` says.
Result<RefPtr<vfs::Inode>> HostDirectory::TakeWhiteout(const std::string& name,
                                                       const vfs::NewFile& file) {
  STASIS_ASSIGN_OR_RETURN(const FdCache::Pin dir, fs().Control(*this));
  STASIS_ASSIGN_OR_RETURN(UniqueFd fd, fs().ops().OpenBeneath(dir.fd(), name, O_PATH, 0));
  STASIS_ASSIGN_OR_RETURN(const HostStat left, Finish(dir.fd(), "", file, fd));
  return RefPtr<vfs::Inode>(NewInode(left, file, std::move(fd)));
}

Result<void> HostDirectory::ExchangeChildren(std::string_view name, vfs::Inode& child,
                                             vfs::Inode& other_dir, std::string_view other_name,
                                             vfs::Inode& other, TimeNs) {
  if (Host(other).detached()) return Err(EBUSY);
  STASIS_RETURN_IF_ERROR(Rename(name, child, other_dir, other_name, &other, RENAME_EXCHANGE));
  Host(other).set_stale();
  return {};
}

}  // namespace stasis::gofer
