// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/commit.h"

#include <thread>

#include "restore/transfer/import.h"
#include "tests/restore/oci/commit_fixture.h"
#include "tests/testing/random_changes.h"
#include "tests/testing/test_vfs.h"

namespace stasis::oci {
namespace {

using stasis::testing::ReadHostFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Names in the tar file of a layer, as GNU tar lists them.
std::string ListOf(const std::string& layout, const image::Digest& digest, const std::string& out) {
  const std::string command =
      "tar --quoting-style=escape -tzf " + layout + "/blobs/sha256/" + digest.Hex() + " > " + out;
  EXPECT_EQ(std::system(command.c_str()), 0);  // NOLINT
  return ReadHostFile(out);
}

TEST_F(CommitTest, EveryKindOfChangeComesBack) {
  AddBase();
  Mount("base");
  Change(kEverything);
  for (const auto compression : {Compression::kGzip, Compression::kZstd, Compression::kNone}) {
    CommitOptions options;
    options.compression = compression;
    const auto report = CommitTo(layout_, "new", options);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->layers, 3u);
    EXPECT_EQ(report->copied, 0u);
    EXPECT_THAT(report->tree.warnings, ::testing::IsEmpty());
    ExpectSame(layout_, "new");
  }
}

TEST_F(CommitTest, LayerHoldsWhatTheUpperLayerDoes) {
  AddBase();
  Mount("base");
  Change("echo x > new; rm late; rm -r usr/lib; mkdir usr/lib; echo z > usr/lib/z");
  const auto report = CommitTo(layout_, "new");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(ListOf(layout_, report->layer.blob.digest, scratch_ / "list"),
            "./\n.wh.late\nnew\nusr/\nusr/lib/\nusr/lib/.wh..wh..opq\nusr/lib/z\n");
}

TEST_F(CommitTest, MovedDirectoryIsWrittenWholeAndItsOldNameIsAWhiteout) {
  AddBase();
  Mount("base");
  Change("mv usr moved; rm moved/lib/a");
  const auto report = CommitTo(layout_, "new");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(ListOf(layout_, report->layer.blob.digest, scratch_ / "list"),
            "./\n.wh.usr\nmoved/\nmoved/.wh..wh..opq\nmoved/lib/\nmoved/lib/b\nmoved/top\n");
  ExpectSame(layout_, "new");
}

TEST_F(CommitTest, LinkBetweenAMovedDirectoryAndAnotherStaysOne) {
  AddBase();
  Mount("base");
  Change("ln usr/top other; mv usr moved");
  ASSERT_TRUE(CommitTo(layout_, "new").ok());
  ExpectSame(layout_, "new");
}

TEST_F(CommitTest, ConfigHasTheBaseAndTheNewLayer) {
  const TestLayer layer = MakeLayer({File("a")});
  Json config = Config({layer});
  config["config"] = {{"Env", {"A=1"}}, {"Cmd", {"old"}}, {"Labels", {{"k", "v"}}}};
  config["history"] = {{{"created_by", "first"}}, {{"created_by", "env"}, {"empty_layer", true}}};
  config["custom"] = 7;
  Tag("base", AddManifest({layer}, config));
  Mount("base");
  Change("echo x > new");
  CommitOptions options;
  options.time = 1'700'000'000'000'000'000;
  options.author = "me";
  options.comment = "why";
  options.cmd = {"new"};
  options.working_dir = "/srv";
  const auto report = CommitTo(layout_, "new", options);
  ASSERT_TRUE(report.ok()) << report.status();
  const Json out = ConfigOf(layout_, "new");
  EXPECT_EQ(out["created"], "2023-11-14T22:13:20Z");
  EXPECT_EQ(out["custom"], 7);
  EXPECT_EQ(
      out["config"],
      Json({{"Env", {"A=1"}}, {"Cmd", {"new"}}, {"Labels", {{"k", "v"}}}, {"WorkingDir", "/srv"}}));
  EXPECT_EQ(out["rootfs"]["diff_ids"], Json({layer.diff_id, report->layer.diff_id.ToString()}));
  ASSERT_EQ(out["history"].size(), 3u);
  EXPECT_EQ(out["history"][2], Json({{"created", "2023-11-14T22:13:20Z"},
                                     {"created_by", "stasis commit"},
                                     {"author", "me"},
                                     {"comment", "why"}}));
  EXPECT_EQ(Manifest(layout_, "new")["annotations"]["org.opencontainers.image.base.digest"],
            digest_.ToString());
}

TEST_F(CommitTest, HistoryOfABaseWithoutOneSpeaksOfEveryLayer) {
  AddBase();
  Mount("base");
  ASSERT_TRUE(CommitTo(layout_, "new").ok());
  EXPECT_EQ(ConfigOf(layout_, "new")["history"].size(), 3u);
}

TEST_F(CommitTest, SameTreeGivesTheSameImage) {
  AddBase();
  Mount("base");
  Change(kEverything);
  CommitOptions options;
  options.time = 1'600'000'000'000'000'000;
  const auto first = CommitTo(scratch_ / "one", "v", options);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  const auto second = CommitTo(scratch_ / "two", "v", options);
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_EQ(first->manifest, second->manifest);
}

TEST_F(CommitTest, OtherLayoutGetsTheBlobsOfTheBase) {
  AddBase();
  Mount("base");
  Change("echo x > new");
  const std::string other = scratch_ / "other";
  const auto report = CommitTo(other, "new");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_GT(report->copied, 0u);
  std::filesystem::rename(layout_, scratch_ / "elsewhere");
  ExpectSame(other, "new");
}

TEST_F(CommitTest, DamagedBaseIsNotCopied) {
  AddBase();
  Mount("base");
  const std::string digest = Manifest(layout_, "base")["layers"][0]["digest"];
  const std::string path = layout_ + "/blobs/sha256/" + digest.substr(7);
  std::string bytes = ReadHostFile(path);
  bytes[20] ^= 1;
  stasis::testing::WriteHostFile(path, bytes);
  const auto report = CommitTo(scratch_ / "other", "new");
  EXPECT_TRUE(absl::IsDataLoss(report.status())) << report.status();
  EXPECT_THAT(std::string(report.status().message()), HasSubstr(digest + " is damaged"));
  EXPECT_TRUE(std::filesystem::is_empty(scratch_ / "other/blobs/sha256"));
}

TEST_F(CommitTest, CommitsOnTopOfCommits) {
  AddBase();
  Mount("base");
  Change("mv usr moved; echo 1 > one");
  ASSERT_TRUE(CommitTo(layout_, "v1").ok());
  overlay_.reset();
  std::filesystem::remove_all(scratch_ / "box");
  Mount("v1");
  Change("mv moved usr; rm one; echo 2 > two");
  const auto report = CommitTo(layout_, "v2");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->layers, 4u);
  ExpectSame(layout_, "v2");
}

