// SPDX-License-Identifier: Apache-2.0

#include "restore/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "fsimpl/gofer/filesystem.h"
#include "restore/image/file_ops.h"
#include "restore/image/gc.h"
#include "restore/image/index.h"
#include "restore/image/layout.h"
#include "state/base/clock.h"
#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::ScratchDir;
using stasis::testing::TestVfs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class InspectTest : public ::testing::Test {
 protected:
  InspectTest() {
    t_.Mkdir("/dir");
    t_.Write("/dir/f", std::string(1000, 'x'));
    t_.Link("/dir/f", "/g");
    t_.Symlink("/link", "dir/f");
    t_.Write("/deleted", "still open");
    t_.Hold("file", t_.Open("/deleted", O_RDONLY));
    t_.Unlink("/deleted");
    const auto report = Checkpoint(t_.RequestTo(scratch_ / "snaps", "v1"));
    EXPECT_TRUE(report.ok()) << report.status();
  }
  RestoreRequest Request() { return TestVfs::RequestFrom(scratch_ / "snaps", "v1"); }

  TestVfs t_;
  ScratchDir scratch_;
};

TEST_F(InspectTest, CountsWhatIsInTheImage) {
  const auto summary = Inspect(Request());
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->files_by_type.at("regular"), 1u);
  EXPECT_EQ(summary->files_by_type.at("directory"), 2u);
  EXPECT_EQ(summary->files_by_type.at("symlink"), 1u);
  EXPECT_EQ(summary->file_bytes, 1000u);
  EXPECT_EQ(summary->data_bytes, 1010u);
  EXPECT_EQ(summary->open_files, 1u);
  EXPECT_EQ(summary->deleted_files, 1u);
  EXPECT_THAT(summary->features, ::testing::Contains("filesystem.memfs"));
  ASSERT_EQ(summary->filesystems.size(), 1u);
  EXPECT_EQ(summary->filesystems[0].type, "memfs");
  EXPECT_EQ(summary->filesystems[0].dentries, 5u);
  EXPECT_EQ(summary->filesystems[0].inodes, 4u);
  ASSERT_EQ(summary->mounts.size(), 1u);
  EXPECT_EQ(summary->mounts[0].point, "");
  ASSERT_EQ(summary->roots.size(), 2u);
  EXPECT_EQ(summary->roots[1].name, "file");
}

// A collector that comes in the middle, after the tag has gone.
class CollectingOps final : public image::PosixFileOps {
 public:
  explicit CollectingOps(std::string directory) : directory_(std::move(directory)) {}

  Result<UniqueFd> OpenAt(int dir, const std::string& name, int flags, mode_t mode) override {
    if (!done_ && name.size() == kDigestLength) Collect();
    return PosixFileOps::OpenAt(dir, name, flags, mode);
  }
  bool done() const { return done_; }

  static absl::StatusOr<image::GcReport> Sweep(image::Layout& layout) {
    return image::CollectGarbage(layout, {.now = RealClock().Now(), .older_than = 0});
  }

 private:
  static constexpr size_t kDigestLength = 64;  // of a blob's name

  void Collect() {
    done_ = true;
    auto layout = image::Layout::OpenForWriting(directory_);
    ASSERT_TRUE(layout.ok()) << layout.status();
    image::Index none;
    ASSERT_TRUE((*layout)->ReplaceIndex(none.Encode()).ok());
    const auto report = Sweep(**layout);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->removed.empty());
  }

  const std::string directory_;
  bool done_ = false;
};

TEST_F(InspectTest, WhatIsBeingReadIsNotCollected) {
  // A copy: the filesystem that was saved has a lease of the original.
  std::filesystem::copy(scratch_ / "snaps", scratch_ / "copy",
                        std::filesystem::copy_options::recursive);
  RestoreRequest request = TestVfs::RequestFrom(scratch_ / "copy", "v1");
  const auto ops = std::make_shared<CollectingOps>(scratch_ / "copy");
  request.file_ops = ops;
  const auto summary = Inspect(request);
  EXPECT_TRUE(summary.ok()) << summary.status();
  EXPECT_TRUE(ops->done());
  const auto report = CollectingOps::Sweep(**image::Layout::OpenForWriting(scratch_ / "copy"));
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(report->removed.empty());
}

