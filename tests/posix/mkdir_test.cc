// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class MkdirTest : public PosixTest {};

TEST_P(MkdirTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Mkdir(path, 0755); });
}

TEST_P(MkdirTest, ExistingNames) {
  MakeDir("/d");
  Put("/f");
  ASSERT_THAT(sys.Symlink("missing", "/dangling"), IsOk());
  for (const char* path : {"/d", "/d/", "/f", "/dangling", "/", "/.", "/..", "/d/.", "/d/.."})
    EXPECT_THAT(sys.Mkdir(path, 0755), IsErrno(EEXIST)) << path;
  EXPECT_THAT(sys.Mkdir("/f/", 0755), IsErrno(EEXIST));
  EXPECT_THAT(sys.Mkdir("/dangling/", 0755), IsErrno(EEXIST)) << "the link is not followed";
}

TEST_P(MkdirTest, SlashesAfterTheName) {
  EXPECT_THAT(sys.Mkdir("/d///", 0755), IsOk());
  EXPECT_TRUE(S_ISDIR(StatOf("/d").mode));
}

TEST_P(MkdirTest, LongestName) { EXPECT_THAT(sys.Mkdir("/" + LongestName(), 0755), IsOk()); }

TEST_P(MkdirTest, LongestPath) {
  EXPECT_THAT(sys.Mkdir(PathOfLength(4094) + "d", 0755), IsOk());
  EXPECT_TRUE(S_ISDIR(StatOf("/d").mode));
}

TEST_P(MkdirTest, RelativeToADescriptor) {
  MakeDir("/d");
  const int dir = Open("/d", O_RDONLY | O_DIRECTORY);
  EXPECT_THAT(sys.Mkdir({dir, "e"}, 0755), IsOk());
  EXPECT_TRUE(S_ISDIR(StatOf("/d/e").mode));
  EXPECT_THAT(sys.Mkdir({dir, "/f"}, 0755), IsOk()) << "absolute: the descriptor does not matter";
  EXPECT_TRUE(S_ISDIR(StatOf("/f").mode));
  EXPECT_THAT(sys.Mkdir({99, "/g"}, 0755), IsOk());
  EXPECT_THAT(sys.Mkdir({99, "x"}, 0755), IsErrno(EBADF));
  EXPECT_THAT(sys.Mkdir({dir, ""}, 0755), IsErrno(ENOENT));
  Put("/file");
  EXPECT_THAT(sys.Mkdir({Open("/file", O_RDONLY), "x"}, 0755), IsErrno(ENOTDIR));
}

TEST_P(MkdirTest, ModeAndUmask) {
  MakeDir("/a", 0777);
  EXPECT_EQ(StatOf("/a").mode, S_IFDIR | 0777u);
  MakeDir("/sticky", 01777);
  EXPECT_EQ(ModeOf("/sticky"), 01777u);
  MakeDir("/ids", 07777);
  EXPECT_EQ(ModeOf("/ids"), 01777u) << "set-ID bits are not taken";
  sys.Umask(027);
  MakeDir("/b", 0777);
  EXPECT_EQ(ModeOf("/b"), 0750u);
}

TEST_P(MkdirTest, OwnerAndGroup) {
  ASSERT_THAT(sys.Chmod("/", 0777), IsOk());
  sys.Become({kAlice, kTeam});
  MakeDir("/d");
  EXPECT_EQ(StatOf("/d").uid, kAlice);
  EXPECT_EQ(StatOf("/d").gid, kTeam);
}

TEST_P(MkdirTest, SetGroupIdIsInherited) {
  MakeDir("/d");
  ASSERT_THAT(sys.Chown("/d", kKeepId, kTeam), IsOk());
  ASSERT_THAT(sys.Chmod("/d", 02777), IsOk());
  Become(kAlice);
  MakeDir("/d/e", 0755);
  EXPECT_EQ(ModeOf("/d/e"), 02755u);
  EXPECT_EQ(StatOf("/d/e").gid, kTeam);
  EXPECT_EQ(StatOf("/d/e").uid, kAlice);
}

