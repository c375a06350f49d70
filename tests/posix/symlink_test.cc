// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class SymlinkTest : public PosixTest {};

TEST_P(SymlinkTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Symlink("target", path); });
}

TEST_P(SymlinkTest, Attributes) {
  ASSERT_THAT(sys.Chmod("/", 0777), IsOk());
  sys.Umask(077);
  sys.Become({kAlice, kTeam});
  ASSERT_THAT(sys.Symlink("some/target", "/link"), IsOk());
  const vfs::Stat stat = StatOf("/link");
  EXPECT_EQ(stat.mode, S_IFLNK | 0777u);
  EXPECT_EQ(stat.size, 11u);
  EXPECT_EQ(stat.nlink, 1u);
  EXPECT_EQ(stat.uid, kAlice);
  EXPECT_EQ(stat.gid, kTeam);
  EXPECT_EQ(sys.ReadLink("/link"), "some/target");
}

TEST_P(SymlinkTest, AnyTargetButTheEmptyOne) {
  EXPECT_THAT(sys.Symlink("", "/a"), IsErrno(ENOENT));
  EXPECT_THAT(sys.Symlink("//x/../y/ \n", "/b"), IsOk());
  EXPECT_EQ(sys.ReadLink("/b"), "//x/../y/ \n");
}

TEST_P(SymlinkTest, LengthOfTheTarget) {
  EXPECT_THAT(sys.Symlink(std::string(4095, 't'), "/a"), IsOk());
  EXPECT_EQ(StatOf("/a").size, 4095u);
  EXPECT_THAT(sys.Symlink(std::string(4096, 't'), "/b"), IsErrno(ENAMETOOLONG));
  EXPECT_THAT(sys.Stat("/a"), IsErrno(ENAMETOOLONG)) << "a name in it is too long";
}

TEST_P(SymlinkTest, ExistingNames) {
  Put("/f");
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink("missing", "/dangling"), IsOk());
  for (const char* path : {"/f", "/d", "/d/", "/dangling", "/", "/d/.", "/d/.."})
    EXPECT_THAT(sys.Symlink("x", path), IsErrno(EEXIST)) << path;
  EXPECT_THAT(sys.Symlink("x", "/new/"), IsErrno(ENOENT));
}

TEST_P(SymlinkTest, NeedsWriteAndSearchOfTheParent) {
  MakeDir("/d", 0755);
  MakeDir("/no_search", 0766);
  Become(kAlice);
  EXPECT_THAT(sys.Symlink("x", "/d/link"), IsErrno(EACCES));
  EXPECT_THAT(sys.Symlink("x", "/no_search/link"), IsErrno(EACCES));
}

TEST_P(SymlinkTest, Times) {
  ExpectSetsTimes("/", kMtime | kCtime, [this] { return sys.Symlink("x", "/link"); });
  const vfs::Stat made = StatOf("/link");
  EXPECT_EQ(made.atime, made.btime);
  EXPECT_EQ(made.mtime, made.btime);
  EXPECT_EQ(StatOf("/").size, 60u);
}

TEST_P(SymlinkTest, GroupOfASetGroupIdDirectory) {
  MakeDir("/d");
  ASSERT_THAT(sys.Chown("/d", kKeepId, kTeam), IsOk());
  ASSERT_THAT(sys.Chmod("/d", 02777), IsOk());
  Become(kAlice);
  ASSERT_THAT(sys.Symlink("x", "/d/link"), IsOk());
  EXPECT_EQ(StatOf("/d/link").gid, kTeam);
  EXPECT_EQ(ModeOf("/d/link"), 0777u);
}

TEST_P(SymlinkTest, RelativeToADescriptor) {
  MakeDir("/d");
  const int dir = Open("/d", O_PATH);
  EXPECT_THAT(sys.Symlink("x", {dir, "link"}), IsOk());
  EXPECT_EQ(sys.ReadLink("/d/link"), "x");
  EXPECT_THAT(sys.Symlink("x", {99, "link"}), IsErrno(EBADF));
}

// What walks make of targets.
TEST_P(SymlinkTest, Walks) {
  MakeDir("/d");
  MakeDir("/d/e");
  Put("/d/f", "f");
  Put("/g", "g");
  ASSERT_THAT(sys.Symlink("../g", "/d/up"), IsOk());
  ASSERT_THAT(sys.Symlink("/d/e/../f", "/absolute"), IsOk());
  ASSERT_THAT(sys.Symlink("d/e", "/relative"), IsOk());
  ASSERT_THAT(sys.Symlink("/../../g", "/above_the_root"), IsOk());
  EXPECT_EQ(Get("/d/up"), "g");
  EXPECT_EQ(Get("/absolute"), "f");
  EXPECT_EQ(Get("/relative/../f"), "f") << ".. of where the link leads";
  EXPECT_EQ(Get("/above_the_root"), "g");
  ASSERT_THAT(sys.Symlink("g/", "/g_slash"), IsOk());
  EXPECT_EQ(Get("/g_slash"), "(ENOTDIR)");
  ASSERT_THAT(sys.Symlink("d/", "/d_slash"), IsOk());
  EXPECT_EQ(Get("/d_slash/f"), "f");
}

TEST_P(SymlinkTest, ManyLinksInOnePath) {
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink(".", "/d/self"), IsOk());
  std::string path = "/d";
  for (int i = 0; i < 40; ++i) path += "/self";
  EXPECT_THAT(sys.Stat(path), IsOk());
  EXPECT_THAT(sys.Stat(path + "/self"), IsErrno(ELOOP));
}

TEST_P(SymlinkTest, ReadOnlyFilesystem) {
  Put("/f");
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.Symlink("x", "/link"), IsErrno(EROFS));
  EXPECT_THAT(sys.Symlink("x", "/f"), IsErrno(EEXIST));
}

STASIS_POSIX_SUITE(SymlinkTest);

class SymlinkSpaceTest : public PosixTest {
 protected:
  SymlinkSpaceTest() : PosixTest(2 * 4096) {}
};

TEST_P(SymlinkSpaceTest, LongTargetsTakeAPage) {
  ASSERT_THAT(sys.Symlink(std::string(127, 't'), "/short"), IsOk());
  EXPECT_EQ(StatOf("/short").blocks, 0u);
  ASSERT_THAT(sys.Symlink(std::string(128, 't'), "/long"), IsOk());
  EXPECT_EQ(StatOf("/long").blocks, 8u);
  ASSERT_THAT(sys.Symlink(std::string(4095, 't'), "/longest"), IsOk());
  EXPECT_EQ(sys.StatFs("/")->blocks_free, 0u);
  EXPECT_THAT(sys.Symlink(std::string(128, 't'), "/more"), IsErrno(ENOSPC));
  EXPECT_THAT(sys.Symlink("short", "/more"), IsOk());
}

STASIS_POSIX_SUITE(SymlinkSpaceTest);

}  // namespace
}  // namespace stasis::posix
