// SPDX-License-Identifier: Apache-2.0
//
// Images written and read again.

#include <atomic>
#include <thread>

#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

// Chunks of all kinds of sizes, compressible and not, some equal.
std::vector<Bytes> Contents(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Bytes> contents;
  for (size_t i = 0; i < count; ++i) {
    const size_t size = i % 3 == 0 ? state::kChunkSize : random() % (state::kChunkSize + 1);
    contents.push_back(i % 2 == 0 ? TextBytes(size, random()) : RandomBytes(size, random()));
  }
  contents.push_back({});
  contents.push_back(Bytes(1, std::byte{7}));
  return contents;
}

class RoundTripTest : public ImageTest {
 protected:
  static std::vector<RefPtr<state::Chunk>> Chunks(const std::vector<Bytes>& contents) {
    std::vector<RefPtr<state::Chunk>> chunks;
    for (const Bytes& content : contents) chunks.push_back(NewChunk(content));
    return chunks;
  }
};

TEST_F(RoundTripTest, GivesTheSameGraphAndChunks) {
  const auto contents = Contents(200, 1);
  const auto graph = MakeGraph(Chunks(contents));
  const auto written = Save(graph, "v1");
  ASSERT_TRUE(written.ok()) << written.status();
  auto reader = Load("v1");
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectSameGraph((*reader)->graph(), graph);
  ExpectChunks(**reader, contents);
  EXPECT_EQ(Verify("v1"), absl::OkStatus());
  EXPECT_TRUE(TempFiles().empty());
}

TEST_F(RoundTripTest, HoldsAGraphWithoutChunksOrTables) {
  ASSERT_TRUE(Save(state::SavedGraph(), "empty").ok());
  auto reader = Load("empty");
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->size(), 0u);
  EXPECT_TRUE((*reader)->graph().tables.empty());
  EXPECT_EQ(Verify("empty"), absl::OkStatus());
}

TEST_F(RoundTripTest, HoldsAnEmptyChunkWithoutAnyFrame) {
  ASSERT_TRUE(Save(MakeGraph({NewChunk({})}), "v1").ok());
  auto reader = Load("v1");
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectChunks(**reader, {Bytes()});
}

TEST_F(RoundTripTest, GivesTheSameObjectForTheSameIndex) {
  ASSERT_TRUE(Save(MakeGraph(Chunks(Contents(3, 1))), "v1").ok());
  auto reader = Load("v1");
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->Get(1), (*reader)->Get(1));
}

TEST_F(RoundTripTest, ChunksOutliveTheReader) {
  const auto contents = Contents(3, 1);
  ASSERT_TRUE(Save(MakeGraph(Chunks(contents)), "v1").ok());
  RefPtr<state::Chunk> chunk;
  {
    auto reader = Load("v1");
    ASSERT_TRUE(reader.ok());
    chunk = (*reader)->Get(0);
  }
  std::filesystem::remove_all(dir_);
  const auto bytes = chunk->Bytes();
  ASSERT_TRUE(bytes.has_value());
  EXPECT_TRUE(std::equal(bytes->begin(), bytes->end(), contents[0].begin()));
}

TEST_F(RoundTripTest, SameStateGivesSameBytes) {
  const auto contents = Contents(300, 2);
  const auto first = Save(MakeGraph(Chunks(contents)), "v1");
  const auto blobs = Blobs();
  std::filesystem::remove_all(dir_);
  const auto second = Save(MakeGraph(Chunks(contents)), "v1");
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->manifest_digest, second->manifest_digest);
  EXPECT_EQ(Blobs(), blobs);
}

TEST_F(RoundTripTest, SayingTheSameTwiceStoresItOnce) {
  const auto contents = Contents(300, 2);
  ASSERT_TRUE(Save(MakeGraph(Chunks(contents)), "v1").ok());
  const auto blobs = Blobs();
  ASSERT_TRUE(Save(MakeGraph(Chunks(contents)), "v2").ok());
  EXPECT_EQ(Blobs(), blobs);
  EXPECT_EQ(Verify("v2"), absl::OkStatus());
}

