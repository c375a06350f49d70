// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class OpenTest : public PosixTest {};

TEST_P(OpenTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Open(path, O_RDONLY); });
}

TEST_P(OpenTest, WalkErrorsOfCreation) {
  ExpectWalkErrors(
      [this](const std::string& path) { return sys.Open(path, O_WRONLY | O_CREAT, 0644); });
}

TEST_P(OpenTest, FollowErrors) {
  ExpectFollowErrors([this](const std::string& path) { return sys.Open(path, O_RDONLY); });
}

TEST_P(OpenTest, CreatesWithModeOwnerAndUmask) {
  ASSERT_THAT(sys.Chmod("/", 0777), IsOk());
  sys.Umask(022);
  sys.Become({kAlice, kTeam});
  Open("/f", O_WRONLY | O_CREAT, 0666);
  const vfs::Stat stat = StatOf("/f");
  EXPECT_EQ(stat.mode, S_IFREG | 0644u);
  EXPECT_EQ(stat.uid, kAlice);
  EXPECT_EQ(stat.gid, kTeam);
  EXPECT_EQ(stat.nlink, 1u);
  EXPECT_EQ(stat.size, 0u);
  EXPECT_EQ(stat.blocks, 0u);
  Open("/g", O_WRONLY | O_CREAT, 07777);
  EXPECT_EQ(ModeOf("/g"), 07755u);
}

TEST_P(OpenTest, TheModeOfANewFileIsNotForItsFirstOpen) {
  ASSERT_THAT(sys.Chmod("/", 0777), IsOk());
  Become(kAlice);
  const int fd = Open("/f", O_RDWR | O_CREAT, 0);
  EXPECT_THAT(sys.Write(fd, "x"), IsOk());
  EXPECT_THAT(sys.Open("/f", O_RDWR | O_CREAT, 0), IsErrno(EACCES));
}

TEST_P(OpenTest, SetGroupIdDirectory) {
  MakeDir("/d");
  ASSERT_THAT(sys.Chown("/d", kKeepId, kTeam), IsOk());
  ASSERT_THAT(sys.Chmod("/d", 02777), IsOk());
  Become(kAlice);
  Open("/d/f", O_WRONLY | O_CREAT, 0644);
  EXPECT_EQ(StatOf("/d/f").gid, kTeam);
  EXPECT_EQ(ModeOf("/d/f"), 0644u) << "only directories get the bit";
  Open("/d/g", O_WRONLY | O_CREAT, 02755);
  EXPECT_EQ(ModeOf("/d/g"), 0755u) << "not of a group that she is not in";
  Open("/d/h", O_WRONLY | O_CREAT, 02745);
  EXPECT_EQ(ModeOf("/d/h"), 02745u) << "without group execution it means something else";
  Become(kAlice, {kTeam});
  Open("/d/i", O_WRONLY | O_CREAT, 02755);
  EXPECT_EQ(ModeOf("/d/i"), 02755u) << "of a group that she is in";
}

TEST_P(OpenTest, ExclusiveCreation) {
  Put("/f");
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink("missing", "/dangling"), IsOk());
  for (const char* path : {"/f", "/d", "/dangling", "/", "/d/.", "/d/.."})
    EXPECT_THAT(sys.Open(path, O_WRONLY | O_CREAT | O_EXCL, 0644), IsErrno(EEXIST)) << path;
  EXPECT_THAT(sys.Open("/g", O_WRONLY | O_CREAT | O_EXCL, 0644), IsOk());
}

TEST_P(OpenTest, CreationThroughADanglingLink) {
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink("d/new", "/link"), IsOk());
  EXPECT_THAT(sys.Open("/link", O_WRONLY | O_CREAT | O_NOFOLLOW, 0644), IsErrno(ELOOP));
  EXPECT_THAT(sys.Open("/link", O_WRONLY | O_CREAT, 0644), IsOk());
  EXPECT_TRUE(S_ISREG(StatOf("/d/new").mode));
}

