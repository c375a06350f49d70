// SPDX-License-Identifier: Apache-2.0
//
// permissions.h: the permission rules of path_resolution(7) and inode(7), without I/O or locks.

#ifndef STASIS_VFS_PERMISSIONS_H_
#define STASIS_VFS_PERMISSIONS_H_

#include <cstdint>

#include "state/base/result.h"
#include "vfs/credentials.h"

namespace stasis::vfs {

// Sets of rights, with the values of access(2): 4 read, 2 write, 1 execute or search.
using Access = uint32_t;
inline constexpr Access kRead = 4;
inline constexpr Access kWrite = 2;
inline constexpr Access kExecute = 1;

// Whether `creds` has all of `want` on a file of that mode (with type) and owner.
// Errors: EACCES.
Result<void> CheckAccess(const Credentials& creds, Access want, uint32_t mode, uint32_t uid,
                         uint32_t gid);

// The part of CheckAccess that asks for capabilities, after permission bits or an ACL said no.
// Errors: EACCES.
Result<void> CheckCapableOf(const Credentials& creds, Access want, uint32_t mode);

// Whether `creds` may remove or rename a file of `file_uid` in a directory of that mode and owner
// as far as the sticky bit goes. Errors: EPERM.
Result<void> CheckSticky(const Credentials& creds, uint32_t dir_mode, uint32_t dir_uid,
                         uint32_t file_uid);

// True if `creds` owns a file of `uid` or may act as if it did.
bool IsOwnerOrCapable(const Credentials& creds, uint32_t uid);

// Mode and group of a file created by `creds` with `mode` (type and permissions) in such a
// directory: a set-group-ID directory passes on its group, and the bit itself to directories.
struct Ownership {
  uint32_t mode;
  uint32_t uid;
  uint32_t gid;
};
Ownership OwnershipOfNew(const Credentials& creds, uint32_t mode, uint32_t dir_mode,
                         uint32_t dir_gid);

}  // namespace stasis::vfs

#endif  // STASIS_VFS_PERMISSIONS_H_
