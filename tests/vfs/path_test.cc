// SPDX-License-Identifier: Apache-2.0
//
// Path walks: links, dots, slashes, search permission, roots and mounts.

#include "tests/testing/memfs_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;

class PathTest : public MemfsTest {
 protected:
  void SetUp() override {
    ASSERT_THAT(Mkdir("/a"), IsOk());
    ASSERT_THAT(Mkdir("/a/b"), IsOk());
    ASSERT_THAT(Put("/a/b/f", "content"), IsOk());
  }
  // Whether both paths lead to one file.
  ::testing::AssertionResult Same(std::string_view left, std::string_view right) {
    const auto a = Stat(left);
    if (!a) return ::testing::AssertionFailure() << left << ": " << a.error();
    const auto b = Stat(right);
    if (!b) return ::testing::AssertionFailure() << right << ": " << b.error();
    if (a->dev == b->dev && a->ino == b->ino) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << left << " is not " << right;
  }
  void Enter(std::string_view path) {
    const auto at = Lookup(path);
    ASSERT_THAT(at, IsOk());
    cwd = *at;
  }
};

TEST_F(PathTest, RelativeLinkStartsAtItsOwnDirectory) {
  ASSERT_THAT(Symlink("f", "/a/b/link"), IsOk());
  ASSERT_THAT(Symlink("../b", "/a/b/up"), IsOk());
  EXPECT_TRUE(Same("/a/b/link", "/a/b/f"));
  EXPECT_TRUE(Same("/a/b/up/up/f", "/a/b/f"));
}

TEST_F(PathTest, AbsoluteLinkStartsAtTheRoot) {
  ASSERT_THAT(Symlink("/a/b", "/a/b/link"), IsOk());
  EXPECT_TRUE(Same("/a/b/link/f", "/a/b/f"));
  ASSERT_THAT(Symlink("/", "/a/b/top"), IsOk());
  EXPECT_TRUE(Same("/a/b/top", "/"));
}

TEST_F(PathTest, FinalLinkIsFollowedIfAskedForOrIfASlashComesAfterIt) {
  ASSERT_THAT(Symlink("a/b", "/link"), IsOk());
  EXPECT_TRUE(S_ISLNK(LStat("/link")->mode));
  EXPECT_TRUE(S_ISDIR(Stat("/link")->mode));
  EXPECT_TRUE(S_ISDIR(LStat("/link/")->mode));
}

TEST_F(PathTest, FortyLinksAreFollowedAndNoMore) {
  ASSERT_THAT(Symlink("/a/b/f", "/l1"), IsOk());
  for (int i = 2; i <= 41; ++i)
    ASSERT_THAT(Symlink("l" + std::to_string(i - 1), "/l" + std::to_string(i)), IsOk());
  EXPECT_TRUE(Same("/l40", "/a/b/f"));
  EXPECT_THAT(Stat("/l41"), IsErrno(ELOOP));
}

TEST_F(PathTest, LoopOfLinksIsELOOP) {
  ASSERT_THAT(Symlink("two", "/one"), IsOk());
  ASSERT_THAT(Symlink("/one", "/two"), IsOk());
  EXPECT_THAT(Stat("/one"), IsErrno(ELOOP));
  EXPECT_THAT(Stat("/one/x"), IsErrno(ELOOP));
  EXPECT_THAT(Open("/two", O_RDONLY), IsErrno(ELOOP));
  EXPECT_THAT(LStat("/one"), IsOk());
}

TEST_F(PathTest, DanglingLinkIsENOENT) {
  ASSERT_THAT(Symlink("nowhere", "/link"), IsOk());
  EXPECT_THAT(Stat("/link"), IsErrno(ENOENT));
  EXPECT_THAT(Stat("/link/x"), IsErrno(ENOENT));
  EXPECT_THAT(LStat("/link"), IsOk());
}

TEST_F(PathTest, DotDotGoesUpAndStopsAtTheRoot) {
  EXPECT_TRUE(Same("/a/b/..", "/a"));
  EXPECT_TRUE(Same("/a/b/../../a/b/f", "/a/b/f"));
  EXPECT_TRUE(Same("/../..", "/"));
  Enter("/a/b");
  EXPECT_TRUE(Same("../../../..", "/"));
}

TEST_F(PathTest, DotDotIsNotTakenOutOfTheText) {
  EXPECT_THAT(Stat("/missing/.."), IsErrno(ENOENT));
  EXPECT_THAT(Stat("/a/b/f/.."), IsErrno(ENOTDIR));
  ASSERT_THAT(Symlink("a/b", "/link"), IsOk());
  EXPECT_TRUE(Same("/link/..", "/a"));
}

TEST_F(PathTest, WalkDoesNotLeaveTheRootOfTheOperation) {
  ASSERT_THAT(Symlink("/b/f", "/a/absolute"), IsOk());
  ASSERT_THAT(Symlink("../../../b", "/a/above"), IsOk());
  root = *Lookup("/a");
  cwd = root;
  EXPECT_TRUE(Same("/..", "/"));
  EXPECT_TRUE(Same("../../b/f", "/b/f"));
  EXPECT_TRUE(Same("absolute", "/b/f"));
  EXPECT_TRUE(Same("above/f", "/b/f"));
  EXPECT_THAT(Stat("/a"), IsErrno(ENOENT));
}

