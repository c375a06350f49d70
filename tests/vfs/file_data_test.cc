// SPDX-License-Identifier: Apache-2.0
//
// FileData against a vector of bytes and one of pages. Prints its seed; STASIS_SEED sets it.

#include "vfs/file_data.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "tests/testing/errno_matchers.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using state::Chunk;
using state::kChunkSize;

constexpr uint64_t kMaxSize = 10 * kChunkSize;

uint64_t Seed() {
  const char* chosen = std::getenv("STASIS_SEED");  // NOLINT(concurrency-mt-unsafe)
  const uint64_t seed =
      chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : std::random_device()();
  std::cout << "STASIS_SEED=" << seed << std::endl;
  return seed;
}

std::vector<uint8_t> ReadVector(const FileData& data, uint64_t offset, uint64_t length) {
  std::vector<uint8_t> out(length, 0xee);
  EXPECT_THAT(data.Read(offset, std::as_writable_bytes(std::span(out))), IsOk());
  return out;
}

// The same operations on both, with the size that a file would have.
class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed) {}

  void Step() {
    switch (Pick(8)) {
      case 0:
      case 1:
        return Write();
      case 2:
        return Truncate();
      case 3:
      case 4:
        return PunchHole();
      case 5:
        return Reserve();
      case 6:
        return Copy();
      default:
        return Read();
    }
  }
  void CheckAll() {
    ASSERT_EQ(ReadVector(data_, 0, bytes_.size()), bytes_);
    ASSERT_LE(data_.EndOfLastChunk(), bytes_.size());
    ASSERT_EQ(data_.allocated(), Allocated());
    CheckSeeks(data_);
    CheckSavedForm();
  }
  void TruncateToNothing() {
    ASSERT_THAT(data_.Truncate(0), IsOk());
    ASSERT_EQ(data_.allocated(), 0u);
  }
  // Somebody else who holds the chunks of this moment, and what they must stay.
  void Share() {
    shared_ = data_.ToMap();
    shared_written_ = data_.ToWritten();
    shared_reserved_ = data_.ToReserved();
    shared_bytes_ = bytes_;
    shared_allocated_ = data_.allocated();
  }
  void CheckShared() {
    FileData copy;
    ASSERT_THAT(copy.FromMap(shared_), IsOk());
    ASSERT_THAT(copy.FromWritten(shared_written_), IsOk());
    ASSERT_THAT(copy.FromReserved(shared_reserved_), IsOk());
    ASSERT_EQ(ReadVector(copy, 0, shared_bytes_.size()), shared_bytes_);
    ASSERT_EQ(copy.allocated(), shared_allocated_);
  }

 private:
  enum class Page : uint8_t { kHole, kReserved, kWritten };

  uint64_t Pick(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random_); }
  // Often at, or next to, the edge of a page or a chunk.
  uint64_t Offset(uint64_t limit) {
    uint64_t offset = Pick(limit + 1);
    const uint64_t unit = Pick(2) == 0 ? kChunkSize : kPageSize;
    if (Pick(2) == 0) offset = offset / unit * unit + (Pick(2) == 0 ? Pick(3) : 1) - 1;
    return offset > limit ? limit : offset;
  }
  uint64_t Length(uint64_t limit) {
    return std::min(limit, Pick(4) == 0 ? Offset(limit) : Pick(3 * kPageSize));
  }
  // Of the pages that [offset, end) touches.
  void SetPages(uint64_t offset, uint64_t end, Page page) {
    for (uint64_t i = offset / kPageSize; i * kPageSize < end; ++i) pages_[i] = page;
  }
  uint64_t Allocated() const {
    return static_cast<uint64_t>(pages_.size()) * kPageSize -
           static_cast<uint64_t>(std::count(pages_.begin(), pages_.end(), Page::kHole)) * kPageSize;
  }

  void Write() {
    const uint64_t offset = Offset(kMaxSize - 1);
    std::vector<uint8_t> bytes(Length(kMaxSize - offset));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(1 + Pick(255));
    if (bytes.empty()) return;
    const uint64_t before = data_.allocated();
    const uint64_t growth = data_.GrowthOfWrite(offset, bytes.size());
    ASSERT_THAT(data_.Write(offset, std::as_bytes(std::span(bytes))), IsOk());
    ASSERT_EQ(data_.allocated(), before + growth);
    SetPages(offset, offset + bytes.size(), Page::kWritten);
    bytes_.resize(std::max<uint64_t>(bytes_.size(), offset + bytes.size()));
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<ptrdiff_t>(offset));
  }
  void Truncate() {
    const uint64_t size = Offset(kMaxSize);
    if (size < bytes_.size()) {
      ASSERT_THAT(data_.Truncate(size), IsOk());
      SetPages((size + kPageSize - 1) / kPageSize * kPageSize, kMaxSize, Page::kHole);
    }
    bytes_.resize(size);
  }
  void PunchHole() {
    const uint64_t offset = Offset(kMaxSize);
    const uint64_t length = Pick(20) == 0 ? UINT64_MAX - Pick(2) : Length(kMaxSize);
    ASSERT_THAT(data_.PunchHole(offset, length), IsOk());
    const uint64_t first = (offset + kPageSize - 1) / kPageSize * kPageSize;
    SetPages(first, std::min(kMaxSize, offset + std::min(length, kMaxSize)) / kPageSize * kPageSize,
             Page::kHole);
    if (offset >= bytes_.size()) return;
    std::fill_n(bytes_.begin() + static_cast<ptrdiff_t>(offset),
                std::min(length, bytes_.size() - offset), uint8_t{0});
  }
  void Reserve() {
    const uint64_t offset = Offset(kMaxSize - 1);
    const uint64_t length = Length(kMaxSize - offset);
    if (length == 0) return;
    const uint64_t before = data_.allocated();
    const uint64_t growth = data_.GrowthOfWrite(offset, length);
    data_.Reserve(offset, length);
    ASSERT_EQ(data_.allocated(), before + growth);
    for (uint64_t i = offset / kPageSize; i * kPageSize < offset + length; ++i)
      if (pages_[i] == Page::kHole) pages_[i] = Page::kReserved;
  }
  // A chunk and a bit, from one end of the file to another place; holes stay holes in the chunk.
  void Copy() {
    const uint64_t from = Pick(4) * kChunkSize;
    const uint64_t to = from + (2 + Pick(4)) * kChunkSize;
    const uint64_t rest = Pick(kChunkSize);
    const uint64_t length = kChunkSize + rest;
    if (bytes_.size() < from + length) return;
    ASSERT_THAT(data_.CopyFrom(data_, from, to, length), IsOk());
    for (uint64_t i = 0; i < kChunkSize / kPageSize; ++i) {
      Page& page = pages_[to / kPageSize + i];
      if (pages_[from / kPageSize + i] == Page::kWritten) {
        page = Page::kWritten;
      } else if (page == Page::kWritten) {
        page = Page::kReserved;
      }
    }
    if (rest > 0) SetPages(to + kChunkSize, to + length, Page::kWritten);
    bytes_.resize(std::max<uint64_t>(bytes_.size(), to + length));
    std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(from), length,
                bytes_.begin() + static_cast<ptrdiff_t>(to));
  }
  void Read() {
    const uint64_t offset = Offset(bytes_.size());
    const uint64_t length = Length(bytes_.size() - offset);
    const auto from = bytes_.begin() + static_cast<ptrdiff_t>(offset);
    ASSERT_EQ(ReadVector(data_, offset, length),
              std::vector<uint8_t>(from, from + static_cast<ptrdiff_t>(length)));
  }
  // From everywhere near the edge of a page: the first written page, the first other one.
  void CheckSeeks(const FileData& data) const {
    const uint64_t size = bytes_.size();
    const auto expected = [&](uint64_t at, bool written) {
      uint64_t i = at / kPageSize;
      while (i * kPageSize < size && (pages_[i] == Page::kWritten) != written) ++i;
      return std::max(at, i * kPageSize);
    };
    for (uint64_t at = 0; at < size; at += Near(at)) {
      const auto found = data.SeekData(at, size);
      if (expected(at, true) >= size) {
        ASSERT_THAT(found, IsErrno(ENXIO));
      } else {
        ASSERT_EQ(found.value(), expected(at, true)) << "from " << at;
      }
      ASSERT_EQ(data.SeekHole(at, size).value(), std::min(size, expected(at, false)))
          << "from " << at;
    }
    ASSERT_THAT(data.SeekData(size, size), IsErrno(ENXIO));
    ASSERT_THAT(data.SeekHole(size, size), IsErrno(ENXIO));
  }
  static uint64_t Near(uint64_t at) { return at % kPageSize == 0 ? 1 : kPageSize - at % kPageSize; }

  void CheckSavedForm() {
    FileData copy;
    ASSERT_THAT(copy.FromMap(data_.ToMap()), IsOk());
    ASSERT_THAT(copy.FromWritten(data_.ToWritten()), IsOk());
    ASSERT_THAT(copy.FromReserved(data_.ToReserved()), IsOk());
    ASSERT_EQ(copy.allocated(), data_.allocated());
    ASSERT_EQ(copy.ToWritten(), data_.ToWritten());
    ASSERT_EQ(copy.ToReserved(), data_.ToReserved());
    ASSERT_EQ(ReadVector(copy, 0, bytes_.size()), bytes_);
    CheckSeeks(copy);
  }

  std::mt19937_64 random_;
  FileData data_;
  std::vector<uint8_t> bytes_;
  std::vector<Page> pages_ = std::vector<Page>(kMaxSize / kPageSize);
  ChunkMap shared_;
  PageMap shared_written_;
  PageRangeMap shared_reserved_;
  std::vector<uint8_t> shared_bytes_;
  uint64_t shared_allocated_ = 0;
};