TEST_P(MkdirTest, SetGroupIdAndUmask) {
  MakeDir("/d");
  ASSERT_THAT(sys.Chmod("/d", 02755), IsOk());
  sys.Umask(077);
  MakeDir("/d/e", 0777);
  EXPECT_EQ(ModeOf("/d/e"), 02700u);
  MakeDir("/d/e/f", 01777);
  EXPECT_EQ(ModeOf("/d/e/f"), 03700u) << "and so on";
}

TEST_P(MkdirTest, NeedsWriteAndSearch) {
  MakeDir("/read_only", 0755);
  MakeDir("/no_search", 0766);
  Become(kAlice);
  EXPECT_THAT(sys.Mkdir("/read_only/x", 0755), IsErrno(EACCES));
  EXPECT_THAT(sys.Mkdir("/no_search/x", 0755), IsErrno(EACCES));
  BecomeRoot();
  MakeDir("/read_only/x");
  Become(kAlice);
  EXPECT_THAT(sys.Mkdir("/read_only/x", 0755), IsErrno(EEXIST)) << "comes before EACCES";
}

TEST_P(MkdirTest, LinksAndSizes) {
  const vfs::Stat root = StatOf("/");
  EXPECT_EQ(root.nlink, RootLinks(2));
  EXPECT_EQ(root.size, 40u);
  MakeDir("/d");
  EXPECT_EQ(StatOf("/").nlink, RootLinks(3));
  EXPECT_EQ(StatOf("/").size, 60u);
  EXPECT_EQ(StatOf("/d").nlink, 2u);
  EXPECT_EQ(StatOf("/d").size, 40u);
  EXPECT_EQ(StatOf("/d").blocks, 0u);
}

TEST_P(MkdirTest, TimesOfTheParent) {
  ExpectSetsTimes("/", kMtime | kCtime, [this] { return sys.Mkdir("/d", 0755); });
  const vfs::Stat made = StatOf("/d");
  EXPECT_EQ(made.atime, made.btime);
  EXPECT_EQ(made.mtime, made.btime);
  EXPECT_EQ(made.ctime, made.btime);
}

TEST_P(MkdirTest, FailureLeavesTheTimesOfTheParent) {
  MakeDir("/d");
  const vfs::Stat before = StatOf("/");
  sys.Tick();
  EXPECT_THAT(sys.Mkdir("/d", 0755), IsErrno(EEXIST));
  EXPECT_EQ(StatOf("/").mtime, before.mtime);
  EXPECT_EQ(StatOf("/").ctime, before.ctime);
}

TEST_P(MkdirTest, InARemovedDirectory) {
  MakeDir("/d");
  const int dir = Open("/d", O_RDONLY | O_DIRECTORY);
  ASSERT_THAT(sys.Rmdir("/d"), IsOk());
  EXPECT_THAT(sys.Mkdir({dir, "x"}, 0755), IsErrno(ENOENT));
  ASSERT_THAT(sys.Chdir(dir), IsOk());
  EXPECT_THAT(sys.Mkdir("x", 0755), IsErrno(ENOENT));
}

TEST_P(MkdirTest, ReadOnlyFilesystem) {
  MakeDir("/d");
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.Mkdir("/x", 0755), IsErrno(EROFS));
  EXPECT_THAT(sys.Mkdir("/d", 0755), IsErrno(EEXIST)) << "comes before EROFS";
  EXPECT_THAT(sys.Mkdir("/missing/x", 0755), IsErrno(ENOENT));
  ASSERT_THAT(sys.SetReadOnly(false), IsOk());
  EXPECT_THAT(sys.Mkdir("/x", 0755), IsOk());
}

STASIS_POSIX_SUITE(MkdirTest);

class MkdirLimitTest : public PosixTest {
 protected:
  MkdirLimitTest() : PosixTest(0, 3) {}
};

TEST_P(MkdirLimitTest, NoMoreInodes) {
  MakeDir("/a");
  MakeDir("/b");
  EXPECT_THAT(sys.Mkdir("/c", 0755), IsErrno(ENOSPC));
  EXPECT_EQ(StatOf("/").nlink, RootLinks(4));
  ASSERT_THAT(sys.Rmdir("/a"), IsOk());
  WaitForFreeInodes(1);
  EXPECT_THAT(sys.Mkdir("/c", 0755), IsOk());
}

STASIS_POSIX_SUITE(MkdirLimitTest);

}  // namespace
}  // namespace stasis::posix
