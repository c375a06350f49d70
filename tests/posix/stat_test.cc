// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class StatTest : public PosixTest {};

TEST_P(StatTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Stat(path); });
}

TEST_P(StatTest, WalkErrorsOfLstat) {
  ExpectWalkErrors([this](const std::string& path) { return sys.LStat(path); });
}

TEST_P(StatTest, FollowErrors) {
  ExpectFollowErrors([this](const std::string& path) { return sys.Stat(path); });
}

TEST_P(StatTest, FollowsOrNot) {
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink("d", "/link"), IsOk());
  EXPECT_TRUE(S_ISDIR(sys.Stat("/link")->mode));
  EXPECT_TRUE(S_ISLNK(sys.LStat("/link")->mode));
  EXPECT_TRUE(S_ISDIR(sys.LStat("/link/")->mode)) << "a slash follows it";
}

TEST_P(StatTest, NeedsOnlySearch) {
  MakeDir("/d", 0711);
  Put("/d/f", "", 0);
  Become(kAlice);
  EXPECT_THAT(sys.Stat("/d/f"), IsOk());
}

TEST_P(StatTest, Types) {
  Put("/file");
  MakeDir("/dir");
  ASSERT_THAT(sys.Symlink("x", "/link"), IsOk());
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  ASSERT_THAT(sys.Mknod("/socket", S_IFSOCK | 0644), IsOk());
  if (Has(kWhiteouts)) {
    ASSERT_THAT(sys.Mknod("/whiteout", S_IFCHR | 0644, 0), IsOk());
  }
  const auto type = [this](const char* path) { return StatOf(path).mode & S_IFMT; };
  EXPECT_EQ(type("/file"), uint32_t{S_IFREG});
  EXPECT_EQ(type("/dir"), uint32_t{S_IFDIR});
  EXPECT_EQ(type("/link"), uint32_t{S_IFLNK});
  EXPECT_EQ(type("/fifo"), uint32_t{S_IFIFO});
  EXPECT_EQ(type("/socket"), uint32_t{S_IFSOCK});
  if (Has(kWhiteouts)) {
    EXPECT_EQ(type("/whiteout"), uint32_t{S_IFCHR});
    EXPECT_EQ(StatOf("/whiteout").rdev, 0u);
  }
  EXPECT_EQ(StatOf("/file").rdev, 0u);
}

TEST_P(StatTest, NumbersAreUniqueAndStay) {
  std::vector<uint64_t> inos;
  for (const char* path : {"/a", "/b", "/c"}) {
    Put(path);
    inos.push_back(StatOf(path).ino);
  }
  inos.push_back(StatOf("/").ino);
  for (const uint64_t ino : inos) EXPECT_THAT(inos, ::testing::Contains(ino).Times(1));
  ASSERT_THAT(sys.Rename("/a", "/d"), IsOk());
  EXPECT_EQ(StatOf("/d").ino, inos[0]);
}

TEST_P(StatTest, OneDevicePerFilesystem) {
  MakeDir("/m");
  const uint64_t ino = StatOf("/m").ino;
  ASSERT_THAT(sys.MountAnother("/m"), IsOk());
  Put("/f");
  Put("/m/f");
  EXPECT_EQ(StatOf("/f").dev, StatOf("/").dev);
  EXPECT_NE(StatOf("/m").dev, StatOf("/").dev);
  EXPECT_EQ(StatOf("/m/f").dev, StatOf("/m").dev);
  EXPECT_EQ(StatOf("/m/..").ino, StatOf("/").ino);
  EXPECT_NE(ino, 0u);
}

TEST_P(StatTest, SizeAndBlocks) {
  Put("/f", "x");
  EXPECT_EQ(StatOf("/f").size, 1u);
  EXPECT_EQ(StatOf("/f").blocks, 8u) << "whole pages";
  EXPECT_EQ(StatOf("/f").blksize, 4096u);
  Put("/f", std::string(4096, 'x'));
  EXPECT_EQ(StatOf("/f").blocks, 8u);
  Put("/f", std::string(4097, 'x'));
  EXPECT_EQ(StatOf("/f").blocks, 16u);
  EXPECT_EQ(StatOf("/").blocks, 0u);
}

TEST_P(StatTest, OfADescriptor) {
  Put("/f", "content");
  for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR, O_PATH}) {
    const vfs::Stat stat = StatOf(Open("/f", flags));
    EXPECT_EQ(stat.ino, StatOf("/f").ino);
    EXPECT_EQ(stat.size, 7u);
    EXPECT_EQ(stat.dev, StatOf("/f").dev);
  }
  MakeDir("/d");
  EXPECT_TRUE(S_ISDIR(StatOf(Open("/d", O_RDONLY)).mode));
}

TEST_P(StatTest, RelativeToADescriptor) {
  MakeDir("/d");
  Put("/d/f");
  const int dir = Open("/d", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(StatOf({dir, "f"}).ino, StatOf("/d/f").ino);
  EXPECT_EQ(StatOf({dir, ".."}).ino, StatOf("/").ino);
  EXPECT_EQ(StatOf({dir, "/"}).ino, StatOf("/").ino);
  EXPECT_THAT(sys.Stat({99, "f"}), IsErrno(EBADF));
  EXPECT_THAT(sys.Stat({Open("/d/f", O_RDONLY), "x"}), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Stat({Open("/d/f", O_RDONLY), "."}), IsErrno(ENOTDIR));
}

TEST_P(StatTest, Dots) {
  MakeDir("/a");
  MakeDir("/a/b");
  const uint64_t root = StatOf("/").ino;
  EXPECT_EQ(StatOf("/a/..").ino, root);
  EXPECT_EQ(StatOf("/a/b/../..").ino, root);
  EXPECT_EQ(StatOf("/../..").ino, root);
  EXPECT_EQ(StatOf("//a/.//b/../").ino, StatOf("/a").ino);
  EXPECT_THAT(sys.Stat("/..."), IsErrno(ENOENT)) << "three dots are a name";
}

TEST_P(StatTest, LongestPath) {
  Put("/f");
  EXPECT_THAT(sys.Stat(PathOfLength(4094) + "f"), IsOk());
  EXPECT_THAT(sys.Stat(PathOfLength(4095) + "f"), IsErrno(ENAMETOOLONG));
}

TEST_P(StatTest, ChangesNothing) {
  Put("/f");
  ExpectSetsTimes("/f", kNone, [this] { return sys.Stat("/f"); });
  ExpectSetsTimes("/", kNone, [this] { return sys.Stat("/f"); });
}

STASIS_POSIX_SUITE(StatTest);

}  // namespace
}  // namespace stasis::posix
