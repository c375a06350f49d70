// SPDX-License-Identifier: Apache-2.0
//
// Packs that vanish, are replaced, cut off or damaged under a reader, and come back.

#include "restore/image/pack_reader.h"

#include <absl/time/clock.h>
#include <fmt/format.h>

#include <thread>

#include "state/base/current_work.h"
#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr size_t kChunk = 16384;
constexpr uint32_t kChunksOfFrame = 16;

// Reads fail with an errno when the test says so.
class FailingReads final : public PosixFileOps {
 public:
  std::atomic<int> error{0};
  Result<size_t> ReadAt(int fd, std::span<std::byte> out, uint64_t offset) override {
    if (error != 0) return Err(error.load());
    return PosixFileOps::ReadAt(fd, out, offset);
  }
};

class PackReaderTest : public ImageTest {
 protected:
  PackReaderTest() {
    ReadHealthOptions options;
    options.retry = absl::Milliseconds(5);
    options.on_failed = [this](const absl::Status& error) {
      const absl::MutexLock lock(&mu_);
      named_.emplace_back(error.message());
    };
    options.on_recovered = [this](const std::string&) { ++recoveries_; };
    health_ = std::make_shared<ReadHealth>(std::move(options));
  }
  ~PackReaderTest() override { health_->Stop(); }

  // An image of so many frames, each of 16 chunks, and its reader.
  void Open(uint64_t frames, std::shared_ptr<FileOps> ops = nullptr) {
    std::vector<RefPtr<state::Chunk>> chunks;
    for (uint64_t i = 0; i < frames * kChunksOfFrame; ++i)
      chunks.push_back(NewChunk(RandomBytes(kChunk, i)));
    ASSERT_TRUE(Save(MakeGraph(std::move(chunks)), "v1").ok());
    const auto layout = Layout::Open(dir_, std::move(ops));
    ASSERT_TRUE(layout.ok());
    ReadOptions options;
    options.packs.health = health_;
    options.packs.cache_bytes = 0;
    auto reader = ImageReader::Open(**layout, "v1", std::move(options));
    ASSERT_TRUE(reader.ok()) << reader.status();
    reader_ = *std::move(reader);
    pack_ = Blob(reader_->info().manifest.packs[0].digest);
  }

  // Of the first chunk of a frame.
  bool Reads(uint32_t frame) {
    const uint32_t index = frame * kChunksOfFrame;
    const auto bytes = reader_->Get(index)->Bytes();
    if (!bytes) {
      EXPECT_EQ(bytes.error(), Errno(EIO));
      return false;
    }
    const Bytes want = RandomBytes(kChunk, index);
    EXPECT_TRUE(std::equal(bytes->begin(), bytes->end(), want.begin(), want.end()));
    return true;
  }

  void FlipByteOf(uint32_t frame) {
    std::string bytes = ReadFile(pack_);
    bytes[reader_->source()->frames()[frame].offset + 1000] ^= 1;
    // In place: the descriptor that the reader has shows it.
    std::fstream(pack_, std::ios::in | std::ios::out | std::ios::binary) << bytes;
  }

  bool EventuallyWell() {
    for (int i = 0; i < 2000 && health_->failing() > 0; ++i) absl::SleepFor(absl::Milliseconds(5));
    return health_->failing() == 0;
  }

  std::vector<std::string> named() {
    const absl::MutexLock lock(&mu_);
    return named_;
  }

  absl::Mutex mu_;
  std::vector<std::string> named_ ABSL_GUARDED_BY(mu_);
  std::atomic<int> recoveries_{0};
  std::shared_ptr<ReadHealth> health_;
  std::unique_ptr<ImageReader> reader_;
  std::filesystem::path pack_;
};

TEST_F(PackReaderTest, ARemovedImageStaysReadable) {
  Open(2);
  std::filesystem::remove_all(dir_);
  EXPECT_TRUE(Reads(0));
  EXPECT_TRUE(Reads(1));
  EXPECT_EQ(health_->Reason(), "");
}

TEST_F(PackReaderTest, AFlippedBitIsAnErrorOfItsFrameAlone) {
  Open(3);
  FlipByteOf(1);
  EXPECT_TRUE(Reads(0));
  EXPECT_FALSE(Reads(1));
  EXPECT_TRUE(Reads(2));
  EXPECT_EQ(health_->failing(), 1u);
  const std::string prefix = fmt::format("{}:v1: pack {}, frame 1", dir_.string(),
                                         reader_->info().manifest.packs[0].digest.ToString());
  EXPECT_THAT(health_->Reason(), ::testing::StartsWith(prefix));
  EXPECT_THAT(named(), ElementsAre(health_->Reason()));
}

TEST_F(PackReaderTest, WhatIsWrongIsNamedOnce) {
  Open(1);
  FlipByteOf(0);
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(Reads(0));
  EXPECT_EQ(named().size(), 1u);
}

TEST_F(PackReaderTest, WhoeverWantedItIsNamedToo) {
  Open(2);
  FlipByteOf(0);
  FlipByteOf(1);
  const std::string file = "/file (inode 7)";
  const auto describe = [](const void* what) { return *static_cast<const std::string*>(what); };
  {
    const CurrentWork work(describe, &file);
    EXPECT_FALSE(Reads(0));
  }
  EXPECT_FALSE(Reads(1));
  ASSERT_EQ(named().size(), 2u);
  EXPECT_THAT(named()[0], ::testing::EndsWith("; wanted for /file (inode 7)"));
  EXPECT_THAT(named()[1], ::testing::Not(HasSubstr("wanted for")));
}

