// SPDX-License-Identifier: Apache-2.0
//
// An image gets packs of its own, and stays what it was.

#include "restore/image/squash.h"

#include "tests/restore/image/housekeeping_fixture.h"

namespace stasis::image {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class SquashTest : public HousekeepingTest {
 protected:
  // v1 to v5, each of which changes a part of 40 chunks.
  void SaveHistory() {
    Box box = NewBox(40);
    SaveBox(box, "v1");
    for (size_t v = 2; v <= 5; ++v) {
      for (size_t i = 0; i < 6; ++i) box.Change((v * 7 + i * 5) % 40, v * 100 + i);
      SaveBox(box, "v" + std::to_string(v));
    }
    contents_ = box.contents;
  }

  ImageInfo InfoOf(const std::string& tag) {
    auto layout = Layout::Open(dir_);
    auto info = ReadImageInfo(**layout, tag, {});
    EXPECT_TRUE(info.ok()) << info.status();
    return *std::move(info);
  }

  std::vector<Bytes> contents_;
};

TEST_F(SquashTest, DataLiesInPacksOfItsOwnInTheOrderOfItsChunks) {
  SaveHistory();
  const ImageInfo before = InfoOf("v5");
  ASSERT_GT(before.manifest.packs.size(), 3u);
  const auto report = Squash("v5");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->before, before.manifest_digest);
  EXPECT_EQ(report->packs_before, before.manifest.packs.size());
  EXPECT_EQ(report->packs_after, 1u);
  EXPECT_EQ(report->written_bytes, report->content_bytes);
  ExpectTag("v5", contents_);
  auto reader = Load("v5");
  state::ChunkLocation at;
  for (const ChunkEntry& chunk : (*reader)->chunk_entries()) {
    EXPECT_TRUE(chunk.at.frame > at.frame ||
                (chunk.at.frame == at.frame && chunk.at.offset >= at.offset));
    at = chunk.at;
  }
}

TEST_F(SquashTest, NothingElseOfItChanges) {
  SaveHistory();
  const ImageInfo before = InfoOf("v5");
  auto old_graph = (*Load("v5"))->TakeGraph();
  ASSERT_TRUE(Squash("v5").ok());
  const ImageInfo after = InfoOf("v5");
  EXPECT_EQ(after.parent, before.parent);
  EXPECT_EQ(after.manifest.config.digest, before.manifest.config.digest);
  Annotations annotations = after.manifest.annotations;
  EXPECT_EQ(annotations[kAnnotationSquashed], before.manifest_digest.ToString());
  annotations.erase(kAnnotationSquashed);
  EXPECT_EQ(annotations, before.manifest.annotations);
  ExpectSameGraph((*Load("v5"))->graph(), old_graph);
}

TEST_F(SquashTest, TheAncestorsCanGo) {
  SaveHistory();
  ASSERT_TRUE(Squash("v5").ok());
  ASSERT_EQ(Untag({"v1", "v2", "v3", "v4"}), absl::OkStatus());
  ASSERT_TRUE(Gc().ok());
  EXPECT_THAT(Blobs(), SizeIs(4));  // manifest, config, state, pack
  ExpectTag("v5", contents_);
}

TEST_F(SquashTest, WithDepthThePacksOfNearAncestorsAreShared) {
  SaveHistory();
  std::vector<Digest> near;
  for (const Descriptor& pack : InfoOf("v4").manifest.packs) near.push_back(pack.digest);
  const auto own = InfoOf("v5").manifest.packs.size() - near.size();
  const auto report = Squash("v5", 1);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(own, 1u);  // its own pack is written anew, and is the same
  EXPECT_LT(report->written_bytes, report->content_bytes);
  ExpectTag("v5", contents_);
  // The parent gets packs of its own: from then on it is those that are shared.
  ASSERT_TRUE(Squash("v4").ok());
  ASSERT_TRUE(Squash("v5", 1).ok());
  ASSERT_EQ(Untag({"v1", "v2", "v3"}), absl::OkStatus());
  ASSERT_TRUE(Gc().ok());
  ExpectTag("v5", contents_);
  EXPECT_THAT(Blobs(), SizeIs(3 + 1 + 3 + 1));  // each with a pack
}

