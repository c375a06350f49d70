// SPDX-License-Identifier: Apache-2.0

#include "state/chunk_reclaim.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <thread>
#include <vector>

#include "state/base/rcu.h"
#include "state/chunk.h"
#include "state/chunk_memory.h"
#include "tests/testing/errno_matchers.h"

namespace stasis::state {
namespace {

using stasis::testing::IsOk;

constexpr uint64_t kMiB = 1024 * 1024;
constexpr uint64_t kLimit = 4 * kMiB;

uint32_t Seed() {
  const char* chosen = std::getenv("STASIS_SEED");  // NOLINT(concurrency-mt-unsafe)
  const uint32_t seed = chosen != nullptr ? static_cast<uint32_t>(std::strtoul(chosen, nullptr, 10))
                                          : std::random_device()();
  std::cout << "STASIS_SEED=" << seed << std::endl;
  return seed;
}

// Fills chunk n with the byte n.
class NumberSource final : public ChunkSource {
 public:
  Result<void> Read(ChunkLocation at, std::span<std::byte> out) override {
    std::ranges::fill(out, static_cast<std::byte>(at.frame));
    ++reads;
    return {};
  }
  std::atomic<uint64_t> reads{0};
};

bool AllAre(std::span<const std::byte> bytes, uint32_t value) {
  return std::ranges::all_of(bytes,
                             [=](std::byte b) { return b == static_cast<std::byte>(value); });
}

// Waits, without a limit of its own, until what is in use is at most `bytes`.
void AwaitInUse(uint64_t bytes) {
  while (ChunkMemory::Get().in_use() > bytes)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

class ChunkReclaimTest : public ::testing::Test {
 protected:
  ChunkReclaimTest() { ChunkReclaim::SetLimit(kLimit); }
  ~ChunkReclaimTest() override {
    ChunkReclaim::SetLimit(0);
    rcu::Barrier();
  }

  std::vector<RefPtr<Chunk>> StoredChunks(uint32_t count) {
    std::vector<RefPtr<Chunk>> chunks;
    for (uint32_t i = 0; i < count; ++i)
      chunks.push_back(Chunk::Stored(source_, {.frame = i, .offset = 0}, kChunkSize));
    return chunks;
  }

  RefPtr<NumberSource> source_ = MakeRef<NumberSource>();
};

TEST_F(ChunkReclaimTest, ReadingFourTimesTheLimitStaysNearIt) {
  const auto chunks = StoredChunks(4 * kLimit / kChunkSize);
  uint64_t most = 0;
  for (int round = 0; round < 3; ++round) {
    for (uint32_t i = 0; i < chunks.size(); ++i) {
      const rcu::ReadLock reading;
      const auto bytes = chunks[i]->Bytes();
      ASSERT_THAT(bytes, IsOk());
      EXPECT_TRUE(AllAre(*bytes, i));
      most = std::max(most, ChunkMemory::Get().in_use());
      // As slowly as data comes from an image.
      if (i % 16 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  EXPECT_LE(most, 2 * kLimit);
  EXPECT_GE(source_->reads.load(), 2 * chunks.size());
  AwaitInUse(kLimit);
}

TEST_F(ChunkReclaimTest, WhatIsNotStoredStaysUntilItIs) {
  std::vector<RefPtr<Chunk>> chunks;
  const std::vector<std::byte> ones(kChunkSize, std::byte{1});
  for (uint64_t i = 0; i < 2 * kLimit / kChunkSize; ++i) chunks.push_back(*Chunk::Create(ones, 0));
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  EXPECT_EQ(ChunkMemory::Get().in_use(), 2 * kLimit);
  for (const auto& chunk : chunks) {
    EXPECT_TRUE(chunk->resident());
    chunk->MarkStored(source_, {.frame = 1, .offset = 0});
  }
  AwaitInUse(kLimit);
  for (const auto& chunk : chunks) {
    const rcu::ReadLock reading;
    EXPECT_TRUE(AllAre(*chunk->Bytes(), 1));
  }
}

TEST_F(ChunkReclaimTest, AWrittenChunkIsNeverDropped) {
  auto chunks = StoredChunks(2 * kLimit / kChunkSize);
  const std::byte mark{0xff};
  for (const auto& chunk : chunks) ASSERT_THAT(chunk->Write(100, {&mark, 1}), IsOk());
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  for (uint32_t i = 0; i < chunks.size(); ++i) {
    ASSERT_TRUE(chunks[i]->resident());
    const auto bytes = *chunks[i]->Bytes();
    EXPECT_EQ(bytes[100], mark);
    EXPECT_TRUE(AllAre(bytes.first(100), i));
    EXPECT_TRUE(AllAre(bytes.subspan(101), i));
  }
}

// Readers of all chunks, beside writers, each with chunks of its own, that write them, have them
// marked stored, and let them die.
TEST_F(ChunkReclaimTest, ReadersAndWritersMeetTheHand) {
  const uint32_t seed = Seed();
  const auto shared = StoredChunks(2 * kLimit / kChunkSize);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> wrong{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, random = std::mt19937(seed + t)]() mutable {
      while (!stop) {
        const auto i = static_cast<uint32_t>(random() % shared.size());
        const rcu::ReadLock reading;
        if (!AllAre(*shared[i]->Bytes(), i)) ++wrong;
      }
    });
    threads.emplace_back([&, random = std::mt19937(seed + 100 + t)]() mutable {
      std::vector<RefPtr<Chunk>> mine(kLimit / kChunkSize);
      while (!stop) {
        const auto i = static_cast<uint32_t>(random() % mine.size());
        auto& chunk = mine[i];
        if (!chunk) chunk = Chunk::Stored(source_, {.frame = i, .offset = 0}, kChunkSize);
        const auto byte = static_cast<std::byte>(i);
        if (!chunk->Write(random() % kChunkSize, {&byte, 1})) ++wrong;
        if (!AllAre(*chunk->Bytes(), i)) ++wrong;
        if (random() % 4 != 0) chunk->MarkStored(source_, {.frame = i, .offset = 0});
        if (random() % 8 == 0) chunk.reset();
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::seconds(1));
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0u);
  EXPECT_GT(ChunkReclaim::dropped(), 0u);
}

}  // namespace
}  // namespace stasis::state
