// SPDX-License-Identifier: Apache-2.0

#include "restore/snapshot.h"

#include <absl/memory/memory.h>

#include <utility>

#include "fsimpl/gofer/filesystem.h"
#include "restore/drift.h"
#include "restore/internal/pause.h"
#include "restore/rows.h"
#include "state/check.h"
#include "state/graph_reader.h"
#include "vfs/restore_context.h"

namespace stasis::restore {
namespace {

// The chunks of a save, for a load that shares them.
class SharedChunks final : public state::ChunkTable {
 public:
  explicit SharedChunks(const std::vector<RefPtr<const state::Chunk>>& chunks) : chunks_(chunks) {}

  uint32_t size() const override { return static_cast<uint32_t>(chunks_.size()); }
  // Nobody changes a chunk that has another holder.
  RefPtr<state::Chunk> Get(uint32_t index) override {
    return RefPtr<state::Chunk>(const_cast<state::Chunk*>(chunks_[index].get()));
  }

 private:
  const std::vector<RefPtr<const state::Chunk>>& chunks_;
};

absl::Status CheckCancelled(const SnapshotRequest& request) {
  if (request.cancel == nullptr || !request.cancel->load(std::memory_order_relaxed))
    return absl::OkStatus();
  return absl::CancelledError("cancelled");
}

absl::StatusOr<state::SavedGraph> SaveMoment(const SnapshotRequest& request, int64_t& pause_ns) {
  CheckpointRequest moment;
  moment.vfs = request.vfs;
  moment.registry = request.registry;
  moment.clock = request.clock;
  moment.freezer = request.freezer;
  moment.cancel = request.cancel;
  PausedSave pause(moment);
  if (absl::Status s = pause.Prepare(); !s.ok()) return s;
  if (absl::Status s = pause.Pause(); !s.ok()) return s;
  if (!pause.thawed().ok()) return pause.thawed();
  pause_ns = pause.times().pause_ns;
  return pause.TakeRows();
}

// Where host directories were is where they are. What has changed in them since is taken as it is.
absl::Status Reopen(const SnapshotRequest& request, vfs::VirtualFilesystem& copy) {
  vfs::RestoreContext context;
  for (const RefPtr<vfs::Filesystem>& fs : request.vfs->filesystems())
    if (const auto* host = dynamic_cast<const gofer::GoferFilesystem*>(fs.get()))
      context.roots[host->root_name()] = host->directory();
  context.checks = {.size = false, .mtime = false, .mode = false, .owner = false};
  context.cancel = request.cancel;
  if (absl::Status s = copy.Reopen(context); !s.ok()) return s;
  (void)DecideDrift(copy, DriftRules(vfs::DriftPolicy::kAdopt), context.drifts());
  const absl::Status completed = copy.CompleteRestore(context);
  context.drifts().clear();
  return completed;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Snapshot>> Snapshot::Take(const SnapshotRequest& request) {
  state::Require(request.vfs != nullptr && request.registry != nullptr && request.clock != nullptr,
                 "a snapshot needs a vfs, a registry and a clock");
  int64_t pause_ns = 0;
  absl::StatusOr<state::SavedGraph> graph = SaveMoment(request, pause_ns);
  if (!graph.ok()) return graph.status();
  SharedChunks chunks(graph->chunks);
  state::LoadOptions options = request.services;
  options.Provide(request.clock);
  absl::StatusOr<state::LoadedGraph> loaded =
      state::LoadGraph(*request.registry, *graph, chunks, options);
  if (!loaded.ok()) return loaded.status();
  auto vfs = loaded->Root<vfs::VirtualFilesystem>(kVfsRoot);
  if (!vfs.ok()) return vfs.status();
  auto snapshot = absl::WrapUnique(new Snapshot(*std::move(vfs), pause_ns));
  if (absl::Status s = Reopen(request, *snapshot->vfs_); !s.ok()) return s;
  if (absl::Status s = CheckCancelled(request); !s.ok()) return s;
  return snapshot;
}

}  // namespace stasis::restore
