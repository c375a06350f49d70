// SPDX-License-Identifier: Apache-2.0

#include "restore/rows.h"

#include <utility>

#include "fsimpl/overlay/filesystem.h"
#include "restore/internal/format.h"
#include "restore/internal/stopwatch.h"
#include "state/graph_writer.h"

namespace stasis::restore {
namespace {

// The gate, closed for as long as this lives.
class ClosedGate final : public state::Quiescence {
 public:
  explicit ClosedGate(vfs::OperationGate& gate) : gate_(gate) { gate_.Close(); }
  ~ClosedGate() override { gate_.Open(); }
  ClosedGate(const ClosedGate&) = delete;
  ClosedGate& operator=(const ClosedGate&) = delete;

  bool Quiesced() const override { return gate_.closed(); }

 private:
  vfs::OperationGate& gate_;
};

// BeforeResume for every way out, also if PrepareSave failed half-way.
class Prepared {
 public:
  Prepared(vfs::VirtualFilesystem& vfs, int64_t& resume_ns) : vfs_(vfs), resume_ns_(resume_ns) {}
  ~Prepared() {
    Stopwatch watch;
    vfs_.BeforeResume();
    resume_ns_ = watch.Total();
  }
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;

 private:
  vfs::VirtualFilesystem& vfs_;
  int64_t& resume_ns_;
};

absl::Status SaveBehindGate(vfs::VirtualFilesystem& vfs, const state::Registry& registry,
                            const std::vector<ExtraRoot>& roots, Rows& rows) {
  Stopwatch watch;
  ClosedGate gate(vfs.gate());
  rows.times.drain_ns = watch.Lap();
  Prepared prepared(vfs, rows.times.resume_ns);
  if (absl::Status s = vfs.PrepareSave(); !s.ok())
    return Annotate(s, "cannot prepare the filesystems");
  rows.times.prepare_ns = watch.Lap();
  state::GraphWriter writer(registry, gate);
  // So all that has a place in a tree has its row before an overlay or a mount leads to it.
  writer.VisitLast(typeid(overlay::OverlayFilesystem));
  writer.VisitLast(typeid(vfs::MountNamespace));
  writer.AddRoot(kVfsRoot, &vfs);
  for (const ExtraRoot& root : roots) writer.AddRoot(root.name, root.object);
  absl::StatusOr<state::SavedGraph> graph = writer.Finish();
  rows.times.rows_ns = watch.Lap();
  if (!graph.ok()) return Annotate(graph.status(), "cannot save the state");
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
