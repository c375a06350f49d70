// SPDX-License-Identifier: Apache-2.0

#include "state/chunk_paging.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "state/chunk_memory.h"
#include "tests/testing/errno_matchers.h"

namespace stasis::state {
namespace {

using stasis::testing::IsOk;

constexpr size_t kSlot = ChunkMemory::kLargestSlot;
constexpr uint64_t kMiB = 1024 * 1024;

// On a disk: what is in /tmp may have nowhere to go.
class ChunkPagingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto memory = ChunkMemory::Create({.directory = "/var/tmp"});
    ASSERT_THAT(memory, IsOk());
    memory_ = std::move(*memory);
    pager_ = std::make_unique<ChunkPager>(*memory_);
    for (uint64_t i = 0; i < 16 * kMiB / kSlot; ++i) {
      slots_.push_back(*memory_->Allocate(kSlot, nullptr));
      std::memset(slots_.back(), static_cast<int>(i), kSlot);
    }
  }
  void TearDown() override {
    for (std::byte* slot : slots_) memory_->Free(slot);
  }

  std::unique_ptr<ChunkMemory> memory_;
  std::unique_ptr<ChunkPager> pager_;
  std::vector<std::byte*> slots_;
};

TEST_F(ChunkPagingTest, WhatIsNewIsInMemory) {
  EXPECT_EQ(pager_->Resident(), 16 * kMiB);
  pager_->Measure();
  EXPECT_EQ(pager_->Resident(), 16 * kMiB);
}

TEST_F(ChunkPagingTest, WhatIsPagedOutIsThereWhenItIsTouched) {
  EXPECT_GE(pager_->PageOut(12 * kMiB), 12 * kMiB);
  EXPECT_LE(pager_->Resident(), 4 * kMiB);
  pager_->Measure();
  EXPECT_LE(pager_->Resident(), 4 * kMiB);
  for (uint64_t i = 0; i < slots_.size(); ++i) {
    EXPECT_TRUE(std::all_of(slots_[i], slots_[i] + kSlot,
                            [i](std::byte b) { return b == static_cast<std::byte>(i); }));
  }
  pager_->Measure();
  EXPECT_EQ(pager_->Resident(), 16 * kMiB);
}

TEST_F(ChunkPagingTest, ThereIsAnEndToIt) {
  EXPECT_GE(pager_->PageOut(64 * kMiB), 15 * kMiB);
  EXPECT_LE(pager_->PageOut(64 * kMiB), kMiB);
}

}  // namespace
}  // namespace stasis::state
