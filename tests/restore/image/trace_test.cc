// SPDX-License-Identifier: Apache-2.0

#include "restore/image/trace.h"

#include "restore/image/internal/files.h"
#include "restore/image/internal/zstd.h"
#include "restore/image/trace_store.h"
#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Digest SomeDigest(const std::string& text) { return Digest::Of(AsBytes(text)); }

// A blob with the given content.
std::string BlobOf(const std::string& content) {
  std::vector<std::byte> blob;
  EXPECT_TRUE(FrameCompressor(1).Compress(AsBytes(content), blob).ok());
  return {reinterpret_cast<const char*>(blob.data()), blob.size()};
}

std::string ContentOf(const Trace& trace) {
  const auto blob = EncodeTrace(trace);
  EXPECT_TRUE(blob.ok());
  std::string content(ZSTD_getFrameContentSize(blob->data(), blob->size()), '\0');
  EXPECT_TRUE(FrameDecompressor()
                  .Decompress(AsBytes(*blob), std::as_writable_bytes(std::span(content)), "trace")
                  .ok());
  return content;
}

absl::Status Decode(const std::string& content) {
  return DecodeTrace(AsBytes(BlobOf(content))).status();
}

MATCHER_P(IsDataLoss, message, "") {
  *result_listener << arg.ToString();
  return arg.code() == absl::StatusCode::kDataLoss && arg.message() == message;
}

TEST(TraceTest, GivesBackWhatWentIn) {
  for (const std::vector<uint32_t>& frames :
       {std::vector<uint32_t>{}, {0}, {4, 0, 1, 2, 99, 3}, {99, 98, 97}}) {
    const Trace trace{SomeDigest("m"), 100, frames};
    const auto blob = EncodeTrace(trace);
    ASSERT_TRUE(blob.ok());
    const auto got = DecodeTrace(AsBytes(*blob));
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(*got, trace);
  }
}

TEST(TraceTest, ThatOfTheWholeImageInOrderTakesNextToNothing) {
  Trace trace{SomeDigest("m"), kMaxTraceFrames, {}};
  for (uint32_t i = 0; i < kMaxTraceFrames; ++i) trace.frames.push_back(i);
  const auto blob = EncodeTrace(trace);
  ASSERT_TRUE(blob.ok());
  EXPECT_LT(blob->size(), 200u);
  EXPECT_TRUE(DecodeTrace(AsBytes(*blob)).ok());
}

TEST(TraceTest, EveryFlippedBitAndEveryCutIsFoundOrHarmless) {
  const Trace trace{SomeDigest("m"), 100, {5, 7, 6, 99}};
  const auto blob = EncodeTrace(trace);
  ASSERT_TRUE(blob.ok());
  for (size_t i = 0; i < blob->size() * 8; ++i) {
    std::string bad = *blob;
    bad[i / 8] = static_cast<char>(bad[i / 8] ^ (1 << (i % 8)));
    const auto got = DecodeTrace(AsBytes(bad));
    // zstd has flags that mean nothing here.
    EXPECT_TRUE(!got.ok() || *got == trace) << "bit " << i;
  }
  for (size_t size = 0; size < blob->size(); ++size)
    EXPECT_THAT(DecodeTrace(AsBytes(blob->substr(0, size))).status(),
                HasCode(absl::StatusCode::kDataLoss));
}

