// SPDX-License-Identifier: Apache-2.0

#include "restore/snapshot.h"

#include <absl/memory/memory.h>

#include <utility>

#include "fsimpl/gofer/filesystem.h"
#include "restore/drift.h"
#include "restore/internal/format.h"
#include "restore/internal/stopwatch.h"
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
  NoFreezer nobody;
  Freezer& freezer = request.freezer != nullptr ? *request.freezer : nobody;
  // While programs run, so that little is left for the pause.
  if (absl::Status s = freezer.Flush(); !s.ok()) return Annotate(s, "cannot flush");
  if (absl::Status s = CheckCancelled(request); !s.ok()) return s;
  Stopwatch pause;
  absl::StatusOr<std::unique_ptr<FrozenPrograms>> frozen = FrozenPrograms::Freeze(freezer);
  if (!frozen.ok()) return frozen.status();
  absl::StatusOr<Rows> rows = SaveRows(*request.vfs, *request.registry);
  if (absl::Status s = (*frozen)->Thaw(); !s.ok()) return s;
  pause_ns = pause.Total();
  if (!rows.ok()) return rows.status();
  return std::move(rows->graph);
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

absl::StatusOr<std::unique_ptr<FrozenPrograms>> FrozenPrograms::Freeze(Freezer& freezer) {
  if (absl::Status s = freezer.Freeze(); !s.ok()) return Annotate(s, "cannot freeze the programs");
  auto frozen = absl::WrapUnique(new FrozenPrograms(freezer));
  if (absl::Status s = freezer.Flush(); !s.ok()) return Annotate(s, "cannot flush");
  return frozen;
}

FrozenPrograms::~FrozenPrograms() {
  if (freezer_ != nullptr) freezer_->Thaw().IgnoreError();  // some other error is being reported
}

absl::Status FrozenPrograms::Thaw() {
  return Annotate(std::exchange(freezer_, nullptr)->Thaw(), "cannot thaw the programs");
}

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
