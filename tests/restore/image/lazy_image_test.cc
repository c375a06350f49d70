// SPDX-License-Identifier: Apache-2.0

#include "restore/image/lazy_image.h"

#include <absl/time/clock.h>

#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

using ::testing::ElementsAre;

constexpr uint32_t kChunksOfFrame = 16;

class LazyImageTest : public ImageTest {
 protected:
  LazyImageTest() {
    std::vector<RefPtr<state::Chunk>> chunks;
    for (uint64_t i = 0; i < uint64_t{5} * kChunksOfFrame; ++i)
      chunks.push_back(NewChunk(RandomBytes(16384, i)));
    EXPECT_TRUE(Save(MakeGraph(std::move(chunks)), "v1").ok());
  }

  // One restore: its chunks, and what goes on behind them.
  struct Restored {
    std::unique_ptr<LazyImage> lazy;
    RefPtr<PackReader> source;
    std::vector<RefPtr<state::Chunk>> chunks;

    void Read(uint32_t frame) { EXPECT_TRUE(chunks[frame * kChunksOfFrame]->Bytes().has_value()); }
    bool Ends(PrefetchState state) const {
      for (int i = 0; i < 4000 && lazy->progress().state != state; ++i)
        absl::SleepFor(absl::Milliseconds(5));
      return lazy->progress().state == state;
    }
  };

  Restored Restore(PrefetchMode mode, absl::Duration record_for = absl::Seconds(60)) {
    LazyOptions options;
    options.directory = dir_;
    options.mode = mode;
    options.record_for = record_for;
    options.on_note = [this](const std::string& note) { notes_.push_back(note); };
    Restored restored;
    restored.lazy = std::make_unique<LazyImage>(std::move(options));
    ReadOptions read;
    read.packs = restored.lazy->RestoreOptions();
    auto image = Load("v1", std::move(read));
    EXPECT_TRUE(image.ok()) << image.status();
    restored.source = (*image)->source();
    for (uint32_t i = 0; i < (*image)->size(); ++i) restored.chunks.push_back((*image)->Get(i));
    subject_ = {(*image)->info().manifest_digest, (*image)->info().manifest_size,
                static_cast<uint32_t>(restored.source->frames().size())};
    restored.lazy->Attach(*std::move(image));
    restored.lazy->Start();
    return restored;
  }

  std::vector<uint32_t> StoredTrace() {
    const auto layout = Layout::Open(dir_);
    if (!layout.ok()) return {};
    const auto trace = FindTrace(**layout, subject_);
    return trace.ok() ? trace->frames : std::vector<uint32_t>{};
  }

  TraceSubject subject_;
  std::vector<std::string> notes_;  // of threads that have ended
};

TEST_F(LazyImageTest, TheNextRestoreReadsWhatTheFirstOneWanted) {
  {
    Restored first = Restore(PrefetchMode::kTrace);
    for (const uint32_t frame : {3U, 1U, 3U}) first.Read(frame);
    first.lazy->Stop();
  }
  EXPECT_THAT(StoredTrace(), ElementsAre(3, 1));
  Restored second = Restore(PrefetchMode::kTrace);
  ASSERT_TRUE(second.Ends(PrefetchState::kDone));
  EXPECT_EQ(second.source->frames_read(), 2u);
  second.Read(1);
  second.Read(3);
  EXPECT_EQ(second.source->frames_read(), 2u);
  second.Read(0);
  second.lazy->Stop();
  EXPECT_THAT(StoredTrace(), ElementsAre(3, 1));  // one that follows a trace records none
}

TEST_F(LazyImageTest, WithoutPrefetchANewTraceIsRecorded) {
  for (const uint32_t frame : {3U, 2U}) {
    Restored restored = Restore(PrefetchMode::kNone);
    restored.Read(frame);
    restored.lazy->Stop();
    EXPECT_THAT(StoredTrace(), ElementsAre(frame));
  }
}

TEST_F(LazyImageTest, ATraceIsStoredWhenItsTimeIsOver) {
  Restored restored = Restore(PrefetchMode::kTrace, absl::Milliseconds(100));
  restored.Read(4);
  for (int i = 0; i < 2000 && StoredTrace().empty(); ++i) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_THAT(StoredTrace(), ElementsAre(4));
  restored.Read(2);
  restored.lazy->Stop();
  EXPECT_THAT(StoredTrace(), ElementsAre(4));
}

TEST_F(LazyImageTest, AllNeedsNoTraceAndRecordsNone) {
  Restored restored = Restore(PrefetchMode::kAll);
  ASSERT_TRUE(restored.Ends(PrefetchState::kDone));
  for (const auto& chunk : restored.chunks) EXPECT_TRUE(chunk->resident());
  restored.lazy->Stop();
  EXPECT_THAT(StoredTrace(), ::testing::IsEmpty());
}

TEST_F(LazyImageTest, StoppedInTheMiddleItLetsGoOfEverything) {
  Restored restored = Restore(PrefetchMode::kAll);
  restored.lazy->Stop();
  EXPECT_NE(restored.lazy->progress().state, PrefetchState::kRunning);
  for (const auto& chunk : restored.chunks) EXPECT_TRUE(chunk->HasOneRef());
  restored.lazy->Start();  // nothing begins any more
  for (uint32_t frame = 0; frame < 5; ++frame) restored.Read(frame);
}

TEST_F(LazyImageTest, NothingReadIsNothingStored) {
  const std::vector<std::string> before = Blobs();
  Restored restored = Restore(PrefetchMode::kTrace);
  restored.lazy->Stop();
  EXPECT_EQ(Blobs(), before);
}

TEST_F(LazyImageTest, ALayoutThatHasGoneIsNoError) {
  Restored restored = Restore(PrefetchMode::kNone);
  restored.Read(0);
  std::filesystem::remove_all(dir_);
  restored.lazy->Stop();
  ASSERT_EQ(notes_.size(), 1u);
  EXPECT_THAT(notes_[0], HasSubstr("there is no directory"));
  EXPECT_FALSE(std::filesystem::exists(dir_));
}

TEST_F(LazyImageTest, ADamagedTraceIsAsNone) {
  const std::vector<std::string> before = Blobs();
  {
    Restored first = Restore(PrefetchMode::kTrace);
    first.Read(3);
    first.lazy->Stop();
  }
  for (const std::string& name : Blobs())
    if (std::find(before.begin(), before.end(), name) == before.end())
      std::filesystem::resize_file(dir_ / "blobs" / "sha256" / name, 1);
  Restored second = Restore(PrefetchMode::kTrace);
  second.Read(1);
  second.lazy->Stop();
  EXPECT_EQ(second.lazy->progress().state, PrefetchState::kNone);
  EXPECT_THAT(StoredTrace(), ElementsAre(1));
}

}  // namespace
}  // namespace stasis::image
