// SPDX-License-Identifier: Apache-2.0
//
// rows.h: the part of a checkpoint that needs the gate closed.
//
// SaveRows closes the gate, lets every filesystem prepare, builds the rows of all objects and takes
// a reference on each chunk; then it opens the gate again. What comes out does not change any more,
// and may be written while the filesystem is in use.

#ifndef STASIS_RESTORE_ROWS_H_
#define STASIS_RESTORE_ROWS_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "state/registry.h"
#include "state/saved_graph.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::restore {

// The name under which the VirtualFilesystem itself is saved.
inline constexpr char kVfsRoot[] = "vfs";

// State beside the filesystem's own that is saved with it, such as the tables of a FUSE server.
struct ExtraRoot {
  std::string name;
  const state::Object* object = nullptr;  // borrowed
};

struct RowsTimes {
  int64_t drain_ns = 0;    // closing the gate: waiting for those inside
  int64_t prepare_ns = 0;  // PrepareSave
  int64_t rows_ns = 0;     // the graph into rows, or the fork of the process that makes them
  int64_t resume_ns = 0;   // BeforeResume
};

struct Rows {
  state::SavedGraph graph;
  RowsTimes times;
};

// Requires: not called from inside the gate; every reachable type is in `registry`.
// Errors: of PrepareSave and of GraphWriter::Finish. The gate is open again in any case.
absl::StatusOr<Rows> SaveRows(vfs::VirtualFilesystem& vfs, const state::Registry& registry,
                              const std::vector<ExtraRoot>& roots = {});

// Rows of all tables, and of those whose type is `level` or derived from it (such as "vfs.Inode").
uint64_t CountRows(const state::SavedGraph& graph);
uint64_t CountRowsOf(const state::SavedGraph& graph, const state::Registry& registry,
                     std::string_view level);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_ROWS_H_
