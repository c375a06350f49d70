// SPDX-License-Identifier: Apache-2.0
//
// tmpfs_mounts.h: filesystems in memory as parts of a new sandbox's tree.

#ifndef STASIS_CMD_STASIS_TMPFS_MOUNTS_H_
#define STASIS_CMD_STASIS_TMPFS_MOUNTS_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "vfs/mount.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::cli {

// "--tmpfs DST[:size=SIZE][:inodes=NUMBER][:mode=OCTAL][:noexec][:ro]". Unlike a mount of the
// kernel's tmpfs it is saved.
struct TmpfsMount {
  std::string target;  // absolute, in the sandbox
  uint64_t size_limit = 0;
  uint64_t inode_limit = 0;
  uint32_t mode = 01777;
  vfs::MountFlags flags = {.no_suid = true, .no_dev = true};
};
// Errors: kInvalidArgument.
absl::StatusOr<TmpfsMount> ParseTmpfsMount(std::string_view text);

// Such a filesystem, mounted nowhere yet.
RefPtr<vfs::Filesystem> NewTmpfs(vfs::VirtualFilesystem& vfs, const TmpfsMount& mount);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_TMPFS_MOUNTS_H_