TEST(FileDataTest, ReadsAsAVectorOfBytesDoes) {
  const uint64_t seed = Seed();
  for (uint64_t run = 0; run < 10; ++run) {
    Model model(seed + run);
    for (int i = 0; i < 200 && !::testing::Test::HasFatalFailure(); ++i) {
      model.Step();
      if (i % 10 == 0) model.CheckAll();
    }
    model.CheckAll();
    model.TruncateToNothing();
  }
}

TEST(FileDataTest, ChunksThatAreSharedDoNotChange) {
  const uint64_t seed = Seed();
  for (uint64_t run = 0; run < 5; ++run) {
    Model model(seed + run);
    for (int i = 0; i < 200 && !::testing::Test::HasFatalFailure(); ++i) {
      if (i % 20 == 0) model.Share();
      model.Step();
      model.CheckShared();
    }
    model.CheckAll();
  }
}

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(FileDataTest, WriteToAnUnsharedChunkMakesNoCopy) {
  FileData data;
  ASSERT_THAT(data.Write(0, Bytes("abc")), IsOk());
  const Chunk* chunk = data.ToMap().at(0).get();
  ASSERT_THAT(data.Write(1, Bytes("x")), IsOk());
  EXPECT_EQ(data.ToMap().at(0).get(), chunk);
}

