// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

// close(2), dup(2), and what descriptors share.
class DescriptorTest : public PosixTest {};

TEST_P(DescriptorTest, NumbersAreTheLowest) {
  Put("/f");
  const int a = Open("/f", O_RDONLY);
  const int b = Open("/f", O_RDONLY);
  const int c = sys.Dup(a).value();
  EXPECT_LT(a, b);
  EXPECT_LT(b, c);
  ASSERT_THAT(sys.Close(a), IsOk());
  EXPECT_EQ(Open("/f", O_RDONLY), a);
  ASSERT_THAT(sys.Close(b), IsOk());
  EXPECT_EQ(sys.Dup(c), b);
}

TEST_P(DescriptorTest, BadDescriptors) {
  for (const int fd : {-1, 99}) {
    EXPECT_THAT(sys.Close(fd), IsErrno(EBADF));
    EXPECT_THAT(sys.Dup(fd), IsErrno(EBADF));
    EXPECT_THAT(sys.GetFlags(fd), IsErrno(EBADF));
    EXPECT_THAT(sys.SetFlags(fd, 0), IsErrno(EBADF));
    EXPECT_THAT(sys.Read(fd, 1), IsErrno(EBADF));
    EXPECT_THAT(sys.Write(fd, "x"), IsErrno(EBADF));
    EXPECT_THAT(sys.PRead(fd, 0, 1), IsErrno(EBADF));
    EXPECT_THAT(sys.PWrite(fd, 0, "x"), IsErrno(EBADF));
    EXPECT_THAT(sys.Seek(fd, 0, SEEK_SET), IsErrno(EBADF));
    EXPECT_THAT(sys.Fsync(fd), IsErrno(EBADF));
    EXPECT_THAT(sys.FTruncate(fd, 0), IsErrno(EBADF));
    EXPECT_THAT(sys.Fallocate(fd, 0, 0, 1), IsErrno(EBADF));
    EXPECT_THAT(sys.CopyFileRange(fd, 0, fd, 0, 1), IsErrno(EBADF));
    EXPECT_THAT(sys.GetDents(fd), IsErrno(EBADF));
    EXPECT_THAT(sys.Stat(fd), IsErrno(EBADF));
    EXPECT_THAT(sys.Chmod(fd, 0), IsErrno(EBADF));
    EXPECT_THAT(sys.Chown(fd, 0, 0), IsErrno(EBADF));
    EXPECT_THAT(sys.UTimens(fd, SetTime{.now = true}, {}), IsErrno(EBADF));
    EXPECT_THAT(sys.StatFs(fd), IsErrno(EBADF));
    EXPECT_THAT(sys.Chdir(fd), IsErrno(EBADF));
    EXPECT_THAT(sys.GetXattr(fd, "user.x"), IsErrno(EBADF));
    EXPECT_THAT(sys.SetXattr(fd, "user.x", "y"), IsErrno(EBADF));
    EXPECT_THAT(sys.ListXattr(fd), IsErrno(EBADF));
    EXPECT_THAT(sys.RemoveXattr(fd, "user.x"), IsErrno(EBADF));
  }
}

TEST_P(DescriptorTest, ClosedTwice) {
  Put("/f");
  const int fd = Open("/f", O_RDONLY);
  EXPECT_THAT(sys.Close(fd), IsOk());
  EXPECT_THAT(sys.Close(fd), IsErrno(EBADF));
  EXPECT_THAT(sys.Read(fd, 1), IsErrno(EBADF));
}

TEST_P(DescriptorTest, DuplicatesShareOffsetAndFlags) {
  Put("/f", "abcdef");
  const int a = Open("/f", O_RDWR);
  const int b = sys.Dup(a).value();
  EXPECT_EQ(sys.Read(a, 2), "ab");
  EXPECT_EQ(sys.Read(b, 2), "cd");
  ASSERT_THAT(sys.Seek(b, 1, SEEK_SET), IsOk());
  EXPECT_EQ(sys.Read(a, 2), "bc");
  ASSERT_THAT(sys.SetFlags(b, O_APPEND), IsOk());
  EXPECT_EQ(sys.GetFlags(a), O_RDWR | O_APPEND);
  ASSERT_THAT(sys.Close(a), IsOk());
  EXPECT_EQ(sys.Read(b, 100), "def");
}

