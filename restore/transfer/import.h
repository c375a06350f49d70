// SPDX-License-Identifier: Apache-2.0
//
// import.h: a host directory into a VFS.
//
// Kept: names of any bytes, all kinds of files, holes, hard links, owners, modes, extended
// attributes that the caller can read, atime, mtime, ctime and btime in nanoseconds. Symbolic links
// are copied, never followed, not even if the tree changes meanwhile.

#ifndef STASIS_RESTORE_TRANSFER_IMPORT_H_
#define STASIS_RESTORE_TRANSFER_IMPORT_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <string>

#include "restore/transfer/owner_map.h"
#include "restore/transfer/report.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::restore {

struct ImportOptions {
  // Leaves out what is on other filesystems than the directory itself: mount points become empty.
  bool one_file_system = false;
  // Goes on after a file that cannot be read, and reports it.
  bool ignore_errors = false;
  OwnerMap owners;
  TransferProgressCallback on_progress;
  const std::atomic<bool>* cancel = nullptr;  // borrowed
};

// Copies what is in `directory` into `target`, an empty directory, which gets the attributes of
// `directory`. A file that changes while it is read gives a warning.
// Errors: kNotFound if `directory` is not there; otherwise all files that could not be read are in
// the message (up to a dozen of them).
absl::StatusOr<TransferReport> ImportDirectory(const std::string& directory,
                                               vfs::VirtualFilesystem& vfs,
                                               const vfs::VirtualDentry& target,
                                               const ImportOptions& options = {});

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_IMPORT_H_
