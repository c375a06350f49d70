// SPDX-License-Identifier: Apache-2.0
//
// privileges.h: set-ID bits and file capabilities, which must not outlive a change of the file.
//
// With FUSE_HANDLE_KILLPRIV_V2 that is the server's task: file capabilities go with every write,
// truncation and change of owner; set-ID bits go with a change of owner, and with a write or a
// truncation when the kernel says so, that is, unless the caller has CAP_FSETID.

#ifndef STASIS_CMD_FUSE_PRIVILEGES_H_
#define STASIS_CMD_FUSE_PRIVILEGES_H_

#include "cmd/fuse/session.h"
#include "state/base/result.h"
#include "vfs/path_operation.h"

namespace stasis::fuse {

Result<void> DropFileCapabilities(Call& call, const vfs::VirtualDentry& file);

// Before a write to `file`; with `set_ids` also the set-ID bits. True if those have changed, which
// the kernel does not know.
Result<bool> DropPrivileges(Call& call, const vfs::VirtualDentry& file, bool set_ids);

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_PRIVILEGES_H_