TEST_F(CommitTest, DirectoryBelowBecomesTheFirstLayer) {
  const std::string below = scratch_ / "below";
  ASSERT_EQ(Shell("mkdir -p " + below + "/d && cd " + below +
                  " && echo a > a && ln a d/b && chmod 700 d && echo g > g"),
            0);
  overlay_ = std::make_unique<Overlay>(scratch_ / "box", std::vector<std::string>{below});
  Change("rm g; echo n > d/n; chmod 755 .");
  const auto upper = Host(overlay_->upper());
  const auto merged = Host(overlay_->merged());
  const auto tree = Host(below);
  CommitRequest request;
  request.upper = upper.get();
  request.merged = merged.get();
  request.base_tree = tree.get();
  request.directory = scratch_ / "new";
  request.tag = "v1";
  const auto report = Commit(request);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->layers, 2u);
  EXPECT_EQ(ConfigOf(request.directory, "v1")["architecture"], Platform::Host().architecture);
  ExpectSame(request.directory, "v1");
}

TEST_F(CommitTest, UpperLayerMayBeInMemory) {
  AddBase();
  Mount("base");
  Change("rm late; rm -r usr; mkdir usr; echo n > usr/n; echo text > new; ln new usr/link");
  stasis::testing::TestVfs memory;
  const auto imported = restore::ImportDirectory(overlay_->upper(), memory.vfs(), memory.root());
  ASSERT_TRUE(imported.ok()) << imported.status();
  const auto upper = restore::OpenVfsTree(memory.vfs(), memory.root());
  const auto merged = Host(overlay_->merged());
  CommitRequest request;
  request.upper = upper.get();
  request.merged = merged.get();
  request.base = ImageReference{layout_, "base", std::nullopt};
  request.directory = layout_;
  request.tag = "new";
  const auto report = Commit(request);
  ASSERT_TRUE(report.ok()) << report.status();
  ExpectSame(layout_, "new");
}