TEST_F(RoundTripTest, EqualFramesAreWrittenOnce) {
  const Bytes block = RandomBytes(state::kChunkSize, 5);
  std::vector<RefPtr<state::Chunk>> chunks;
  for (int i = 0; i < 64; ++i) chunks.push_back(NewChunk(block));  // four frames
  const auto written = Save(MakeGraph(chunks), "v1");
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(written->frames_written, 1u);
  auto reader = Load("v1");
  ASSERT_TRUE(reader.ok());
  ExpectChunks(**reader, std::vector<Bytes>(64, block));
}

TEST_F(RoundTripTest, FillsSeveralPacks) {
  std::vector<RefPtr<state::Chunk>> chunks;
  std::vector<Bytes> contents;
  for (uint64_t i = 0; i < (kPackTarget + kPackTarget / 4) / state::kChunkSize; ++i) {
    contents.push_back(RandomBytes(64, i));
    contents.back().resize(state::kChunkSize);
    const Bytes noise = RandomBytes(state::kChunkSize - 64, i * 7919);
    std::copy(noise.begin(), noise.end(), contents.back().begin() + 64);
    chunks.push_back(NewChunk(contents.back()));
  }
  const auto written = Save(MakeGraph(chunks), "v1");
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(written->packs_written, 2u);
  auto reader = Load("v1");
  ASSERT_TRUE(reader.ok());
  for (const Descriptor& pack : (*reader)->info().manifest.packs) EXPECT_LE(pack.size, kPackTarget);
  ExpectChunks(**reader, contents);
}

TEST_F(RoundTripTest, TellsWhatItWasTold) {
  auto options = Options("v2");
  options.parent = Digest::Of(RandomBytes(10, 1));
  options.required_features = {"locks", "fuse-tables"};
  {
    auto layout = Layout::OpenForWriting(dir_);
    ASSERT_TRUE(layout.ok());
    ASSERT_TRUE(ImageWriter(**layout).Write(MakeGraph({}), options).ok());
  }
  auto layout = Layout::Open(dir_);
  const auto info = ReadImageInfo(**layout, "v2", {"fuse-tables", "locks", "more"});
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->parent, options.parent->ToString());
  EXPECT_EQ(info->config.creator, "stasis 0.1.0");
  EXPECT_EQ(info->config.created, "2023-11-14T22:13:20.123456789Z");
  EXPECT_EQ(info->config.required_features, (std::vector<std::string>{"fuse-tables", "locks"}));
  EXPECT_EQ(info->config.statistics["files"], 3);
  EXPECT_EQ(info->manifest.annotations.at(kAnnotationEngineName), "stasis");
  EXPECT_EQ(info->manifest.annotations.at(kAnnotationEngineVersion), "0.1.0");
  EXPECT_EQ(info->manifest.annotations.at(kAnnotationContainerName), "box");
  const auto entry = (*layout)->Resolve("v2");
  EXPECT_EQ(entry->annotations.at(kAnnotationContainerName), "box");
}

TEST_F(RoundTripTest, RefusesAMissingFeatureByItsName) {
  auto options = Options("v1");
  options.required_features = {"teleport"};
  {
    auto layout = Layout::OpenForWriting(dir_);
    ASSERT_TRUE(ImageWriter(**layout).Write(MakeGraph({}), options).ok());
  }
  // Refused before the state is touched: it may as well be gone.
  auto layout = Layout::Open(dir_);
  const auto info = ReadImageInfo(**layout, "v1", {"teleport"});
  ASSERT_TRUE(info.ok());
  std::filesystem::remove(Blob(info->manifest.state.digest));
  const auto status = Load("v1").status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"teleport\""));
}

class IncrementalTest : public RoundTripTest {};