TEST_F(SquashTest, TwiceIsOnce) {
  SaveHistory();
  const auto first = Squash("v5");
  const auto blobs = Blobs();
  const auto second = Squash("v5");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->before, first->after);
  EXPECT_EQ(second->after, first->after);
  EXPECT_EQ(Blobs(), blobs);
}

TEST_F(SquashTest, AnImageWithoutDataStaysAsItIs) {
  ASSERT_TRUE(Save(MakeGraph({NewChunk({})}), "v1").ok());
  const auto report = Squash("v1");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->before, report->after);
}

TEST_F(SquashTest, ItsChildrenFindTheirParentAgain) {
  SaveHistory();
  ASSERT_TRUE(Squash("v3").ok());
  const History history = ReadLog();
  EXPECT_THAT(EntryOf(history, "v4").parent->tags, ElementsAre("v3"));
  EXPECT_THAT(EntryOf(history, "v3").parent->tags, ElementsAre("v2"));
}

TEST_F(SquashTest, SharedBytesStayShared) {
  Box box;
  for (size_t i = 0; i < 32; ++i) {  // two equal frames: stored once
    box.contents.push_back(RandomBytes(state::kChunkSize, i % 16));
    box.chunks.push_back(NewChunk(box.contents.back()));
  }
  SaveBox(box, "v1");
  const uint64_t before = InfoOf("v1").manifest.packs.at(0).size;
  Box other = NewBox(1);
  box.chunks.push_back(other.chunks[0]);
  box.contents.push_back(other.contents[0]);
  SaveBox(box, "v2");
  ASSERT_TRUE(Squash("v2").ok());
  EXPECT_LT(InfoOf("v2").manifest.packs.at(0).size, before + 2 * 4096);
  ExpectTag("v2", box.contents);
}

TEST_F(SquashTest, DamagedDataIsNamedAndTheTagStays) {
  SaveHistory();
  const ImageInfo info = InfoOf("v5");
  const Descriptor pack = info.manifest.packs.at(0);
  std::string bytes = ReadFile(Blob(pack.digest));
  bytes[bytes.size() / 2] ^= 1;
  WriteFile(Blob(pack.digest), bytes);
  const auto before = Blobs();
  const auto status = Squash("v5").status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(std::string(status.message()), HasSubstr("chunk 0"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(pack.digest.ToString()));
  EXPECT_EQ(InfoOf("v5").manifest_digest, info.manifest_digest);
  EXPECT_EQ(Blobs(), before);
  EXPECT_TRUE(TempFiles().empty());
}

TEST_F(SquashTest, CanBeCancelled) {
  SaveHistory();
  const auto before = Blobs();
  const std::atomic<bool> cancel{true};
  auto layout = Layout::OpenForWriting(dir_);
  SquashOptions options;
  options.cancel = &cancel;
  EXPECT_THAT(SquashImage(**layout, "v5", options).status(), HasCode(absl::StatusCode::kCancelled));
  EXPECT_EQ(Blobs(), before);
  EXPECT_TRUE(TempFiles().empty());
}

TEST_F(SquashTest, AMissingTagIsNotFound) {
  SaveHistory();
  EXPECT_THAT(Squash("v9").status(), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(SquashTest, ASandboxThatRunsGoesOn) {
  Box box = NewBox(10);
  SaveBox(box, "v1");
  box.Change(3, 33);
  SaveBox(box, "v2");
  ASSERT_TRUE(Squash("v2").ok());
  ASSERT_TRUE(Gc(0).ok());
  box.Change(4, 34);
  SaveBox(box, "v3");
  ExpectTag("v3", box.contents);
}

}  // namespace
}  // namespace stasis::image
