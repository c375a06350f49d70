// SPDX-License-Identifier: Apache-2.0
//
// Readers of the same packs that share what they unpack: as two sandboxes would, each with a
// SharedFrames of its own.

#include "restore/image/shared_frames.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "restore/image/internal/shared_pack.h"
#include "restore/image/prefetch.h"
#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunk = 16384;
constexpr uint32_t kChunksOfFrame = 16;

class SharedFramesTest : public ImageTest {
 protected:
  std::string Folder() const { return temp_ / "frames"; }

  void SaveFrames(uint64_t frames) {
    std::vector<RefPtr<state::Chunk>> chunks;
    for (uint64_t i = 0; i < frames * kChunksOfFrame; ++i)
      chunks.push_back(NewChunk(RandomBytes(kChunk, i)));
    ASSERT_TRUE(Save(MakeGraph(std::move(chunks)), "v1").ok());
  }
  std::shared_ptr<SharedFrames> NewSharing() const {
    return std::make_shared<SharedFrames>(Folder());
  }
  std::unique_ptr<ImageReader> Open(std::shared_ptr<SharedFrames> shared) {
    const auto layout = Layout::Open(dir_);
    EXPECT_TRUE(layout.ok());
    ReadOptions options;
    options.packs.shared = std::move(shared);
    options.packs.cache_bytes = 0;
    auto reader = ImageReader::Open(**layout, "v1", std::move(options));
    EXPECT_TRUE(reader.ok()) << reader.status();
    return *std::move(reader);
  }
  size_t Links() const {
    size_t links = 0;
    for (const auto& entry : fs::recursive_directory_iterator(Folder()))
      links += entry.is_symlink() ? 1 : 0;
    return links;
  }
  static void ExpectBytes(ImageReader& reader, uint32_t chunk) {
    const auto held = reader.Get(chunk);
    const auto bytes = held->Bytes();
    ASSERT_TRUE(bytes.has_value()) << chunk;
    const auto want = RandomBytes(kChunk, chunk);
    EXPECT_EQ(bytes->size(), want.size());
    EXPECT_EQ(std::memcmp(bytes->data(), want.data(), want.size()), 0) << chunk;
  }
};

TEST_F(SharedFramesTest, WhatOneHasReadTheOtherNeedNotRead) {
  SaveFrames(2);
  const auto one = Open(NewSharing());
  const auto other = Open(NewSharing());
  for (uint32_t i = 0; i < 8; ++i) ExpectBytes(*one, i);
  EXPECT_GT(one->source()->frames_read(), 0U);
  for (uint32_t i = 0; i < 8; ++i) ExpectBytes(*other, i);
  EXPECT_EQ(other->source()->frames_read(), 0U);
  // And both need no memory of their own for it.
  EXPECT_EQ(one->Get(0)->memory(), 0U);
  EXPECT_EQ(other->Get(0)->memory(), 0U);
  ExpectBytes(*other, 20);
  EXPECT_EQ(other->source()->frames_read(), 1U);
}

TEST_F(SharedFramesTest, MemoryIsTakenForWhatIsUsed) {
  SaveFrames(16);
  const auto shared = NewSharing();
  const auto one = Open(shared);
  EXPECT_EQ(shared->bytes(), 0U);
  ExpectBytes(*one, 0);
  const uint64_t first = shared->bytes();
  ExpectBytes(*one, 17);
  EXPECT_EQ(shared->bytes(), first + kChunk);
}

TEST_F(SharedFramesTest, AWriterGetsACopyOfHisOwn) {
  SaveFrames(1);
  const auto one = Open(NewSharing());
  const auto other = Open(NewSharing());
  ExpectBytes(*one, 3);
  RefPtr<state::Chunk> chunk = one->Get(3);
  const auto changed = chunk->Clone(kChunk);
  ASSERT_TRUE(changed.has_value());
  const std::array<std::byte, 4> bytes{};
  ASSERT_TRUE((*changed)->Write(0, bytes).has_value());
  ExpectBytes(*one, 3);
  ExpectBytes(*other, 3);
}

TEST_F(SharedFramesTest, ItOutlivesWhoeverMadeIt) {
  SaveFrames(1);
  auto one = Open(NewSharing());
  ExpectBytes(*one, 5);
  const auto other = Open(NewSharing());  // joins when it opens
  one.reset();
  EXPECT_EQ(Links(), 1U);
  ExpectBytes(*other, 5);
  EXPECT_EQ(other->source()->frames_read(), 0U);
}

TEST_F(SharedFramesTest, NothingIsLeftOfTheLastOne) {
  SaveFrames(1);
  {
    const auto one = Open(NewSharing());
    const auto other = Open(NewSharing());
    ExpectBytes(*one, 5);
    ExpectBytes(*other, 5);
    EXPECT_EQ(Links(), 2U);
  }
  EXPECT_FALSE(fs::exists(Folder()));
}