TEST(FileDataTest, SmallFileTakesAPage) {
  FileData data;
  ASSERT_THAT(data.Write(0, Bytes("abc")), IsOk());
  EXPECT_EQ(data.allocated(), 4096u);
  EXPECT_EQ(data.EndOfLastChunk(), 3u);
}

TEST(FileDataTest, FarAwayByteTakesNothingInBetween) {
  FileData data;
  const uint64_t offset = uint64_t{1} << 40;
  ASSERT_THAT(data.Write(offset, Bytes("x")), IsOk());
  EXPECT_EQ(data.allocated(), 4096u);
  EXPECT_EQ(*data.SeekData(0, offset + 1), offset);
  EXPECT_EQ(*data.SeekHole(offset, offset + 1), offset + 1);
  EXPECT_EQ(*data.SeekHole(0, offset + 1), 0u);
}

TEST(FileDataTest, PunchedChunkIsGivenBack) {
  FileData data;
  ASSERT_THAT(data.Write(0, Bytes(std::string(3 * kChunkSize, 'x'))), IsOk());
  ASSERT_THAT(data.PunchHole(kChunkSize, kChunkSize), IsOk());
  EXPECT_EQ(data.allocated(), 2 * kChunkSize);
  EXPECT_EQ(*data.SeekHole(0, 3 * kChunkSize), kChunkSize);
  EXPECT_EQ(*data.SeekData(kChunkSize, 3 * kChunkSize), 2 * kChunkSize);
}

TEST(FileDataTest, FullFileHasNoPageMasksHoweverItWasWritten) {
  FileData data;
  for (const uint64_t page : {9, 2, 0, 11, 3, 8, 1, 10, 5, 4, 7, 6})
    ASSERT_THAT(data.Write(page * kPageSize, Bytes(std::string(kPageSize, 'x'))), IsOk());
  EXPECT_TRUE(data.ToWritten().empty());
  EXPECT_EQ(data.allocated(), 3 * kChunkSize);
  EXPECT_EQ(*data.SeekHole(0, 3 * kChunkSize), 3 * kChunkSize);
}

TEST(FileDataTest, ReservedPagesTakeSpaceButNoMemory) {
  FileData data;
  data.Reserve(kPageSize + 1, 10 * kChunkSize);
  EXPECT_EQ(data.allocated(), 10 * kChunkSize + kPageSize);
  EXPECT_TRUE(data.ToMap().empty());
  EXPECT_EQ(data.EndOfLastChunk(), 0u);
  EXPECT_THAT(data.SeekData(0, 20 * kChunkSize), IsErrno(ENXIO));
  EXPECT_EQ(*data.SeekHole(kPageSize, 20 * kChunkSize), kPageSize);
  EXPECT_EQ(data.GrowthOfWrite(0, 5 * kChunkSize), kPageSize) << "the first page";
}

