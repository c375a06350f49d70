// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class RenameTest : public PosixTest {};

TEST_P(RenameTest, WalkErrorsOfTheOldPath) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Rename(path, "/new"); });
}

TEST_P(RenameTest, WalkErrorsOfTheNewPath) {
  Put("/old");
  ExpectWalkErrors([this](const std::string& path) { return sys.Rename("/old", path); });
}

TEST_P(RenameTest, File) {
  Put("/a", "content");
  const uint64_t ino = StatOf("/a").ino;
  MakeDir("/d");
  EXPECT_THAT(sys.Rename("/a", "/b"), IsOk());
  EXPECT_THAT(sys.Rename("/b", "/d/c"), IsOk());
  EXPECT_THAT(List("/"), ::testing::ElementsAre("d"));
  EXPECT_EQ(Get("/d/c"), "content");
  EXPECT_EQ(StatOf("/d/c").ino, ino);
  EXPECT_THAT(sys.Rename("/a", "/x"), IsErrno(ENOENT));
}

TEST_P(RenameTest, OfTheLinkItself) {
  Put("/f", "content");
  ASSERT_THAT(sys.Symlink("f", "/link"), IsOk());
  EXPECT_THAT(sys.Rename("/link", "/link2"), IsOk());
  EXPECT_EQ(sys.ReadLink("/link2"), "f");
  Put("/g", "g");
  EXPECT_THAT(sys.Rename("/g", "/link2"), IsOk()) << "replaces the link, not its target";
  EXPECT_EQ(Get("/f"), "content");
  EXPECT_EQ(Get("/link2"), "g");
}

TEST_P(RenameTest, ReplacesAFile) {
  Put("/a", "a");
  Put("/b", "b");
  ASSERT_THAT(sys.Link("/b", "/b2"), IsOk());
  const int fd = Open("/b", O_RDWR);
  EXPECT_THAT(sys.Rename("/a", "/b"), IsOk());
  EXPECT_EQ(Get("/b"), "a");
  EXPECT_EQ(StatOf("/b2").nlink, 1u);
  EXPECT_EQ(sys.Read(fd, 10), "b") << "open files are not replaced";
  ASSERT_THAT(sys.Unlink("/b2"), IsOk());
  EXPECT_EQ(StatOf(fd).nlink, 0u);
  EXPECT_THAT(sys.Write(fd, "more"), IsOk());
}

TEST_P(RenameTest, LinksOfOneFile) {
  Put("/a");
  ASSERT_THAT(sys.Link("/a", "/b"), IsOk());
  ExpectSetsTimes("/a", kNone, [this] { return sys.Rename("/a", "/b"); });
  EXPECT_THAT(List("/"), ::testing::ElementsAre("a", "b")) << "nothing happens";
  EXPECT_THAT(sys.Rename("/a", "/a"), IsOk());
  EXPECT_THAT(sys.Rename("/a", "/b", RENAME_NOREPLACE), IsErrno(EEXIST));
  EXPECT_THAT(sys.Rename("/a", "/b", RENAME_EXCHANGE), IsOk());
}

TEST_P(RenameTest, Directory) {
  MakeDir("/a");
  MakeDir("/a/sub");
  Put("/a/f", "content");
  MakeDir("/b");
  EXPECT_THAT(sys.Rename("/a", "/b/c"), IsOk());
  EXPECT_EQ(Get("/b/c/f"), "content");
  EXPECT_EQ(StatOf("/b/c/..").ino, StatOf("/b").ino);
  EXPECT_EQ(StatOf("/").nlink, RootLinks(3));
  EXPECT_EQ(StatOf("/b").nlink, 3u);
  EXPECT_EQ(StatOf("/b/c").nlink, 3u);
  EXPECT_EQ(StatOf("/").size, 60u);
  EXPECT_EQ(StatOf("/b").size, 60u);
}