// A process that is killed leaves its links; its number may be another's by then.
TEST_F(SharedFramesTest, LinksOfTheDeadAreRemoved) {
  SaveFrames(1);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto one = Open(NewSharing());
    _exit(one->Get(0)->Bytes().has_value() && Links() == 1 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_EQ(Links(), 1U);
  // Its number and that of its descriptor are another's by now.
  const UniqueFd other(::memfd_create("other", MFD_CLOEXEC));
  for (const auto& folder : fs::directory_iterator(Folder()))
    for (const auto& link : fs::directory_iterator(folder.path()))
      fs::create_symlink(fmt::format("/proc/{}/fd/{}", ::getpid(), other.get()),
                         folder.path() / ("1" + link.path().filename().string()));
  const auto one = Open(NewSharing());
  ExpectBytes(*one, 0);
  EXPECT_EQ(Links(), 1U);
  EXPECT_EQ(one->source()->frames_read(), 1U);
}

// Its number says nothing here.
TEST_F(SharedFramesTest, LinksOfOtherNamespacesAreLeftAlone) {
  SaveFrames(1);
  const auto one = Open(NewSharing());
  ExpectBytes(*one, 0);
  for (const auto& folder : fs::directory_iterator(Folder()))
    fs::create_symlink("/proc/1/fd/1000", folder.path() / "1.1000.5.6");
  const auto other = Open(NewSharing());
  ExpectBytes(*other, 0);
  EXPECT_EQ(Links(), 3U);
}

// With its last reader goes what a pack takes: a checkpoint may have stored all of it elsewhere.
TEST_F(SharedFramesTest, APackThatNobodyReadsTakesNothing) {
  SaveFrames(1);
  const auto shared = NewSharing();
  {
    const auto one = Open(shared);
    ExpectBytes(*one, 0);
    EXPECT_GT(shared->bytes(), 0U);
  }
  EXPECT_EQ(shared->bytes(), 0U);
  EXPECT_EQ(Links(), 0U);
}

TEST_F(SharedFramesTest, WhereNothingCanBeSharedEverybodyReads) {
  SaveFrames(1);
  fs::create_directories(Folder());
  const auto nowhere = std::make_shared<SharedFrames>("/proc/nowhere");
  const auto one = Open(nowhere);
  ExpectBytes(*one, 0);
  EXPECT_EQ(one->Get(0)->memory(), kChunk);
}

// And no second attempt is made.
TEST_F(SharedFramesTest, ADamagedFrameIsAnError) {
  SaveFrames(1);
  int errors = 0;
  const auto layout = Layout::Open(dir_);
  ASSERT_TRUE(layout.ok());
  ReadOptions options;
  options.packs.shared = NewSharing();
  options.packs.on_error = [&errors](const absl::Status& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kDataLoss);
    ++errors;
  };
  const auto reader = ImageReader::Open(**layout, "v1", std::move(options));
  ASSERT_TRUE(reader.ok());
  std::fstream(Blob((*reader)->source()->packs().at(0).digest), std::ios::in | std::ios::out)
      << "damage";
  EXPECT_EQ((*reader)->Get(0)->Bytes().error(), Errno(EIO));
  EXPECT_EQ(errors, 1);
  EXPECT_EQ((*reader)->source()->frames_read(), 1U);
}

TEST_F(SharedFramesTest, NobodyWaitsForOneThatStandsStill) {
  SaveFrames(1);
  const auto one = Open(NewSharing());
  ExpectBytes(*one, 0);
  UniqueFd folder;
  for (const auto& entry : fs::directory_iterator(Folder()))
    folder.reset(::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(folder.get(), LOCK_EX), 0);
  const auto other = Open(NewSharing());
  ExpectBytes(*other, 0);
  EXPECT_EQ(other->source()->frames_read(), 1U);
  EXPECT_EQ(other->Get(0)->memory(), kChunk);
}

TEST_F(SharedFramesTest, PrefetchReadsNothingThatIsThere) {
  SaveFrames(3);
  const auto one = Open(NewSharing());
  for (uint32_t i = 0; i < 2 * kChunksOfFrame; ++i) ExpectBytes(*one, i);
  auto image = Open(NewSharing());
  std::vector<RefPtr<state::Chunk>> tree;
  for (uint32_t i = 0; i < image->size(); ++i) tree.push_back(image->Get(i));
  const RefPtr<PackReader> source = image->source();
  Prefetch prefetch(std::move(image), {}, /*all=*/true, UINT64_MAX);
  prefetch.Run();
  EXPECT_EQ(prefetch.progress().state, PrefetchState::kDone);
  EXPECT_EQ(source->frames_read(), 1U);
  for (const auto& chunk : tree) EXPECT_TRUE(chunk->resident());
}

TEST_F(SharedFramesTest, ManyReadersAtOnceSeeTheSame) {
  SaveFrames(4);
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<ImageReader>> readers;
  for (int i = 0; i < 4; ++i) readers.push_back(Open(NewSharing()));
  threads.reserve(readers.size());
  for (size_t t = 0; t < readers.size(); ++t)
    threads.emplace_back([&readers, t] {
      for (uint32_t i = 0; i < 4 * kChunksOfFrame; ++i)
        ExpectBytes(*readers[t], (i * 7 + static_cast<uint32_t>(t)) % (4 * kChunksOfFrame));
    });
  for (std::thread& thread : threads) thread.join();
}

