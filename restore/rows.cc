// SPDX-License-Identifier: Apache-2.0

#include "restore/rows.h"

#include <utility>

#include "restore/internal/build_rows.h"

namespace stasis::restore {
namespace {

bool IsLevel(const state::TypeDescriptor& type, std::string_view name) {
  for (const state::LevelDescriptor* level : type.levels)
    if (level->name == name) return true;
  return false;
}

}  // namespace

absl::StatusOr<Rows> SaveRows(vfs::VirtualFilesystem& vfs, const state::Registry& registry,
                              const std::vector<ExtraRoot>& roots) {
  Rows rows;
  const auto build = [&](const state::Quiescence& gate) {
    absl::StatusOr<state::SavedGraph> graph = BuildRows(vfs, registry, roots, gate);
    if (graph.ok()) rows.graph = *std::move(graph);
    return graph.status();
  };
  if (absl::Status s = BehindGate(vfs, rows.times, build); !s.ok()) return s;
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