TEST_P(RenameTest, ReplacesAnEmptyDirectory) {
  MakeDir("/a");
  Put("/a/f");
  MakeDir("/b");
  const int old = Open("/b", O_RDONLY | O_DIRECTORY);
  EXPECT_THAT(sys.Rename("/a", "/b"), IsOk());
  EXPECT_THAT(List("/b"), ::testing::ElementsAre("f"));
  EXPECT_EQ(StatOf("/").nlink, RootLinks(3));
  EXPECT_EQ(StatOf(old).nlink, 0u);
  EXPECT_THAT(sys.Mkdir({old, "x"}, 0755), IsErrno(ENOENT));
  EXPECT_THAT(sys.GetDents(old), IsErrno(ENOENT));
}

TEST_P(RenameTest, NotEmpty) {
  MakeDir("/a");
  MakeDir("/b");
  Put("/b/f");
  EXPECT_THAT(sys.Rename("/a", "/b"), IsErrno(ENOTEMPTY));
}

TEST_P(RenameTest, DifferentKinds) {
  Put("/f");
  MakeDir("/d");
  MakeDir("/e");
  ASSERT_THAT(sys.Symlink("d", "/link"), IsOk());
  EXPECT_THAT(sys.Rename("/f", "/d"), IsErrno(EISDIR));
  EXPECT_THAT(sys.Rename("/d", "/f"), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Rename("/e", "/link"), IsErrno(ENOTDIR)) << "the link is not followed";
  EXPECT_THAT(sys.Rename("/link", "/d"), IsErrno(EISDIR));
}

TEST_P(RenameTest, IntoItself) {
  MakeDir("/a");
  MakeDir("/a/b");
  EXPECT_THAT(sys.Rename("/a", "/a/c"), IsErrno(EINVAL));
  EXPECT_THAT(sys.Rename("/a", "/a/b/c"), IsErrno(EINVAL));
  EXPECT_THAT(sys.Rename("/a", "/a/b"), IsErrno(EINVAL));
  EXPECT_THAT(sys.Rename("/a/b", "/a"), IsErrno(ENOTEMPTY)) << "over an ancestor";
  EXPECT_THAT(sys.Rename("/a/b", "/a", RENAME_EXCHANGE), IsErrno(EINVAL));
  EXPECT_THAT(sys.Rename("/a", "/a/b", RENAME_EXCHANGE), IsErrno(EINVAL));
  EXPECT_THAT(sys.Rename("/a/missing", "/a"), IsErrno(ENOENT));
  EXPECT_THAT(sys.Rename("/a", "/a"), IsOk());
}

TEST_P(RenameTest, DotsAndTheRoot) {
  MakeDir("/a");
  MakeDir("/b");
  for (const char* path : {"/a/.", "/a/..", "/", ".", ".."}) {
    EXPECT_THAT(sys.Rename(path, "/c"), IsErrno(EBUSY)) << path;
    EXPECT_THAT(sys.Rename("/b", path), IsErrno(EBUSY)) << path;
    EXPECT_THAT(sys.Rename("/b", path, RENAME_NOREPLACE), IsErrno(EEXIST)) << path;
    EXPECT_THAT(sys.Rename("/b", path, RENAME_EXCHANGE), IsErrno(EBUSY)) << path;
  }
}

TEST_P(RenameTest, SlashAfterTheName) {
  Put("/f");
  MakeDir("/d");
  EXPECT_THAT(sys.Rename("/f/", "/g"), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Rename("/f", "/g/"), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Rename("/f", "/f/"), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Rename("/missing/", "/g"), IsErrno(ENOENT));
  EXPECT_THAT(sys.Rename("/d/", "/e/"), IsOk());
  EXPECT_TRUE(S_ISDIR(StatOf("/e").mode));
}

TEST_P(RenameTest, NoReplace) {
  Put("/a", "a");
  Put("/b", "b");
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink("missing", "/dangling"), IsOk());
  for (const char* path : {"/b", "/d", "/dangling", "/a"})
    EXPECT_THAT(sys.Rename("/a", path, RENAME_NOREPLACE), IsErrno(EEXIST)) << path;
  EXPECT_THAT(sys.Rename("/a", "/c", RENAME_NOREPLACE), IsOk());
  EXPECT_EQ(Get("/c"), "a");
  EXPECT_THAT(sys.Rename("/a", "/x", RENAME_NOREPLACE), IsErrno(ENOENT));
}

