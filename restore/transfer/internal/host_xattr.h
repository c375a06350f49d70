// SPDX-License-Identifier: Apache-2.0
//
// host_xattr.h: extended attributes of host files that are open, or only have a name.

#ifndef STASIS_RESTORE_TRANSFER_INTERNAL_HOST_XATTR_H_
#define STASIS_RESTORE_TRANSFER_INTERNAL_HOST_XATTR_H_

#include <string>

#include "restore/transfer/tree_source.h"
#include "state/base/result.h"

namespace stasis::restore {

// Of an open file.
Result<Xattrs> GetHostXattrs(int fd);
Result<void> SetHostXattr(int fd, const std::string& name, const std::string& value);

// Of `file` in the directory `dir`, whatever kind of file it is; a symbolic link is not followed.
Result<Xattrs> GetHostXattrsAt(int dir, const std::string& file);
Result<void> SetHostXattrAt(int dir, const std::string& file, const std::string& name,
                            const std::string& value);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_INTERNAL_HOST_XATTR_H_