TEST_F(IncrementalTest, SecondSaveStoresOnlyWhatChanged) {
  auto contents = Contents(400, 3);
  auto chunks = Chunks(contents);
  ASSERT_TRUE(Save(MakeGraph(chunks), "v1").ok());
  contents[17] = RandomBytes(5000, 99);
  chunks[17] = NewChunk(contents[17]);
  const auto second = Save(MakeGraph(chunks), "v2");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->dirty_bytes, 5000u);
  EXPECT_LT(second->pack_bytes_stored, 5100u);
  EXPECT_EQ(second->packs_written, 1u);
  const auto third = Save(MakeGraph(chunks), "v3");
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(third->dirty_bytes, 0u);
  EXPECT_EQ(third->packs_written, 0u);
  EXPECT_EQ(third->packs, second->packs);
  for (const char* tag : {"v1", "v2", "v3"}) EXPECT_EQ(Verify(tag), absl::OkStatus()) << tag;
  auto reader = Load("v3");
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectChunks(**reader, contents);
}

TEST_F(IncrementalTest, RestoredChunksNeedNotBeLoaded) {
  const auto contents = Contents(100, 4);
  ASSERT_TRUE(Save(MakeGraph(Chunks(contents)), "v1").ok());
  auto reader = Load("v1");
  ASSERT_TRUE(reader.ok());
  std::vector<RefPtr<state::Chunk>> chunks;
  for (uint32_t i = 0; i < (*reader)->size(); ++i) chunks.push_back((*reader)->Get(i));
  const auto second = Save(MakeGraph(chunks, 50), "v2");
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->dirty_bytes, 0u);
  EXPECT_EQ((*reader)->source()->frames_read(), 0u);
  auto again = Load("v2");
  ASSERT_TRUE(again.ok());
  ExpectChunks(**again, contents);
}

TEST_F(IncrementalTest, MixesChunksOfTwoImagesThatShareAPack) {
  auto contents = Contents(100, 5);
  auto old_chunks = Chunks(contents);
  ASSERT_TRUE(Save(MakeGraph(old_chunks), "v1").ok());
  auto reader = Load("v1");
  ASSERT_TRUE(reader.ok());
  auto mixed = old_chunks;  // marked as in v1 by the writer
  for (uint32_t i = 0; i < mixed.size(); i += 2) mixed[i] = (*reader)->Get(i);
  const auto second = Save(MakeGraph(mixed), "v2");
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->dirty_bytes, 0u);
  EXPECT_EQ(second->packs, 1u);
  EXPECT_EQ(Verify("v2"), absl::OkStatus());
}

TEST_F(IncrementalTest, CopiesFromAnotherLayoutWithoutKeepingInMemory) {
  const auto contents = Contents(100, 6);
  ASSERT_TRUE(Save(MakeGraph(Chunks(contents)), "v1").ok());
  auto reader = Load("v1");
  ASSERT_TRUE(reader.ok());
  std::vector<RefPtr<state::Chunk>> chunks;
  for (uint32_t i = 0; i < (*reader)->size(); ++i) chunks.push_back((*reader)->Get(i));
  dir_ = temp_ / "other";
  const auto copied = Save(MakeGraph(chunks), "v1");
  ASSERT_TRUE(copied.ok());
  EXPECT_GT(copied->dirty_bytes, 0u);
  for (const auto& chunk : chunks) EXPECT_FALSE(chunk->resident());
  auto again = Load("v1");
  ASSERT_TRUE(again.ok());
  ExpectChunks(**again, contents);
}

TEST_F(IncrementalTest, WritesAgainWhatHasVanishedFromTheLayout) {
  const auto contents = Contents(20, 7);
  auto chunks = Chunks(contents);
  ASSERT_TRUE(Save(MakeGraph(chunks), "v1").ok());
  auto reader = Load("v1");
  ASSERT_TRUE(reader.ok());
  std::filesystem::remove(Blob((*reader)->info().manifest.packs[0].digest));
  ASSERT_TRUE(Save(MakeGraph(chunks), "v2").ok());
  EXPECT_EQ(Verify("v2"), absl::OkStatus());
}

