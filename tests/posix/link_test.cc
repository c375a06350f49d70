// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class LinkTest : public PosixTest {};

TEST_P(LinkTest, WalkErrorsOfTheOldPath) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Link(path, "/new"); });
}

TEST_P(LinkTest, WalkErrorsOfTheNewPath) {
  Put("/old");
  ExpectWalkErrors([this](const std::string& path) { return sys.Link("/old", path); });
}

TEST_P(LinkTest, FollowErrors) {
  int n = 0;
  ExpectFollowErrors([&](const std::string& path) {
    return sys.Link(path, "/new" + std::to_string(++n), AT_SYMLINK_FOLLOW);
  });
}

TEST_P(LinkTest, IsTheSameFile) {
  Put("/a", "one");
  ASSERT_THAT(sys.Link("/a", "/b"), IsOk());
  EXPECT_EQ(StatOf("/a").ino, StatOf("/b").ino);
  EXPECT_EQ(StatOf("/a").nlink, 2u);
  Put("/b", "two");
  EXPECT_EQ(Get("/a"), "two");
  ASSERT_THAT(sys.Chmod("/a", 0600), IsOk());
  EXPECT_EQ(ModeOf("/b"), 0600u);
}

TEST_P(LinkTest, ExistingNewName) {
  Put("/a");
  Put("/b");
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink("missing", "/dangling"), IsOk());
  for (const char* path : {"/a", "/b", "/d", "/d/", "/dangling", "/", "/d/.", "/d/.."})
    EXPECT_THAT(sys.Link("/a", path), IsErrno(EEXIST)) << path;
}

TEST_P(LinkTest, SlashAfterTheNewName) {
  Put("/a");
  EXPECT_THAT(sys.Link("/a", "/b/"), IsErrno(ENOENT));
  EXPECT_THAT(sys.Link("/a/", "/b"), IsErrno(ENOTDIR));
}

TEST_P(LinkTest, OfADirectory) {
  MakeDir("/d");
  EXPECT_THAT(sys.Link("/d", "/e"), IsErrno(EPERM));
  EXPECT_THAT(sys.Link("/d", "/d/e"), IsErrno(EPERM));
  EXPECT_THAT(sys.Link("/", "/e"), IsErrno(EPERM));
}

TEST_P(LinkTest, OfASymbolicLink) {
  Put("/f");
  ASSERT_THAT(sys.Symlink("f", "/link"), IsOk());
  ASSERT_THAT(sys.Link("/link", "/link2"), IsOk());
  EXPECT_TRUE(S_ISLNK(StatOf("/link2").mode));
  EXPECT_EQ(StatOf("/link").nlink, 2u);
  ASSERT_THAT(sys.Link("/link", "/f2", AT_SYMLINK_FOLLOW), IsOk());
  EXPECT_EQ(StatOf("/f2").ino, StatOf("/f").ino);
}

TEST_P(LinkTest, OfSpecialFiles) {
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  ASSERT_THAT(sys.Link("/fifo", "/fifo2"), IsOk());
  EXPECT_EQ(StatOf("/fifo2").ino, StatOf("/fifo").ino);
}

TEST_P(LinkTest, NeedsWriteAndSearchOfTheNewParent) {
  Put("/f", "", 0666);
  MakeDir("/d", 0755);
  MakeDir("/no_search", 0766);
  Become(kAlice);
  EXPECT_THAT(sys.Link("/f", "/d/g"), IsErrno(EACCES));
  EXPECT_THAT(sys.Link("/f", "/no_search/g"), IsErrno(EACCES));
}

TEST_P(LinkTest, OnAnotherFilesystem) {
  Put("/f");
  MakeDir("/m");
  ASSERT_THAT(sys.MountAnother("/m"), IsOk());
  EXPECT_THAT(sys.Link("/f", "/m/f"), IsErrno(EXDEV));
  Put("/m/g");
  EXPECT_THAT(sys.Link("/m/g", "/g"), IsErrno(EXDEV));
  EXPECT_THAT(sys.Link("/f", "/m/g"), IsErrno(EEXIST)) << "comes before EXDEV";
  EXPECT_THAT(sys.Link("/m/g", "/m/h"), IsOk());
}

TEST_P(LinkTest, Times) {
  Put("/f");
  ExpectSetsTimes("/f", kCtime, [this] { return sys.Link("/f", "/g"); });
  ExpectSetsTimes("/", kMtime | kCtime, [this] { return sys.Link("/f", "/h"); });
  EXPECT_EQ(StatOf("/").size, 100u);
}

TEST_P(LinkTest, OfAnOpenFile) {
  Put("/f", "content");
  EXPECT_THAT(sys.Link(Open("/f", O_RDONLY), "/g"), IsOk());
  EXPECT_THAT(sys.Link(Open("/f", O_PATH), "/h"), IsOk());
  EXPECT_EQ(StatOf("/f").nlink, 3u);
  EXPECT_THAT(sys.Link(Open("/", O_PATH), "/i"), IsErrno(EPERM));
  EXPECT_THAT(sys.Link(99, "/i"), IsErrno(EBADF));
}

TEST_P(LinkTest, RelativeToDescriptors) {
  MakeDir("/d");
  MakeDir("/e");
  Put("/d/f");
  const int d = Open("/d", O_RDONLY | O_DIRECTORY);
  const int e = Open("/e", O_PATH);
  EXPECT_THAT(sys.Link({d, "f"}, {e, "g"}), IsOk());
  EXPECT_EQ(StatOf("/e/g").ino, StatOf("/d/f").ino);
  EXPECT_THAT(sys.Link({d, "f"}, {e, ""}), IsErrno(ENOENT));
  EXPECT_THAT(sys.Link({99, "f"}, {e, "h"}), IsErrno(EBADF));
  EXPECT_THAT(sys.Link({d, "f"}, {99, "h"}), IsErrno(EBADF));
}

TEST_P(LinkTest, IntoARemovedDirectory) {
  Put("/f");
  MakeDir("/d");
  const int d = Open("/d", O_RDONLY | O_DIRECTORY);
  ASSERT_THAT(sys.Rmdir("/d"), IsOk());
  EXPECT_THAT(sys.Link("/f", {d, "g"}), IsErrno(ENOENT));
}

TEST_P(LinkTest, ReadOnlyFilesystem) {
  Put("/f");
  Put("/g");
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.Link("/f", "/h"), IsErrno(EROFS));
  EXPECT_THAT(sys.Link("/f", "/g"), IsErrno(EEXIST));
}

STASIS_POSIX_SUITE(LinkTest);

class LinkLimitTest : public PosixTest {
 protected:
  LinkLimitTest() : PosixTest(0, 3) {}
};

// tmpfs takes the memory of a directory entry for an inode.
TEST_P(LinkLimitTest, LinksCountAsInodes) {
  Put("/a");
  EXPECT_EQ(sys.StatFs("/")->files_free, 1u);
  EXPECT_THAT(sys.Link("/a", "/b"), IsOk());
  EXPECT_EQ(sys.StatFs("/")->files_free, 0u);
  EXPECT_THAT(sys.Link("/a", "/c"), IsErrno(ENOSPC));
  ASSERT_THAT(sys.Unlink("/a"), IsOk());
  EXPECT_EQ(sys.StatFs("/")->files_free, 1u);
  EXPECT_THAT(sys.Link("/b", "/c"), IsOk());
}

STASIS_POSIX_SUITE(LinkLimitTest);

}  // namespace
}  // namespace stasis::posix
