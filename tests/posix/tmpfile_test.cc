// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class TmpfileTest : public PosixTest {};

TEST_P(TmpfileTest, WalkErrors) {
  ExpectWalkErrors(
      [this](const std::string& path) { return sys.Open(path, O_TMPFILE | O_RDWR, 0600); });
}

TEST_P(TmpfileTest, HasNoName) {
  MakeDir("/d");
  const int fd = Open("/d", O_TMPFILE | O_RDWR, 0640);
  EXPECT_THAT(List("/d"), ::testing::IsEmpty());
  EXPECT_EQ(StatOf(fd).nlink, 0u);
  EXPECT_EQ(StatOf(fd).mode, S_IFREG | 0640u);
  EXPECT_EQ(StatOf("/d").size, 40u);
  EXPECT_THAT(sys.Write(fd, "content"), IsOk());
  EXPECT_EQ(sys.PRead(fd, 0, 100), "content");
  EXPECT_THAT(sys.Rmdir("/d"), IsOk()) << "is not in it";
  EXPECT_EQ(sys.PRead(fd, 0, 100), "content");
}

TEST_P(TmpfileTest, OwnerModeAndUmask) {
  MakeDir("/d");
  ASSERT_THAT(sys.Chown("/d", kKeepId, kTeam), IsOk());
  ASSERT_THAT(sys.Chmod("/d", 02777), IsOk());
  sys.Umask(027);
  Become(kAlice);
  const int fd = Open("/d", O_TMPFILE | O_WRONLY, 0777);
  EXPECT_EQ(StatOf(fd).uid, kAlice);
  EXPECT_EQ(StatOf(fd).gid, kTeam);
  EXPECT_EQ(ModeOf(fd), 0750u);
}

TEST_P(TmpfileTest, TheModeIsNotForTheOpen) {
  MakeDir("/d", 0777);
  Become(kAlice);
  EXPECT_THAT(sys.Write(Open("/d", O_TMPFILE | O_RDWR, 0), "x"), IsOk());
}

