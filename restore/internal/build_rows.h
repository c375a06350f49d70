// SPDX-License-Identifier: Apache-2.0
//
// build_rows.h: what taking the state of a moment consists of, wherever it is turned into rows.

#ifndef STASIS_RESTORE_INTERNAL_BUILD_ROWS_H_
#define STASIS_RESTORE_INTERNAL_BUILD_ROWS_H_

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <vector>

#include "restore/rows.h"
#include "state/graph_writer.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::restore {

// Closes the gate, lets every filesystem prepare, calls `work` and notes what each took, and what
// undoing it takes. Errors: of PrepareSave; of `work`. The gate is open again in any case.
absl::Status BehindGate(vfs::VirtualFilesystem& vfs, RowsTimes& times,
                        absl::FunctionRef<absl::Status(const state::Quiescence& gate)> work);

// Errors: of GraphWriter::Finish.
absl::StatusOr<state::SavedGraph> BuildRows(const vfs::VirtualFilesystem& vfs,
                                            const state::Registry& registry,
                                            const std::vector<ExtraRoot>& roots,
                                            const state::Quiescence& quiescence);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_INTERNAL_BUILD_ROWS_H_