TEST(TraceTest, RefusesWhatCannotBe) {
  const std::string content = ContentOf({SomeDigest("m"), 3, {0, 1}});
  ASSERT_EQ(content.size(), 50u);
  const auto with = [&](size_t at, char value) {
    std::string bad = content;
    bad[at] = value;
    return Decode(bad);
  };
  EXPECT_THAT(with(0, 'X'), IsDataLoss("trace, field magic: not STASIST1"));
  EXPECT_THAT(with(44, 4), IsDataLoss("trace, field count: 4, more than 3 frames or 16384"));
  EXPECT_THAT(with(44, 3), IsDataLoss("trace, entry 2: no number"));
  EXPECT_THAT(with(44, 1), IsDataLoss("trace: bytes after the last of 1 entries"));
  EXPECT_THAT(with(48, 6), IsDataLoss("trace, entry 0: frame 3, of 3"));
  EXPECT_THAT(with(48, 1), IsDataLoss("trace, entry 0: frame -1, of 3"));
  EXPECT_THAT(with(49, 1), IsDataLoss("trace, entry 1: frame 0 is there twice"));
  EXPECT_THAT(Decode(content.substr(0, 47)),
              IsDataLoss("trace: not a zstd frame of 48 to 81968 bytes"));
  EXPECT_THAT(Decode(std::string(100'000, '\0')),
              IsDataLoss("trace: not a zstd frame of 48 to 81968 bytes"));
}

TEST(TraceTest, APromiseOfManyFramesTakesNoMemory) {
  std::string content = ContentOf({SomeDigest("m"), 3, {0, 1}});
  for (size_t i = 40; i < 48; ++i) content[i] = '\xff';
  EXPECT_THAT(Decode(content), IsDataLoss("trace, field count: 4294967295, more than 4294967295 "
                                          "frames or 16384"));
  content[44] = 2;
  content[45] = content[46] = content[47] = 0;
  EXPECT_TRUE(Decode(content).ok());
}

TEST(TraceRecorderTest, KeepsTheOrderOfFirstUse) {
  TraceRecorder recorder;
  for (const uint32_t frame : {5U, 3U, 5U, 4U, 3U}) recorder.Add(frame);
  recorder.Stop();
  recorder.Add(9);
  EXPECT_THAT(recorder.Frames(), ElementsAre(5, 3, 4));
}

TEST(TraceRecorderTest, EndsWhenItIsFull) {
  TraceRecorder recorder(2);
  for (const uint32_t frame : {5U, 3U, 4U}) recorder.Add(frame);
  EXPECT_FALSE(recorder.recording());
  EXPECT_THAT(recorder.Frames(), ElementsAre(5, 3));
}

class TraceStoreTest : public ImageTest {
 protected:
  // An image of three frames.
  TraceSubject SaveImage(const std::string& tag, uint64_t seed = 1) {
    std::vector<RefPtr<state::Chunk>> chunks;
    for (uint64_t i = 0; i < 48; ++i) chunks.push_back(NewChunk(RandomBytes(16384, seed + i)));
    const auto written = Save(MakeGraph(std::move(chunks), seed), tag);
    EXPECT_TRUE(written.ok()) << written.status();
    return {written->manifest_digest, written->manifest_size,
            static_cast<uint32_t>(written->frames)};
  }

  absl::StatusOr<Trace> Find(const TraceSubject& subject) {
    const auto layout = Layout::Open(dir_);
    if (!layout.ok()) return layout.status();
    return FindTrace(**layout, subject);
  }
};

TEST_F(TraceStoreTest, OneIsFoundByItsImage) {
  const TraceSubject one = SaveImage("one");
  const TraceSubject two = SaveImage("two", 100);
  ASSERT_EQ(one.frame_count, 3u);
  EXPECT_THAT(Find(one).status(), HasCode(absl::StatusCode::kNotFound));
  ASSERT_TRUE(StoreTrace(dir_, one, {2, 0}).ok());
  ASSERT_TRUE(StoreTrace(dir_, two, {1}).ok());
  const auto found = Find(one);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->frames, ElementsAre(2, 0));
  EXPECT_THAT(Find(two)->frames, ElementsAre(1));
  EXPECT_TRUE(Verify("one").ok());
  EXPECT_TRUE(Verify("two").ok());
}

TEST_F(TraceStoreTest, ANewOneReplacesTheOld) {
  const TraceSubject subject = SaveImage("v1");
  ASSERT_TRUE(StoreTrace(dir_, subject, {2, 0}).ok());
  ASSERT_TRUE(StoreTrace(dir_, subject, {1}).ok());
  EXPECT_THAT(Find(subject)->frames, ElementsAre(1));
  const auto index = nlohmann::json::parse(ReadFile(dir_ / "index.json"));
  ASSERT_EQ(index["manifests"].size(), 2u);
  EXPECT_EQ(index["manifests"][1]["artifactType"], kMediaTypeTrace);
  EXPECT_FALSE(index["manifests"][1].contains("annotations"));
}

TEST_F(TraceStoreTest, IsAnArtifactThatRefersToTheImage) {
  const TraceSubject subject = SaveImage("v1");
  ASSERT_TRUE(StoreTrace(dir_, subject, {2, 0}).ok());
  const auto index = nlohmann::json::parse(ReadFile(dir_ / "index.json"));
  const auto digest = Digest::Parse(index["manifests"][1]["digest"].get<std::string>());
  ASSERT_TRUE(digest.ok());
  const auto manifest = nlohmann::json::parse(ReadFile(Blob(*digest)));
  EXPECT_EQ(manifest["artifactType"], kMediaTypeTrace);
  EXPECT_EQ(manifest["config"]["mediaType"], kMediaTypeEmpty);
  EXPECT_EQ(manifest["config"]["digest"], SomeDigest("{}").ToString());
  EXPECT_EQ(manifest["subject"]["digest"], subject.manifest.ToString());
  EXPECT_EQ(manifest["subject"]["size"], subject.manifest_size);
  EXPECT_EQ(manifest["layers"].size(), 1u);
}

TEST_F(TraceStoreTest, LaterSavesLeaveItAlone) {
  const TraceSubject subject = SaveImage("v1");
  ASSERT_TRUE(StoreTrace(dir_, subject, {2, 0}).ok());
  SaveImage("v2", 100);
  EXPECT_THAT(Find(subject)->frames, ElementsAre(2, 0));
}

TEST_F(TraceStoreTest, OneOfAnotherImageIsRefused) {
  const TraceSubject subject = SaveImage("v1");
  ASSERT_TRUE(StoreTrace(dir_, subject, {2}).ok());
  const TraceSubject wrong{subject.manifest, subject.manifest_size, 4};
  EXPECT_THAT(Find(wrong).status(),
              IsDataLoss(dir_.string() + ": trace, field frameCount: 3, but the image has 4"));
}

TEST_F(TraceStoreTest, IsNotStoredForAnImageThatHasGone) {
  const TraceSubject subject = SaveImage("v1");
  {
    auto layout = Layout::OpenForWriting(dir_);
    ASSERT_TRUE(layout.ok());
    ASSERT_TRUE((*layout)->RemoveTag("v1").ok());
  }
  EXPECT_THAT(StoreTrace(dir_, subject, {2}), HasCode(absl::StatusCode::kNotFound));
  std::filesystem::remove_all(dir_);
  EXPECT_THAT(StoreTrace(dir_, subject, {2}), HasCode(absl::StatusCode::kNotFound));
  EXPECT_FALSE(std::filesystem::exists(dir_));
}

TEST_F(TraceStoreTest, ABusyLayoutIsLeftAlone) {
  const TraceSubject subject = SaveImage("v1");
  const auto writer = Layout::OpenForWriting(dir_);
  ASSERT_TRUE(writer.ok());
  EXPECT_THAT(StoreTrace(dir_, subject, {2}), HasCode(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Find(subject).status(), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(TraceStoreTest, ADamagedOneIsAnErrorAndCanBeReplaced) {
  const TraceSubject subject = SaveImage("v1");
  const std::vector<std::string> before = Blobs();
  ASSERT_TRUE(StoreTrace(dir_, subject, {2, 0}).ok());
  for (const std::string& name : Blobs()) {
    if (std::find(before.begin(), before.end(), name) != before.end()) continue;
    const auto path = dir_ / "blobs" / "sha256" / name;
    WriteFile(path, ReadFile(path) + "X");
  }
  EXPECT_FALSE(Find(subject).ok());
  EXPECT_TRUE(Verify("v1").ok());
  ASSERT_TRUE(StoreTrace(dir_, subject, {1}).ok());
  EXPECT_THAT(Find(subject)->frames, ElementsAre(1));
}

}  // namespace
}  // namespace stasis::image
