// SPDX-License-Identifier: Apache-2.0

#include "state/chunk.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "state/copy_budget.h"

namespace stasis::state {
namespace {

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string TextOf(const Chunk& chunk) {
  const auto bytes = chunk.Bytes();
  if (!bytes.has_value()) return "unreadable";
  return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

RefPtr<Chunk> Make(std::string_view text) { return *Chunk::Create(BytesOf(text), 0); }

TEST(ChunkTest, OnlyTheHolderOfTheOnlyReferenceMayChangeIt) {
  RefPtr<Chunk> chunk = Make("one");
  EXPECT_TRUE(chunk->MayChange());
  RefPtr<Chunk> other = chunk;
  EXPECT_FALSE(chunk->MayChange());
  other.reset();
  EXPECT_TRUE(chunk->MayChange());
}

TEST(ChunkFreezeTest, HoldsWhatWasThereAndNothingElse) {
  RefPtr<Chunk> before = Make("before");
  std::unique_ptr<ChunkFreeze> freeze = ChunkFreeze::Take();
  RefPtr<Chunk> after = Make("after");
  EXPECT_FALSE(before->MayChange());
  EXPECT_TRUE(after->MayChange());
  freeze.reset();
  EXPECT_TRUE(before->MayChange());
  freeze = ChunkFreeze::Take();
  EXPECT_FALSE(after->MayChange());
}

TEST(ChunkFreezeTest, OfSeveralTheLastLetsGo) {
  RefPtr<Chunk> before = Make("before");
  RefPtr<Chunk> dropped = Make("dropped");
  const Chunk* raw = dropped.get();
  std::unique_ptr<ChunkFreeze> first = ChunkFreeze::Take();
  RefPtr<Chunk> between = Make("between");
  std::unique_ptr<ChunkFreeze> second = ChunkFreeze::Take();
  RefPtr<Chunk> after = Make("after");
  dropped.reset();
  EXPECT_EQ(TextOf(*first->Hold(raw)), "dropped");
  first.reset();
  EXPECT_FALSE(before->MayChange());
  EXPECT_FALSE(between->MayChange());
  EXPECT_TRUE(after->MayChange());
  const RefPtr<const Chunk> held = second->Hold(raw);
  second.reset();
  EXPECT_EQ(TextOf(*held), "dropped");
  EXPECT_TRUE(before->MayChange());
  EXPECT_TRUE(between->MayChange());
}

TEST(ChunkFreezeTest, TheFirstOfSeveralMayBeTheLastToEnd) {
  RefPtr<Chunk> chunk = Make("before");
  std::unique_ptr<ChunkFreeze> first = ChunkFreeze::Take();
  ChunkFreeze::Take().reset();
  EXPECT_FALSE(chunk->MayChange());
  first.reset();
  EXPECT_TRUE(chunk->MayChange());
}

TEST(ChunkFreezeTest, KeepsWhatLosesItsLastReference) {
  RefPtr<Chunk> chunk = Make("dropped");
  const Chunk* raw = chunk.get();
  RefPtr<const Chunk> held;
  {
    const auto freeze = ChunkFreeze::Take();
    chunk.reset();
    EXPECT_EQ(TextOf(*raw), "dropped");
    held = freeze->Hold(raw);
  }
  EXPECT_EQ(TextOf(*held), "dropped");
  EXPECT_TRUE(held->HasOneRef());
}

TEST(ChunkFreezeTest, HoldsAgainWhatWasHeldAndDropped) {
  RefPtr<Chunk> chunk = Make("dropped");
  const Chunk* raw = chunk.get();
  const auto freeze = ChunkFreeze::Take();
  chunk.reset();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(TextOf(*freeze->Hold(raw)), "dropped");
}

TEST(CopyBudgetTest, CountsCopiesOfWhatACheckpointHolds) {
  const CopyBudget budget(1 << 20);
  RefPtr<Chunk> chunk = Make("held by a checkpoint");
  const RefPtr<Chunk> other = chunk;
  ASSERT_TRUE(chunk->Clone(chunk->size()).has_value());
  EXPECT_EQ(budget.copied(), chunk->memory());
}

TEST(CopyBudgetTest, DoesNotCountWhatAForkReads) {
  const CopyBudget budget(1 << 20);
  RefPtr<Chunk> chunk = Make("read by a fork");
  chunk->Pin();
  ASSERT_TRUE(chunk->Clone(chunk->size()).has_value());
  ASSERT_TRUE(chunk->Replacement(chunk->size()).has_value());
  EXPECT_EQ(budget.copied(), 0u);
  chunk->Unpin();
}

// Chunks are dropped by one thread while another takes references to them and drops them again.
TEST(ChunkFreezeTest, HoldsWhileOthersDrop) {
  for (int round = 0; round < 20; ++round) {
    std::vector<RefPtr<Chunk>> chunks;
    std::vector<const Chunk*> raw;
    for (int i = 0; i < 1000; ++i) {
      chunks.push_back(Make(std::to_string(i)));
      raw.push_back(chunks.back().get());
    }
    std::vector<RefPtr<const Chunk>> kept;
    std::unique_ptr<ChunkFreeze> freeze = ChunkFreeze::Take();
    std::thread dropper([&] { chunks.clear(); });
    for (const Chunk* chunk : raw) {
      RefPtr<const Chunk> held = freeze->Hold(chunk);
      if (kept.size() % 2 == 0) held = freeze->Hold(chunk);
      kept.push_back(std::move(held));
    }
    freeze.reset();
    dropper.join();
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(TextOf(*kept[i]), std::to_string(i));
  }
}

}  // namespace
}  // namespace stasis::state
