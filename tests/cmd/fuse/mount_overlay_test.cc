// SPDX-License-Identifier: Apache-2.0
//
// A mount as the upper layer of the kernel's overlayfs.

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <filesystem>

#include "tests/cmd/fuse/file_system_calls.h"
#include "tests/cmd/fuse/mounted_tree.h"
#include "tests/testing/scratch_dir.h"

namespace stasis::fuse {
namespace {

class MountOverlayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"lower", "lower/d", "merged"})
      std::filesystem::create_directory(scratch_ / name);
    ASSERT_TRUE(WriteFile(scratch_ / "lower/a", "a"));
    ASSERT_TRUE(WriteFile(scratch_ / "lower/d/f", "f"));
    std::filesystem::create_directory(tree_ / "upper");
    std::filesystem::create_directory(tree_ / "work");
    const std::string options = "lowerdir=" + std::string(scratch_ / "lower") +
                                ",upperdir=" + (tree_ / "upper") + ",workdir=" + (tree_ / "work");
    ASSERT_EQ(::mount("overlay", Merged("").c_str(), "overlay", 0, options.c_str()), 0)
        << std::strerror(errno);
    mounted_ = true;
  }
  void TearDown() override {
    if (!mounted_) return;
    EXPECT_EQ(::umount(Merged("").c_str()), 0);
  }
  std::string Merged(const std::string& name) { return scratch_ / ("merged/" + name); }
  bool IsWhiteout(const std::string& name) {
    const struct stat stat = StatOf(tree_ / ("upper/" + name));
    return S_ISCHR(stat.st_mode) && stat.st_rdev == makedev(0, 0);
  }

  stasis::testing::ScratchDir scratch_;
  MountedTree tree_;
  bool mounted_ = false;
};

TEST_F(MountOverlayTest, ChangesGoToTheUpperLayer) {
  ASSERT_TRUE(WriteFile(Merged("new"), "new"));
  ASSERT_TRUE(WriteFile(Merged("d/f"), "changed"));
  EXPECT_EQ(ReadFile(tree_ / "upper/new"), "new");
  EXPECT_EQ(ReadFile(tree_ / "upper/d/f"), "changed");
  EXPECT_EQ(ReadFile(scratch_ / "lower/d/f"), "f");
}

TEST_F(MountOverlayTest, WhatIsRemovedLeavesAWhiteout) {
  ASSERT_EQ(::unlink(Merged("a").c_str()), 0);
  EXPECT_TRUE(IsWhiteout("a"));
  EXPECT_FALSE(std::filesystem::exists(Merged("a")));
  ASSERT_TRUE(WriteFile(Merged("a"), "again"));
  EXPECT_EQ(ReadFile(Merged("a")), "again");
}

TEST_F(MountOverlayTest, WhatIsRenamedLeavesAWhiteout) {
  ASSERT_EQ(::rename(Merged("a").c_str(), Merged("b").c_str()), 0);
  EXPECT_TRUE(IsWhiteout("a"));
  EXPECT_EQ(ReadFile(tree_ / "upper/b"), "a");
}

TEST_F(MountOverlayTest, ADirectoryInPlaceOfARemovedOneIsOpaque) {
  std::filesystem::remove_all(Merged("d"));
  ASSERT_EQ(::mkdir(Merged("d").c_str(), 0755), 0);
  EXPECT_TRUE(std::filesystem::is_empty(Merged("d")));
  char value[8] = {};
  EXPECT_EQ(::lgetxattr((tree_ / "upper/d").c_str(), "trusted.overlay.opaque", value, 8), 1);
  EXPECT_STREQ(value, "y");
}

}  // namespace
}  // namespace stasis::fuse
