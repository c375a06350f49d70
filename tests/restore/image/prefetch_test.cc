// SPDX-License-Identifier: Apache-2.0

#include "restore/image/prefetch.h"

#include <thread>

#include "restore/image/trace.h"
#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

constexpr size_t kChunk = 16384;
constexpr uint32_t kChunksOfFrame = 16;
constexpr uint64_t kFrameBytes = kChunk * kChunksOfFrame;

class PrefetchTest : public ImageTest {
 protected:
  // An image of so many frames, opened, and all of its chunks, as a tree holds them.
  void Open(uint64_t frames) {
    std::vector<RefPtr<state::Chunk>> chunks;
    for (uint64_t i = 0; i < frames * kChunksOfFrame; ++i)
      chunks.push_back(NewChunk(RandomBytes(kChunk, i)));
    ASSERT_TRUE(Save(MakeGraph(std::move(chunks)), "v1").ok());
    auto reader = Load("v1");
    ASSERT_TRUE(reader.ok()) << reader.status();
    image_ = *std::move(reader);
    source_ = image_->source();
    for (uint32_t i = 0; i < image_->size(); ++i) chunks_.push_back(image_->Get(i));
  }

  PrefetchProgress Run(const std::vector<uint32_t>& trace, bool all,
                       uint64_t max_bytes = UINT64_MAX) {
    Prefetch prefetch(std::move(image_), trace, all, max_bytes);
    prefetch.Run();
    return prefetch.progress();
  }

  // Frames of which all chunks are in memory.
  std::vector<uint32_t> Resident() const {
    std::vector<uint32_t> frames;
    for (uint32_t frame = 0; frame < chunks_.size() / kChunksOfFrame; ++frame) {
      const auto begin = chunks_.begin() + frame * kChunksOfFrame;
      if (std::all_of(begin, begin + kChunksOfFrame,
                      [](const auto& chunk) { return !chunk || chunk->resident(); }))
        frames.push_back(frame);
    }
    return frames;
  }

  void ExpectAllRight() const {
    for (uint32_t i = 0; i < chunks_.size(); ++i) {
      const auto got = chunks_[i]->Bytes();
      ASSERT_TRUE(got.has_value()) << "chunk " << i;
      const Bytes want = RandomBytes(kChunk, i);
      ASSERT_TRUE(std::equal(got->begin(), got->end(), want.begin(), want.end())) << "chunk " << i;
    }
  }

  std::unique_ptr<ImageReader> image_;
  RefPtr<PackReader> source_;
  std::vector<RefPtr<state::Chunk>> chunks_;
};

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(PrefetchTest, LoadsTheFramesOfATrace) {
  Open(5);
  const PrefetchProgress progress = Run({3, 1}, false);
  EXPECT_EQ(progress.state, PrefetchState::kDone);
  EXPECT_EQ(progress.done_bytes, 2 * kFrameBytes);
  EXPECT_EQ(progress.total_bytes, 2 * kFrameBytes);
  EXPECT_THAT(Resident(), ElementsAre(1, 3));
  EXPECT_EQ(source_->frames_read(), 2u);
  ExpectAllRight();
}

TEST_F(PrefetchTest, AfterAllTheImageIsNotNeeded) {
  Open(5);
  EXPECT_EQ(Run({3, 1}, true).state, PrefetchState::kDone);
  for (const auto& entry : std::filesystem::directory_iterator(dir_ / "blobs" / "sha256"))
    std::filesystem::resize_file(entry.path(), 0);
  std::filesystem::remove_all(dir_);
  EXPECT_EQ(source_->frames_read(), 5u);
  ExpectAllRight();
  EXPECT_EQ(source_->frames_read(), 5u);
}

TEST_F(PrefetchTest, HoldsNoChunkAfterwards) {
  Open(3);
  Run({1}, false);
  for (const auto& chunk : chunks_) EXPECT_TRUE(chunk->HasOneRef());
}

TEST_F(PrefetchTest, WhatIsThereAlreadyIsNotReadAgain) {
  Open(2);
  for (uint32_t i = 0; i < kChunksOfFrame; ++i) ASSERT_TRUE(chunks_[i]->Bytes().has_value());
  EXPECT_EQ(Run({}, true).done_bytes, 2 * kFrameBytes);
  EXPECT_EQ(source_->frames_read(), 2u);
}

TEST_F(PrefetchTest, NeighboursOfWhatWasReadComeOutOfTheCache) {
  Open(1);
  ASSERT_TRUE(chunks_[3]->Bytes().has_value());
  EXPECT_EQ(Run({0}, false).state, PrefetchState::kDone);
  EXPECT_THAT(Resident(), ElementsAre(0));
  EXPECT_EQ(source_->frames_read(), 1u);
}

TEST_F(PrefetchTest, DataOfFilesThatHaveGoneIsNotRead) {
  Open(2);
  for (uint32_t i = 0; i < kChunksOfFrame; ++i) chunks_[i].reset();
  EXPECT_EQ(Run({}, true).state, PrefetchState::kDone);
  EXPECT_EQ(source_->frames_read(), 1u);
}

TEST_F(PrefetchTest, EndsWhereMemoryDoes) {
  Open(5);
  const PrefetchProgress progress = Run({4}, true, 3 * kFrameBytes);
  EXPECT_EQ(progress.state, PrefetchState::kLimited);
  EXPECT_EQ(progress.done_bytes, 3 * kFrameBytes);
  EXPECT_EQ(progress.total_bytes, 5 * kFrameBytes);
  EXPECT_THAT(Resident(), ElementsAre(0, 1, 4));
}

TEST_F(PrefetchTest, GoesOnAfterWhatCannotBeRead) {
  Open(3);
  const auto pack = Blob(image_->info().manifest.packs[0].digest);
  std::string bytes = ReadFile(pack);
  bytes[source_->frames()[1].offset + 100] ^= 1;
  WriteFile(pack, bytes);
  EXPECT_EQ(Run({}, true).state, PrefetchState::kIncomplete);
  EXPECT_THAT(Resident(), ElementsAre(0, 2));
}

TEST_F(PrefetchTest, StoppedBeforeItBeginsItDoesNothing) {
  Open(3);
  Prefetch prefetch(std::move(image_), {}, true, UINT64_MAX);
  prefetch.Stop();
  prefetch.Run();
  EXPECT_EQ(prefetch.progress().state, PrefetchState::kStopped);
  EXPECT_THAT(Resident(), IsEmpty());
}

TEST_F(PrefetchTest, ReadersAndAWriterMeanwhileSeeWhatIsRight) {
  Open(16);
  Prefetch prefetch(std::move(image_), {}, true, UINT64_MAX);
  std::thread background([&] { prefetch.Run(); });
  std::thread reader([&] {
    for (size_t i = chunks_.size(); i-- > 0;) EXPECT_TRUE(chunks_[i]->Bytes().has_value());
  });
  background.join();
  reader.join();
  EXPECT_EQ(prefetch.progress().state, PrefetchState::kDone);
  ExpectAllRight();
}

TEST(PrefetchModeTest, IsOneOfThree) {
  for (const PrefetchMode mode : {PrefetchMode::kNone, PrefetchMode::kTrace, PrefetchMode::kAll})
    EXPECT_EQ(*ParsePrefetchMode(PrefetchModeName(mode)), mode);
  EXPECT_EQ(ParsePrefetchMode("some").status(),
            absl::InvalidArgumentError("'some' is not a way to prefetch: trace, all or none"));
}

}  // namespace
}  // namespace stasis::image
