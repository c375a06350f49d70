// SPDX-License-Identifier: Apache-2.0
//
// export.h: a tree of a VFS into a host directory or a tar file.

#ifndef STASIS_RESTORE_TRANSFER_EXPORT_H_
#define STASIS_RESTORE_TRANSFER_EXPORT_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <string>

#include "restore/transfer/owner_map.h"
#include "restore/transfer/report.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::restore {

struct ExportOptions {
  OwnerMap owners;
  TransferProgressCallback on_progress;
  const std::atomic<bool>* cancel = nullptr;  // borrowed
};

// Copies the tree at `source` into `directory`, which is made, or is empty. Never follows a
// symbolic link and never leaves `directory`. Owners and device nodes need root: without, they give
// warnings. Errors: kFailedPrecondition if `directory` is not empty; kResourceExhausted; after
// others, the message says what was left behind.
absl::StatusOr<TransferReport> ExportDirectory(vfs::VirtualFilesystem& vfs,
                                               const vfs::VirtualDentry& source,
                                               const std::string& directory,
                                               const ExportOptions& options = {});

// Writes the tree at `source` as a pax archive to `file`; "-" is the standard output. A file is
// written beside and renamed: it is complete or not there. Holes are kept, extended attributes go
// to SCHILY.xattr, sockets (tar has none) give warnings. Errors: kResourceExhausted, kInternal.
absl::StatusOr<TransferReport> ExportTar(vfs::VirtualFilesystem& vfs,
                                         const vfs::VirtualDentry& source, const std::string& file,
                                         const ExportOptions& options = {});

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_EXPORT_H_
