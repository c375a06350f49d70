// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/mount_groups.h"

#include <gtest/gtest.h>

namespace stasis::sandbox {
namespace {

TEST(MountGroupsTest, ReadsWhatTheKernelPrints) {
  const MountGroups groups = ParseMountGroups(
      "1 1 0:1 / / rw,relatime - memfs memfs rw\n"
      "2 1 0:2 / /a rw,relatime shared:1 - gofer gofer rw\n"
      "3 1 0:2 /x /b ro,relatime shared:2 master:1 - gofer gofer rw\n"
      "4 1 0:2 / /c\\040d rw master:2 propagate_from:1 - gofer gofer rw\n"
      "5 1 0:3 / /u rw unbindable - memfs memfs rw\n");
  const MountGroups expected = {
      {2, {1, {}, false}}, {3, {2, {1}, false}}, {4, {0, {2, 1}, false}}, {5, {0, {}, true}}};
  EXPECT_EQ(groups, expected);
  EXPECT_TRUE(groups.at(4).propagates());
  EXPECT_FALSE(groups.at(5).propagates());
  EXPECT_FALSE(groups.at(5).is_private());
}

TEST(MountGroupsTest, EndsWithMastersThatGoRoundInCircles) {
  const MountGroups groups = ParseMountGroups(
      "1 1 0:1 / / rw shared:1 master:2 - a a rw\n2 1 0:1 / /a rw shared:2 master:1 - a a rw\n");
  EXPECT_LE(groups.at(1).masters.size(), 3u);
}

TEST(MountGroupsTest, TextOfOtherKindsSaysNothing) {
  EXPECT_TRUE(ParseMountGroups("").empty());
  EXPECT_TRUE(ParseMountGroups("x\n1 2 3\n1 1 0:1 / / rw - t shared:1 rw\n").empty());
}

TEST(MountGroupsTest, ComesBackFromJson) {
  const MountSharing sharing{3, {2, 1}, false};
  EXPECT_EQ(MountSharing::FromJson(sharing.ToJson()), sharing);
}

}  // namespace
}  // namespace stasis::sandbox
