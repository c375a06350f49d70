// SPDX-License-Identifier: Apache-2.0
//
// engine_fixture.h: saves and loads graphs of the model.

#ifndef STASIS_TESTS_STATE_ENGINE_FIXTURE_H_
#define STASIS_TESTS_STATE_ENGINE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "state/graph_reader.h"
#include "state/graph_writer.h"
#include "tests/state/model/gen/types.h"
#include "tests/state/model/model.h"

namespace stasis::state {

class FakeQuiescence final : public Quiescence {
 public:
  bool Quiesced() const override { return quiesced; }
  bool quiesced = true;
};

// The chunks of a save, handed to a load as they are.
class GivenChunks final : public ChunkTable {
 public:
  uint32_t size() const override { return static_cast<uint32_t>(chunks.size()); }
  RefPtr<Chunk> Get(uint32_t index) override { return chunks[index]; }
  std::vector<RefPtr<Chunk>> chunks;
};

class EngineTest : public ::testing::Test {
 protected:
  EngineTest() { model::gen::RegisterTypes(registry_); }
  ~EngineTest() override { EXPECT_EQ(model::Counted::live, 0) << "objects were not freed"; }

  SavedGraph Save(const std::vector<std::pair<std::string, const Object*>>& roots) {
    GraphWriter writer(registry_, quiescence_);
    for (const auto& [name, root] : roots) writer.AddRoot(name, root);
    absl::StatusOr<SavedGraph> saved = writer.Finish();
    EXPECT_TRUE(saved.ok()) << saved.status();
    return std::move(saved).value();
  }
  SavedGraph Save(const Object* root) { return Save({{"root", root}}); }

  absl::StatusOr<LoadedGraph> Load(const SavedGraph& saved) {
    if (chunks_.chunks.empty())
      for (const auto& chunk : saved.chunks)
        chunks_.chunks.emplace_back(const_cast<Chunk*>(chunk.get()));
    return LoadGraph(registry_, saved, chunks_, options_);
  }

  // What `root` becomes by a save and a load; null, with a failure, if that fails.
  template <typename T>
  RefPtr<T> RoundTrip(const T* root) {
    SavedGraph saved = Save(root);
    absl::StatusOr<LoadedGraph> loaded = Load(saved);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    if (!loaded.ok()) return nullptr;
    absl::StatusOr<RefPtr<T>> found = loaded->template Root<T>("root");
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *found : nullptr;
  }

  static const SavedTable* FindTable(const SavedGraph& saved, std::string_view type) {
    for (const SavedTable& table : saved.tables)
      if (table.type == type) return &table;
    return nullptr;
  }

  // Everything that an image would hold, for comparison.
  static std::string BytesOf(const SavedGraph& saved) {
    std::string bytes;
    for (const SavedTable& table : saved.tables) {
      bytes += table.type + " " + std::to_string(table.row_count) + "\n";
      for (const auto& message : table.messages)
        bytes.append(reinterpret_cast<const char*>(message.begin()),
                     message.size() * sizeof(capnp::word));
    }
    for (const SavedRoot& root : saved.roots)
      bytes += root.name + " " + root.type + " " + std::to_string(root.row) + "\n";
    return bytes;
  }

  static RefPtr<Chunk> MakeChunk(std::string_view text) {
    return *Chunk::Create({reinterpret_cast<const std::byte*>(text.data()), text.size()}, 0);
  }

  Registry registry_;
  FakeQuiescence quiescence_;
  GivenChunks chunks_;
  LoadOptions options_;
};

// Breaks the cycles of a tree, so that it can be freed.
inline void TakeApart(model::TreeNode* root) {
  std::vector<RefPtr<model::TreeNode>> pending = {RefPtr<model::TreeNode>(root)};
  while (!pending.empty()) {
    RefPtr<model::TreeNode> node = std::move(pending.back());
    pending.pop_back();
    node->parent.reset();
    for (auto& child : std::exchange(node->children, {})) pending.push_back(std::move(child));
  }
}

}  // namespace stasis::state

#endif  // STASIS_TESTS_STATE_ENGINE_FIXTURE_H_
