// SPDX-License-Identifier: Apache-2.0
//
// Through a real mount: ranges of files, files without a name, and access control lists.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

#include "tests/cmd/fuse/file_system_calls.h"
#include "tests/cmd/fuse/mounted_tree.h"

namespace stasis::fuse {
namespace {

class MountRangesTest : public testing::Test {
 protected:
  MountedTree tree_;
};

TEST_F(MountRangesTest, HolesArePunchedAlsoInThePageCache) {
  const std::string content(200'000, 'x');
  ASSERT_TRUE(WriteFile(tree_ / "a", content));
  EXPECT_EQ(ReadFile(tree_ / "a"), content);
  const UniqueFd fd = Open(tree_ / "a", O_RDWR);
  ASSERT_EQ(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 100'000), 0);
  std::string expected = content;
  expected.replace(1000, 100'000, 100'000, '\0');
  EXPECT_EQ(ReadFile(tree_ / "a"), expected);
  EXPECT_LT(StatOf(tree_ / "a").st_blocks * 512, 120'000);
  EXPECT_EQ(fallocate(fd.get(), FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
}

TEST_F(MountRangesTest, SpaceIsReserved) {
  const UniqueFd fd = Open(tree_ / "a", O_RDWR | O_CREAT);
  ASSERT_EQ(posix_fallocate(fd.get(), 0, 100'000), 0);
  EXPECT_EQ(StatOf(tree_ / "a").st_size, 100'000);
  EXPECT_GE(StatOf(tree_ / "a").st_blocks * 512, 100'000);
}

TEST_F(MountRangesTest, RangesAreCopiedInTheServer) {
  const std::string content(100'000, 'x');
  ASSERT_TRUE(WriteFile(tree_ / "a", content));
  const UniqueFd from = Open(tree_ / "a", O_RDONLY);
  const UniqueFd to = Open(tree_ / "b", O_RDWR | O_CREAT);
  ASSERT_EQ(copy_file_range(from.get(), nullptr, to.get(), nullptr, 1 << 20, 0), 100'000);
  EXPECT_EQ(ReadFile(tree_ / "b"), content);
}

TEST_F(MountRangesTest, NamelessFileGetsAName) {
  const UniqueFd fd(open(tree_.path().c_str(), O_TMPFILE | O_RDWR, 0644));
  ASSERT_TRUE(fd.valid()) << errno;
  ASSERT_EQ(write(fd.get(), "hello", 5), 5);
  struct stat stat;
  ASSERT_EQ(fstat(fd.get(), &stat), 0);
  EXPECT_EQ(stat.st_nlink, 0u);
  const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
  ASSERT_EQ(linkat(AT_FDCWD, link.c_str(), AT_FDCWD, (tree_ / "a").c_str(), AT_SYMLINK_FOLLOW), 0);
  EXPECT_EQ(ReadFile(tree_ / "a"), "hello");
  EXPECT_EQ(StatOf(tree_ / "a").st_nlink, 1u);
}

// Version 2; owner rwx, user 1000 r--, group ---, mask r--, others ---.
constexpr char kAcl[] =
    "\2\0\0\0"
    "\1\0\7\0\377\377\377\377"
    "\2\0\4\0\350\3\0\0"
    "\4\0\0\0\377\377\377\377"
    "\20\0\4\0\377\377\377\377"
    "\40\0\0\0\377\377\377\377";

TEST_F(MountRangesTest, DefaultAclStandsInForTheUmask) {
  ASSERT_EQ(mkdir((tree_ / "d").c_str(), 0755), 0);
  ASSERT_EQ(setxattr((tree_ / "d").c_str(), "system.posix_acl_default", kAcl, sizeof(kAcl) - 1, 0),
            0)
      << errno;
  const mode_t mask = umask(0777);
  const UniqueFd fd = Open(tree_ / "d/f", O_RDWR | O_CREAT);
  umask(mask);
  EXPECT_EQ(StatOf(tree_ / "d/f").st_mode & 0777, 0640u & 0744u);
  EXPECT_GT(getxattr((tree_ / "d/f").c_str(), "system.posix_acl_access", nullptr, 0), 4);
}

}  // namespace
}  // namespace stasis::fuse