TEST_P(OpenTest, SlashAfterTheName) {
  Put("/f");
  MakeDir("/d");
  EXPECT_THAT(sys.Open("/new/", O_WRONLY | O_CREAT, 0644), IsErrno(EISDIR));
  EXPECT_THAT(sys.Open("/f/", O_WRONLY | O_CREAT, 0644), IsErrno(EISDIR));
  EXPECT_THAT(sys.Open("/f/", O_RDONLY), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Open("/d/", O_RDONLY), IsOk());
}

TEST_P(OpenTest, SlashAfterALink) {
  Put("/f");
  ASSERT_THAT(sys.Symlink("f", "/to_f"), IsOk());
  ASSERT_THAT(sys.Symlink("missing", "/dangling"), IsOk());
  ASSERT_THAT(sys.Symlink("missing/", "/dangling_slash"), IsOk());
  EXPECT_THAT(sys.Open("/to_f/", O_RDONLY), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Open("/to_f/", O_WRONLY | O_CREAT, 0644), IsErrno(EISDIR));
  EXPECT_THAT(sys.Open("/dangling/", O_WRONLY | O_CREAT, 0644), IsErrno(EISDIR));
  EXPECT_THAT(sys.Open("/dangling_slash", O_WRONLY | O_CREAT, 0644), IsErrno(EISDIR));
  EXPECT_THAT(sys.Open("/dangling_slash", O_RDONLY), IsErrno(ENOENT));
}

TEST_P(OpenTest, Directories) {
  MakeDir("/d");
  EXPECT_THAT(sys.Open("/d", O_RDONLY), IsOk());
  EXPECT_THAT(sys.Open("/d", O_WRONLY), IsErrno(EISDIR));
  EXPECT_THAT(sys.Open("/d", O_RDWR), IsErrno(EISDIR));
  EXPECT_THAT(sys.Open("/d", O_RDONLY | O_CREAT, 0644), IsErrno(EISDIR));
  EXPECT_THAT(sys.Open("/d", O_RDONLY | O_TRUNC), IsErrno(EISDIR));
  EXPECT_THAT(sys.Open("/", O_RDWR), IsErrno(EISDIR));
}

TEST_P(OpenTest, DirectoryFlag) {
  Put("/f");
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink("d", "/link"), IsOk());
  EXPECT_THAT(sys.Open("/d", O_RDONLY | O_DIRECTORY), IsOk());
  EXPECT_THAT(sys.Open("/link", O_RDONLY | O_DIRECTORY), IsOk());
  EXPECT_THAT(sys.Open("/f", O_RDONLY | O_DIRECTORY), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Open("/link", O_RDONLY | O_DIRECTORY | O_NOFOLLOW), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Open("/new", O_RDONLY | O_DIRECTORY | O_CREAT, 0644), IsErrno(EINVAL));
}

TEST_P(OpenTest, NoFollow) {
  Put("/f");
  MakeDir("/d");
  Put("/d/f");
  ASSERT_THAT(sys.Symlink("f", "/link"), IsOk());
  ASSERT_THAT(sys.Symlink("d", "/to_d"), IsOk());
  EXPECT_THAT(sys.Open("/link", O_RDONLY | O_NOFOLLOW), IsErrno(ELOOP));
  EXPECT_THAT(sys.Open("/f", O_RDONLY | O_NOFOLLOW), IsOk());
  EXPECT_THAT(sys.Open("/to_d/f", O_RDONLY | O_NOFOLLOW), IsOk());
  EXPECT_THAT(sys.Open("/to_d/", O_RDONLY | O_NOFOLLOW), IsOk()) << "a slash follows it";
}

TEST_P(OpenTest, Permissions) {
  Put("/read", "", 0444);
  Put("/write", "", 0222);
  Put("/none", "", 0);
  Become(kAlice);
  EXPECT_THAT(sys.Open("/read", O_RDONLY), IsOk());
  EXPECT_THAT(sys.Open("/read", O_WRONLY), IsErrno(EACCES));
  EXPECT_THAT(sys.Open("/read", O_RDWR), IsErrno(EACCES));
  EXPECT_THAT(sys.Open("/read", O_RDONLY | O_TRUNC), IsErrno(EACCES));
  EXPECT_THAT(sys.Open("/write", O_WRONLY), IsOk());
  EXPECT_THAT(sys.Open("/write", O_RDONLY), IsErrno(EACCES));
  EXPECT_THAT(sys.Open("/write", O_RDWR), IsErrno(EACCES));
  EXPECT_THAT(sys.Open("/none", O_RDONLY), IsErrno(EACCES));
  EXPECT_THAT(sys.Open("/none", O_ACCMODE), IsErrno(EACCES)) << "3: read and write permission";
  BecomeRoot();
  EXPECT_THAT(sys.Open("/none", O_RDWR), IsOk());
}

