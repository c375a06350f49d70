// SPDX-License-Identifier: Apache-2.0
//
// The tags of a layout: their order, parents, and what each takes.

#include "tests/restore/image/housekeeping_fixture.h"

namespace stasis::image {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using State = HistoryParent::State;

class HistoryTest : public HousekeepingTest {};

std::vector<std::string> TagsOf(const History& history) {
  std::vector<std::string> tags;
  for (const HistoryEntry& entry : history.entries) tags.push_back(entry.tag);
  return tags;
}

TEST_F(HistoryTest, NewestFirstWithParents) {
  Box box = NewBox(3);
  const Digest first = SaveBox(box, "v1");
  box.Change(1, 77);
  SaveBox(box, "v2");
  const History history = ReadLog();
  EXPECT_THAT(TagsOf(history), ElementsAre("v2", "v1"));
  const HistoryEntry& newest = history.entries[0];
  EXPECT_TRUE(newest.is_checkpoint);
  EXPECT_EQ(newest.name, "box");
  EXPECT_EQ(newest.created, "2023-11-14T22:13:22.123456789Z");
  EXPECT_EQ(newest.files, 3u);
  EXPECT_EQ(newest.content_bytes, 12000u);
  ASSERT_TRUE(newest.parent.has_value());
  EXPECT_EQ(newest.parent->digest, first.ToString());
  EXPECT_EQ(newest.parent->state, State::kTagged);
  EXPECT_THAT(newest.parent->tags, ElementsAre("v1"));
  EXPECT_FALSE(history.entries[1].parent.has_value());
}

TEST_F(HistoryTest, AParentWithoutTagAndOneThatIsGoneAreToldApart) {
  {
    Box box = NewBox(3);
    SaveBox(box, "v1");
    SaveBox(box, "v2");
  }
  ASSERT_EQ(Untag({"v1"}), absl::OkStatus());
  EXPECT_EQ(EntryOf(ReadLog(), "v2").parent->state, State::kUntagged);
  ASSERT_TRUE(Gc().ok());
  EXPECT_EQ(EntryOf(ReadLog(), "v2").parent->state, State::kGone);
}

TEST_F(HistoryTest, SharedAndOwnBytesAddUp) {
  Box box = NewBox(8);
  SaveBox(box, "v1");
  box.Change(0, 55);
  SaveBox(box, "v2");
  const History history = ReadLog();
  const HistoryEntry& v1 = EntryOf(history, "v1");
  const HistoryEntry& v2 = EntryOf(history, "v2");
  const uint64_t shared = v1.stored_bytes - v1.own_bytes;
  EXPECT_GT(shared, 0u);
  EXPECT_EQ(v2.stored_bytes - v2.own_bytes, shared);
  EXPECT_EQ(history.total_bytes, v1.own_bytes + v2.own_bytes + shared);
  EXPECT_EQ(history.unnamed_bytes, 0u);
  EXPECT_EQ(history.blobs, Blobs().size());
}

TEST_F(HistoryTest, WhatNobodyNamesIsCounted) {
  Box box = NewBox(2);
  SaveBox(box, "v1");
  AddBlob("12345");
  EXPECT_EQ(ReadLog().unnamed_bytes, 5u);
}

TEST_F(HistoryTest, TracesAndLeasesAreShown) {
  const Digest digest = [this] {
    Box box = NewBox(2);
    return SaveBox(box, "v1");
  }();
  EXPECT_FALSE(EntryOf(ReadLog(), "v1").has_trace);
  const uint64_t before = EntryOf(ReadLog(), "v1").own_bytes;
  AddReferrer(digest, kTrace, "trace");
  EXPECT_TRUE(EntryOf(ReadLog(), "v1").has_trace);
  EXPECT_GT(EntryOf(ReadLog(), "v1").own_bytes, before);
  EXPECT_THAT(EntryOf(ReadLog(), "v1").leases, IsEmpty());
  auto layout = Layout::Open(dir_);
  const auto lease = Lease::TakeOf(**layout, "reader", {digest});
  const History history = ReadLog();
  const auto& leases = EntryOf(history, "v1").leases;
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_EQ(leases[0].name, "reader");
  EXPECT_EQ(leases[0].pid, ::getpid());
}

TEST_F(HistoryTest, ADamagedImageIsNamedAndTheRestGoesOn) {
  Box box = NewBox(2);
  const Digest first = SaveBox(box, "v1");
  box.Change(0, 9);
  SaveBox(box, "v2");
  WriteFile(Blob(first), "{}");
  History history = ReadLog();
  EXPECT_THAT(EntryOf(history, "v1").status, HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(std::string(EntryOf(history, "v1").status.message()), HasSubstr(first.ToString()));
  EXPECT_EQ(EntryOf(history, "v2").status, absl::OkStatus());
  std::filesystem::remove(Blob(first));
  history = ReadLog();
  EXPECT_THAT(std::string(EntryOf(history, "v1").status.message()), HasSubstr("is missing"));
}

TEST_F(HistoryTest, AMissingPackIsDamage) {
  Box box = NewBox(2);
  SaveBox(box, "v1");
  auto layout = Layout::Open(dir_);
  const auto info = ReadImageInfo(**layout, "v1", {});
  std::filesystem::remove(Blob(info->manifest.packs.at(0).digest));
  EXPECT_THAT(EntryOf(ReadLog(), "v1").status, HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(HistoryTest, ImagesOfOthersAreListed) {
  Box box = NewBox(1);
  SaveBox(box, "v1");
  const std::string manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" +
      DescriptorText("application/vnd.oci.image.config.v1+json", AddBlob("[]"), 2) +
      R"(,"layers":[]})";
  Descriptor entry;
  entry.media_type = kMediaTypeManifest;
  entry.digest = AddBlob(manifest);
  entry.size = manifest.size();
  ChangeIndex([&](Index& index) { index.Set("app", entry); });
  const History history = ReadLog();
  const HistoryEntry& app = EntryOf(history, "app");
  EXPECT_EQ(app.status, absl::OkStatus());
  EXPECT_FALSE(app.is_checkpoint);
  EXPECT_EQ(app.artifact_type, "application/vnd.oci.image.config.v1+json");
  EXPECT_EQ(app.stored_bytes, manifest.size() + 2);
}

TEST_F(HistoryTest, ATagThatIsThereTwiceIsDamage) {
  Box box = NewBox(1);
  SaveBox(box, "v1");
  const std::string index = ReadFile(dir_ / "index.json");
  const size_t start = index.find('[') + 1;
  const std::string entry = index.substr(start, index.rfind(']') - start);
  WriteFile(dir_ / "index.json", index.substr(0, start) + entry + "," + entry + "]}");
  const History history = ReadLog();
  ASSERT_EQ(history.entries.size(), 2u);
  EXPECT_NE(history.entries[0].status.ok(), history.entries[1].status.ok());
}

}  // namespace
}  // namespace stasis::image