TEST_P(TmpfileTest, InvalidFlags) {
  MakeDir("/d");
  EXPECT_THAT(sys.Open("/d", O_TMPFILE | O_RDONLY, 0600), IsErrno(EINVAL));
  EXPECT_THAT(sys.Open("/d", O_TMPFILE | O_RDWR | O_CREAT, 0600), IsErrno(EINVAL));
  EXPECT_THAT(sys.Open("/d", (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, 0600), IsErrno(EINVAL));
}

TEST_P(TmpfileTest, WrongPlaces) {
  Put("/f");
  MakeDir("/d", 0755);
  ASSERT_THAT(sys.Symlink("d", "/link"), IsOk());
  EXPECT_THAT(sys.Open("/f", O_TMPFILE | O_RDWR, 0600), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Open("/missing", O_TMPFILE | O_RDWR, 0600), IsErrno(ENOENT));
  EXPECT_THAT(sys.Open("/link", O_TMPFILE | O_RDWR, 0600), IsOk());
  EXPECT_THAT(sys.Open("/link", O_TMPFILE | O_RDWR | O_NOFOLLOW, 0600), IsErrno(ENOTDIR));
  Become(kAlice);
  EXPECT_THAT(sys.Open("/d", O_TMPFILE | O_RDWR, 0600), IsErrno(EACCES));
}

TEST_P(TmpfileTest, InARemovedDirectory) {
  MakeDir("/d");
  const int dir = Open("/d", O_RDONLY | O_DIRECTORY);
  ASSERT_THAT(sys.Rmdir("/d"), IsOk());
  EXPECT_THAT(sys.Open({dir, "."}, O_TMPFILE | O_RDWR, 0600), IsOk()) << "needs no entry in it";
}

TEST_P(TmpfileTest, GetsAName) {
  MakeDir("/d");
  const int fd = Open("/d", O_TMPFILE | O_RDWR, 0600);
  ASSERT_THAT(sys.Write(fd, "content"), IsOk());
  EXPECT_THAT(sys.Link(fd, "/d/name"), IsOk());
  EXPECT_EQ(Get("/d/name"), "content");
  EXPECT_EQ(StatOf(fd).nlink, 1u);
  EXPECT_EQ(StatOf(fd).ino, StatOf("/d/name").ino);
  EXPECT_THAT(sys.Link(fd, "/d/name"), IsErrno(EEXIST));
  EXPECT_THAT(sys.Link(fd, "/other"), IsOk());
  EXPECT_EQ(StatOf(fd).nlink, 2u);
}

TEST_P(TmpfileTest, WithoutItsNamesItGetsNoNewOne) {
  const int fd = Open("/", O_TMPFILE | O_RDWR, 0600);
  ASSERT_THAT(sys.Link(fd, "/name"), IsOk());
  ASSERT_THAT(sys.Unlink("/name"), IsOk());
  EXPECT_EQ(StatOf(fd).nlink, 0u);
  EXPECT_THAT(sys.Link(fd, "/name"), IsErrno(ENOENT));
}

TEST_P(TmpfileTest, Exclusive) {
  const int fd = Open("/", O_TMPFILE | O_RDWR | O_EXCL, 0600);
  EXPECT_THAT(sys.Link(fd, "/name"), IsErrno(ENOENT));
}

TEST_P(TmpfileTest, OnAnotherFilesystem) {
  MakeDir("/m");
  ASSERT_THAT(sys.MountAnother("/m"), IsOk());
  const int fd = Open("/m", O_TMPFILE | O_RDWR, 0600);
  EXPECT_EQ(StatOf(fd).dev, StatOf("/m").dev);
  EXPECT_THAT(sys.Link(fd, "/name"), IsErrno(EXDEV));
}

TEST_P(TmpfileTest, LeavesTheTimesOfTheDirectory) {
  MakeDir("/d");
  ExpectSetsTimes("/d", kNone, [this] { return sys.Open("/d", O_TMPFILE | O_RDWR, 0600); });
}

TEST_P(TmpfileTest, StatusFlags) {
  const int fd = Open("/", O_TMPFILE | O_RDWR | O_APPEND, 0600);
  EXPECT_EQ(sys.GetFlags(fd), O_TMPFILE | O_RDWR | O_APPEND);
}

TEST_P(TmpfileTest, ReadOnlyFilesystem) {
  MakeDir("/d");
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.Open("/d", O_TMPFILE | O_RDWR, 0600), IsErrno(EROFS));
}

STASIS_POSIX_SUITE(TmpfileTest);

class TmpfileTimesTest : public PosixTest {};

TEST_P(TmpfileTimesTest, OfGettingAName) {
  const int fd = Open("/", O_TMPFILE | O_RDWR, 0600);
  ExpectSetsTimes(fd, kCtime, [&] { return sys.Link(fd, "/name"); });
}

STASIS_POSIX_SUITE(TmpfileTimesTest, kNamelessFilesStay);

class TmpfileLimitTest : public PosixTest {
 protected:
  TmpfileLimitTest() : PosixTest(4 * 4096, 2) {}
};

TEST_P(TmpfileLimitTest, TakesAnInodeAndSpace) {
  const int fd = Open("/", O_TMPFILE | O_RDWR, 0600);
  EXPECT_EQ(sys.StatFs("/")->files_free, 0u);
  EXPECT_THAT(sys.Open("/", O_TMPFILE | O_RDWR, 0600), IsErrno(ENOSPC));
  ASSERT_THAT(sys.Write(fd, std::string(4096, 'x')), IsOk());
  EXPECT_EQ(sys.StatFs("/")->blocks_free, 3u);
  ASSERT_THAT(sys.Close(fd), IsOk());
  WaitForFreeInodes(1);
  EXPECT_EQ(sys.StatFs("/")->blocks_free, 4u);
}

STASIS_POSIX_SUITE(TmpfileLimitTest, kNamelessFilesStay);

}  // namespace
}  // namespace stasis::posix
