// SPDX-License-Identifier: Apache-2.0

#include "restore/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "restore/types.h"
#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::TestVfs;
using ::testing::ElementsAre;

TEST(RowsTest, HoldTheStateOfOneMoment) {
  TestVfs t;
  t.Write("/a", "before");
  t.Link("/a", "/b");
  const auto rows = SaveRows(t.vfs(), TestVfs::registry());
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_FALSE(t.vfs().gate().closed());
  EXPECT_EQ(CountRowsOf(rows->graph, TestVfs::registry(), "vfs.Dentry"), 3u);
  EXPECT_EQ(CountRowsOf(rows->graph, TestVfs::registry(), "vfs.Inode"), 2u);
  EXPECT_GT(CountRows(rows->graph), 5u);
  ASSERT_EQ(rows->graph.chunks.size(), 1u);
  t.WriteAt("/a", 0, "AFTER!");
  const auto bytes = rows->graph.chunks[0]->Bytes();
  ASSERT_TRUE(bytes);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()), "before");
}

TEST(RowsTest, ExtraRootsFollowInTheirOrder) {
  TestVfs t;
  t.Write("/f", "");
  const auto file = t.Open("/f", O_RDONLY);
  const auto rows =
      SaveRows(t.vfs(), TestVfs::registry(), {{"second", file.get()}, {"first", file.get()}});
  ASSERT_TRUE(rows.ok()) << rows.status();
  std::vector<std::string> names;
  for (const state::SavedRoot& root : rows->graph.roots) names.push_back(root.name);
  EXPECT_THAT(names, ElementsAre("vfs", "second", "first"));
}

TEST(TypesTest, FeaturesAreTheFilesystemsInTheImage) {
  TestVfs t;
  const auto rows = SaveRows(t.vfs(), TestVfs::registry());
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_THAT(RequiredFeatures(rows->graph, TestVfs::registry()), ElementsAre("filesystem.memfs"));
  EXPECT_THAT(KnownFeatures(TestVfs::registry()), ::testing::Contains("filesystem.memfs"));
  EXPECT_TRUE(KnownFeatures(state::Registry()).empty());
}

}  // namespace
}  // namespace stasis::restore
