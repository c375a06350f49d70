// SPDX-License-Identifier: Apache-2.0

#include "vfs/permissions.h"

#include <sys/stat.h>

#include <algorithm>

namespace stasis::vfs {

bool Credentials::InGroup(uint32_t group) const {
  return gid == group || std::find(groups.begin(), groups.end(), group) != groups.end();
}

Result<void> CheckAccess(const Credentials& creds, Access want, uint32_t mode, uint32_t uid,
                         uint32_t gid) {
  uint32_t granted = mode & 7;
  if (creds.uid == uid) {
    granted = (mode >> 6) & 7;
  } else if (creds.InGroup(gid)) {
    granted = (mode >> 3) & 7;
  }
  if ((want & ~granted) == 0) return {};
  return CheckCapableOf(creds, want, mode);
}

Result<void> CheckCapableOf(const Credentials& creds, Access want, uint32_t mode) {
  const bool is_dir = S_ISDIR(mode);
  if (creds.Has(Capability::kDacOverride)) {
    // Executing a file needs at least one execute bit, whoever asks.
    if (is_dir || (want & kExecute) == 0 || (mode & 0111) != 0) return {};
  }
  if (creds.Has(Capability::kDacReadSearch)) {
    if (want == kRead || (is_dir && (want & kWrite) == 0)) return {};
  }
  return Err(EACCES);
}

bool IsOwnerOrCapable(const Credentials& creds, uint32_t uid) {
  return creds.uid == uid || creds.Has(Capability::kFowner);
}

Result<void> CheckSticky(const Credentials& creds, uint32_t dir_mode, uint32_t dir_uid,
                         uint32_t file_uid) {
  if ((dir_mode & S_ISVTX) == 0 || creds.uid == file_uid || creds.uid == dir_uid ||
      creds.Has(Capability::kFowner)) {
    return {};
  }
  return Err(EPERM);
}

Ownership OwnershipOfNew(const Credentials& creds, uint32_t mode, uint32_t dir_mode,
                         uint32_t dir_gid) {
  Ownership owner{mode, creds.uid, creds.gid};
  if ((dir_mode & S_ISGID) != 0) {
    owner.gid = dir_gid;
    if (S_ISDIR(mode)) {
      owner.mode |= S_ISGID;
    } else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !creds.InGroup(dir_gid) &&
               !creds.Has(Capability::kFsetid)) {
      owner.mode &= ~static_cast<uint32_t>(S_ISGID);
    }
  }
  return owner;
}

}  // namespace stasis::vfs