class SharedPackTest : public testing::Test {
 protected:
  const Digest pack_ = Digest::Of(std::as_bytes(std::span("pack", 4)));
  static FrameEntry Frame(uint64_t number, uint32_t length) {
    return {0, 1, number, length, Digest::Of(std::as_bytes(std::span(&number, 1)))};
  }
  UniqueFd Again(const SharedPack& pack) const {
    return UniqueFd(::open(fmt::format("/proc/self/fd/{}", pack.fd()).c_str(), O_RDWR | O_CLOEXEC));
  }
};

TEST_F(SharedPackTest, ThePiecesThatAreThereAreFound) {
  const auto pack = SharedPack::Create(pack_, 2, 20000);
  ASSERT_TRUE(pack.has_value());
  std::vector<std::byte> content(10000);
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::byte>(i % 251);
  const FrameEntry frame = Frame(77, 10000);
  EXPECT_EQ((*pack)->Find(frame, 0, 10), nullptr);
  ASSERT_NE((*pack)->Put(frame, content, 5000, 100), nullptr);
  EXPECT_EQ((*pack)->Find(frame, 0, 10), nullptr);
  const std::byte* found = (*pack)->Find(frame, 4096, 4096);  // its whole block
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(std::memcmp(found, content.data() + 4096, 4096), 0);
  EXPECT_EQ((*pack)->Find(frame, 4096, 4097), nullptr);
  ASSERT_NE((*pack)->Put(frame, content, 9999, 1), nullptr);
  EXPECT_EQ(*(*pack)->Find(frame, 9999, 1), content[9999]);
  EXPECT_EQ((*pack)->Find(frame, 9999, 2), nullptr);
}

// Two images may say different things of the same pack; neither is believed by the other.
TEST_F(SharedPackTest, WhatIsOfAnotherTableIsNotFound) {
  const auto pack = SharedPack::Create(pack_, 2, 20000);
  ASSERT_TRUE(pack.has_value());
  const std::vector<std::byte> content(4096, std::byte{1});
  const FrameEntry mine = Frame(77, 4096);
  ASSERT_NE((*pack)->Put(mine, content, 0, 4096), nullptr);
  FrameEntry other = Frame(78, 4096);
  other.offset = mine.offset;
  EXPECT_EQ((*pack)->Find(other, 0, 10), nullptr);
  FrameEntry longer = mine;
  longer.content_length = 8192;
  EXPECT_EQ((*pack)->Find(longer, 0, 10), nullptr);
  EXPECT_EQ((*pack)->Put(longer, std::vector<std::byte>(8192), 4096, 10), nullptr);
  FrameEntry moved = mine;
  moved.offset = 5;
  EXPECT_NE((*pack)->Find(moved, 0, 10), nullptr);
}

TEST_F(SharedPackTest, WithoutRoomThereIsNone) {
  const auto pack = SharedPack::Create(pack_, 1, 4096);
  ASSERT_TRUE(pack.has_value());
  const std::vector<std::byte> content(4096);
  int put = 0;
  while (put < 1000 && (*pack)->Put(Frame(100 * put, 4096), content, 0, 4096) != nullptr) ++put;
  EXPECT_EQ(put, 4);  // twice a block and the one for each frame
  EXPECT_NE((*pack)->Find(Frame(0, 4096), 0, 4096), nullptr);
}

TEST_F(SharedPackTest, WhatIsNoPackOfThatNameIsRefused) {
  const auto pack = SharedPack::Create(pack_, 1, 4096);
  ASSERT_TRUE(pack.has_value());
  EXPECT_TRUE(SharedPack::Adopt(Again(**pack), pack_).has_value());
  const Digest other = Digest::Of(std::as_bytes(std::span("other", 5)));
  EXPECT_EQ(SharedPack::Adopt(Again(**pack), other).error(), Errno(EINVAL));
  // Nobody can take it away from those who read it.
  EXPECT_EQ(::ftruncate((*pack)->fd(), 100), -1);
  EXPECT_EQ(::ftruncate((*pack)->fd(), 1 << 30), -1);
  // One that can be, of the same content.
  UniqueFd copy(::memfd_create("copy", MFD_CLOEXEC));
  ASSERT_GT(::sendfile(copy.get(), (*pack)->fd(), nullptr, 1 << 20), 0);
  EXPECT_EQ(SharedPack::Adopt(std::move(copy), pack_).error(), Errno(EINVAL));
}

TEST_F(SharedPackTest, ALimitOfFileSizesIsAnErrorAndNoSignal) {
  const auto pack = SharedPack::Create(pack_, 1, 1 << 20);
  ASSERT_TRUE(pack.has_value());
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 1 << 20;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_EQ(SharedPack::Adopt(Again(**pack), pack_).error(), Errno(EFBIG));
  EXPECT_EQ(SharedPack::Create(pack_, 1, 1 << 20).error(), Errno(EFBIG));
  EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
}

}  // namespace
}  // namespace stasis::image
