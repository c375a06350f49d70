// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/overlay/layer.h"

#include <fcntl.h>

#include <utility>

#include "vfs/virtual_filesystem.h"

namespace stasis::overlay::layer {
namespace {

using vfs::VirtualDentry;

const vfs::Credentials& Root() {
  static const vfs::Credentials root = vfs::Credentials::Root();
  return root;
}

vfs::VirtualFilesystem& VfsOf(const VirtualDentry& at) { return at.mount().filesystem().vfs(); }

vfs::PathOperation In(const VirtualDentry& dir, std::string_view name) { return {dir, dir, name}; }

}  // namespace

Result<VirtualDentry> Lookup(const VirtualDentry& dir, std::string_view name) {
  auto found = VfsOf(dir).GetDentryAt(Root(), In(dir, name));
  if (!found && found.error() == Errno(ENAMETOOLONG)) return Err(ENOENT);
  return found;
}

Result<RefPtr<vfs::FileDescription>> Open(const VirtualDentry& at, int flags) {
  return VfsOf(at).OpenAt(Root(), In(at, ""), {.flags = flags, .unreported = true});
}

Result<std::vector<Entry>> List(const VirtualDentry& dir) {
  STASIS_ASSIGN_OR_RETURN(const auto file, Open(dir, O_RDONLY | O_DIRECTORY | O_NOATIME));
  std::vector<Entry> entries;
  STASIS_RETURN_IF_ERROR(file->IterateDirectory(0, [&](const vfs::DirectoryEntry& entry) {
    if (entry.dentry != nullptr)
      entries.push_back({std::string(entry.name), entry.type, RefPtr<vfs::Dentry>(entry.dentry)});
    return true;
  }));
  return entries;
}

Result<RefPtr<vfs::FileDescription>> MakeOpen(const VirtualDentry& dir, std::string_view name,
                                              const vfs::NewFile& file) {
  return VfsOf(dir).OpenAt(vfs::Credentials::Trusted(file.uid, file.gid), In(dir, name),
                           {.flags = O_RDWR | O_CREAT | O_EXCL,
                            .mode = file.mode & vfs::kPermissionBits,
                            .unreported = true});
}

Result<RefPtr<vfs::FileDescription>> MakeTmpfile(const VirtualDentry& dir,
                                                 const vfs::NewFile& file) {
  return VfsOf(dir).OpenAt(vfs::Credentials::Trusted(file.uid, file.gid), In(dir, ""),
                           {.flags = O_RDWR | O_TMPFILE | (file.linkable ? 0 : O_EXCL),
                            .mode = file.mode & vfs::kPermissionBits,
                            .unreported = true});
}

Result<VirtualDentry> Make(const VirtualDentry& dir, std::string_view name,
                           const vfs::NewFile& file) {
  vfs::VirtualFilesystem& vfs = VfsOf(dir);
  const vfs::Credentials owner = vfs::Credentials::Trusted(file.uid, file.gid);
  const uint32_t bits = file.mode & vfs::kPermissionBits;
  Result<void> made;
  switch (file.mode & S_IFMT) {
    case S_IFDIR:
      made = vfs.MkdirAt(owner, In(dir, name), bits, file.placement);
      break;
    case S_IFLNK:
      made = vfs.SymlinkAt(owner, In(dir, name), file.symlink_target, file.placement);
      break;
    default:
      made = vfs.MknodAt(owner, In(dir, name),
                         {.mode = file.mode, .rdev = file.rdev, .placement = file.placement});
  }
  STASIS_RETURN_IF_ERROR(made);
  STASIS_ASSIGN_OR_RETURN(VirtualDentry at, Lookup(dir, name));
  // mkdir(2) does not set set-ID bits that it is given, and gets others from its directory.
  if (S_ISDIR(file.mode) && (at.inode().mode() & 06000) != (bits & 06000)) {
    STASIS_RETURN_IF_ERROR(at.inode().SetAttributes(Root(), {.mode = bits}, vfs.clock().Now()));
  }
  return at;
}

Result<void> MakeWhiteout(const VirtualDentry& dir, std::string_view name) {
  return VfsOf(dir).MknodAt(Root(), In(dir, name), {.mode = S_IFCHR, .rdev = 0});
}

Result<void> Link(const VirtualDentry& file, const VirtualDentry& dir, std::string_view name) {
  return VfsOf(dir).LinkAt(Root(), In(file, ""), In(dir, name));
}

Result<void> Unlink(const VirtualDentry& dir, std::string_view name) {
  return VfsOf(dir).UnlinkAt(Root(), In(dir, name));
}

Result<void> Rmdir(const VirtualDentry& dir, std::string_view name) {
  return VfsOf(dir).RmdirAt(Root(), In(dir, name));
}

Result<void> Rename(const VirtualDentry& dir, std::string_view name, const VirtualDentry& new_dir,
                    std::string_view new_name, uint32_t flags) {
  return VfsOf(dir).RenameAt(Root(), In(dir, name), In(new_dir, new_name), flags);
}

// Without recursion: a tree may be as deep as memory allows.
Result<void> RemoveTree(const VirtualDentry& dir, std::string_view name) {
  struct Level {
    VirtualDentry dir;
    std::string name;  // in dir
  };
  std::vector<Level> todo = {{dir, std::string(name)}};
  while (!todo.empty()) {
    const Level level = todo.back();
    auto removed = Unlink(level.dir, level.name);
    if (!removed && removed.error() == Errno(EISDIR)) removed = Rmdir(level.dir, level.name);
    if (removed || removed.error() == Errno(ENOENT)) {
      todo.pop_back();
      continue;
    }
    if (removed.error() != Errno(ENOTEMPTY)) return removed;
    STASIS_ASSIGN_OR_RETURN(const VirtualDentry inner, Lookup(level.dir, level.name));
    STASIS_ASSIGN_OR_RETURN(const std::vector<Entry> entries, List(inner));
    if (entries.empty()) return Err(ENOTEMPTY);
    for (const Entry& entry : entries) todo.push_back({inner, entry.name});
  }
  return {};
}

}  // namespace stasis::overlay::layer
