// SPDX-License-Identifier: Apache-2.0
//
// References, tags, locks and other people's entries.

#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

TEST(ReferenceTest, SplitsAtTheLastColon) {
  const auto reference = ParseReference("/a:b/snaps:v1");
  ASSERT_TRUE(reference.ok());
  EXPECT_EQ(reference->directory, "/a:b/snaps");
  EXPECT_EQ(reference->tag, "v1");
}

TEST(ReferenceTest, RefusesWhatIsNoReference) {
  for (const char* text : {"", "snaps", "snaps:", ":v1", "snaps:a/b", "snaps:-x", "snaps:.x",
                           "snaps:a b", "snaps:\xc3\xa9"}) {
    EXPECT_THAT(ParseReference(text).status(), HasCode(absl::StatusCode::kInvalidArgument)) << text;
  }
  EXPECT_THAT(CheckTag(std::string(129, 'a')), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(CheckTag(std::string(128, 'a')), absl::OkStatus());
  EXPECT_EQ(CheckTag("_v1.2-rc3"), absl::OkStatus());
}

class LayoutTest : public ImageTest {
 protected:
  // What another program's entry may look like.
  static constexpr char kForeign[] =
      R"({"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
      R"("digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000",)"
      R"("size":7,"annotations":{"org.opencontainers.image.ref.name":"theirs"},"x-more":[1,2.5]})";

  void AddForeign() {
    std::string index = ReadFile(dir_ / "index.json");
    const size_t at = index.rfind("]}");
    index.insert(at, std::string(index[at - 1] == '[' ? "" : ",") + kForeign);
    WriteFile(dir_ / "index.json", index);
  }
};

TEST_F(LayoutTest, MissingDirectoryIsNotFound) {
  EXPECT_THAT(Layout::Open(dir_).status(), HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(Layout::OpenForWriting(dir_ / "deeper").status(),
              HasCode(absl::StatusCode::kNotFound));
}

TEST_F(LayoutTest, ADirectoryThatIsNoLayoutIsNotFound) {
  EXPECT_THAT(Layout::Open(temp_).status(), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(LayoutTest, IsMadeWhereThereIsNothing) {
  ASSERT_TRUE(Layout::OpenForWriting(dir_).ok());
  EXPECT_EQ(ReadFile(dir_ / "oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
  auto layout = Layout::Open(dir_);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_TRUE((*layout)->List()->empty());
}

TEST_F(LayoutTest, IsNotMadeAmongOtherFiles) {
  std::filesystem::create_directory(dir_);
  WriteFile(dir_ / "thesis.txt", "text");
  EXPECT_THAT(Layout::OpenForWriting(dir_).status(), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_FALSE(std::filesystem::exists(dir_ / ".stasis"));
}

TEST_F(LayoutTest, IsFinishedWhereAWriterDiedMakingIt) {
  std::filesystem::create_directories(dir_ / ".stasis/tmp");
  std::filesystem::create_directories(dir_ / "blobs");
  WriteFile(dir_ / ".stasis/tmp/1-0", "{\"sche");
  ASSERT_TRUE(Layout::OpenForWriting(dir_).ok());
  EXPECT_TRUE(Layout::Open(dir_).ok());
  EXPECT_TRUE(TempFiles().empty());
}

TEST_F(LayoutTest, UnknownTagIsNotFound) {
  ASSERT_TRUE(Save(MakeGraph({}), "v1").ok());
  EXPECT_THAT(Load("v2").status(), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(LayoutTest, SecondWriterIsTurnedAway) {
  auto first = Layout::OpenForWriting(dir_);
  ASSERT_TRUE(first.ok());
  const auto second = Layout::OpenForWriting(dir_);
  EXPECT_THAT(second.status(), HasCode(absl::StatusCode::kUnavailable));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("busy"));
  EXPECT_TRUE(Layout::Open(dir_).ok());
  first->reset();
  EXPECT_TRUE(Layout::OpenForWriting(dir_).ok());
}

TEST_F(LayoutTest, ListsAndRemovesTags) {
  for (const char* tag : {"v2", "v1", "v3"}) ASSERT_TRUE(Save(MakeGraph({}), tag).ok());
  auto layout = Layout::OpenForWriting(dir_);
  ASSERT_TRUE(layout.ok());
  ASSERT_EQ((*layout)->RemoveTag("v1"), absl::OkStatus());
  EXPECT_THAT((*layout)->RemoveTag("v1"), HasCode(absl::StatusCode::kNotFound));
  const auto list = (*layout)->List();
  ASSERT_EQ(list->size(), 2u);
  EXPECT_EQ((*list)[0].tag, "v2");
  EXPECT_EQ((*list)[1].tag, "v3");
}

TEST_F(LayoutTest, ATagMovesToTheNewImage) {
  const auto first = Save(MakeGraph({}, 1), "v1");
  const auto second = Save(MakeGraph({}, 2), "v1");
  auto layout = Layout::Open(dir_);
  EXPECT_NE(first->manifest_digest, second->manifest_digest);
  EXPECT_EQ((*layout)->Resolve("v1")->digest, second->manifest_digest);
  EXPECT_EQ((*layout)->List()->size(), 1u);
}

TEST_F(LayoutTest, OtherPeoplesEntriesStay) {
  ASSERT_TRUE(Save(MakeGraph({}), "v1").ok());
  AddForeign();
  ASSERT_TRUE(Save(MakeGraph({}), "v2").ok());
  {
    auto layout = Layout::OpenForWriting(dir_);
    ASSERT_EQ((*layout)->RemoveTag("v1"), absl::OkStatus());
  }
  EXPECT_THAT(ReadFile(dir_ / "index.json"), HasSubstr(kForeign));
  EXPECT_EQ(Verify("v2"), absl::OkStatus());
  const auto status = Load("theirs").status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(LayoutTest, AnImageOfAnotherKindIsRefusedByItsType) {
  auto layout = Layout::OpenForWriting(dir_);
  const std::string config = "{}";
  const std::string manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{)"
      R"("mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
      Digest::Of(std::as_bytes(std::span(config))).ToString() + R"(","size":2},"layers":[]})";
  const Digest digest = Digest::Of(std::as_bytes(std::span(manifest)));
  WriteFile(Blob(digest), manifest);
  ASSERT_EQ(
      (*layout)->ReplaceIndex(R"({"schemaVersion":2,"manifests":[{"mediaType":)"
                              R"("application/vnd.oci.image.manifest.v1+json","digest":")" +
                              digest.ToString() + R"(","size":)" + std::to_string(manifest.size()) +
                              R"(,"annotations":{"org.opencontainers.image.ref.name":"app"}}]})"),
      absl::OkStatus());
  const auto status = Load("app").status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(std::string(status.message()), HasSubstr("vnd.oci.image.config.v1+json"));
}

TEST_F(LayoutTest, EntriesAsOtherToolsLeaveThemAreTaken) {
  const auto written = Save(MakeGraph({}), "v1");
  WriteFile(dir_ / "index.json",
            R"({"schemaVersion":2,"manifests":[{"mediaType":)"
            R"("application/vnd.oci.image.manifest.v1+json","digest":")" +
                written->manifest_digest.ToString() + R"(","size":)" +
                std::to_string(written->manifest_size) +
                R"(,"annotations":{"org.opencontainers.image.ref.name":"copy"}}]})");
  EXPECT_TRUE(Load("copy").ok());
  EXPECT_EQ(Verify("copy"), absl::OkStatus());
}

TEST_F(LayoutTest, DuplicateKeysAndTagsAreRefused) {
  ASSERT_TRUE(Save(MakeGraph({}), "v1").ok());
  const std::string index = ReadFile(dir_ / "index.json");
  WriteFile(dir_ / "index.json", "{\"schemaVersion\":2," + index.substr(1));
  EXPECT_THAT(Load("v1").status(), HasCode(absl::StatusCode::kDataLoss));
  const size_t start = index.find('[') + 1;
  const std::string entry = index.substr(start, index.rfind(']') - start);
  WriteFile(dir_ / "index.json",
            index.substr(0, start) + entry + "," + entry + index.substr(index.rfind(']')));
  EXPECT_THAT(Load("v1").status(), HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(LayoutTest, DeepNestingIsRefused) {
  ASSERT_TRUE(Save(MakeGraph({}), "v1").ok());
  WriteFile(dir_ / "index.json", std::string(1'000'000, '['));
  EXPECT_THAT(Load("v1").status(), HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(LayoutTest, NextWriterRemovesLeftovers) {
  ASSERT_TRUE(Save(MakeGraph({}), "v1").ok());
  const auto blobs = Blobs();
  const std::string orphan(64, 'a');
  WriteFile(dir_ / ".stasis/tmp/1-1", "half a pack");
  WriteFile(dir_ / "blobs/sha256" / orphan, "published, never referred to");
  WriteFile(dir_ / "blobs/sha256" / std::string(64, 'b'), "another program's");
  WriteFile(dir_ / ".stasis/tmp/pending", orphan + "\n" + blobs[0] + "\ntorn");
  ASSERT_TRUE(Layout::OpenForWriting(dir_).ok());
  EXPECT_TRUE(TempFiles().empty());
  auto want = blobs;
  want.push_back(std::string(64, 'b'));
  EXPECT_THAT(Blobs(), ::testing::UnorderedElementsAreArray(want));
}

}  // namespace
}  // namespace stasis::image
