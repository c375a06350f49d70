// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class RmdirTest : public PosixTest {};

TEST_P(RmdirTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Rmdir(path); });
}

TEST_P(RmdirTest, Removes) {
  MakeDir("/d");
  MakeDir("/e");
  EXPECT_THAT(sys.Rmdir("/d"), IsOk());
  EXPECT_THAT(sys.Rmdir("/e//"), IsOk());
  EXPECT_THAT(List("/"), ::testing::IsEmpty());
  EXPECT_THAT(sys.Rmdir("/d"), IsErrno(ENOENT));
}

TEST_P(RmdirTest, NotEmpty) {
  MakeDir("/d");
  Put("/d/f");
  EXPECT_THAT(sys.Rmdir("/d"), IsErrno(ENOTEMPTY));
  ASSERT_THAT(sys.Unlink("/d/f"), IsOk());
  EXPECT_THAT(sys.Rmdir("/d"), IsOk());
}

TEST_P(RmdirTest, NotADirectory) {
  Put("/f");
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink("d", "/link"), IsOk());
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  for (const char* path : {"/f", "/f/", "/link", "/link/", "/fifo"})
    EXPECT_THAT(sys.Rmdir(path), IsErrno(ENOTDIR)) << path;
}

TEST_P(RmdirTest, DotsAndTheRoot) {
  MakeDir("/d");
  MakeDir("/d/e");
  EXPECT_THAT(sys.Rmdir("/d/e/."), IsErrno(EINVAL));
  EXPECT_THAT(sys.Rmdir("/d/e/.."), IsErrno(ENOTEMPTY));
  EXPECT_THAT(sys.Rmdir("/d/e/./"), IsErrno(EINVAL));
  EXPECT_THAT(sys.Rmdir("/"), IsErrno(EBUSY));
  EXPECT_THAT(sys.Rmdir("."), IsErrno(EINVAL));
  EXPECT_THAT(sys.Rmdir(".."), IsErrno(ENOTEMPTY));
}

TEST_P(RmdirTest, MountPointIsBusy) {
  MakeDir("/m");
  ASSERT_THAT(sys.MountAnother("/m"), IsOk());
  EXPECT_THAT(sys.Rmdir("/m"), IsErrno(EBUSY));
}

TEST_P(RmdirTest, NeedsWriteAndSearchOfTheParent) {
  MakeDir("/d", 0755);
  MakeDir("/d/e", 0777);
  MakeDir("/no_search", 0766);
  MakeDir("/no_search/e", 0777);
  Become(kAlice);
  EXPECT_THAT(sys.Rmdir("/d/e"), IsErrno(EACCES));
  EXPECT_THAT(sys.Rmdir("/no_search/e"), IsErrno(EACCES));
  EXPECT_THAT(sys.Rmdir("/d/missing"), IsErrno(ENOENT));
}

TEST_P(RmdirTest, StickyParent) {
  MakeDir("/tmp", 01777);
  MakeDir("/tmp/alices");
  MakeDir("/tmp/bobs");
  GiveTo(kAlice, "/tmp/alices");
  GiveTo(kBob, "/tmp/bobs");
  Become(kAlice);
  EXPECT_THAT(sys.Rmdir("/tmp/bobs"), IsErrno(EPERM));
  EXPECT_THAT(sys.Rmdir("/tmp/alices"), IsOk());
  BecomeRoot();
  GiveTo(kAlice, "/tmp");
  Become(kAlice);
  EXPECT_THAT(sys.Rmdir("/tmp/bobs"), IsOk()) << "the directory is hers";
}

TEST_P(RmdirTest, LinksAndSizes) {
  MakeDir("/d");
  MakeDir("/d/e");
  const int fd = Open("/d/e", O_RDONLY | O_DIRECTORY);
  ASSERT_THAT(sys.Rmdir("/d/e"), IsOk());
  EXPECT_EQ(StatOf("/d").nlink, 2u);
  EXPECT_EQ(StatOf("/d").size, 40u);
  EXPECT_EQ(StatOf(fd).nlink, 0u);
}

TEST_P(RmdirTest, Times) {
  MakeDir("/d");
  const int fd = Open("/d", O_RDONLY | O_DIRECTORY);
  const vfs::Stat before = StatOf(fd);
  ExpectSetsTimes("/", kMtime | kCtime, [this] { return sys.Rmdir("/d"); });
  const vfs::Stat after = StatOf(fd);
  EXPECT_GT(after.ctime, before.ctime);
  EXPECT_EQ(after.atime, before.atime);
}

TEST_P(RmdirTest, RemovedDirectoryInUse) {
  MakeDir("/d");
  ASSERT_THAT(sys.Chdir("/d"), IsOk());
  const int fd = Open(".", O_RDONLY | O_DIRECTORY);
  ASSERT_THAT(sys.Rmdir("/d"), IsOk());
  EXPECT_THAT(sys.Open("f", O_CREAT | O_WRONLY, 0644), IsErrno(ENOENT));
  EXPECT_THAT(sys.Mkdir({fd, "e"}, 0755), IsErrno(ENOENT));
  EXPECT_THAT(sys.GetDents(fd), IsErrno(ENOENT));
  EXPECT_THAT(sys.Stat("."), IsOk());
  EXPECT_THAT(sys.Stat(".."), IsOk());
  EXPECT_EQ(StatOf("..").ino, StatOf("/").ino);
  MakeDir("/d");
  EXPECT_NE(StatOf("/d").ino, StatOf(".").ino) << "another of the same name";
  EXPECT_THAT(sys.Rmdir("../d"), IsOk());
}

TEST_P(RmdirTest, ReadOnlyFilesystem) {
  MakeDir("/d");
  Put("/d/f");
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.Rmdir("/d"), IsErrno(EROFS)) << "comes before ENOTEMPTY";
  EXPECT_THAT(sys.Rmdir("/missing"), IsErrno(EROFS)) << "and before ENOENT";
}

STASIS_POSIX_SUITE(RmdirTest);

}  // namespace
}  // namespace stasis::posix