// Each would take hours if its cost grew with the length.
TEST(FileDataTest, ReservationCostsTheSameWhateverItsLength) {
  constexpr uint64_t kPebi = uint64_t{1} << 50;
  FileData data;
  EXPECT_EQ(data.GrowthOfWrite(1, 4 * kPebi), 4 * kPebi + kPageSize);
  data.Reserve(0, 4 * kPebi);
  EXPECT_EQ(data.allocated(), 4 * kPebi);
  EXPECT_EQ(data.ToReserved(), (PageRangeMap{{0, 4 * kPebi / kPageSize}}));
  ASSERT_THAT(data.Write(kPebi + 5, Bytes("x")), IsOk());
  EXPECT_EQ(data.allocated(), 4 * kPebi) << "there was room";
  ASSERT_THAT(data.PunchHole(kPebi / 2, kPebi), IsOk());
  EXPECT_EQ(data.allocated(), 3 * kPebi);
  EXPECT_TRUE(data.ToMap().empty());
  EXPECT_EQ(data.ToReserved().size(), 2u);
  ASSERT_THAT(data.Truncate(2 * kPebi + 1), IsOk());
  EXPECT_EQ(data.allocated(), kPebi + kPageSize);
  data.Reserve(0, 4 * kPebi);
  EXPECT_EQ(data.allocated(), 4 * kPebi);
  EXPECT_EQ(data.ToReserved().size(), 1u);
}

TEST(FileDataTest, WhatIsWrittenAlreadyNeedsNoReservation) {
  FileData data;
  ASSERT_THAT(data.Write(0, Bytes(std::string(2 * kChunkSize, 'x'))), IsOk());
  data.Reserve(5, 2 * kChunkSize - 5);
  EXPECT_TRUE(data.ToReserved().empty());
}

TEST(FileDataTest, ChunkThatIsNotLoadedIsPunchedAsAWholeWithoutLoadingIt) {
  FileData data;
  ChunkMap stored;
  stored[1] = Chunk::Stored(nullptr, {}, kChunkSize);  // a load would crash
  ASSERT_THAT(data.FromMap(std::move(stored)), IsOk());
  ASSERT_THAT(data.PunchHole(kChunkSize, kChunkSize), IsOk());
  EXPECT_EQ(data.allocated(), 0u);
}

// As in images that were written before there were page masks.
TEST(FileDataTest, MapOfChunksAloneMeansPagesUpToTheEndOfEach) {
  FileData data;
  ChunkMap chunks;
  chunks[0] = *Chunk::Create(Bytes(std::string(5000, 'x')), 0);
  chunks[2] = *Chunk::Create(Bytes("y"), 0);
  ASSERT_THAT(data.FromMap(std::move(chunks)), IsOk());
  EXPECT_EQ(data.allocated(), 3 * kPageSize);
  EXPECT_EQ(*data.SeekHole(0, 3 * kChunkSize), 2 * kPageSize);
  EXPECT_EQ(*data.SeekData(2 * kPageSize, 3 * kChunkSize), 2 * kChunkSize);
}

TEST(FileDataTest, ClearGivesEverythingBack) {
  FileData data;
  ASSERT_THAT(data.Write(kChunkSize - 1, Bytes(std::string(2 * kChunkSize, 'x'))), IsOk());
  data.Reserve(5 * kChunkSize, kChunkSize);
  data.Clear();
  EXPECT_TRUE(data.ToReserved().empty());
  EXPECT_EQ(data.allocated(), 0u);
  EXPECT_TRUE(data.ToMap().empty());
}

TEST(FileDataTest, MapWithAMissingChunkOrAPositionPastTheLargestOffsetIsEINVAL) {
  FileData data;
  ChunkMap missing;
  missing[0] = nullptr;
  EXPECT_THAT(data.FromMap(std::move(missing)), IsErrno(EINVAL));
  FileData other;
  ChunkMap far;
  far[uint64_t{1} << 62] = *Chunk::Create({}, 0);
  EXPECT_THAT(other.FromMap(std::move(far)), IsErrno(EINVAL));
}