TEST_F(InspectTest, JsonAndTextSayTheSame) {
  const auto summary = Inspect(Request());
  ASSERT_TRUE(summary.ok()) << summary.status();
  const auto json = nlohmann::json::parse(summary->ToJson());
  EXPECT_EQ(json["deleted_files"], 1);
  EXPECT_EQ(json["files_by_type"]["directory"], 2);
  EXPECT_EQ(json["digest"], summary->digest);
  const std::string text = summary->ToText();
  EXPECT_THAT(text, HasSubstr(summary->digest));
  EXPECT_THAT(text, HasSubstr("1 files open, 1 deleted but in use"));
  EXPECT_THAT(text, HasSubstr("vfs.Dentry"));
}

TEST_F(InspectTest, NamesHostDirectories) {
  stasis::testing::WriteHostFile(scratch_ / "f", "x");
  TestVfs t([this](vfs::VirtualFilesystem& vfs) {
    return RefPtr<vfs::Filesystem>(*gofer::GoferFilesystem::Create(
        vfs, {.root = "src\n", .directory = scratch_ / "", .interop = gofer::Interop::kShared}));
  });
  t.Stat("/f");
  ASSERT_TRUE(Checkpoint(t.RequestTo(scratch_ / "snaps", "v2")).ok());
  const auto summary = Inspect(TestVfs::RequestFrom(scratch_ / "snaps", "v2"));
  ASSERT_TRUE(summary.ok()) << summary.status();
  ASSERT_EQ(summary->host_directories.size(), 1u);
  const HostDirectorySummary& host = summary->host_directories[0];
  EXPECT_EQ(host.name, "src\\x0a");
  EXPECT_EQ(host.directory, scratch_ / "");
  EXPECT_EQ(host.interop, "shared");
  EXPECT_EQ(host.files, 2u);
  EXPECT_THAT(summary->ToText(), HasSubstr("host       src\\x0a: 2 files of " + host.directory +
                                           " (gofer shared, filesystem "));
  const auto json = nlohmann::json::parse(summary->ToJson());
  EXPECT_EQ(json["host_directories"][0]["directory"], host.directory);
  EXPECT_EQ(json["host_directories"][0]["interop"], "shared");
  EXPECT_EQ(json["host_directories"][0]["type"], "gofer");
  EXPECT_EQ(json["host_directories"][0]["files"], 2);
}

TEST_F(InspectTest, TreeListsParentsFirstInReaddirOrder) {
  std::vector<std::string> paths;
  std::vector<std::string> lines;
  ASSERT_TRUE(ListTree(Request(), [&](const TreeEntry& entry) {
                paths.emplace_back(entry.path);
                lines.push_back(FormatTreeEntry(entry));
                EXPECT_TRUE(nlohmann::json::accept(TreeEntryToJson(entry)));
                return true;
              }).ok());
  EXPECT_THAT(paths, ElementsAre("/", "/dir", "/dir/f", "/g", "/link"));
  EXPECT_EQ(lines[2], "-rw-r--r-- 2 0 0 1000 2026-01-01T00:00:00.123456789Z /dir/f");
  EXPECT_THAT(lines[4], HasSubstr("/link -> dir/f"));
}

TEST_F(InspectTest, TreeStopsWhenTold) {
  int seen = 0;
  ASSERT_TRUE(ListTree(Request(), [&](const TreeEntry&) { return ++seen < 2; }).ok());
  EXPECT_EQ(seen, 2);
}

TEST_F(InspectTest, PathThatIsNotUtf8IsGivenInBase64) {
  TreeEntry entry;
  entry.path = "/\xff";
  const auto json = nlohmann::json::parse(TreeEntryToJson(entry));
  EXPECT_EQ(json["path_base64"], "L/8=");
  EXPECT_FALSE(json.contains("path"));
}

}  // namespace
}  // namespace stasis::restore
