// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::TestVfs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CompareTest : public ::testing::Test {
 protected:
  CompareReport Compare(const CompareOptions& options = {}) {
    const auto left = OpenVfsTree(left_.vfs(), left_.root());
    const auto right = OpenVfsTree(right_.vfs(), right_.root());
    const auto report = CompareTrees(*left, *right, options);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : CompareReport();
  }
  std::vector<std::string> Kinds(const CompareOptions& options = {}) {
    std::vector<std::string> kinds;
    for (const Difference& d : Compare(options).differences) kinds.push_back(d.path + ":" + d.kind);
    return kinds;
  }
  // The same on both sides.
  void Both(const std::function<void(TestVfs&)>& change) {
    change(left_);
    change(right_);
  }

  TestVfs left_;
  TestVfs right_;
};

TEST_F(CompareTest, EqualTreesAreEqual) {
  Both([](TestVfs& t) {
    t.Mkdir("/d");
    t.Write("/d/f", "same");
    t.Link("/d/f", "/g");
    t.Symlink("/l", "x");
  });
  const CompareReport report = Compare();
  EXPECT_TRUE(report.equal()) << report.ToText();
  EXPECT_EQ(report.files, 5u);
  EXPECT_EQ(report.bytes, 8u);
}

TEST_F(CompareTest, FindsMissingAndExtraNames) {
  left_.Write("/only_left", "");
  right_.Write("/only_right", "");
  EXPECT_THAT(Kinds(), ElementsAre("only_left:missing", "only_right:extra"));
}

TEST_F(CompareTest, FindsEveryDifferentAttribute) {
  Both([](TestVfs& t) {
    t.Write("/f", "content");
    t.SetXattr("/f", "user.a", "1");
    t.Symlink("/l", t.Exists("/x") ? "a" : "b");
  });
  vfs::SetStat set;
  set.mode = 0600;
  set.uid = 5;
  set.mtime = vfs::SetTime{7, false};
  right_.WriteAt("/f", 3, "X");
  right_.SetXattr("/f", "user.a", "2");
  right_.Set("/f", set);
  EXPECT_THAT(Kinds(), ElementsAre("f:mode", "f:owner", "f:mtime", "f:xattr user.a", "f:content"));
}

TEST_F(CompareTest, FindsTheFirstDifferentByteInASparseFile) {
  Both([](TestVfs& t) {
    t.WriteAt("/f", 100 << 20, "tail");
    t.Truncate("/f", 1 << 30);
  });
  EXPECT_THAT(Kinds(), IsEmpty());
  right_.WriteAt("/f", 50 << 20, "!");
  const CompareReport report = Compare();
  ASSERT_EQ(report.differences.size(), 1u);
  EXPECT_EQ(report.differences[0].left, "differs from byte 52428800 on");
}

TEST_F(CompareTest, ZerosAndHolesHoldTheSameBytes) {
  left_.Write("/f", std::string(65536, '\0'));
  right_.Write("/f", "");
  right_.Truncate("/f", 65536);
  EXPECT_THAT(Kinds(), IsEmpty());
  CompareOptions options;
  options.holes = true;
  EXPECT_THAT(Kinds(options), ElementsAre("f:holes"));
}

TEST_F(CompareTest, FindsLinksThatAreNotTheSameFile) {
  left_.Write("/a", "x");
  left_.Link("/a", "/b");
  right_.Write("/a", "x");
  right_.Write("/b", "x");
  EXPECT_THAT(Kinds(), ElementsAre("a:nlink", "b:nlink", "b:link"));
}

TEST_F(CompareTest, DifferentTypesAreNotLookedInto) {
  left_.Mkdir("/x");
  left_.Write("/x/f", "");
  right_.Write("/x", "");
  EXPECT_THAT(Kinds(), ElementsAre("x:type"));
}

TEST_F(CompareTest, CountsWhatItDrops) {
  for (int i = 0; i < 10; ++i) left_.Write("/" + std::to_string(i), "");
  CompareOptions options;
  options.max_differences = 3;
  const CompareReport report = Compare(options);
  EXPECT_EQ(report.differences.size(), 3u);
  EXPECT_EQ(report.dropped, 7u);
  EXPECT_THAT(report.ToText(), ::testing::HasSubstr("10 differences"));
}

}  // namespace
}  // namespace stasis::restore
