// SPDX-License-Identifier: Apache-2.0
//
// ChunkMemory that goes from one process to another.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "state/chunk.h"
#include "state/chunk_memory.h"
#include "tests/testing/errno_matchers.h"

namespace stasis::state {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;

std::unique_ptr<ChunkMemory> MakeMemory(const ChunkMemoryOptions& options = {}) {
  auto memory = ChunkMemory::Create(options);
  EXPECT_THAT(memory, IsOk());
  return std::move(*memory);
}

constexpr uint32_t kReserved = 16;  // spans

// As another process would map it.
std::unique_ptr<ChunkMemory> AdoptMemory(const ChunkMemory& from,
                                         std::optional<SpanRange> reserved = std::nullopt) {
  auto memory = ChunkMemory::Adopt(UniqueFd(::fcntl(from.fd(), F_DUPFD_CLOEXEC, 3)), reserved, {});
  EXPECT_THAT(memory, IsOk());
  return std::move(*memory);
}

std::byte* Allocate(ChunkMemory& memory, size_t size, uint8_t mark) {
  const auto slot = memory.Allocate(size, nullptr);
  EXPECT_THAT(slot, IsOk());
  std::memset(*slot, mark, size);
  return *slot;
}

bool IsFilled(const std::byte* place, size_t size, uint8_t mark) {
  return std::all_of(place, place + size, [mark](std::byte b) { return b == std::byte{mark}; });
}

uint64_t SystemBytes(const ChunkMemory& memory) {
  struct stat stat;
  EXPECT_EQ(::fstat(memory.fd(), &stat), 0);
  return static_cast<uint64_t>(stat.st_blocks) * 512;
}

TEST(ChunkAdoptionTest, SlotsAreWhereTheyWere) {
  const auto old = MakeMemory();
  const std::byte* large = Allocate(*old, 16384, 1);
  const std::byte* small = Allocate(*old, 64, 2);
  const auto fresh = AdoptMemory(*old);
  const auto claimed_large = fresh->Claim(old->OffsetOf(large), 16384, nullptr);
  const auto claimed_small = fresh->Claim(old->OffsetOf(small), 64, nullptr);
  ASSERT_THAT(claimed_large, IsOk());
  ASSERT_THAT(claimed_small, IsOk());
  EXPECT_TRUE(IsFilled(*claimed_large, 16384, 1));
  EXPECT_TRUE(IsFilled(*claimed_small, 64, 2));
  fresh->EndAdoption(old->span_count());
  EXPECT_EQ(fresh->in_use(), 16384u + 64u);
  fresh->Free(*claimed_large);
  fresh->Free(*claimed_small);
  EXPECT_EQ(fresh->in_use(), 0u);
}

TEST(ChunkAdoptionTest, WhatWasNotClaimedIsGivenOutAgain) {
  const auto old = MakeMemory();
  std::vector<std::byte*> slots;
  for (uint8_t i = 0; i < 32; ++i) slots.push_back(Allocate(*old, 4096, i));
  const auto fresh = AdoptMemory(*old);
  std::set<std::byte*> claimed;
  for (size_t i = 0; i < slots.size(); i += 2)
    claimed.insert(fresh->Claim(old->OffsetOf(slots[i]), 4096, nullptr).value());
  fresh->EndAdoption(old->span_count());
  const uint32_t before = fresh->span_count();
  for (size_t i = 0; i < slots.size() / 2; ++i)
    EXPECT_TRUE(claimed.insert(Allocate(*fresh, 4096, 99)).second);
  EXPECT_EQ(fresh->span_count(), before) << "there was room";
  for (size_t i = 0; i < slots.size(); i += 2)
    EXPECT_TRUE(IsFilled(slots[i], 4096, static_cast<uint8_t>(i)));
}

TEST(ChunkAdoptionTest, NothingIsTouchedBeforeItsEnd) {
  const auto old = MakeMemory();
  std::byte* one = Allocate(*old, 16384, 1);
  std::byte* two = Allocate(*old, 16384, 2);
  {
    const auto fresh = AdoptMemory(*old);
    const auto claimed = fresh->Claim(old->OffsetOf(one), 16384, nullptr);
    ASSERT_THAT(claimed, IsOk());
    fresh->Free(*claimed);
    std::byte* own = Allocate(*fresh, 16384, 3);
    EXPECT_GE(fresh->OffsetOf(own), uint64_t{old->span_count()} * ChunkMemory::kSpan);
  }
  EXPECT_TRUE(IsFilled(one, 16384, 1));
  EXPECT_TRUE(IsFilled(two, 16384, 2));
  EXPECT_TRUE(IsFilled(Allocate(*old, 16384, 4), 16384, 4)) << "the old one goes on";
}

TEST(ChunkAdoptionTest, BothAllocateUntilItsEnd) {
  const auto old = MakeMemory();
  const std::byte* kept = Allocate(*old, 16384, 1);
  const SpanRange reserved = old->Reserve(kReserved);
  ASSERT_EQ(reserved.end - reserved.first, kReserved);
  const auto fresh = AdoptMemory(*old, reserved);
  ASSERT_THAT(fresh->Claim(old->OffsetOf(kept), 16384, nullptr), IsOk());
  std::vector<std::byte*> olds, own;
  for (uint8_t i = 0; i < 100; ++i) olds.push_back(Allocate(*old, 16384, i));
  for (uint8_t i = 0; i < 40; ++i) own.push_back(Allocate(*fresh, 16384, 100 + i));
  for (uint8_t i = 0; i < 10; ++i) fresh->Free(std::exchange(own[i], nullptr));
  for (uint8_t i = 0; i < 10; ++i) own[i] = Allocate(*fresh, 16384, 100 + i);
  for (uint8_t i = 0; i < 100; ++i) EXPECT_TRUE(IsFilled(olds[i], 16384, i));
  fresh->EndAdoption(old->span_count());
  fresh->DropUnclaimed();
  EXPECT_EQ(SystemBytes(*old), 11 * ChunkMemory::kSpan) << "one of the old's, and ten of its own";
  for (uint8_t i = 0; i < 200; ++i) Allocate(*fresh, 16384, 200);
  EXPECT_TRUE(IsFilled(kept, 16384, 1));
  for (uint8_t i = 0; i < 40; ++i) {
    const uint64_t offset = fresh->OffsetOf(own[i]);
    EXPECT_TRUE(reserved.Contains(static_cast<uint32_t>(offset / ChunkMemory::kSpan)));
    EXPECT_TRUE(IsFilled(own[i], 16384, 100 + i));
  }
}

TEST(ChunkAdoptionTest, WhatIsReservedIsAllThereIs) {
  const auto old = MakeMemory();
  const auto fresh = AdoptMemory(*old, old->Reserve(2));
  for (int i = 0; i < 8; ++i) Allocate(*fresh, 16384, 1);
  EXPECT_THAT(fresh->Allocate(16384, nullptr), IsErrno(ENOSPC));
}

TEST(ChunkAdoptionTest, WhatWasReservedInVainGoesBack) {
  const auto old = MakeMemory();
  const SpanRange reserved = old->Reserve(kReserved);
  {
    const auto fresh = AdoptMemory(*old, reserved);
    for (int i = 0; i < 20; ++i) Allocate(*fresh, 16384, 1);
  }
  old->Unreserve(reserved);
  EXPECT_EQ(SystemBytes(*old), 0u);
  EXPECT_EQ(old->stats().real, 0u);
  const SpanRange again = old->Reserve(kReserved);
  EXPECT_EQ(again.first, reserved.first);
  EXPECT_EQ(again.end, reserved.end);
  const SpanRange other = old->Reserve(kReserved);
  EXPECT_EQ(other.first, reserved.end);
}

TEST(ChunkAdoptionTest, ReservesNoMoreThanThereAreAddresses) {
  const auto old = MakeMemory({.range = 8 * ChunkMemory::kSpan});
  Allocate(*old, 16384, 1);
  const SpanRange reserved = old->Reserve(kReserved);
  EXPECT_EQ(reserved.end - reserved.first, 3u) << "half is the old one's";
  while (!old->Reserve(kReserved).empty()) {
  }
  EXPECT_THAT(old->Allocate(8192, nullptr), IsOk());
}

// None is not the same as any.
TEST(ChunkAdoptionTest, WhereNothingIsReservedNothingIsGivenOut) {
  const auto old = MakeMemory();
  std::byte* kept = Allocate(*old, 16384, 1);
  const auto fresh = AdoptMemory(*old, SpanRange{1, 1});
  EXPECT_THAT(fresh->Allocate(16384, nullptr), IsErrno(ENOSPC));
  ASSERT_THAT(fresh->Claim(old->OffsetOf(kept), 16384, nullptr), IsOk());
  fresh->EndAdoption(old->span_count());
  Allocate(*fresh, 16384, 2);
  EXPECT_TRUE(IsFilled(kept, 16384, 1));
}

TEST(ChunkAdoptionTest, WhatIsNotDroppedYetIsGivenOutLast) {
  const auto old = MakeMemory({.range = 8 * ChunkMemory::kSpan});
  for (int i = 0; i < 32; ++i) Allocate(*old, 16384, 1);
  const auto fresh = AdoptMemory(*old, SpanRange{8, 8});
  fresh->EndAdoption(old->span_count());
  for (int i = 0; i < 32; ++i) Allocate(*fresh, 16384, 2);
  EXPECT_THAT(fresh->Allocate(16384, nullptr), IsErrno(ENOSPC));
}

TEST(ChunkAdoptionTest, UnclaimedSpansGoBackToTheSystem) {
  const auto old = MakeMemory();
  std::vector<std::byte*> slots;
  for (int i = 0; i < 256; ++i) slots.push_back(Allocate(*old, 16384, 7));
  const auto fresh = AdoptMemory(*old);
  ASSERT_THAT(fresh->Claim(old->OffsetOf(slots[100]), 16384, nullptr), IsOk());
  fresh->EndAdoption(old->span_count());
  fresh->DropUnclaimed();
  EXPECT_EQ(SystemBytes(*old), ChunkMemory::kSpan);
  EXPECT_EQ(fresh->stats().real, ChunkMemory::kSpan);
  EXPECT_TRUE(IsFilled(slots[100], 16384, 7));
  for (int i = 0; i < 256; ++i) Allocate(*fresh, 16384, 8);
  EXPECT_TRUE(IsFilled(slots[100], 16384, 7));
}

TEST(ChunkAdoptionTest, RefusesWhatCannotBe) {
  const auto old = MakeMemory();
  Allocate(*old, 4096, 1);
  const auto fresh = AdoptMemory(*old);
  ASSERT_THAT(fresh->Claim(0, 4096, nullptr), IsOk());
  EXPECT_THAT(fresh->Claim(0, 4096, nullptr), IsErrno(EINVAL)) << "twice";
  EXPECT_THAT(fresh->Claim(8192, 8192, nullptr), IsErrno(EINVAL)) << "another size in the span";
  EXPECT_THAT(fresh->Claim(100, 4096, nullptr), IsErrno(EINVAL)) << "no slot begins there";
  EXPECT_THAT(fresh->Claim(4096, 3000, nullptr), IsErrno(EINVAL)) << "no size of slots";
  EXPECT_THAT(fresh->Claim(ChunkMemory::kSpan, 4096, nullptr), IsErrno(EINVAL)) << "past the end";
  EXPECT_THAT(ChunkMemory::Adopt(UniqueFd(::fcntl(old->fd(), F_DUPFD_CLOEXEC, 3)),
                                 SpanRange{1, UINT32_MAX}, {}),
              IsErrno(EINVAL));
}

TEST(ChunkAdoptionTest, FindsOutHowMuchThereIs) {
  const auto old = MakeMemory();
  for (int i = 0; i < 9; ++i) Allocate(*old, 16384, 1);
  const auto fresh = AdoptMemory(*old);
  fresh->EndAdoption(0);
  EXPECT_EQ(fresh->span_count(), old->span_count());
}

TEST(ChunkAdoptionTest, ManyInARowTakeNoMore) {
  auto memory = MakeMemory();
  std::vector<std::pair<uint64_t, uint8_t>> slots;
  for (uint8_t i = 0; i < 50; ++i)
    slots.push_back({memory->OffsetOf(Allocate(*memory, 8192, i)), i});
  const uint32_t spans = memory->span_count();
  for (uint8_t round = 0; round < 100; ++round) {
    auto next = AdoptMemory(*memory, memory->Reserve(kReserved));
    std::vector<std::byte*> places;
    for (const auto& [offset, mark] : slots)
      places.push_back(next->Claim(offset, 8192, nullptr).value());
    next->EndAdoption(memory->span_count());
    next->DropUnclaimed();
    for (size_t i = 0; i < slots.size(); ++i)
      ASSERT_TRUE(IsFilled(places[i], 8192, slots[i].second));
    const size_t changed = round % slots.size();
    next->Free(places[changed]);
    slots[changed] = {next->OffsetOf(Allocate(*next, 8192, round)), round};
    memory = std::move(next);
  }
  EXPECT_LE(memory->span_count(), spans + 1 + 2 * kReserved);
}

TEST(ChunkHoldTest, WhoAllocatesWaits) {
  const std::byte bytes[100] = {};
  ASSERT_THAT(Chunk::Create(bytes, 0), IsOk());
  auto hold = std::make_unique<ChunkHold>();
  std::atomic<bool> made{false};
  std::thread other([&] {
    EXPECT_THAT(Chunk::Create(bytes, 0), IsOk());
    made = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(made);
  hold.reset();
  other.join();
  EXPECT_TRUE(made);
}

}  // namespace
}  // namespace stasis::state
