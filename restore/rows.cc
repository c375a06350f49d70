// SPDX-License-Identifier: Apache-2.0

#include "restore/rows.h"

#include <utility>

#include "restore/internal/build_rows.h"
#include "restore/internal/format.h"
#include "restore/internal/stopwatch.h"

namespace stasis::restore {
namespace {

absl::Status SaveBehindGate(vfs::VirtualFilesystem& vfs, const state::Registry& registry,
                            const std::vector<ExtraRoot>& roots, Rows& rows) {
  Stopwatch watch;
  ClosedGate gate(vfs.gate());
  rows.times.drain_ns = watch.Lap();
  Prepared prepared(vfs, rows.times.resume_ns);
  if (absl::Status s = vfs.PrepareSave(); !s.ok())
    return Annotate(s, "cannot prepare the filesystems");
  rows.times.prepare_ns = watch.Lap();
  absl::StatusOr<state::SavedGraph> graph = BuildRows(vfs, registry, roots, gate);
  rows.times.rows_ns = watch.Lap();
  if (!graph.ok()) return graph.status();
  rows.graph = *std::move(graph);
  return absl::OkStatus();
}

bool IsLevel(const state::TypeDescriptor& type, std::string_view name) {
  for (const state::LevelDescriptor* level : type.levels)
    if (level->name == name) return true;
  return false;
}

}  // namespace

absl::StatusOr<Rows> SaveRows(vfs::VirtualFilesystem& vfs, const state::Registry& registry,
                              const std::vector<ExtraRoot>& roots) {
  Rows rows;
  if (absl::Status s = SaveBehindGate(vfs, registry, roots, rows); !s.ok()) return s;
  return rows;
}

uint64_t CountRows(const state::SavedGraph& graph) {
  uint64_t rows = 0;
  for (const state::SavedTable& table : graph.tables) rows += table.row_count;
  return rows;
}

uint64_t CountRowsOf(const state::SavedGraph& graph, const state::Registry& registry,
                     std::string_view level) {
  uint64_t rows = 0;
  for (const state::SavedTable& table : graph.tables) {
    const state::TypeDescriptor* type = registry.Find(table.type);
    if (type != nullptr && IsLevel(*type, level)) rows += table.row_count;
  }
  return rows;
}

}  // namespace stasis::restore