TEST_F(PathTest, TrailingSlashAsksForADirectory) {
  EXPECT_TRUE(Same("/a/b///", "/a/b"));
  EXPECT_THAT(Stat("/a/b/f/"), IsErrno(ENOTDIR));
  EXPECT_THAT(Open("/a/b/f/", O_RDONLY), IsErrno(ENOTDIR));
  EXPECT_THAT(Stat("/a/b/f/."), IsErrno(ENOTDIR));
}

TEST_F(PathTest, DotsAndRepeatedSlashesAreNothing) {
  EXPECT_TRUE(Same("//a/./b/././/f", "/a/b/f"));
  EXPECT_TRUE(Same("/a/b/.", "/a/b"));
  Enter("/a");
  EXPECT_TRUE(Same(".", "/a"));
  EXPECT_TRUE(Same("./b/f", "/a/b/f"));
}

TEST_F(PathTest, EmptyPathIsTheStartForThoseThatLookAndENOENTForThoseThatMake) {
  Enter("/a/b");
  EXPECT_TRUE(Same("", "/a/b"));
  EXPECT_THAT(Mkdir(""), IsErrno(ENOENT));
  EXPECT_THAT(Mknod("", S_IFREG), IsErrno(ENOENT));
  EXPECT_THAT(Symlink("x", ""), IsErrno(ENOENT));
  EXPECT_THAT(Link("f", ""), IsErrno(ENOENT));
  EXPECT_THAT(Unlink(""), IsErrno(ENOENT));
  EXPECT_THAT(Rmdir(""), IsErrno(ENOENT));
  EXPECT_THAT(Rename("", "x"), IsErrno(ENOENT));
  EXPECT_THAT(Rename("f", ""), IsErrno(ENOENT));
}

TEST_F(PathTest, NameOver255BytesIsENAMETOOLONG) {
  const std::string name = "/a/" + std::string(256, 'x');
  EXPECT_THAT(Stat(name), IsErrno(ENAMETOOLONG));
  EXPECT_THAT(Stat(name + "/y"), IsErrno(ENAMETOOLONG));
  EXPECT_THAT(Create(name), IsErrno(ENAMETOOLONG));
  EXPECT_THAT(Mkdir(name), IsErrno(ENAMETOOLONG));
  EXPECT_THAT(Mknod(name, S_IFREG), IsErrno(ENAMETOOLONG));
  EXPECT_THAT(Symlink("x", name), IsErrno(ENAMETOOLONG));
  EXPECT_THAT(Link("/a/b/f", name), IsErrno(ENAMETOOLONG));
  EXPECT_THAT(Unlink(name), IsErrno(ENAMETOOLONG));
  EXPECT_THAT(Rmdir(name), IsErrno(ENAMETOOLONG));
  EXPECT_THAT(Rename(name, "/x"), IsErrno(ENAMETOOLONG));
  EXPECT_THAT(Rename("/a/b/f", name), IsErrno(ENAMETOOLONG));
}

TEST_F(PathTest, FileInTheMiddleIsENOTDIR) {
  EXPECT_THAT(Stat("/a/b/f/x"), IsErrno(ENOTDIR));
  EXPECT_THAT(Mkdir("/a/b/f/x"), IsErrno(ENOTDIR));
  EXPECT_THAT(Create("/a/b/f/x"), IsErrno(ENOTDIR));
  EXPECT_THAT(Unlink("/a/b/f/x"), IsErrno(ENOTDIR));
  EXPECT_THAT(Rename("/a/b/f/x", "/x"), IsErrno(ENOTDIR));
}

TEST_F(PathTest, EveryDirectoryOnTheWayMustBeSearchable) {
  ASSERT_THAT(Chmod("/a", 0744), IsOk());
  creds = Credentials::User(1000, 1000);
  EXPECT_THAT(Stat("/a"), IsOk());
  EXPECT_THAT(List("/a"), IsOk());
  EXPECT_THAT(Stat("/a/b"), IsErrno(EACCES));
  EXPECT_THAT(Stat("/a/missing"), IsErrno(EACCES));
  EXPECT_THAT(Stat("/a/."), IsErrno(EACCES));
  EXPECT_THAT(Open("/a/b/f", O_RDONLY), IsErrno(EACCES));
  creds = Credentials::Root();
  ASSERT_THAT(Chmod("/a", 0711), IsOk());
  creds = Credentials::User(1000, 1000);
  EXPECT_THAT(Stat("/a/b/f"), IsOk());
  EXPECT_THAT(List("/a"), IsErrno(EACCES));
}

