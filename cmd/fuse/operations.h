// SPDX-License-Identifier: Apache-2.0
//
// operations.h: one function per kind of request. Each takes its arguments from call.in(), which it
// checks to the end, and leaves its answer in call.reply().

#ifndef STASIS_CMD_FUSE_OPERATIONS_H_
#define STASIS_CMD_FUSE_OPERATIONS_H_

#include "cmd/fuse/session.h"
#include "state/base/result.h"

namespace stasis::fuse {

using Operation = Result<void> (*)(Call& call);

// Null if there is none.
Operation FindOperation(uint32_t opcode);

// operations_connection.cc
Result<void> Init(Call& call);
Result<void> Destroy(Call& call);
Result<void> SyncFs(Call& call);

// operations_lookup.cc
Result<void> Lookup(Call& call);
Result<void> Forget(Call& call);
Result<void> BatchForget(Call& call);

// operations_attributes.cc
Result<void> GetAttr(Call& call);
Result<void> SetAttr(Call& call);
Result<void> Statx(Call& call);
Result<void> CheckAccess(Call& call);
Result<void> StatFs(Call& call);

// operations_names.cc
Result<void> ReadLink(Call& call);
Result<void> Symlink(Call& call);
Result<void> Mknod(Call& call);
Result<void> Mkdir(Call& call);
Result<void> Unlink(Call& call);
Result<void> Rmdir(Call& call);
Result<void> Rename(Call& call);
Result<void> Rename2(Call& call);
Result<void> Link(Call& call);

// operations_files.cc
Result<void> Open(Call& call);
Result<void> Create(Call& call);
Result<void> Tmpfile(Call& call);
Result<void> Read(Call& call);
Result<void> Write(Call& call);
Result<void> Release(Call& call);
Result<void> Fsync(Call& call);

// operations_ranges.cc
Result<void> Lseek(Call& call);
Result<void> Fallocate(Call& call);
Result<void> CopyFileRange(Call& call);
Result<void> CopyFileRange64(Call& call);

// operations_directories.cc
Result<void> OpenDir(Call& call);
Result<void> ReadDir(Call& call);
Result<void> ReadDirPlus(Call& call);

// operations_xattrs.cc
Result<void> SetXattr(Call& call);
Result<void> GetXattr(Call& call);
Result<void> ListXattr(Call& call);
Result<void> RemoveXattr(Call& call);

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_OPERATIONS_H_
