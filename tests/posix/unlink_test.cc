// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class UnlinkTest : public PosixTest {};

TEST_P(UnlinkTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Unlink(path); });
}

TEST_P(UnlinkTest, RemovesEveryKindButDirectories) {
  Put("/file");
  ASSERT_THAT(sys.Symlink("file", "/link"), IsOk());
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  ASSERT_THAT(sys.Mknod("/socket", S_IFSOCK | 0644), IsOk());
  std::vector<std::string> paths = {"/link", "/file", "/fifo", "/socket"};
  if (Has(kWhiteouts)) {
    ASSERT_THAT(sys.Mknod("/device", S_IFCHR | 0644, 0), IsOk());
    paths.emplace_back("/device");
  }
  for (const std::string& path : paths) {
    EXPECT_THAT(sys.Unlink(path), IsOk()) << path;
    EXPECT_THAT(sys.LStat(path), IsErrno(ENOENT)) << path;
  }
}

TEST_P(UnlinkTest, OfALinkLeavesTheTarget) {
  Put("/file", "content");
  ASSERT_THAT(sys.Symlink("file", "/link"), IsOk());
  ASSERT_THAT(sys.Unlink("/link"), IsOk());
  EXPECT_EQ(Get("/file"), "content");
}

TEST_P(UnlinkTest, OfADirectory) {
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink("d", "/link"), IsOk());
  EXPECT_THAT(sys.Unlink("/d"), IsErrno(EISDIR));
  EXPECT_THAT(sys.Unlink("/d/"), IsErrno(EISDIR));
  EXPECT_THAT(sys.Unlink("/d/."), IsErrno(EISDIR));
  EXPECT_THAT(sys.Unlink("/d/.."), IsErrno(EISDIR));
  EXPECT_THAT(sys.Unlink("/"), IsErrno(EISDIR));
  EXPECT_THAT(sys.Unlink("/link/"), IsErrno(ENOTDIR)) << "the link is not followed";
}

TEST_P(UnlinkTest, SlashAfterTheName) {
  Put("/f");
  EXPECT_THAT(sys.Unlink("/f/"), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Unlink("/missing"), IsErrno(ENOENT));
  EXPECT_THAT(sys.Unlink("/missing/"), IsErrno(ENOENT));
}

TEST_P(UnlinkTest, NeedsWriteAndSearchOfTheParent) {
  MakeDir("/d", 0755);
  Put("/d/f", "", 0666);
  MakeDir("/no_search", 0766);
  Put("/no_search/f", "", 0666);
  Put("/f");
  GiveTo(kAlice, "/f");
  Become(kAlice);
  EXPECT_THAT(sys.Unlink("/d/f"), IsErrno(EACCES));
  EXPECT_THAT(sys.Unlink("/no_search/f"), IsErrno(EACCES));
  EXPECT_THAT(sys.Unlink("/f"), IsErrno(EACCES)) << "hers, but not in her directory";
  EXPECT_THAT(sys.Unlink("/d/missing"), IsErrno(ENOENT));
}

TEST_P(UnlinkTest, NeedsNothingOfTheFile) {
  MakeDir("/d", 0777);
  Put("/d/f", "", 0);
  Become(kAlice);
  EXPECT_THAT(sys.Unlink("/d/f"), IsOk());
}

TEST_P(UnlinkTest, StickyParent) {
  MakeDir("/tmp", 01777);
  for (const char* name : {"/tmp/alices", "/tmp/bobs", "/tmp/bobs2"}) Put(name, "", 0666);
  GiveTo(kAlice, "/tmp/alices");
  GiveTo(kBob, "/tmp/bobs");
  GiveTo(kBob, "/tmp/bobs2");
  Become(kAlice);
  EXPECT_THAT(sys.Unlink("/tmp/bobs"), IsErrno(EPERM));
  EXPECT_THAT(sys.Unlink("/tmp/alices"), IsOk());
  BecomeRoot();
  EXPECT_THAT(sys.Unlink("/tmp/bobs2"), IsOk()) << "CAP_FOWNER";
  GiveTo(kAlice, "/tmp");
  Become(kAlice);
  EXPECT_THAT(sys.Unlink("/tmp/bobs"), IsOk()) << "the directory is hers";
}

