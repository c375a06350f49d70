// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <functional>

#include "restore/checkpoint.h"
#include "restore/restore.h"
#include "tests/testing/scratch_dir.h"
#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::TestVfs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class DiffTest : public ::testing::Test {
 protected:
  DiffReport Diff(const DiffOptions& options = {}) {
    const auto before = OpenVfsTree(before_.vfs(), before_.root());
    const auto after = OpenVfsTree(after_.vfs(), after_.root());
    auto report = DiffTrees(*before, *after, options);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *std::move(report) : DiffReport();
  }
  std::vector<std::string> Lines(const DiffOptions& options = {}) {
    std::vector<std::string> lines;
    for (const Change& change : Diff(options).changes) lines.push_back(change.ToText());
    return lines;
  }
  void Both(const std::function<void(TestVfs&)>& change) {
    change(before_);
    change(after_);
  }

  TestVfs before_;
  TestVfs after_;
};

TEST_F(DiffTest, EqualTreesHaveNoChanges) {
  Both([](TestVfs& t) {
    t.Mkdir("/d");
    t.Write("/d/f", "same");
    t.Link("/d/f", "/g");
    t.Symlink("/l", "x");
  });
  const DiffReport report = Diff();
  EXPECT_THAT(report.changes, IsEmpty()) << report.ToText();
  EXPECT_EQ(report.files, 4u);
  EXPECT_EQ(report.bytes, 4u) << "a file of two names is compared once";
  EXPECT_EQ(report.ToText(), "");
}

TEST_F(DiffTest, AddedRemovedAndModifiedNamesAreSorted) {
  Both([](TestVfs& t) { t.Write("/m", "old"); });
  before_.Mkdir("/gone");
  before_.Write("/gone/f", "");
  after_.Mkdir("/new");
  after_.Write("/new/f", "");
  after_.Write("/m", "new");
  EXPECT_THAT(Lines(), ElementsAre("D /gone", "M /m (content)", "A /new", "A /new/f"));
}

TEST_F(DiffTest, SaysHowAFileDiffers) {
  Both([](TestVfs& t) {
    t.Write("/f", "abc");
    t.SetXattr("/f", "user.changed", "1");
    t.Symlink("/l", "same");
  });
  before_.SetXattr("/f", "user.gone", "1");
  after_.Write("/f", "abcde");
  after_.SetXattr("/f", "user.changed", "2");
  after_.SetXattr("/f", "user.new", "1");
  vfs::SetStat set;
  set.mode = 0755;
  set.uid = 5;
  set.gid = 6;
  after_.Set("/f", set);
  EXPECT_THAT(Lines(), ElementsAre("M /f (size 3 -> 5, mode 644 -> 755, owner 0:0 -> 5:6, "
                                   "xattr user.changed changed, xattr user.gone removed, "
                                   "xattr user.new added)"));
}

TEST_F(DiffTest, TargetsDevicesAndTypes) {
  before_.Symlink("/l", "a");
  after_.Symlink("/l", "b");
  before_.Mknod("/n", S_IFCHR | 0600, makedev(1, 3));
  after_.Mknod("/n", S_IFCHR | 0600, makedev(1, 5));
  before_.Write("/t", "");
  after_.Mkdir("/t", 0644);
  after_.Write("/t/in", "");
  before_.Mkdir("/u");
  before_.Write("/u/in", "");
  after_.Symlink("/u", "x");
  EXPECT_THAT(Lines(), ElementsAre("M /l (target a -> b)", "M /n (device 1:3 -> 1:5)",
                                   "M /t (type file -> directory)", "A /t/in",
                                   "M /u (type directory -> symlink)"));
}