TEST_F(PackReaderTest, OnlyAFewErrorsAreNamedInAWhile) {
  Open(20);
  std::filesystem::resize_file(pack_, 0);
  for (uint32_t frame = 0; frame < 20; ++frame) EXPECT_FALSE(Reads(frame));
  EXPECT_EQ(named().size(), 10u);
  EXPECT_EQ(health_->failing(), 20u);
  EXPECT_THAT(health_->Reason(), HasSubstr(" (and 19 frames more)"));
}

TEST_F(PackReaderTest, WhatWasRepairedInPlaceReadsAgain) {
  Open(1);
  const std::string good = ReadFile(pack_);
  FlipByteOf(0);
  EXPECT_FALSE(Reads(0));
  std::fstream(pack_, std::ios::in | std::ios::out | std::ios::binary) << good;
  EXPECT_TRUE(Reads(0));
  EXPECT_TRUE(EventuallyWell());
  EXPECT_EQ(recoveries_, 1);
}

TEST_F(PackReaderTest, AGoodFileInThePlaceOfABadOneIsFound) {
  Open(1);
  std::filesystem::copy(dir_, temp_ / "copy", std::filesystem::copy_options::recursive);
  FlipByteOf(0);
  EXPECT_FALSE(Reads(0));
  // Another directory with the same blobs.
  std::filesystem::rename(dir_, temp_ / "bad");
  std::filesystem::rename(temp_ / "copy", dir_);
  EXPECT_TRUE(Reads(0));
}

TEST_F(PackReaderTest, RecoversWithoutBeingRead) {
  Open(1);
  const std::string good = ReadFile(pack_);
  FlipByteOf(0);
  EXPECT_FALSE(Reads(0));
  std::filesystem::remove(pack_);
  WriteFile(pack_, good);
  EXPECT_TRUE(EventuallyWell());
  EXPECT_EQ(health_->Reason(), "");
}

TEST_F(PackReaderTest, ACutOffPackIsAnErrorUntilItIsWhole) {
  Open(2);
  const std::string good = ReadFile(pack_);
  std::filesystem::resize_file(pack_, reader_->source()->frames()[1].offset + 10);
  EXPECT_TRUE(Reads(0));
  EXPECT_FALSE(Reads(1));
  EXPECT_THAT(health_->Reason(), HasSubstr("frame 1"));
  WriteFile(pack_, good);
  EXPECT_TRUE(Reads(1));
}

TEST_F(PackReaderTest, AStaleDescriptorIsAnErrorUntilTheHostHasTheFileAgain) {
  const auto ops = std::make_shared<FailingReads>();
  Open(1, ops);
  for (const int error : {ESTALE, EIO}) {
    ops->error = error;
    EXPECT_FALSE(Reads(0));
    EXPECT_THAT(health_->Reason(), HasSubstr(std::strerror(error)));
  }
  ops->error = 0;
  EXPECT_TRUE(EventuallyWell());
  EXPECT_TRUE(Reads(0));
}

TEST_F(PackReaderTest, WhatNobodyNeedsAnyMoreIsNotMissed) {
  Open(1);
  FlipByteOf(0);
  EXPECT_FALSE(Reads(0));
  reader_.reset();
  EXPECT_TRUE(EventuallyWell());
}

TEST_F(PackReaderTest, ConcurrentFaultsOfOneChunkReadItOnce) {
  Open(1);
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] { good += reader_->Get(3)->Bytes().has_value() ? 1 : 0; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 8);
  EXPECT_EQ(reader_->source()->frames_read(), 1u);
}

class PackFilesTest : public ImageTest {
 protected:
  // A layout with so many blobs of 100 bytes.
  void Make(uint32_t count) {
    ASSERT_TRUE(Layout::OpenForWriting(dir_).ok());
    for (uint32_t i = 0; i < count; ++i) {
      const Bytes bytes = RandomBytes(100, i);
      packs_.push_back({Digest::Of(bytes), bytes.size()});
      WriteFile(Blob(packs_.back().digest),
                {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
  }
  std::unique_ptr<PackFiles> Open(size_t max_open) {
    const auto layout = Layout::Open(dir_);
    EXPECT_TRUE(layout.ok());
    auto files = PackFiles::Open(**layout, packs_, max_open);
    EXPECT_TRUE(files.ok()) << files.status();
    return *std::move(files);
  }
  std::vector<PackEntry> packs_;
};

TEST_F(PackFilesTest, KeepsAFewOpenAndOpensOthersAgain) {
  Make(10);
  const auto files = Open(4);
  EXPECT_EQ(files->open_count(), 4u);
  for (int round = 0; round < 2; ++round) {
    for (uint32_t row = 0; row < packs_.size(); ++row) {
      const auto file = files->Get(row);
      ASSERT_TRUE(file.ok()) << file.status();
      std::array<std::byte, 100> bytes;
      ASSERT_EQ(pread((*file)->get(), bytes.data(), bytes.size(), 0), 100);
      EXPECT_EQ(Digest::Of(bytes), packs_[row].digest);
      EXPECT_EQ(files->open_count(), 4u);
    }
  }
}

TEST_F(PackFilesTest, KeepsThoseUsedLast) {
  Make(4);
  const auto files = Open(2);
  ASSERT_TRUE(files->Get(0).ok());
  ASSERT_TRUE(files->Get(3).ok());
  std::filesystem::remove_all(dir_);
  EXPECT_TRUE(files->Get(0).ok());
  EXPECT_TRUE(files->Get(3).ok());
  EXPECT_THAT(files->Get(1).status(), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(PackFilesTest, AllMustBeThereAtFirst) {
  Make(4);
  std::filesystem::remove(Blob(packs_[3].digest));
  const auto layout = Layout::Open(dir_);
  ASSERT_TRUE(layout.ok());
  EXPECT_THAT(PackFiles::Open(**layout, packs_, 2).status(), HasCode(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace stasis::image
