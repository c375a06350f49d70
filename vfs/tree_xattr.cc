// SPDX-License-Identifier: Apache-2.0
//
// tree_xattr.cc: extended attributes: who may see and change which, as in xattr(7).

#include <sys/inotify.h>
#include <sys/xattr.h>

#include <algorithm>
#include <utility>

#include "vfs/tree_filesystem.h"

namespace stasis::vfs {
namespace {

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// Errors: ERANGE.
Result<void> CheckName(std::string_view name) {
  if (name.empty() || name.size() > XATTR_NAME_MAX) return Err(ERANGE);
  return {};
}

// Errors: EINVAL, EOPNOTSUPP, EPERM, ENODATA, EACCES.
Result<void> CheckXattr(const Credentials& creds, const Inode& inode, std::string_view name,
                        Access want) {
  const bool write = (want & kWrite) != 0;
  if (StartsWith(name, "user.")) {
    // Only regular files and directories: others' permission bits mean something else.
    if (!inode.is_regular() && !inode.is_dir()) return write ? Err(EPERM) : Err(ENODATA);
    if (write && inode.is_dir() && (inode.mode() & S_ISVTX) != 0 &&
        !IsOwnerOrCapable(creds, inode.uid())) {
      return Err(EPERM);
    }
    STASIS_RETURN_IF_ERROR(inode.CheckAccess(creds, want));
    return name.size() > 5 ? Result<void>() : Err(EINVAL);
  }
  const bool admin = creds.Has(Capability::kSysAdmin);
  if (StartsWith(name, "trusted.")) {
    if (!admin) return write ? Err(EPERM) : Err(ENODATA);
    return name.size() > 8 ? Result<void>() : Err(EINVAL);
  }
  if (StartsWith(name, "security.")) {
    if (write && !admin) return Err(EPERM);
    return name.size() > 9 ? Result<void>() : Err(EINVAL);
  }
  if (IsAclXattr(name)) return inode.is_symlink() ? Err(EOPNOTSUPP) : Result<void>();
  if (!StartsWith(name, "system.")) STASIS_RETURN_IF_ERROR(inode.CheckAccess(creds, want));
  return Err(EOPNOTSUPP);
}

}  // namespace

Result<std::string> TreeFilesystem::GetXattrAt(ResolvingPath& path, std::string_view name) {
  STASIS_RETURN_IF_ERROR(CheckName(name));
  STASIS_ASSIGN_OR_RETURN(Dentry * dentry, Walk(path));
  STASIS_RETURN_IF_ERROR(CheckXattr(path.creds(), dentry->inode(), name, kRead));
  return dentry->inode().GetXattr(name);
}

Result<void> TreeFilesystem::SetXattrAt(ResolvingPath& path, std::string_view name,
                                        std::string_view value, int flags) {
  if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) != 0) return Err(EINVAL);
  STASIS_RETURN_IF_ERROR(CheckName(name));
  if (value.size() > XATTR_SIZE_MAX) return Err(E2BIG);
  STASIS_ASSIGN_OR_RETURN(Dentry * dentry, Walk(path));
  MountWriter writer(path.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  STASIS_RETURN_IF_ERROR(CheckXattr(path.creds(), dentry->inode(), name, kWrite));
  if (IsAclXattr(name)) {
    STASIS_ASSIGN_OR_RETURN(Acl acl, Acl::Parse(value));
    STASIS_RETURN_IF_ERROR(
        dentry->inode().SetAcl(path.creds(), name, std::move(acl), path.clock().Now()));
  } else {
    STASIS_RETURN_IF_ERROR(dentry->inode().SetXattr(name, value, flags, path.clock().Now()));
  }
  watches()->OnFile(*dentry, IN_ATTRIB);
  return {};
}

Result<std::vector<std::string>> TreeFilesystem::ListXattrAt(ResolvingPath& path) {
  STASIS_ASSIGN_OR_RETURN(Dentry * dentry, Walk(path));
  STASIS_ASSIGN_OR_RETURN(auto names, dentry->inode().ListXattr());
  if (!path.creds().Has(Capability::kSysAdmin))
    std::erase_if(names, [](const std::string& name) { return StartsWith(name, "trusted."); });
  return names;
}

Result<void> TreeFilesystem::RemoveXattrAt(ResolvingPath& path, std::string_view name) {
  STASIS_RETURN_IF_ERROR(CheckName(name));
  STASIS_ASSIGN_OR_RETURN(Dentry * dentry, Walk(path));
  MountWriter writer(path.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  STASIS_RETURN_IF_ERROR(CheckXattr(path.creds(), dentry->inode(), name, kWrite));
  const TimeNs now = path.clock().Now();
  STASIS_RETURN_IF_ERROR(IsAclXattr(name) ? dentry->inode().SetAcl(path.creds(), name, {}, now)
                                          : dentry->inode().RemoveXattr(name, now));
  watches()->OnFile(*dentry, IN_ATTRIB);
  return {};
}

}  // namespace stasis::vfs
