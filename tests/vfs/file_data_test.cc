// SPDX-License-Identifier: Apache-2.0
//
// FileData against a vector of bytes. Prints its seed; STASIS_SEED sets it.

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
    switch (Pick(5)) {
      case 0:
      case 1:
        return Write();
      case 2:
        return Truncate();
      case 3:
        return PunchHole();
      default:
        return Read();
    }
  }
  void CheckAll() {
    ASSERT_EQ(ReadVector(data_, 0, bytes_.size()), bytes_);
    ASSERT_LE(data_.EndOfLastChunk(), bytes_.size());
    CheckAllocated();
    CheckSeeks();
  }
  void TruncateToNothing() {
    ASSERT_THAT(data_.Truncate(0), IsOk());
    ASSERT_EQ(data_.allocated(), 0u);
  }
  // Somebody else who holds the chunks of this moment, and what they must stay.
  void Share() {
    shared_ = data_.ToMap();
    shared_bytes_ = bytes_;
  }
  void CheckShared() {
    FileData copy;
    ASSERT_THAT(copy.FromMap(shared_), IsOk());
    ASSERT_EQ(ReadVector(copy, 0, shared_bytes_.size()), shared_bytes_);
  }

 private:
  uint64_t Pick(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random_); }
  // Often at, or next to, the edge of a chunk.
  uint64_t Offset(uint64_t limit) {
    uint64_t offset = Pick(limit + 1);
    if (Pick(3) == 0) offset = offset / kChunkSize * kChunkSize + Pick(3) - (offset > 0 ? 1 : 0);
    return std::min(offset, limit);
  }
  uint64_t Length(uint64_t limit) {
    return std::min(limit, Pick(4) == 0 ? Offset(limit) : Pick(3000));
  }

  void Write() {
    const uint64_t offset = Offset(kMaxSize - 1);
    std::vector<uint8_t> bytes(Length(kMaxSize - offset));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(1 + Pick(255));
    if (bytes.empty()) return;
    const uint64_t before = data_.allocated();
    const uint64_t growth = data_.GrowthOfWrite(offset, bytes.size());
    ASSERT_THAT(data_.Write(offset, std::as_bytes(std::span(bytes))), IsOk());
    ASSERT_LE(data_.allocated(), before + growth);
    bytes_.resize(std::max<uint64_t>(bytes_.size(), offset + bytes.size()));
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<ptrdiff_t>(offset));
  }
  void Truncate() {
    const uint64_t size = Offset(kMaxSize);
    if (size < bytes_.size()) {
      ASSERT_THAT(data_.Truncate(size), IsOk());
    }
    bytes_.resize(size);
  }
  void PunchHole() {
    const uint64_t offset = Offset(kMaxSize);
    const uint64_t length = Pick(20) == 0 ? UINT64_MAX - Pick(2) : Length(kMaxSize);
    ASSERT_THAT(data_.PunchHole(offset, length), IsOk());
    if (offset >= bytes_.size()) return;
    std::fill_n(bytes_.begin() + static_cast<ptrdiff_t>(offset),
                std::min(length, bytes_.size() - offset), uint8_t{0});
  }
  void Read() {
    const uint64_t offset = Offset(bytes_.size());
    const uint64_t length = Length(bytes_.size() - offset);
    const auto from = bytes_.begin() + static_cast<ptrdiff_t>(offset);
    ASSERT_EQ(ReadVector(data_, offset, length),
              std::vector<uint8_t>(from, from + static_cast<ptrdiff_t>(length)));
  }
  void CheckAllocated() {
    uint64_t expected = 0;
    for (const auto& [index, chunk] : data_.ToMap())
      expected += (uint64_t{chunk->size()} + 4095) / 4096 * 4096;
    ASSERT_EQ(data_.allocated(), expected);
  }
  // Data and holes alternate up to the end, and no byte that counts is in a hole.
  void CheckSeeks() {
    const uint64_t size = bytes_.size();
    uint64_t at = 0;
    while (at < size) {
      const auto data = data_.SeekData(at, size);
      if (!data) {
        ASSERT_EQ(data.error(), Errno(ENXIO));
      }
      const uint64_t end = data ? *data : size;
      ASSERT_GE(end, at);
      for (uint64_t i = at; i < end; ++i) ASSERT_EQ(bytes_[i], 0) << "byte " << i << " in a hole";
      if (end < size) {
        const auto hole = data_.SeekHole(end, size);
        ASSERT_TRUE(hole);
        ASSERT_GT(*hole, end);
        ASSERT_LE(*hole, size);
        at = *hole;
      } else {
        at = end;
      }
    }
    ASSERT_THAT(data_.SeekData(size, size), IsErrno(ENXIO));
    ASSERT_THAT(data_.SeekHole(size, size), IsErrno(ENXIO));
  }

  std::mt19937_64 random_;
  FileData data_;
  std::vector<uint8_t> bytes_;
  ChunkMap shared_;
  std::vector<uint8_t> shared_bytes_;
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

TEST(FileDataTest, ClearGivesEverythingBack) {
  FileData data;
  ASSERT_THAT(data.Write(kChunkSize - 1, Bytes(std::string(2 * kChunkSize, 'x'))), IsOk());
  data.Clear();
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
  far[uint64_t{1} << 62] = Chunk::Create({}, 0);
  EXPECT_THAT(other.FromMap(std::move(far)), IsErrno(EINVAL));
}

}  // namespace
}  // namespace stasis::vfs
