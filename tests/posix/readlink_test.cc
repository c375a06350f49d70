// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class ReadLinkTest : public PosixTest {};

TEST_P(ReadLinkTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.ReadLink(path); });
}

TEST_P(ReadLinkTest, NotALink) {
  Put("/f");
  MakeDir("/d");
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  for (const char* path : {"/f", "/d", "/d/", "/", "/fifo", "/d/."})
    EXPECT_THAT(sys.ReadLink(path), IsErrno(EINVAL)) << path;
  EXPECT_THAT(sys.ReadLink("/missing"), IsErrno(ENOENT));
  EXPECT_THAT(sys.ReadLink("/f/"), IsErrno(ENOTDIR));
}

TEST_P(ReadLinkTest, FollowsOnlyOnTheWay) {
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink("d", "/to_d"), IsOk());
  ASSERT_THAT(sys.Symlink("a", "/d/link"), IsOk());
  ASSERT_THAT(sys.Symlink("link", "/d/to_link"), IsOk());
  EXPECT_EQ(sys.ReadLink("/to_d/link"), "a");
  EXPECT_EQ(sys.ReadLink("/d/to_link"), "link");
  EXPECT_THAT(sys.ReadLink("/to_d/"), IsErrno(EINVAL)) << "a slash follows it";
}

TEST_P(ReadLinkTest, NeedsNothingOfTheLink) {
  ASSERT_THAT(sys.Symlink("x", "/link"), IsOk());
  Become(kAlice);
  EXPECT_EQ(sys.ReadLink("/link"), "x");
}

TEST_P(ReadLinkTest, OfADescriptor) {
  ASSERT_THAT(sys.Symlink("x", "/link"), IsOk());
  EXPECT_EQ(sys.ReadLink(Open("/link", O_PATH | O_NOFOLLOW)), "x");
  EXPECT_EQ(sys.ReadLink({Open("/", O_PATH), "link"}), "x");
  Put("/f");
  EXPECT_THAT(sys.ReadLink(Open("/f", O_PATH)), IsErrno(ENOENT));
  EXPECT_THAT(sys.ReadLink({99, "link"}), IsErrno(EBADF));
}

TEST_P(ReadLinkTest, LongestTarget) {
  const std::string target(4095, 't');
  ASSERT_THAT(sys.Symlink(target, "/link"), IsOk());
  EXPECT_EQ(sys.ReadLink("/link"), target);
}

TEST_P(ReadLinkTest, ReadOnlyFilesystem) {
  ASSERT_THAT(sys.Symlink("x", "/link"), IsOk());
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_EQ(sys.ReadLink("/link"), "x");
}

STASIS_POSIX_SUITE(ReadLinkTest);

class ReadLinkTimesTest : public PosixTest {};

TEST_P(ReadLinkTimesTest, SetsTheAccessTime) {
  ASSERT_THAT(sys.Symlink("x", "/link"), IsOk());
  ExpectSetsTimes("/link", kAtime, [this] { return sys.ReadLink("/link"); });
}

TEST_P(ReadLinkTimesTest, FollowingSetsTheAccessTime) {
  Put("/f");
  ASSERT_THAT(sys.Symlink("f", "/link"), IsOk());
  ExpectSetsTimes("/link", kAtime, [this] { return sys.Stat("/link"); });
}

STASIS_POSIX_SUITE(ReadLinkTimesTest, kAccessTimes);

class OwnReadLinkTimesTest : public PosixTest {};

TEST_P(OwnReadLinkTimesTest, SetsTheAccessTimeOnce) {
  ASSERT_THAT(sys.Symlink("x", "/link"), IsOk());
  ExpectSetsTimes("/link", kAtime, [this] { return sys.ReadLink("/link"); });
  ExpectSetsTimes("/link", kNone, [this] { return sys.ReadLink("/link"); });
}

STASIS_POSIX_SUITE(OwnReadLinkTimesTest, kAccessTimes | kOwnAccessTimes);

}  // namespace
}  // namespace stasis::posix
