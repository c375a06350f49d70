// SPDX-License-Identifier: Apache-2.0
//
// stat.h: attributes of files and filesystems, and the sets of them that callers change.

#ifndef STASIS_VFS_STAT_H_
#define STASIS_VFS_STAT_H_

#include <sys/stat.h>

#include <cstdint>
#include <limits>
#include <optional>

#include "state/base/clock.h"

namespace stasis::vfs {

inline constexpr uint32_t kPermissionBits = 07777;
// What off_t can say.
inline constexpr uint64_t kMaxFileSize = std::numeric_limits<int64_t>::max();

// What statx(2) reports. `mode` holds the file type (S_IFMT) and the permission bits.
struct Stat {
  uint64_t ino = 0;
  uint64_t size = 0;    // bytes
  uint64_t blocks = 0;  // of 512 bytes
  uint64_t rdev = 0;    // as makedev(3), for device nodes
  TimeNs atime = 0;
  TimeNs mtime = 0;
  TimeNs ctime = 0;
  TimeNs btime = 0;
  uint32_t mode = 0;
  uint32_t nlink = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t blksize = 4096;
  uint32_t dev = 0;  // number of the filesystem, unique within its VirtualFilesystem
  uint64_t mount_id = 0;
};

// A time to set: the given one, or the clock's (`now`).
struct SetTime {
  TimeNs value = 0;
  bool now = false;
};

// Privileges that a file loses when somebody changes its content or owner.
struct DropPrivileges {
  bool set_ids = false;       // S_ISUID, and S_ISGID if the group may execute
  bool set_gid = false;       // S_ISGID in any case: of callers who are not in the file's group
  bool capabilities = false;  // security.capability
};

// The attributes a caller changes; the others stay.
struct SetStat {
  DropPrivileges drop_privileges;  // before `mode` is set; not from directories
  std::optional<uint32_t> mode;    // permission bits only
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::optional<uint64_t> size;
  std::optional<SetTime> atime;
  std::optional<SetTime> mtime;
  std::optional<TimeNs> ctime;  // only for restorers and importers: needs Capability::kSysAdmin
  std::optional<TimeNs> btime;  // likewise
};

// What statfs(2) reports, in units of `block_size` bytes.
struct StatFs {
  uint64_t type = 0;  // magic number
  uint64_t block_size = 4096;
  uint64_t blocks = 0;
  uint64_t blocks_free = 0;
  uint64_t files = 0;
  uint64_t files_free = 0;
  uint64_t name_max = 255;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_STAT_H_
