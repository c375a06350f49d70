// SPDX-License-Identifier: Apache-2.0

#include "restore/internal/build_rows.h"

#include "fsimpl/overlay/filesystem.h"
#include "restore/internal/format.h"

namespace stasis::restore {

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
