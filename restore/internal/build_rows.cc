// SPDX-License-Identifier: Apache-2.0

#include "restore/internal/build_rows.h"

#include "fsimpl/overlay/filesystem.h"
#include "restore/internal/format.h"
#include "restore/internal/stopwatch.h"
#include "vfs/closed_gate.h"

namespace stasis::restore {
namespace {

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

}  // namespace

absl::Status BehindGate(vfs::VirtualFilesystem& vfs, RowsTimes& times,
                        absl::FunctionRef<absl::Status(const state::Quiescence& gate)> work) {
  Stopwatch watch;
  const vfs::ClosedGate gate(vfs.gate());
  times.drain_ns = watch.Lap();
  Prepared prepared(vfs, times.resume_ns);
  if (absl::Status s = vfs.PrepareSave(); !s.ok())
    return Annotate(s, "cannot prepare the filesystems");
  times.prepare_ns = watch.Lap();
  absl::Status done = work(gate);
  times.rows_ns = watch.Lap();
  return done;
}

absl::StatusOr<state::SavedGraph> BuildRows(const vfs::VirtualFilesystem& vfs,
                                            const state::Registry& registry,
                                            const std::vector<ExtraRoot>& roots,
                                            const state::Quiescence& quiescence) {
  state::GraphWriter writer(registry, quiescence);
  // So all that has a place in a tree has its row before an overlay or a mount leads to it.
  writer.VisitLast(typeid(overlay::OverlayFilesystem));
  writer.VisitLast(typeid(vfs::MountNamespace));
  writer.AddRoot(kVfsRoot, &vfs);
  for (const ExtraRoot& root : roots) writer.AddRoot(root.name, root.object);
  absl::StatusOr<state::SavedGraph> graph = writer.Finish();
  if (!graph.ok()) return Annotate(graph.status(), "cannot save the state");
  return graph;
}

}  // namespace stasis::restore