TEST_P(UnlinkTest, LinksAndSizes) {
  Put("/a");
  ASSERT_THAT(sys.Link("/a", "/b"), IsOk());
  EXPECT_EQ(StatOf("/").size, 80u);
  ASSERT_THAT(sys.Unlink("/a"), IsOk());
  EXPECT_EQ(StatOf("/").size, 60u);
  EXPECT_EQ(StatOf("/").nlink, RootLinks(2));
  EXPECT_EQ(StatOf("/b").nlink, 1u);
}

TEST_P(UnlinkTest, Times) {
  Put("/a");
  Put("/c");
  ASSERT_THAT(sys.Link("/a", "/b"), IsOk());
  ExpectSetsTimes("/b", kCtime, [this] { return sys.Unlink("/a"); });
  ExpectSetsTimes("/", kMtime | kCtime, [this] { return sys.Unlink("/c"); });
}

TEST_P(UnlinkTest, OpenFileLivesOn) {
  Put("/f", "content");
  const int fd = Open("/f", O_RDWR);
  ASSERT_THAT(sys.Unlink("/f"), IsOk());
  EXPECT_EQ(StatOf(fd).nlink, 0u);
  EXPECT_EQ(StatOf(fd).size, 7u);
  EXPECT_EQ(sys.PRead(fd, 0, 100), "content");
  EXPECT_THAT(sys.PWrite(fd, 7, " and more"), IsOk());
  EXPECT_EQ(sys.PRead(fd, 0, 100), "content and more");
  EXPECT_THAT(sys.FTruncate(fd, 3), IsOk());
  EXPECT_THAT(sys.Chmod(fd, 0600), IsOk());
  EXPECT_EQ(ModeOf(fd), 0600u);
  Put("/f", "another");
  EXPECT_NE(StatOf("/f").ino, StatOf(fd).ino);
  EXPECT_EQ(sys.PRead(fd, 0, 100), "con");
  EXPECT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Get("/f"), "another");
}

TEST_P(UnlinkTest, OpenFileCannotBeLinkedAgain) {
  Put("/f");
  const int fd = Open("/f", O_RDWR);
  ASSERT_THAT(sys.Unlink("/f"), IsOk());
  EXPECT_THAT(sys.Link(fd, "/g"), IsErrno(ENOENT));
}

TEST_P(UnlinkTest, RelativeToADescriptor) {
  MakeDir("/d");
  Put("/d/f");
  const int dir = Open("/d", O_PATH);
  EXPECT_THAT(sys.Unlink({dir, "f"}), IsOk());
  EXPECT_THAT(sys.Unlink({dir, ""}), IsErrno(ENOENT));
  EXPECT_THAT(sys.Unlink({99, "f"}), IsErrno(EBADF));
}

TEST_P(UnlinkTest, ReadOnlyFilesystem) {
  Put("/f");
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.Unlink("/f"), IsErrno(EROFS));
  EXPECT_THAT(sys.Unlink("/missing"), IsErrno(EROFS)) << "comes before ENOENT";
}

STASIS_POSIX_SUITE(UnlinkTest);

class UnlinkLimitTest : public PosixTest {
 protected:
  UnlinkLimitTest() : PosixTest(8 * 4096, 3) {}
};

TEST_P(UnlinkLimitTest, SpaceComesBackWithTheLastHolder) {
  Put("/f", std::string(8 * 4096, 'x'));
  const int fd = Open("/f", O_RDWR);
  ASSERT_THAT(sys.Unlink("/f"), IsOk());
  EXPECT_EQ(sys.StatFs("/")->blocks_free, 0u);
  EXPECT_EQ(sys.StatFs("/")->files_free, 1u);
  ASSERT_THAT(sys.Close(fd), IsOk());
  WaitForFreeInodes(2);
  EXPECT_EQ(sys.StatFs("/")->blocks_free, 8u);
}

STASIS_POSIX_SUITE(UnlinkLimitTest, kNamelessFilesStay);

}  // namespace
}  // namespace stasis::posix