TEST_P(RenameTest, Exchange) {
  Put("/f", "content");
  MakeDir("/d");
  MakeDir("/d/e");
  Put("/d/e/g", "g");
  EXPECT_THAT(sys.Rename("/f", "/d/e", RENAME_EXCHANGE), IsOk());
  EXPECT_EQ(Get("/d/e"), "content");
  EXPECT_EQ(Get("/f/g"), "g");
  EXPECT_EQ(StatOf("/f/..").ino, StatOf("/").ino);
  EXPECT_EQ(StatOf("/").nlink, RootLinks(4));
  EXPECT_EQ(StatOf("/d").nlink, 2u);
  EXPECT_EQ(StatOf("/").size, 80u);
  EXPECT_EQ(StatOf("/d").size, 60u);
  EXPECT_THAT(sys.Rename("/f", "/missing", RENAME_EXCHANGE), IsErrno(ENOENT));
  EXPECT_THAT(sys.Rename("/missing", "/f", RENAME_EXCHANGE), IsErrno(ENOENT));
}

TEST_P(RenameTest, ExchangeOfFullDirectories) {
  MakeDir("/a");
  Put("/a/x");
  MakeDir("/b");
  Put("/b/y");
  EXPECT_THAT(sys.Rename("/a", "/b", RENAME_EXCHANGE), IsOk());
  EXPECT_THAT(List("/a"), ::testing::ElementsAre("y"));
  EXPECT_THAT(List("/b"), ::testing::ElementsAre("x"));
}

TEST_P(RenameTest, ExchangeWithSlashes) {
  Put("/f");
  MakeDir("/d");
  EXPECT_THAT(sys.Rename("/f", "/d/", RENAME_EXCHANGE), IsOk());
  EXPECT_THAT(sys.Rename("/d/", "/f", RENAME_EXCHANGE), IsErrno(ENOTDIR));
}

TEST_P(RenameTest, Flags) {
  Put("/a");
  Put("/b");
  EXPECT_THAT(sys.Rename("/a", "/b", RENAME_EXCHANGE | RENAME_NOREPLACE), IsErrno(EINVAL));
  EXPECT_THAT(sys.Rename("/a", "/b", RENAME_EXCHANGE | RENAME_WHITEOUT), IsErrno(EINVAL));
  EXPECT_THAT(sys.Rename("/a", "/b", 8), IsErrno(EINVAL));
}

TEST_P(RenameTest, NeedsWriteAndSearchOfBothParents) {
  MakeDir("/mine", 0777);
  MakeDir("/read_only", 0755);
  MakeDir("/no_search", 0766);
  for (const char* path : {"/mine/f", "/read_only/f", "/no_search/f"}) Put(path, "", 0666);
  Become(kAlice);
  EXPECT_THAT(sys.Rename("/mine/f", "/read_only/g"), IsErrno(EACCES));
  EXPECT_THAT(sys.Rename("/mine/f", "/read_only/f"), IsErrno(EACCES));
  EXPECT_THAT(sys.Rename("/read_only/f", "/mine/g"), IsErrno(EACCES));
  EXPECT_THAT(sys.Rename("/mine/f", "/no_search/g"), IsErrno(EACCES));
  EXPECT_THAT(sys.Rename("/no_search/f", "/mine/g"), IsErrno(EACCES));
  EXPECT_THAT(sys.Rename("/mine/f", "/read_only/f", RENAME_EXCHANGE), IsErrno(EACCES));
}

TEST_P(RenameTest, DirectoryThatGetsAnotherParentMustBeWritable) {
  MakeDir("/a", 0777);
  MakeDir("/b", 0777);
  MakeDir("/a/d", 0755);
  Become(kAlice);
  EXPECT_THAT(sys.Rename("/a/d", "/b/d"), IsErrno(EACCES)) << "its .. changes";
  EXPECT_THAT(sys.Rename("/a/d", "/a/e"), IsOk());
  MakeDir("/b/mine");
  EXPECT_THAT(sys.Rename("/b/mine", "/a/e", RENAME_EXCHANGE), IsErrno(EACCES));
}

