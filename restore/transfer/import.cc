// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/import.h"

#include <utility>

#include "restore/internal/format.h"
#include "restore/transfer/internal/tree_copy.h"
#include "restore/transfer/internal/vfs_sink.h"

namespace stasis::restore {

absl::StatusOr<TransferReport> ImportDirectory(const std::string& directory,
                                               vfs::VirtualFilesystem& vfs,
                                               const vfs::VirtualDentry& target,
                                               const ImportOptions& options) {
  auto source = OpenHostTree(directory);
  if (!source.ok()) return source.status();
  TransferReport report;
  VfsSink sink(vfs, target, report);
  TreeCopyOptions copy;
  copy.one_file_system = options.one_file_system;
  copy.ignore_errors = options.ignore_errors;
  copy.owners = options.owners;
  copy.on_progress = options.on_progress;
  copy.cancel = options.cancel;
  absl::Status status = TreeCopy(**source, sink, copy, report).Run();
  if (!status.ok()) return Annotate(status, "cannot import " + PrintablePath(directory));
  return report;
}

}  // namespace stasis::restore
