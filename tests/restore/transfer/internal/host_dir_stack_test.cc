// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/internal/host_dir_stack.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/testing/scratch_dir.h"

namespace stasis::restore {
namespace {

using stasis::testing::ScratchDir;

class HostDirStackTest : public ::testing::Test {
 protected:
  HostDirStackTest() : stack_(UniqueFd(::open(scratch_.path().c_str(), O_RDONLY | O_DIRECTORY))) {}

  ino_t Current() const {
    struct stat st = {};
    EXPECT_EQ(::fstat(stack_.fd(), &st), 0);
    return st.st_ino;
  }
  ino_t InodeOf(const std::string& name) const {
    struct stat st = {};
    EXPECT_EQ(::stat((scratch_ / name).c_str(), &st), 0);
    return st.st_ino;
  }

  ScratchDir scratch_;
  HostDirStack stack_;
};

TEST_F(HostDirStackTest, GoesDownAndUp) {
  std::filesystem::create_directories(scratch_ / "a/b");
  ASSERT_TRUE(stack_.Enter("a"));
  ASSERT_TRUE(stack_.Enter("b"));
  EXPECT_EQ(Current(), InodeOf("a/b"));
  ASSERT_TRUE(stack_.Leave());
  EXPECT_EQ(Current(), InodeOf("a"));
}

TEST_F(HostDirStackTest, DoesNotFollowSymbolicLinks) {
  std::filesystem::create_directories(scratch_ / "real");
  std::filesystem::create_symlink("real", scratch_ / "link");
  EXPECT_FALSE(stack_.Enter("link"));
  EXPECT_FALSE(stack_.OpenParentOf("link/file"));
  EXPECT_TRUE(stack_.OpenParentOf("real/file"));
}

TEST_F(HostDirStackTest, DeepWaysComeBackToTheSameDirectories) {
  constexpr int kDepth = 200;
  std::vector<ino_t> inodes;
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(::mkdirat(stack_.fd(), "d", 0700), 0);
    ASSERT_TRUE(stack_.Enter("d"));
    inodes.push_back(Current());
  }
  for (int i = kDepth - 1; i > 0; --i) {
    EXPECT_EQ(Current(), inodes[i]);
    ASSERT_TRUE(stack_.Leave());
  }
}

TEST_F(HostDirStackTest, DirectoryThatWasMovedIsNoticedOnTheWayUp) {
  std::string path = "d";
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(::mkdirat(stack_.fd(), "d", 0700), 0);
    ASSERT_TRUE(stack_.Enter("d"));
    if (i < 30) path += "/d";
  }
  // What we stand in is somewhere else now; its old parent's descriptor is closed already.
  ASSERT_EQ(::rename((scratch_ / path).c_str(), (scratch_ / "moved").c_str()), 0);
  Result<void> left;
  for (int i = 0; i < 100 && left; ++i) left = stack_.Leave();
  ASSERT_FALSE(left);
  EXPECT_EQ(left.error(), Errno(ESTALE));
}

}  // namespace
}  // namespace stasis::restore