TEST_F(IncrementalTest, ReplacesADamagedBlobOfTheSameName) {
  const auto contents = Contents(20, 8);
  ASSERT_TRUE(Save(MakeGraph(Chunks(contents)), "v1").ok());
  auto reader = Load("v1");
  ASSERT_TRUE(reader.ok());
  const auto path = Blob((*reader)->info().manifest.packs[0].digest);
  std::string bytes = ReadFile(path);
  bytes[bytes.size() / 2] ^= 1;
  WriteFile(path, bytes);
  EXPECT_THAT(Verify("v1"), HasCode(absl::StatusCode::kDataLoss));
  ASSERT_TRUE(Save(MakeGraph(Chunks(contents)), "v2").ok());
  EXPECT_EQ(Verify("v1"), absl::OkStatus());
}

TEST_F(IncrementalTest, LaterWritesToAChunkMakeItDirty) {
  auto chunks = Chunks({TextBytes(1000, 1), TextBytes(1000, 2)});
  ASSERT_TRUE(Save(MakeGraph(chunks), "v1").ok());
  ASSERT_TRUE(chunks[1]->Write(0, Bytes(1, std::byte{1})).has_value());
  const auto second = Save(MakeGraph(chunks), "v2");
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->dirty_bytes, 1000u);
}

TEST_F(RoundTripTest, CancelLeavesNothing) {
  std::atomic<bool> cancel = true;
  auto layout = Layout::OpenForWriting(dir_);
  ASSERT_TRUE(layout.ok());
  auto options = Options("v1");
  options.cancel = &cancel;
  EXPECT_THAT(ImageWriter(**layout).Write(MakeGraph(Chunks(Contents(10, 1))), options).status(),
              HasCode(absl::StatusCode::kCancelled));
  EXPECT_TRUE(Blobs().empty());
  EXPECT_TRUE(TempFiles().empty());
}

// Cancels when the first file gets another name.
class CancellingOps final : public PosixFileOps {
 public:
  explicit CancellingOps(std::atomic<bool>& cancel) : cancel_(cancel) {}
  Result<void> RenameAt(int from_dir, const std::string& from, int to_dir,
                        const std::string& to) override {
    cancel_ = true;
    return PosixFileOps::RenameAt(from_dir, from, to_dir, to);
  }

 private:
  std::atomic<bool>& cancel_;
};

