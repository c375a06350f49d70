// SPDX-License-Identifier: Apache-2.0
//
// options.h: arguments of VirtualFilesystem's operations.

#ifndef STASIS_VFS_OPTIONS_H_
#define STASIS_VFS_OPTIONS_H_

#include <fcntl.h>

#include <cstdint>

#include "vfs/stat.h"

namespace stasis::vfs {

struct OpenOptions {
  // As for open(2): the access mode, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW,
  // O_PATH, O_TMPFILE; others are kept as status flags.
  int flags = O_RDONLY;
  // Permission bits of a file that O_CREAT makes, to which the umask still applies.
  uint32_t mode = 0;
  // To run it, as execve(2) opens a program: a regular file that the caller may execute, on a mount
  // that allows it. Reading it takes no permission; writing is refused as long as it is open.
  // Requires: O_RDONLY, no creation flags.
  bool execute = false;
  // Nobody who watches the file hears that it is opened and closed: for a front end that opens it
  // once more for a program that has it open already.
  bool unreported = false;
  // What the file loses with O_TRUNC.
  DropPrivileges drop_privileges;

  bool readable() const { return (flags & O_ACCMODE) != O_WRONLY && (flags & O_PATH) == 0; }
  bool writable() const { return (flags & O_ACCMODE) != O_RDONLY && (flags & O_PATH) == 0; }
};

// Whether a file is made where the filesystem keeps its files, or in this tree only: a place to
// mount something on need not be made on the host. Filesystems that keep nothing elsewhere make no
// difference.
enum class Placement : uint8_t { kStored, kSynthetic };

struct MknodOptions {
  uint32_t mode = 0;  // type (S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK) and permission bits
  uint64_t rdev = 0;
  Placement placement = Placement::kStored;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_OPTIONS_H_