TEST_P(OpenTest, PermissionsOfTheRightClass) {
  Put("/f", "", 0);
  ASSERT_THAT(sys.Chown("/f", kAlice, kTeam), IsOk());
  ASSERT_THAT(sys.Chmod("/f", 0077), IsOk());
  Become(kAlice, {kTeam});
  EXPECT_THAT(sys.Open("/f", O_RDONLY), IsErrno(EACCES)) << "the owner";
  BecomeRoot();
  ASSERT_THAT(sys.Chmod("/f", 0707), IsOk());
  Become(kBob, {kTeam});
  EXPECT_THAT(sys.Open("/f", O_RDONLY), IsErrno(EACCES)) << "the group";
  Become(kBob);
  EXPECT_THAT(sys.Open("/f", O_RDONLY), IsOk()) << "others";
}

TEST_P(OpenTest, CreationNeedsWriteAndSearchOfTheParent) {
  MakeDir("/d", 0755);
  MakeDir("/no_search", 0766);
  Put("/d/f", "", 0666);
  Become(kAlice);
  EXPECT_THAT(sys.Open("/d/new", O_WRONLY | O_CREAT, 0644), IsErrno(EACCES));
  EXPECT_THAT(sys.Open("/no_search/new", O_WRONLY | O_CREAT, 0644), IsErrno(EACCES));
  EXPECT_THAT(sys.Open("/d/f", O_WRONLY | O_CREAT, 0644), IsOk());
  EXPECT_THAT(sys.Open("/d/missing", O_WRONLY), IsErrno(ENOENT));
}

// protected_regular(5) may be on: what it protects is not asked for here.
TEST_P(OpenTest, StickyParentDoesNotMatter) {
  MakeDir("/tmp", 01777);
  Put("/tmp/f", "", 0666);
  Become(kAlice);
  EXPECT_THAT(sys.Open("/tmp/f", O_RDWR), IsOk());
}

TEST_P(OpenTest, Truncates) {
  Put("/f", "content");
  const uint64_t ino = StatOf("/f").ino;
  Open("/f", O_RDWR | O_TRUNC);
  EXPECT_EQ(StatOf("/f").size, 0u);
  EXPECT_EQ(StatOf("/f").blocks, 0u);
  EXPECT_EQ(StatOf("/f").ino, ino);
}

TEST_P(OpenTest, TruncatesWithoutWriteAccessToo) {
  Put("/f", "content");
  Open("/f", O_RDONLY | O_TRUNC);
  EXPECT_EQ(StatOf("/f").size, 0u);
}

TEST_P(OpenTest, FailedOpenDoesNotTruncate) {
  Put("/f", "content", 0444);
  EXPECT_THAT(sys.Open("/f", O_WRONLY | O_TRUNC | O_CREAT | O_EXCL, 0644), IsErrno(EEXIST));
  Become(kAlice);
  EXPECT_THAT(sys.Open("/f", O_WRONLY | O_TRUNC), IsErrno(EACCES));
  EXPECT_EQ(Get("/f"), "content");
}

TEST_P(OpenTest, TimesOfCreation) {
  ExpectSetsTimes("/", kMtime | kCtime,
                  [this] { return sys.Open("/f", O_WRONLY | O_CREAT, 0644); });
  const vfs::Stat made = StatOf("/f");
  EXPECT_EQ(made.atime, made.btime);
  EXPECT_EQ(made.mtime, made.btime);
  EXPECT_EQ(made.ctime, made.btime);
  EXPECT_EQ(StatOf("/").size, 60u);
}