TEST_P(RenameTest, StickyParents) {
  MakeDir("/tmp", 01777);
  MakeDir("/open", 0777);
  for (const char* path : {"/tmp/alices", "/open/alices"}) {
    Put(path, "", 0666);
    GiveTo(kAlice, path);
  }
  Put("/tmp/bobs", "", 0666);
  GiveTo(kBob, "/tmp/bobs");
  Become(kAlice);
  EXPECT_THAT(sys.Rename("/tmp/bobs", "/tmp/x"), IsErrno(EPERM)) << "the source";
  EXPECT_THAT(sys.Rename("/open/alices", "/tmp/bobs"), IsErrno(EPERM)) << "the target";
  EXPECT_THAT(sys.Rename("/open/alices", "/tmp/bobs", RENAME_EXCHANGE), IsErrno(EPERM));
  EXPECT_THAT(sys.Rename("/tmp/alices", "/tmp/x"), IsOk());
  EXPECT_THAT(sys.Rename("/open/alices", "/tmp/x"), IsOk());
  BecomeRoot();
  EXPECT_THAT(sys.Rename("/tmp/bobs", "/tmp/x"), IsOk()) << "CAP_FOWNER";
}

TEST_P(RenameTest, OnAnotherFilesystem) {
  Put("/f");
  MakeDir("/m");
  MakeDir("/d");
  ASSERT_THAT(sys.MountAnother("/m"), IsOk());
  EXPECT_THAT(sys.Rename("/f", "/m/f"), IsErrno(EXDEV));
  EXPECT_THAT(sys.Rename("/missing", "/m/f"), IsErrno(EXDEV)) << "comes before ENOENT";
  EXPECT_THAT(sys.Rename("/m", "/n"), IsErrno(EBUSY)) << "a mount point";
  EXPECT_THAT(sys.Rename("/d", "/m"), IsErrno(EBUSY));
  EXPECT_THAT(sys.Rename("/d", "/m", RENAME_EXCHANGE), IsErrno(EBUSY));
  MakeDir("/m/d");
  EXPECT_THAT(sys.Rename("/m/d", "/m/e"), IsOk());
}

TEST_P(RenameTest, Times) {
  Put("/f");
  Put("/g");
  MakeDir("/d");
  const auto there = [this] { return sys.Rename("/f", "/d/f"); };
  const auto back = [this] { return sys.Rename("/d/f", "/f"); };
  ExpectSetsTimes("/", kMtime | kCtime, there);
  ExpectSetsTimes("/", kMtime | kCtime, back);
  ExpectSetsTimes("/d", kMtime | kCtime, there);
  ExpectSetsTimes("/d", kMtime | kCtime, back);
  const int fd = Open("/f", O_RDONLY);
  ExpectSetsTimes(fd, kCtime, there);
  ExpectSetsTimes(fd, kCtime, back);
  const int replaced = Open("/g", O_RDONLY);
  ExpectSetsTimes(replaced, kCtime, [this] { return sys.Rename("/f", "/g"); });
}

TEST_P(RenameTest, TimesOfAnExchange) {
  Put("/f");
  Put("/g");
  MakeDir("/d");
  Put("/d/h");
  const auto exchange = [this] { return sys.Rename("/f", "/d/h", RENAME_EXCHANGE); };
  ExpectSetsTimes("/", kMtime | kCtime, exchange);
  ExpectSetsTimes("/d", kMtime | kCtime, exchange);
  ExpectSetsTimes(Open("/f", O_RDONLY), kCtime, exchange);
  ExpectSetsTimes(Open("/d/h", O_RDONLY), kCtime, exchange);
  ExpectSetsTimes("/g", kNone, exchange);
}

TEST_P(RenameTest, TimesOfAMovedDirectory) {
  MakeDir("/a");
  MakeDir("/b");
  const int fd = Open("/a", O_RDONLY);
  ExpectSetsTimes(fd, kCtime, [this] { return sys.Rename("/a", "/b/c"); });
}

TEST_P(RenameTest, RelativeToDescriptors) {
  MakeDir("/a");
  MakeDir("/b");
  Put("/a/f", "content");
  const int a = Open("/a", O_PATH);
  const int b = Open("/b", O_RDONLY | O_DIRECTORY);
  EXPECT_THAT(sys.Rename({a, "f"}, {b, "g"}), IsOk());
  EXPECT_EQ(Get("/b/g"), "content");
  EXPECT_THAT(sys.Rename({b, "g"}, {99, "x"}), IsErrno(EBADF));
  EXPECT_THAT(sys.Rename({99, "g"}, {b, "x"}), IsErrno(EBADF));
  EXPECT_THAT(sys.Rename({b, ""}, {a, "x"}), IsErrno(ENOENT));
}

