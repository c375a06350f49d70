// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/mount_plan.h"

#include <gtest/gtest.h>

namespace stasis::sandbox {
namespace {

TEST(ParseBindTest, TakesAllForms) {
  EXPECT_EQ(ParseBind("/a").value(), (Bind{"/a", "/a", false}));
  EXPECT_EQ(ParseBind("/a:/b").value(), (Bind{"/a", "/b", false}));
  EXPECT_EQ(ParseBind("/a:/b:ro").value(), (Bind{"/a", "/b", true}));
  EXPECT_EQ(ParseBind("/a:ro").value(), (Bind{"/a", "/a", true}));
  EXPECT_EQ(ParseBind("/a:/b:rw").value(), (Bind{"/a", "/b", false}));
  EXPECT_EQ(ParseBind("/a/:/b/../c/").value(), (Bind{"/a", "/c", false}));
}

TEST(ParseBindTest, RefusesTheRest) {
  for (const char* text : {"", ":", ":/b", "/a:", "/a:b", "/a:/", ":ro"})
    EXPECT_TRUE(absl::IsInvalidArgument(ParseBind(text).status())) << text;
}

TEST(MountPlanTest, ComesBackFromJsonAsItWas) {
  MountPlan plan{"host",
                 {{0, "/", "/", 1}, {3, "/sub", "/m \xff", 0, {4, {2, 1}, false}}},
                 {{"/a", "/b", true}, {"/c", "/d", false}}};
  const MountPlan copy = MountPlan::FromJson(plan.ToJson());
  EXPECT_EQ(copy.hostname, plan.hostname);
  EXPECT_EQ(copy.mounts, plan.mounts);
  EXPECT_EQ(copy.binds, plan.binds);
}

}  // namespace
}  // namespace stasis::sandbox