TEST_P(OpenTest, TimesOfOpening) {
  Put("/f", "content");
  Put("/empty");
  ExpectSetsTimes("/f", kNone, [this] { return sys.Open("/f", O_RDWR); });
  ExpectSetsTimes("/", kNone, [this] { return sys.Open("/f", O_RDWR | O_CREAT, 0644); });
  ExpectSetsTimes("/f", kMtime | kCtime, [this] { return sys.Open("/f", O_RDWR | O_TRUNC); });
  ExpectSetsTimes("/empty", kMtime | kCtime,
                  [this] { return sys.Open("/empty", O_RDWR | O_TRUNC); });
}

TEST_P(OpenTest, TruncationClearsSetIdBits) {
  Put("/f", "x");
  ASSERT_THAT(sys.Chmod("/f", 06777), IsOk());
  Open("/f", O_WRONLY | O_TRUNC);
  EXPECT_EQ(ModeOf("/f"), 06777u) << "not by root";
  Become(kAlice);
  Open("/f", O_WRONLY | O_TRUNC);
  EXPECT_EQ(ModeOf("/f"), 0777u);
}

TEST_P(OpenTest, NoAccessTime) {
  Put("/f", "", 0644);
  Become(kAlice);
  EXPECT_THAT(sys.Open("/f", O_RDONLY | O_NOATIME), IsErrno(EPERM));
  BecomeRoot();
  GiveTo(kAlice, "/f");
  Become(kAlice);
  EXPECT_THAT(sys.Open("/f", O_RDONLY | O_NOATIME), IsOk());
}

TEST_P(OpenTest, Socket) {
  ASSERT_THAT(sys.Mknod("/socket", S_IFSOCK | 0644), IsOk());
  EXPECT_THAT(sys.Open("/socket", O_RDONLY), IsErrno(ENXIO));
  EXPECT_THAT(sys.Open("/socket", O_RDWR | O_CREAT, 0644), IsErrno(ENXIO));
  EXPECT_THAT(sys.Open("/socket", O_PATH), IsOk());
}

