// SPDX-License-Identifier: Apache-2.0
//
// saved_tree.h: a tree and what the kernel relies on, saved to memory and loaded again.

#ifndef STASIS_TESTS_CMD_FUSE_SAVED_TREE_H_
#define STASIS_TESTS_CMD_FUSE_SAVED_TREE_H_

#include <absl/status/statusor.h>

#include <vector>

#include "cmd/fuse/fuse_state.h"
#include "cmd/fuse/gen/types.h"
#include "fsimpl/memfs/gen/types.h"
#include "fsimpl/overlay/filesystem.h"
#include "fsimpl/overlay/gen/types.h"
#include "state/base/clock.h"
#include "state/graph_reader.h"
#include "state/graph_writer.h"
#include "vfs/gen/types.h"
#include "vfs/mount_namespace.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::fuse {

class AlwaysQuiet final : public state::Quiescence {
 public:
  bool Quiesced() const override { return true; }
};

class GivenChunks final : public state::ChunkTable {
 public:
  explicit GivenChunks(const state::SavedGraph& saved) {
    for (const auto& chunk : saved.chunks)
      chunks_.emplace_back(const_cast<state::Chunk*>(chunk.get()));
  }
  uint32_t size() const override { return static_cast<uint32_t>(chunks_.size()); }
  RefPtr<state::Chunk> Get(uint32_t index) override { return chunks_[index]; }

 private:
  std::vector<RefPtr<state::Chunk>> chunks_;
};

class TreeSaver {
 public:
  TreeSaver() {
    vfs::gen::RegisterTypes(registry_);
    memfs::gen::RegisterTypes(registry_);
    overlay::gen::RegisterTypes(registry_);
    gen::RegisterTypes(registry_);
  }

  absl::StatusOr<state::SavedGraph> Save(vfs::VirtualFilesystem& vfs, FuseState& state) {
    state::GraphWriter writer(registry_, quiet_);
    writer.VisitLast(typeid(overlay::OverlayFilesystem));
    writer.VisitLast(typeid(vfs::MountNamespace));
    writer.AddRoot("vfs", &vfs);
    writer.AddRoot("fuse", &state);
    return writer.Finish();
  }

  auto Load(const state::SavedGraph& saved) {
    GivenChunks chunks(saved);
    state::LoadOptions options;
    options.Provide<const Clock>(&clock_).Provide<Clock>(&clock_);
    return state::LoadGraph(registry_, saved, chunks, options);
  }

 private:
  state::Registry registry_;
  AlwaysQuiet quiet_;
  RealClock clock_;
};

}  // namespace stasis::fuse

#endif  // STASIS_TESTS_CMD_FUSE_SAVED_TREE_H_