TEST_F(RoundTripTest, CancelWhileBlobsGetTheirNamesLeavesNothing) {
  ASSERT_TRUE(Layout::OpenForWriting(dir_).ok());
  std::atomic<bool> cancel = false;
  auto layout = Layout::OpenForWriting(dir_, std::make_shared<CancellingOps>(cancel));
  ASSERT_TRUE(layout.ok());
  auto options = Options("v1");
  options.cancel = &cancel;
  EXPECT_THAT(ImageWriter(**layout).Write(MakeGraph(Chunks(Contents(10, 1))), options).status(),
              HasCode(absl::StatusCode::kCancelled));
  EXPECT_TRUE(cancel);
  EXPECT_TRUE(Blobs().empty());
  EXPECT_TRUE(TempFiles().empty());
  EXPECT_THAT((*layout)->Resolve("v1").status(), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(RoundTripTest, ReportsProgress) {
  auto layout = Layout::OpenForWriting(dir_);
  ASSERT_TRUE(layout.ok());
  auto options = Options("v1");
  WriteProgress last;
  options.on_progress = [&](const WriteProgress& progress) { last = progress; };
  const auto written = ImageWriter(**layout).Write(MakeGraph(Chunks(Contents(10, 1))), options);
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(last.chunks_done, last.chunks_total);
  EXPECT_EQ(last.content_bytes, written->dirty_bytes);
  EXPECT_EQ(last.stored_bytes, written->pack_bytes_stored);
}

class ReadTest : public RoundTripTest {};

TEST_F(ReadTest, NeighboursComeFromOneFrame) {
  std::vector<Bytes> contents;
  for (uint64_t i = 0; i < 64; ++i) contents.push_back(TextBytes(4096, i));
  ASSERT_TRUE(Save(MakeGraph(Chunks(contents)), "v1").ok());
  auto reader = Load("v1");
  ASSERT_TRUE(reader.ok());
  ExpectChunks(**reader, contents);
  EXPECT_EQ((*reader)->source()->frames_read(), 1u);
}

TEST_F(ReadTest, ThreadsShareOneReadOfAFrame) {
  std::vector<Bytes> contents;
  for (uint64_t i = 0; i < 64; ++i) contents.push_back(TextBytes(4096, i));
  ASSERT_TRUE(Save(MakeGraph(Chunks(contents)), "v1").ok());
  auto reader = Load("v1");
  ASSERT_TRUE(reader.ok());
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (uint32_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (uint32_t i = t; i < 64; i += 8) good += (*reader)->Get(i)->Bytes().has_value() ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 64);
  EXPECT_EQ((*reader)->source()->frames_read(), 1u);
}

TEST_F(ReadTest, SmallCacheStillReadsEverything) {
  const auto contents = Contents(200, 9);
  ASSERT_TRUE(Save(MakeGraph(Chunks(contents)), "v1").ok());
  ReadOptions options;
  options.packs.cache_bytes = 0;
  auto reader = Load("v1", options);
  ASSERT_TRUE(reader.ok());
  ExpectChunks(**reader, contents);
}

TEST_F(ReadTest, DamageInAPackIsAnErrorNamingThePack) {
  ASSERT_TRUE(Save(MakeGraph(Chunks({TextBytes(4096, 1)})), "v1").ok());
  std::vector<absl::Status> errors;
  ReadOptions options;
  options.packs.on_error = [&](const absl::Status& error) { errors.push_back(error); };
  auto reader = Load("v1", options);
  ASSERT_TRUE(reader.ok());
  const Digest pack = (*reader)->info().manifest.packs[0].digest;
  std::string bytes = ReadFile(Blob(pack));
  bytes[bytes.size() / 2] ^= 1;
  WriteFile(Blob(pack), bytes);
  const auto got = (*reader)->Get(0)->Bytes();
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error(), Errno(EIO));
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_THAT(errors[0], HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(std::string(errors[0].message()), HasSubstr(pack.Hex()));
  EXPECT_EQ((*reader)->source()->last_error(), errors[0]);
  // Mended, it can be read: a failed load may be tried again.
  bytes[bytes.size() / 2] ^= 1;
  WriteFile(Blob(pack), bytes);
  EXPECT_TRUE((*reader)->Get(0)->Bytes().has_value());
}

TEST_F(ReadTest, AMissingPackIsFoundAtOpen) {
  ASSERT_TRUE(Save(MakeGraph(Chunks({TextBytes(4096, 1)})), "v1").ok());
  {
    auto reader = Load("v1");
    ASSERT_TRUE(reader.ok());
    std::filesystem::remove(Blob((*reader)->info().manifest.packs[0].digest));
  }
  const auto status = Load("v1").status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(std::string(status.message()), HasSubstr("is missing"));
}

TEST_F(ReadTest, APackThatIsASymlinkIsRefused) {
  ASSERT_TRUE(Save(MakeGraph(Chunks({TextBytes(4096, 1)})), "v1").ok());
  {
    auto reader = Load("v1");
    ASSERT_TRUE(reader.ok());
    const auto path = Blob((*reader)->info().manifest.packs[0].digest);
    std::filesystem::rename(path, temp_ / "elsewhere");
    std::filesystem::create_symlink(temp_ / "elsewhere", path);
  }
  EXPECT_THAT(Load("v1").status(), HasCode(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace stasis::image