TEST_F(DiffTest, TimesAreNoChangeUnlessAskedFor) {
  Both([](TestVfs& t) { t.Write("/f", "x"); });
  vfs::SetStat set;
  set.mtime = vfs::SetTime{7'000'000'000, false};
  after_.Set("/f", set);
  EXPECT_THAT(Lines(), IsEmpty());
  DiffOptions options;
  options.times = true;
  EXPECT_THAT(Lines(options), ElementsAre("M /f (mtime 2026-01-01T00:00:00.123456789Z -> "
                                          "1970-01-01T00:00:07Z)"));
}

TEST_F(DiffTest, HardLinksThatWereMadeOrBroken) {
  Both([](TestVfs& t) {
    t.Write("/a", "x");
    t.Write("/k", "y");
  });
  before_.Link("/a", "/b");
  after_.Write("/b", "x");
  before_.Write("/l", "y");
  after_.Link("/k", "/l");
  EXPECT_THAT(Lines(), ElementsAre("M /b (link /a -> none)", "M /l (link none -> /k)"));
}

TEST_F(DiffTest, AddedAndRemovedNamesDoNotChangeTheOtherNamesOfAFile) {
  Both([](TestVfs& t) {
    t.Write("/f", "x");
    t.Link("/f", "/m");
  });
  before_.Link("/f", "/a");
  after_.Link("/f", "/b");
  after_.Link("/f", "/z");
  EXPECT_THAT(Lines(), ElementsAre("D /a", "A /b (link /f)", "A /z (link /f)"));
}

TEST_F(DiffTest, NamesAreAnyBytes) {
  after_.Write("/\xff\n", "");
  const DiffReport report = Diff();
  EXPECT_EQ(report.ToText(), "A /\\xff\\x0a\n");
  const auto json = nlohmann::json::parse(report.ToJson());
  EXPECT_EQ(json["changes"][0]["path_base64"], "L/8K");
  EXPECT_FALSE(json["changes"][0].contains("path"));
}

TEST_F(DiffTest, JsonHasBothSides) {
  Both([](TestVfs& t) { t.Write("/f", "abc"); });
  after_.Write("/f", "abcde");
  after_.SetXattr("/f", "user.a", "1");
  after_.Symlink("/l", "f");
  before_.Write("/old", "");
  const auto json = nlohmann::json::parse(Diff().ToJson());
  EXPECT_EQ(json["added"], 1);
  EXPECT_EQ(json["modified"], 1);
  EXPECT_EQ(json["removed"], 1);
  const auto& f = json["changes"][0];
  EXPECT_EQ(f["kind"], "modified");
  EXPECT_EQ(f["path"], "/f");
  EXPECT_EQ(f["changed"], nlohmann::json({"size", "xattrs"}));
  EXPECT_EQ(f["before"]["size"], 3);
  EXPECT_EQ(f["after"]["size"], 5);
  EXPECT_EQ(f["after"]["mode"], "0644");
  EXPECT_EQ(f["after"]["xattrs"][0]["name"], "user.a");
  EXPECT_EQ(f["after"]["xattrs"][0]["value_base64"], "MQ==");
  EXPECT_EQ(json["changes"][1]["after"]["target"], "f");
  EXPECT_FALSE(json["changes"][1].contains("before"));
  EXPECT_EQ(json["changes"][2]["kind"], "removed");
  EXPECT_FALSE(json["changes"][2].contains("after"));
}

TEST_F(DiffTest, WithoutContentOnlySizesCount) {
  Both([](TestVfs& t) { t.Write("/f", "abc"); });
  after_.Write("/f", "abd");
  DiffOptions options;
  options.content = false;
  EXPECT_THAT(Lines(options), IsEmpty());
}

// Of two images in one layout the second refers to what the first has stored.
TEST_F(DiffTest, WhatIsStoredInTheSamePlaceIsNotRead) {
  const stasis::testing::ScratchDir scratch;
  const std::string directory = scratch / "images";
  for (int i = 0; i < 20; ++i)
    before_.Write("/f" + std::to_string(i), std::string(40'000, static_cast<char>('a' + i)));
  ASSERT_TRUE(Checkpoint(before_.RequestTo(directory, "v1")).ok());
  before_.WriteAt("/f7", 30'000, "changed");
  ASSERT_TRUE(Checkpoint(before_.RequestTo(directory, "v2")).ok());
  const auto v1 = Restore(TestVfs::RequestFrom(directory, "v1"));
  const auto v2 = Restore(TestVfs::RequestFrom(directory, "v2"));
  ASSERT_TRUE(v1.ok() && v2.ok()) << v1.status() << v2.status();
  const auto diff = [](const RestoredImage& left, const RestoredImage& right) {
    const auto before = OpenVfsTree(left.vfs(), left.vfs().namespaces().front()->root());
    const auto after = OpenVfsTree(right.vfs(), right.vfs().namespaces().front()->root());
    auto report = DiffTrees(*before, *after, {});
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *std::move(report) : DiffReport();
  };
  const DiffReport report = diff(*v1, *v2);
  EXPECT_EQ(report.ToText(), "M /f7 (content)\n");
  EXPECT_LE(report.bytes, 40'000u) << "of the file that was changed";
  EXPECT_EQ(diff(*v1, *v1).bytes, 0u);
}

TEST_F(DiffTest, CanBeCancelled) {
  after_.Write("/f", "");
  const std::atomic<bool> cancel = true;
  DiffOptions options;
  options.cancel = &cancel;
  const auto before = OpenVfsTree(before_.vfs(), before_.root());
  const auto after = OpenVfsTree(after_.vfs(), after_.root());
  EXPECT_TRUE(absl::IsCancelled(DiffTrees(*before, *after, options).status()));
}

}  // namespace
}  // namespace stasis::restore