TEST_P(OpenTest, RelativeToADescriptor) {
  MakeDir("/d");
  Put("/d/f", "content");
  const int dir = Open("/d", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(Get({dir, "f"}), "content");
  EXPECT_THAT(sys.Open({dir, ""}, O_RDONLY), IsErrno(ENOENT));
  EXPECT_THAT(sys.Open({99, "f"}, O_RDONLY), IsErrno(EBADF));
  EXPECT_THAT(sys.Open({Open("/d/f", O_RDONLY), "f"}, O_RDONLY), IsErrno(ENOTDIR));
  ASSERT_THAT(sys.Rename("/d", "/e"), IsOk());
  EXPECT_EQ(Get({dir, "f"}), "content") << "the descriptor goes with the directory";
  EXPECT_THAT(sys.Open({dir, "../e/f"}, O_RDONLY), IsOk());
}

TEST_P(OpenTest, InARemovedDirectory) {
  MakeDir("/d");
  const int dir = Open("/d", O_RDONLY | O_DIRECTORY);
  ASSERT_THAT(sys.Rmdir("/d"), IsOk());
  EXPECT_THAT(sys.Open({dir, "f"}, O_WRONLY | O_CREAT, 0644), IsErrno(ENOENT));
  EXPECT_THAT(sys.Open({dir, "."}, O_RDONLY), IsOk());
}

TEST_P(OpenTest, LongestNameAndPath) {
  EXPECT_THAT(sys.Open("/" + LongestName(), O_WRONLY | O_CREAT, 0644), IsOk());
  EXPECT_THAT(sys.Open(PathOfLength(4094) + "f", O_WRONLY | O_CREAT, 0644), IsOk());
}

TEST_P(OpenTest, StatusFlags) {
  Put("/f");
  const int fd = Open("/f", O_RDWR | O_APPEND | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0644);
  EXPECT_EQ(sys.GetFlags(fd), O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK);
  EXPECT_THAT(sys.SetFlags(fd, O_NONBLOCK | O_CREAT | O_EXCL), IsOk());
  EXPECT_EQ(sys.GetFlags(fd), O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  EXPECT_THAT(sys.SetFlags(fd, O_WRONLY), IsOk()) << "the access mode stays";
  EXPECT_EQ(sys.GetFlags(fd), O_RDWR | O_NOFOLLOW);
}

TEST_P(OpenTest, ReadOnlyFilesystem) {
  Put("/f", "content", 0666);
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_EQ(Get("/f"), "content");
  EXPECT_THAT(sys.Open("/f", O_WRONLY), IsErrno(EROFS));
  EXPECT_THAT(sys.Open("/f", O_RDWR), IsErrno(EROFS));
  EXPECT_THAT(sys.Open("/f", O_RDONLY | O_TRUNC), IsErrno(EROFS));
  EXPECT_THAT(sys.Open("/new", O_WRONLY | O_CREAT, 0644), IsErrno(EROFS));
  EXPECT_THAT(sys.Open("/f", O_RDONLY | O_CREAT, 0644), IsOk());
  EXPECT_THAT(sys.Open("/f", O_WRONLY | O_CREAT | O_EXCL, 0644), IsErrno(EEXIST));
  Become(kAlice);
  EXPECT_THAT(sys.Open("/new", O_WRONLY | O_CREAT, 0644), IsErrno(EROFS)) << "before EACCES";
}

STASIS_POSIX_SUITE(OpenTest);

class OpenPathTest : public PosixTest {};

TEST_P(OpenPathTest, NeedsNoPermissionOfTheFile) {
  Put("/f", "", 0);
  Become(kAlice);
  const int fd = Open("/f", O_PATH);
  EXPECT_TRUE(S_ISREG(StatOf(fd).mode));
}

TEST_P(OpenPathTest, OfALink) {
  ASSERT_THAT(sys.Symlink("f", "/link"), IsOk());
  EXPECT_TRUE(S_ISLNK(StatOf(Open("/link", O_PATH | O_NOFOLLOW)).mode));
  EXPECT_THAT(sys.Open("/link", O_PATH), IsErrno(ENOENT));
}

TEST_P(OpenPathTest, OtherFlagsAreIgnored) {
  Put("/f", "content");
  MakeDir("/d");
  const int fd = Open("/f", O_PATH | O_RDWR | O_TRUNC | O_CREAT | O_APPEND | O_EXCL, 0644);
  EXPECT_EQ(sys.GetFlags(fd), O_PATH);
  EXPECT_EQ(Get("/f"), "content");
  EXPECT_THAT(sys.Open("/new", O_PATH | O_CREAT, 0644), IsErrno(ENOENT));
  EXPECT_THAT(sys.Open("/f", O_PATH | O_DIRECTORY), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Open("/d", O_PATH | O_DIRECTORY | O_CREAT, 0644), IsOk());
}

TEST_P(OpenPathTest, IsNoOpenFile) {
  Put("/f", "content");
  const int fd = Open("/f", O_PATH);
  EXPECT_THAT(sys.Read(fd, 1), IsErrno(EBADF));
  EXPECT_THAT(sys.PRead(fd, 0, 1), IsErrno(EBADF));
  EXPECT_THAT(sys.Write(fd, "x"), IsErrno(EBADF));
  EXPECT_THAT(sys.PWrite(fd, 0, "x"), IsErrno(EBADF));
  EXPECT_THAT(sys.Seek(fd, 0, SEEK_SET), IsErrno(EBADF));
  EXPECT_THAT(sys.Fsync(fd), IsErrno(EBADF));
  EXPECT_THAT(sys.FTruncate(fd, 0), IsErrno(EBADF));
  EXPECT_THAT(sys.Fallocate(fd, 0, 0, 1), IsErrno(EBADF));
  EXPECT_THAT(sys.CopyFileRange(fd, 0, fd, 10, 1), IsErrno(EBADF));
  EXPECT_THAT(sys.SetFlags(fd, O_APPEND), IsErrno(EBADF));
  EXPECT_THAT(sys.Chmod(fd, 0600), IsErrno(EBADF));
  EXPECT_THAT(sys.Chown(fd, 1, 1), IsErrno(EBADF));
  EXPECT_THAT(sys.UTimens(fd, SetTime{.now = true}, SetTime{.now = true}), IsErrno(EBADF));
  EXPECT_THAT(sys.GetXattr(fd, "user.x"), IsErrno(EBADF));
  EXPECT_THAT(sys.SetXattr(fd, "user.x", "y"), IsErrno(EBADF));
  EXPECT_THAT(sys.ListXattr(fd), IsErrno(EBADF));
  EXPECT_THAT(sys.RemoveXattr(fd, "user.x"), IsErrno(EBADF));
  EXPECT_THAT(sys.GetDents(Open("/", O_PATH)), IsErrno(EBADF));
  EXPECT_THAT(sys.Stat(fd), IsOk());
  EXPECT_THAT(sys.StatFs(fd), IsOk());
  EXPECT_THAT(sys.Chdir(fd), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.Dup(fd), IsOk());
  EXPECT_THAT(sys.Close(fd), IsOk());
}

TEST_P(OpenPathTest, OfSpecialFiles) {
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  EXPECT_TRUE(S_ISFIFO(StatOf(Open("/fifo", O_PATH)).mode));
}

STASIS_POSIX_SUITE(OpenPathTest);

class OpenSpecialFileTest : public PosixTest {};

TEST_P(OpenSpecialFileTest, FifoWithoutAReader) {
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  EXPECT_THAT(sys.Open("/fifo", O_WRONLY | O_NONBLOCK), IsErrno(ENXIO));
  const int reader = Open("/fifo", O_RDONLY | O_NONBLOCK);
  const int writer = Open("/fifo", O_WRONLY | O_NONBLOCK);
  EXPECT_THAT(sys.Write(writer, "through"), IsOk());
  EXPECT_EQ(sys.Read(reader, 100), "through");
  EXPECT_THAT(sys.Open("/fifo", O_WRONLY | O_NONBLOCK | O_TRUNC), IsOk());
}

TEST_P(OpenSpecialFileTest, DeviceWithoutADriver) {
  ASSERT_THAT(sys.Mknod("/char", S_IFCHR | 0644, makedev(511, 255)), IsOk());
  ASSERT_THAT(sys.Mknod("/block", S_IFBLK | 0644, makedev(511, 255)), IsOk());
  EXPECT_THAT(sys.Open("/char", O_RDONLY), IsErrno(ENXIO));
  EXPECT_THAT(sys.Open("/block", O_RDONLY), IsErrno(ENXIO));
  if (Has(kWhiteouts)) {
    ASSERT_THAT(sys.Mknod("/whiteout", S_IFCHR | 0644, 0), IsOk());
    EXPECT_THAT(sys.Open("/whiteout", O_RDONLY), IsErrno(ENXIO));
  }
}

TEST_P(OpenSpecialFileTest, Device) {
  ASSERT_THAT(sys.Mknod("/null", S_IFCHR | 0666, makedev(1, 3)), IsOk());
  const int fd = Open("/null", O_RDWR);
  EXPECT_THAT(sys.Write(fd, "gone"), IsOk());
  EXPECT_EQ(sys.Read(fd, 1), "");
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.Open("/null", O_RDWR), IsOk()) << "a device is not of the filesystem";
}

STASIS_POSIX_SUITE(OpenSpecialFileTest, kSpecialFiles);

class OpenLimitTest : public PosixTest {
 protected:
  OpenLimitTest() : PosixTest(0, 2) {}
};

TEST_P(OpenLimitTest, NoMoreInodes) {
  Put("/a");
  EXPECT_THAT(sys.Open("/b", O_WRONLY | O_CREAT, 0644), IsErrno(ENOSPC));
  EXPECT_THAT(sys.Symlink("x", "/b"), IsErrno(ENOSPC));
  EXPECT_THAT(sys.Mknod("/b", S_IFIFO | 0644), IsErrno(ENOSPC));
  EXPECT_EQ(StatOf("/").size, 60u);
  EXPECT_THAT(sys.Open("/a", O_WRONLY | O_CREAT, 0644), IsOk());
}

STASIS_POSIX_SUITE(OpenLimitTest);

}  // namespace
}  // namespace stasis::posix