// The file has one chunk, of 5,000 bytes.
TEST(FileDataTest, MasksThatContradictTheChunksAreEINVAL) {
  const std::pair<uint64_t, PageMask> refused[] = {
      {0, 0x1},                   // the chunk ends in the second page
      {0, 0x7},                   // and not in the third
      {0, 0x0},                   // it has bytes
      {0, 0x13},                  // a fifth page
      {1, 0x3},                   // no chunk
      {1, 0x0},                   // and none without pages
      {uint64_t{1} << 62, 0x1}};  // past the largest offset
  for (const auto& [index, mask] : refused) {
    FileData data;
    ASSERT_THAT(data.Write(0, Bytes(std::string(5000, 'x'))), IsOk());
    EXPECT_THAT(data.FromWritten({{index, mask}}), IsErrno(EINVAL)) << index << " " << +mask;
  }
  FileData data;
  ASSERT_THAT(data.Write(0, Bytes(std::string(5000, 'x'))), IsOk());
  EXPECT_THAT(data.FromWritten({{0, 0x2}}), IsOk());
  EXPECT_EQ(data.allocated(), kPageSize);
}

TEST(FileDataTest, ReservedRangesThatAreNoneAreEINVAL) {
  constexpr uint64_t kEnd = (uint64_t{1} << 63) / kPageSize;
  const PageRangeMap refused[] = {{{5, 5}},         {{5, 4}},        {{0, 2}, {1, 3}},
                                  {{0, 2}, {2, 3}}, {{0, kEnd + 1}}, {{UINT64_MAX, 0}}};
  for (const PageRangeMap& ranges : refused) {
    FileData data;
    EXPECT_THAT(data.FromReserved(ranges), IsErrno(EINVAL)) << ::testing::PrintToString(ranges);
  }
  FileData data;
  ASSERT_THAT(data.Write(0, Bytes(std::string(5000, 'x'))), IsOk());
  EXPECT_THAT(data.FromReserved({{1, 3}, {4, kEnd}}), IsOk());
  EXPECT_EQ(data.allocated(), (kEnd - 1) * kPageSize);
}

// A chunk full of letters of which an image says that only its last page is written.
class DeceitfulChunkTest : public ::testing::Test {
 protected:
  DeceitfulChunkTest() {
    ChunkMap chunks;
    chunks[1] = *Chunk::Create(Bytes(std::string(kChunkSize, 'x')), 0);
    EXPECT_THAT(data_.FromMap(std::move(chunks)), IsOk());
    EXPECT_THAT(data_.FromWritten({{1, 0x8}}), IsOk());
  }
  static std::string Text(const FileData& data) {
    const auto bytes = ReadVector(data, kChunkSize, kChunkSize);
    return {bytes.begin(), bytes.end()};
  }
  static std::string Zeros(size_t count) { return std::string(count, '\0'); }
  static std::string Letters(size_t count) { return std::string(count, 'x'); }

  FileData data_;
};

TEST_F(DeceitfulChunkTest, BytesOfHolesAreNotRead) {
  EXPECT_EQ(Text(data_), Zeros(3 * kPageSize) + Letters(kPageSize));
  std::vector<uint8_t> edge = ReadVector(data_, kChunkSize + 3 * kPageSize - 2, 4);
  EXPECT_EQ(edge, (std::vector<uint8_t>{0, 0, 'x', 'x'}));
}

TEST_F(DeceitfulChunkTest, BytesOfHolesDoNotComeOutWhenTheirPageIsWritten) {
  ASSERT_THAT(data_.Write(kChunkSize + kPageSize + 10, Bytes("new")), IsOk());
  EXPECT_EQ(Text(data_),
            Zeros(kPageSize + 10) + "new" + Zeros(2 * kPageSize - 13) + Letters(kPageSize));
}

TEST_F(DeceitfulChunkTest, BytesOfHolesDoNotComeOutWhenTheFileIsCutAndGrows) {
  ASSERT_THAT(data_.Truncate(kChunkSize + 2 * kPageSize), IsOk());
  EXPECT_EQ(Text(data_), Zeros(kChunkSize));
}

TEST_F(DeceitfulChunkTest, BytesOfHolesAreNotCopied) {
  FileData whole;
  ASSERT_THAT(whole.CopyFrom(data_, kChunkSize, kChunkSize, kChunkSize), IsOk());
  EXPECT_EQ(Text(whole), Text(data_));
  FileData part;
  ASSERT_THAT(part.CopyFrom(data_, kChunkSize, kChunkSize, kChunkSize - 1), IsOk());
  EXPECT_EQ(Text(part), Zeros(3 * kPageSize) + Letters(kPageSize - 1) + Zeros(1));
}

}  // namespace
}  // namespace stasis::vfs