TEST_F(CommitTest, RandomChangesComeBack) {
  const uint64_t seed = stasis::testing::RandomSeed();
  AddBase();
  std::string tag = "base";
  for (uint64_t round = 0; round < 10; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    Mount(tag);
    stasis::testing::RandomChanges(overlay_->merged(), seed + round).Make(60);
    tag = "v" + std::to_string(round);
    const auto report = CommitTo(layout_, tag);
    ASSERT_TRUE(report.ok()) << report.status();
    ExpectSame(layout_, tag);
    overlay_.reset();
    std::filesystem::remove_all(scratch_ / "box");
    std::filesystem::remove_all(scratch_ / "again");
  }
}

TEST_F(CommitTest, NamesThatOciCannotHoldAreRefusedAndNothingChanges) {
  AddBase();
  Mount("base");
  Change("mkdir d; echo x > d/.wh.x");
  const std::string before = ReadHostFile(layout_ + "/index.json");
  const auto report = CommitTo(layout_, "new");
  EXPECT_TRUE(absl::IsInvalidArgument(report.status())) << report.status();
  EXPECT_THAT(std::string(report.status().message()),
              HasSubstr("/d/.wh.x has a name that OCI layers cannot hold"));
  EXPECT_EQ(ReadHostFile(layout_ + "/index.json"), before);
  EXPECT_TRUE(std::filesystem::is_empty(layout_ + "/.stasis/tmp"));
}

TEST_F(CommitTest, MovedDirectoriesNeedWhatIsSeen) {
  AddBase();
  Mount("base");
  Change("mv usr moved");
  const auto upper = Host(overlay_->upper());
  CommitRequest request;
  request.upper = upper.get();
  request.base = ImageReference{layout_, "base", std::nullopt};
  request.directory = layout_;
  request.tag = "new";
  EXPECT_THAT(std::string(Commit(request).status().message()),
              HasSubstr("/moved was moved here, and what is below it is not known"));
}

TEST_F(CommitTest, CancelledCommitLeavesTheLayoutAsItWas) {
  AddBase();
  Mount("base");
  Change("echo x > new");
  const std::string before = ReadHostFile(layout_ + "/index.json");
  const std::atomic<bool> cancel = true;
  CommitOptions options;
  options.cancel = &cancel;
  EXPECT_TRUE(absl::IsCancelled(CommitTo(layout_, "new", options).status()));
  EXPECT_EQ(ReadHostFile(layout_ + "/index.json"), before);
}

TEST_F(CommitTest, SocketsAreLeftOutWithAWarning) {
  AddBase();
  Mount("base");
  ASSERT_EQ(::mknod((overlay_->merged() + "/s").c_str(), S_IFSOCK | 0755, 0), 0);
  const auto report = CommitTo(layout_, "new");
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->tree.warnings.size(), 1u);
  EXPECT_EQ(report->tree.warnings[0].path, "s");
}

TEST_F(CommitTest, BadTagsAreRefused) {
  AddBase();
  Mount("base");
  EXPECT_TRUE(absl::IsInvalidArgument(CommitTo(layout_, "a b").status()));
}

}  // namespace
}  // namespace stasis::oci