TEST_P(DescriptorTest, OpenedTwiceShareNothingButTheFile) {
  Put("/f", "abcdef");
  const int a = Open("/f", O_RDWR);
  const int b = Open("/f", O_RDWR);
  EXPECT_EQ(sys.Read(a, 2), "ab");
  EXPECT_EQ(sys.Read(b, 2), "ab");
  EXPECT_THAT(sys.Write(b, "XY"), IsOk());
  EXPECT_EQ(sys.Read(a, 100), "XYef");
}

TEST_P(DescriptorTest, FollowsRenamesAndRemovals) {
  MakeDir("/d");
  Put("/d/f", "one");
  const int fd = Open("/d/f", O_RDWR);
  ASSERT_THAT(sys.Rename("/d/f", "/g"), IsOk());
  ASSERT_THAT(sys.Rmdir("/d"), IsOk());
  EXPECT_THAT(sys.PWrite(fd, 0, "two"), IsOk());
  EXPECT_EQ(Get("/g"), "two");
  ASSERT_THAT(sys.Unlink("/g"), IsOk());
  EXPECT_EQ(sys.PRead(fd, 0, 100), "two");
}

STASIS_POSIX_SUITE(DescriptorTest);

class WorkingDirectoryTest : public PosixTest {};

TEST_P(WorkingDirectoryTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Chdir(path); });
}

TEST_P(WorkingDirectoryTest, OnlyDirectories) {
  Put("/f");
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink("d", "/link"), IsOk());
  EXPECT_THAT(sys.Chdir("/f"), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Chdir("/missing"), IsErrno(ENOENT));
  EXPECT_THAT(sys.Chdir("/link"), IsOk());
  EXPECT_EQ(StatOf(".").ino, StatOf("/d").ino);
  EXPECT_THAT(sys.Chdir(Open("/f", O_RDONLY)), IsErrno(ENOTDIR));
}

TEST_P(WorkingDirectoryTest, NeedsSearchPermission) {
  MakeDir("/d", 0766);
  const int dir = Open("/d", O_RDONLY | O_DIRECTORY);
  Become(kAlice);
  EXPECT_THAT(sys.Chdir("/d"), IsErrno(EACCES));
  EXPECT_THAT(sys.Chdir(dir), IsErrno(EACCES));
}

TEST_P(WorkingDirectoryTest, GoesWithTheDirectory) {
  MakeDir("/a");
  MakeDir("/b");
  ASSERT_THAT(sys.Chdir("/a"), IsOk());
  ASSERT_THAT(sys.Rename("/a", "/b/c"), IsOk());
  Put("f", "content");
  EXPECT_EQ(Get("/b/c/f"), "content");
  EXPECT_EQ(StatOf("..").ino, StatOf("/b").ino);
}

TEST_P(WorkingDirectoryTest, LosingTheSearchPermission) {
  MakeDir("/d", 0755);
  Put("/d/f");
  ASSERT_THAT(sys.Chdir("/d"), IsOk());
  ASSERT_THAT(sys.Chmod("/d", 0700), IsOk());
  Become(kAlice);
  EXPECT_THAT(sys.Stat("f"), IsErrno(EACCES));
  EXPECT_THAT(sys.Stat("."), IsErrno(EACCES));
  EXPECT_THAT(sys.Stat("/"), IsOk());
}

TEST_P(WorkingDirectoryTest, DeeperThanAPathIsLong) {
  constexpr int kDepth = 20;
  for (int i = 0; i < kDepth; ++i) {
    MakeDir(LongestName());
    ASSERT_THAT(sys.Chdir(LongestName()), IsOk());
  }
  Put("f", "content");
  EXPECT_EQ(Get("./f"), "content");
  std::string up = "f";
  for (int i = 0; i < kDepth; ++i) up = "../" + up;
  EXPECT_THAT(sys.Stat(up), IsErrno(ENOENT));
  EXPECT_THAT(sys.Rename("f", up), IsOk());
  EXPECT_EQ(Get("/f"), "content");
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_THAT(sys.Chdir(".."), IsOk());
    EXPECT_THAT(sys.Rmdir(LongestName()), IsOk());
  }
  EXPECT_EQ(StatOf(".").ino, StatOf("/").ino);
}

STASIS_POSIX_SUITE(WorkingDirectoryTest);

}  // namespace
}  // namespace stasis::posix