TEST_F(PathTest, SearchPermissionIsThatOfTheFirstClassThatFits) {
  ASSERT_THAT(Chmod("/a", 0071), IsOk());
  ASSERT_THAT(Chown("/a", 1000, 2000), IsOk());
  creds = Credentials::User(1000, 2000);
  EXPECT_THAT(Stat("/a/b"), IsErrno(EACCES));
  creds = {1001, 1001, {2000}, 0};
  EXPECT_THAT(Stat("/a/b"), IsOk());
  creds = Credentials::User(1001, 1001);
  EXPECT_THAT(Stat("/a/b"), IsOk());
}

TEST_F(PathTest, DotDotNeedsSearchPermissionOnWhereItStarts) {
  Enter("/a/b");
  ASSERT_THAT(Chmod("/a/b", 0700), IsOk());
  creds = Credentials::User(1000, 1000);
  EXPECT_THAT(Stat(".."), IsErrno(EACCES));
}

TEST_F(PathTest, MountHidesWhatIsBelowAndDotDotLeavesIt) {
  ASSERT_THAT(Mount("/a/b"), IsOk());
  EXPECT_THAT(Stat("/a/b/f"), IsErrno(ENOENT));
  ASSERT_THAT(Put("/a/b/g", "in the mount"), IsOk());
  EXPECT_NE(Stat("/a/b")->dev, Stat("/a")->dev);
  EXPECT_TRUE(Same("/a/b/..", "/a"));
  EXPECT_TRUE(Same("/a/b/../b/g", "/a/b/g"));
  Enter("/a/b");
  EXPECT_TRUE(Same("..", "/a"));
  cwd = root;
  ASSERT_THAT(Umount("/a/b"), IsOk());
  EXPECT_THAT(Stat("/a/b/g"), IsErrno(ENOENT));
  EXPECT_EQ(*Get("/a/b/f"), "content");
}

TEST_F(PathTest, MountOnAMountCoversIt) {
  ASSERT_THAT(Mount("/a/b"), IsOk());
  ASSERT_THAT(Put("/a/b/lower", ""), IsOk());
  ASSERT_THAT(Mount("/a/b"), IsOk());
  ASSERT_THAT(Put("/a/b/upper", ""), IsOk());
  EXPECT_THAT(Stat("/a/b/lower"), IsErrno(ENOENT));
  EXPECT_TRUE(Same("/a/b/..", "/a"));
  ASSERT_THAT(Umount("/a/b"), IsOk());
  EXPECT_THAT(Stat("/a/b/lower"), IsOk());
  EXPECT_THAT(Stat("/a/b/upper"), IsErrno(ENOENT));
}

TEST_F(PathTest, DotDotComesBackIntoWhatIsMountedOnTheParent) {
  Enter("/a/b");
  ASSERT_THAT(Mount("/a"), IsOk());
  ASSERT_THAT(Put("/a/new", ""), IsOk());
  EXPECT_TRUE(Same("../new", "/a/new"));
}

TEST_F(PathTest, RootOfTheOperationMayBeAMount) {
  ASSERT_THAT(Mount("/a/b"), IsOk());
  ASSERT_THAT(Mkdir("/a/b/c"), IsOk());
  root = *Lookup("/a/b");
  cwd = *Lookup("/c");
  EXPECT_TRUE(Same("../..", "/"));
  EXPECT_THAT(Stat("/a"), IsErrno(ENOENT));
}

TEST_F(PathTest, LinkInAMountStartsAtTheRootOfTheOperation) {
  ASSERT_THAT(Mkdir("/m"), IsOk());
  ASSERT_THAT(Mount("/m"), IsOk());
  ASSERT_THAT(Symlink("/a/b/f", "/m/absolute"), IsOk());
  ASSERT_THAT(Symlink("../a/b/f", "/m/relative"), IsOk());
  EXPECT_TRUE(Same("/m/absolute", "/a/b/f"));
  EXPECT_TRUE(Same("/m/relative", "/a/b/f"));
}

TEST_F(PathTest, BoundDirectoryHasTheParentOfItsMountPoint) {
  ASSERT_THAT(Mkdir("/m"), IsOk());
  ASSERT_THAT(Bind("/a", "/m"), IsOk());
  EXPECT_TRUE(Same("/m/b/f", "/a/b/f"));
  EXPECT_TRUE(Same("/m/b/..", "/a"));
  EXPECT_TRUE(Same("/m/..", "/"));
}

TEST_F(PathTest, DirectoryMovedOutOfABoundTreeLeadsNowhereUp) {
  ASSERT_THAT(Mkdir("/m"), IsOk());
  ASSERT_THAT(Bind("/a", "/m"), IsOk());
  Enter("/m/b");
  ASSERT_THAT(Rename("/a/b", "/outside"), IsOk());
  EXPECT_THAT(Stat("f"), IsOk());
  EXPECT_THAT(Stat(".."), IsErrno(ENOENT));
}

TEST_F(PathTest, FileMayBeBoundOnAFile) {
  ASSERT_THAT(Put("/g", "covered"), IsOk());
  ASSERT_THAT(Bind("/a/b/f", "/g"), IsOk());
  EXPECT_EQ(*Get("/g"), "content");
  EXPECT_THAT(Stat("/g/.."), IsErrno(ENOTDIR));
}

}  // namespace
}  // namespace stasis::vfs