TEST_P(RenameTest, IntoARemovedDirectory) {
  Put("/f");
  MakeDir("/d");
  const int d = Open("/d", O_RDONLY | O_DIRECTORY);
  ASSERT_THAT(sys.Rmdir("/d"), IsOk());
  EXPECT_THAT(sys.Rename("/f", {d, "g"}), IsErrno(ENOENT));
  EXPECT_EQ(Get("/f"), "");
}

TEST_P(RenameTest, ReadOnlyFilesystem) {
  Put("/f");
  Put("/g");
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.Rename("/f", "/g"), IsErrno(EROFS));
  EXPECT_THAT(sys.Rename("/missing", "/g"), IsErrno(EROFS)) << "comes before ENOENT";
  EXPECT_THAT(sys.Rename("/f", "/g", RENAME_NOREPLACE), IsErrno(EROFS));
}

STASIS_POSIX_SUITE(RenameTest);

class RenameWhiteoutTest : public PosixTest {};

TEST_P(RenameWhiteoutTest, OfAFile) {
  Put("/a", "a");
  MakeDir("/d");
  EXPECT_THAT(sys.Rename("/a", "/d/b", RENAME_WHITEOUT), IsOk());
  EXPECT_EQ(Get("/d/b"), "a");
  const vfs::Stat whiteout = StatOf("/a");
  EXPECT_EQ(whiteout.mode, uint32_t{S_IFCHR});
  EXPECT_EQ(whiteout.rdev, 0u);
  EXPECT_EQ(whiteout.nlink, 1u);
  EXPECT_EQ(StatOf("/").size, 80u);
  EXPECT_EQ(StatOf("/d").size, 60u);
  EXPECT_THAT(sys.Rename("/d/b", "/d/b2", RENAME_WHITEOUT | RENAME_NOREPLACE), IsOk());
  EXPECT_THAT(sys.Rename("/d/b2", "/d/b", RENAME_WHITEOUT | RENAME_NOREPLACE), IsErrno(EEXIST));
  EXPECT_THAT(sys.Rename("/d/b2", "/d/b", RENAME_WHITEOUT), IsOk()) << "replaces a whiteout";
  EXPECT_THAT(List("/d"), ::testing::ElementsAre("b", "b2"));
}

TEST_P(RenameWhiteoutTest, OfADirectory) {
  MakeDir("/a");
  Put("/a/f");
  EXPECT_THAT(sys.Rename("/a", "/b", RENAME_WHITEOUT), IsOk());
  EXPECT_EQ(StatOf("/a").mode, uint32_t{S_IFCHR});
  EXPECT_THAT(List("/b"), ::testing::ElementsAre("f"));
  EXPECT_EQ(StatOf("/").nlink, RootLinks(3));
}

TEST_P(RenameWhiteoutTest, ByAUser) {
  MakeDir("/d", 0777);
  Put("/d/f");
  Become(kAlice);
  EXPECT_THAT(sys.Rename("/d/f", "/d/g", RENAME_WHITEOUT), IsOk());
  EXPECT_EQ(StatOf("/d/f").mode, uint32_t{S_IFCHR});
  EXPECT_EQ(StatOf("/d/f").uid, kAlice);
}

STASIS_POSIX_SUITE(RenameWhiteoutTest, kWhiteouts);

class RenameLimitTest : public PosixTest {
 protected:
  RenameLimitTest() : PosixTest(0, 2) {}
};

TEST_P(RenameLimitTest, NoInodeForAWhiteout) {
  Put("/a", "a");
  EXPECT_THAT(sys.Rename("/a", "/b", RENAME_WHITEOUT), IsErrno(ENOSPC));
  EXPECT_EQ(Get("/a"), "a");
  EXPECT_THAT(sys.Rename("/a", "/b"), IsOk());
}

STASIS_POSIX_SUITE(RenameLimitTest, kWhiteouts);

}  // namespace
}  // namespace stasis::posix
