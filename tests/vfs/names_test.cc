// SPDX-License-Identifier: Apache-2.0
//
// Making and removing names: open, mkdir, mknod, symlink, link, unlink, rmdir.

#include <sys/sysmacros.h>

#include "tests/testing/memfs_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::BytesOf;
using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;
using stasis::testing::PReadSome;
using ::testing::IsEmpty;

constexpr uint32_t kAnn = 1000;
constexpr uint32_t kBob = 1001;

class NamesTest : public MemfsTest {
 protected:
  void SetUp() override {
    ASSERT_THAT(Mkdir("/d"), IsOk());
    ASSERT_THAT(Put("/f", "content"), IsOk());
    ASSERT_THAT(Symlink("nowhere", "/dangling"), IsOk());
  }
  void Become(uint32_t user) {
    creds = user == 0 ? Credentials::Root() : Credentials::User(user, user);
  }
  void MakeTaken(std::string_view path) {
    EXPECT_THAT(Mkdir(path), IsErrno(EEXIST)) << path;
    EXPECT_THAT(Mknod(path, S_IFIFO), IsErrno(EEXIST)) << path;
    EXPECT_THAT(Symlink("x", path), IsErrno(EEXIST)) << path;
    EXPECT_THAT(Link("/f", path), IsErrno(EEXIST)) << path;
    EXPECT_THAT(Create(path), IsErrno(EEXIST)) << path;
  }
  void MakeFails(std::string_view path, int error) {
    EXPECT_THAT(Mkdir(path), IsErrno(error)) << path;
    EXPECT_THAT(Mknod(path, S_IFIFO), IsErrno(error)) << path;
    EXPECT_THAT(Symlink("x", path), IsErrno(error)) << path;
    EXPECT_THAT(Link("/f", path), IsErrno(error)) << path;
    EXPECT_THAT(Create(path), IsErrno(error)) << path;
  }
};

TEST_F(NamesTest, TakenNameIsEEXIST) {
  MakeTaken("/f");
  MakeTaken("/d");
  MakeTaken("/dangling");
  MakeTaken("/");
  MakeTaken("/d/.");
  MakeTaken("/d/..");
}

TEST_F(NamesTest, MissingParentIsENOENT) {
  MakeFails("/missing/x", ENOENT);
  MakeFails("/dangling/x", ENOENT);
}

TEST_F(NamesTest, ParentThatIsAFileIsENOTDIR) { MakeFails("/f/x", ENOTDIR); }

TEST_F(NamesTest, ParentThatIsNotWritableIsEACCES) {
  Become(kAnn);
  EXPECT_THAT(Mkdir("/x"), IsErrno(EACCES));
  EXPECT_THAT(Create("/x"), IsErrno(EACCES));
  EXPECT_THAT(Symlink("y", "/x"), IsErrno(EACCES));
  EXPECT_THAT(Link("/f", "/x"), IsErrno(EACCES));
  EXPECT_THAT(Unlink("/f"), IsErrno(EACCES));
  EXPECT_THAT(Rmdir("/d"), IsErrno(EACCES));
  EXPECT_THAT(Mkdir("/d"), IsErrno(EEXIST));
}

TEST_F(NamesTest, NothingIsMadeInARemovedDirectory) {
  cwd = *Lookup("/d");
  ASSERT_THAT(Rmdir("/d"), IsOk());
  MakeFails("x", ENOENT);
}

TEST_F(NamesTest, SlashAfterANewNameIsForDirectoriesOnly) {
  EXPECT_THAT(Mkdir("/new/"), IsOk());
  EXPECT_THAT(Mknod("/x/", S_IFREG), IsErrno(ENOENT));
  EXPECT_THAT(Symlink("y", "/x/"), IsErrno(ENOENT));
  EXPECT_THAT(Link("/f", "/x/"), IsErrno(ENOENT));
  EXPECT_THAT(Create("/x/"), IsErrno(EISDIR));
}

TEST_F(NamesTest, NewDirectoryHasTwoLinksAndItsParentOneMore) {
  const uint32_t before = Stat("/")->nlink;
  ASSERT_THAT(Mkdir("/new", 0750), IsOk());
  const auto stat = *Stat("/new");
  EXPECT_EQ(stat.mode, uint32_t{S_IFDIR | 0750});
  EXPECT_EQ(stat.nlink, 2u);
  EXPECT_EQ(Stat("/")->nlink, before + 1);
}

TEST_F(NamesTest, NewFileBelongsToItsMaker) {
  ASSERT_THAT(Mkdir("/t", 0777), IsOk());
  creds = Credentials::User(kAnn, kBob);
  ASSERT_THAT(Create("/t/x", 0640), IsOk());
  const auto stat = *Stat("/t/x");
  EXPECT_EQ(stat.uid, kAnn);
  EXPECT_EQ(stat.gid, kBob);
  EXPECT_EQ(stat.mode, uint32_t{S_IFREG | 0640});
}

TEST_F(NamesTest, MknodMakesEveryKindButDirectoriesAndLinks) {
  EXPECT_THAT(Mknod("/fifo", S_IFIFO | 0600), IsOk());
  EXPECT_THAT(Mknod("/socket", S_IFSOCK | 0600), IsOk());
  EXPECT_THAT(Mknod("/block", S_IFBLK | 0600, makedev(8, 1)), IsOk());
  EXPECT_THAT(Mknod("/char", S_IFCHR | 0600, makedev(1, 3)), IsOk());
  EXPECT_THAT(Mknod("/file", 0600), IsOk());
  EXPECT_EQ(Stat("/fifo")->mode, uint32_t{S_IFIFO | 0600});
  EXPECT_EQ(Stat("/block")->rdev, makedev(8, 1));
  EXPECT_EQ(Stat("/char")->rdev, makedev(1, 3));
  EXPECT_TRUE(S_ISREG(Stat("/file")->mode));
  EXPECT_THAT(Mknod("/x", S_IFDIR), IsErrno(EPERM));
  EXPECT_THAT(Mknod("/x", S_IFLNK), IsErrno(EINVAL));
  EXPECT_THAT(Mknod("/x", S_IFMT), IsErrno(EINVAL));
}

TEST_F(NamesTest, DevicesButWhiteoutsNeedACapability) {
  ASSERT_THAT(Mkdir("/t", 0777), IsOk());
  Become(kAnn);
  EXPECT_THAT(Mknod("/t/null", S_IFCHR | 0666, makedev(1, 3)), IsErrno(EPERM));
  EXPECT_THAT(Mknod("/t/disk", S_IFBLK | 0666, 0), IsErrno(EPERM));
  EXPECT_THAT(Mknod("/t/whiteout", S_IFCHR, 0), IsOk());
  EXPECT_THAT(Mknod("/t/fifo", S_IFIFO | 0600), IsOk());
}

TEST_F(NamesTest, LinkTargetHasOneTo4095Bytes) {
  EXPECT_THAT(Symlink("", "/x"), IsErrno(ENOENT));
  EXPECT_THAT(Symlink(std::string(4096, 'x'), "/x"), IsErrno(ENAMETOOLONG));
  const std::string longest(4095, 'x');
  EXPECT_THAT(Symlink(longest, "/x"), IsOk());
  EXPECT_EQ(*ReadLink("/x"), longest);
  EXPECT_EQ(LStat("/x")->size, longest.size());
}

TEST_F(NamesTest, OnlyALinkHasATarget) {
  EXPECT_THAT(ReadLink("/f"), IsErrno(EINVAL));
  EXPECT_THAT(ReadLink("/d"), IsErrno(EINVAL));
  EXPECT_THAT(ReadLink("/missing"), IsErrno(ENOENT));
}

TEST_F(NamesTest, HardLinkIsTheSameFile) {
  ASSERT_THAT(Link("/f", "/d/same"), IsOk());
  EXPECT_EQ(Stat("/f")->nlink, 2u);
  EXPECT_EQ(Stat("/f")->ino, Stat("/d/same")->ino);
  ASSERT_THAT(Unlink("/f"), IsOk());
  EXPECT_EQ(*Get("/d/same"), "content");
  EXPECT_EQ(Stat("/d/same")->nlink, 1u);
}

TEST_F(NamesTest, DirectoryHasNoSecondName) {
  EXPECT_THAT(Link("/d", "/x"), IsErrno(EPERM));
  EXPECT_THAT(Link("/missing", "/x"), IsErrno(ENOENT));
}

TEST_F(NamesTest, HardLinkOfASymbolicLinkIsOfTheLinkOrOfItsTarget) {
  ASSERT_THAT(Symlink("f", "/link"), IsOk());
  ASSERT_THAT(Link("/link", "/link2"), IsOk());
  EXPECT_EQ(LStat("/link")->ino, LStat("/link2")->ino);
  ASSERT_THAT(Link("/link", "/f2", true), IsOk());
  EXPECT_EQ(LStat("/f2")->ino, LStat("/f")->ino);
}

TEST_F(NamesTest, HardLinkAcrossMountsIsEXDEV) {
  ASSERT_THAT(Mount("/d"), IsOk());
  EXPECT_THAT(Link("/f", "/d/x"), IsErrno(EXDEV));
}

TEST_F(NamesTest, UnlinkedFileGetsNoNameAgain) {
  const auto open = *Open("/f", O_RDONLY);
  ASSERT_THAT(Unlink("/f"), IsOk());
  const VirtualDentry at = open->at();
  EXPECT_THAT(vfs->LinkAt(creds, {root, at, ""}, At("/x")), IsErrno(ENOENT));
}

TEST_F(NamesTest, UnlinkIsForFilesAndRmdirForDirectories) {
  EXPECT_THAT(Unlink("/d"), IsErrno(EISDIR));
  EXPECT_THAT(Unlink("/d/"), IsErrno(EISDIR));
  EXPECT_THAT(Unlink("/f/"), IsErrno(ENOTDIR));
  EXPECT_THAT(Unlink("/missing"), IsErrno(ENOENT));
  EXPECT_THAT(Unlink("/d/."), IsErrno(EISDIR));
  EXPECT_THAT(Unlink("/"), IsErrno(EISDIR));
  EXPECT_THAT(Rmdir("/f"), IsErrno(ENOTDIR));
  EXPECT_THAT(Rmdir("/dangling"), IsErrno(ENOTDIR));
  EXPECT_THAT(Rmdir("/missing"), IsErrno(ENOENT));
  EXPECT_THAT(Unlink("/dangling"), IsOk());
  EXPECT_THAT(Rmdir("/d/"), IsOk());
}

TEST_F(NamesTest, RmdirTakesOnlyAnEmptyDirectoryByItsName) {
  ASSERT_THAT(Mkdir("/d/x"), IsOk());
  EXPECT_THAT(Rmdir("/d"), IsErrno(ENOTEMPTY));
  EXPECT_THAT(Rmdir("/d/x/."), IsErrno(EINVAL));
  EXPECT_THAT(Rmdir("/d/x/.."), IsErrno(ENOTEMPTY));
  EXPECT_THAT(Rmdir("/"), IsErrno(EBUSY));
  const uint32_t before = Stat("/")->nlink;
  EXPECT_THAT(Rmdir("/d/x"), IsOk());
  EXPECT_THAT(Rmdir("/d"), IsOk());
  EXPECT_EQ(Stat("/")->nlink, before - 1);
}

TEST_F(NamesTest, StickyDirectoryLetsOnlyOwnersRemove) {
  ASSERT_THAT(Mkdir("/t", 01777), IsOk());
  Become(kAnn);
  ASSERT_THAT(Create("/t/file"), IsOk());
  ASSERT_THAT(Mkdir("/t/dir"), IsOk());
  ASSERT_THAT(Create("/t/other"), IsOk());
  Become(kBob);
  EXPECT_THAT(Unlink("/t/file"), IsErrno(EPERM));
  EXPECT_THAT(Rmdir("/t/dir"), IsErrno(EPERM));
  Become(kAnn);
  EXPECT_THAT(Unlink("/t/file"), IsOk());
  EXPECT_THAT(Rmdir("/t/dir"), IsOk());
  Become(0);
  ASSERT_THAT(Chown("/t", kBob, kBob), IsOk());
  Become(kBob);
  EXPECT_THAT(Unlink("/t/other"), IsOk());
}

TEST_F(NamesTest, SetgidDirectoryPassesItsGroupOn) {
  ASSERT_THAT(Mkdir("/t"), IsOk());
  ASSERT_THAT(Chown("/t", 0, 50), IsOk());
  ASSERT_THAT(Chmod("/t", 02777), IsOk());
  Become(kAnn);
  ASSERT_THAT(Create("/t/file"), IsOk());
  ASSERT_THAT(Mkdir("/t/dir"), IsOk());
  EXPECT_EQ(Stat("/t/file")->gid, 50u);
  EXPECT_EQ(Stat("/t/file")->mode, uint32_t{S_IFREG | 0644});
  EXPECT_EQ(Stat("/t/dir")->gid, 50u);
  EXPECT_EQ(Stat("/t/dir")->mode, uint32_t{S_IFDIR | 02755});
}

TEST_F(NamesTest, SetgidProgramOfAForeignGroupIsNotMade) {
  ASSERT_THAT(Mkdir("/t"), IsOk());
  ASSERT_THAT(Chown("/t", 0, 50), IsOk());
  ASSERT_THAT(Chmod("/t", 02777), IsOk());
  Become(kAnn);
  ASSERT_THAT(Create("/t/foreign", 02755), IsOk());
  EXPECT_EQ(Stat("/t/foreign")->mode, uint32_t{S_IFREG | 0755});
  creds.groups = {50};
  ASSERT_THAT(Create("/t/member", 02755), IsOk());
  EXPECT_EQ(Stat("/t/member")->mode, uint32_t{S_IFREG | 02755});
}

TEST_F(NamesTest, OpenWithCreateOpensWhatIsThere) {
  const auto file = *Open("/f", O_CREAT | O_RDWR, 0);
  EXPECT_EQ(*PReadSome(*file, 0, 100), "content");
  EXPECT_THAT(Open("/d", O_CREAT | O_RDONLY), IsErrno(EISDIR));
  EXPECT_THAT(Open("/d/..", O_CREAT | O_RDONLY), IsErrno(EISDIR));
  EXPECT_THAT(Open("/f", O_CREAT | O_DIRECTORY), IsErrno(EINVAL));
}

TEST_F(NamesTest, OpenWithCreateMakesTheTargetOfALink) {
  EXPECT_THAT(Open("/dangling", O_CREAT | O_EXCL | O_WRONLY), IsErrno(EEXIST));
  EXPECT_THAT(Open("/dangling", O_CREAT | O_NOFOLLOW | O_WRONLY), IsErrno(ELOOP));
  EXPECT_THAT(Stat("/nowhere"), IsErrno(ENOENT));
  EXPECT_THAT(Open("/dangling", O_CREAT | O_WRONLY), IsOk());
  EXPECT_TRUE(S_ISREG(LStat("/nowhere")->mode));
}

TEST_F(NamesTest, MakerMayUseTheFileWhateverItsMode) {
  ASSERT_THAT(Mkdir("/t", 0777), IsOk());
  Become(kAnn);
  const auto file = Open("/t/x", O_CREAT | O_RDWR, 0);
  ASSERT_THAT(file, IsOk());
  EXPECT_THAT((*file)->PWrite(0, BytesOf("x")), IsOk());
  EXPECT_THAT(Open("/t/x", O_RDONLY), IsErrno(EACCES));
}

TEST_F(NamesTest, OpenWithTruncateNeedsWritePermission) {
  Become(kAnn);
  EXPECT_THAT(Open("/f", O_RDONLY | O_TRUNC), IsErrno(EACCES));
  Become(0);
  EXPECT_EQ(*Get("/f"), "content");
  EXPECT_THAT(Open("/f", O_WRONLY | O_TRUNC), IsOk());
  EXPECT_THAT(*Get("/f"), IsEmpty());
  EXPECT_THAT(Open("/d", O_RDONLY | O_TRUNC), IsErrno(EISDIR));
}

TEST_F(NamesTest, OpenNeedsThePermissionsOfItsMode) {
  ASSERT_THAT(Chmod("/f", 0604), IsOk());
  Become(kAnn);
  EXPECT_THAT(Open("/f", O_RDONLY), IsOk());
  EXPECT_THAT(Open("/f", O_WRONLY), IsErrno(EACCES));
  EXPECT_THAT(Open("/f", O_RDWR), IsErrno(EACCES));
  EXPECT_THAT(Open("/f", O_RDONLY | O_NOATIME), IsErrno(EPERM));
}

TEST_F(NamesTest, NoFollowRefusesAFinalLinkOnly) {
  ASSERT_THAT(Symlink("f", "/link"), IsOk());
  ASSERT_THAT(Symlink("d", "/dirlink"), IsOk());
  ASSERT_THAT(Create("/d/x"), IsOk());
  EXPECT_THAT(Open("/link", O_RDONLY | O_NOFOLLOW), IsErrno(ELOOP));
  EXPECT_THAT(Open("/dirlink/x", O_RDONLY | O_NOFOLLOW), IsOk());
  const auto path = Open("/link", O_PATH | O_NOFOLLOW);
  ASSERT_THAT(path, IsOk());
  EXPECT_TRUE(S_ISLNK((*path)->GetStat()->mode));
}

TEST_F(NamesTest, DirectoryFlagRefusesFiles) {
  ASSERT_THAT(Symlink("d", "/dirlink"), IsOk());
  EXPECT_THAT(Open("/f", O_RDONLY | O_DIRECTORY), IsErrno(ENOTDIR));
  EXPECT_THAT(Open("/d", O_RDONLY | O_DIRECTORY), IsOk());
  EXPECT_THAT(Open("/dirlink", O_RDONLY | O_DIRECTORY), IsOk());
  EXPECT_THAT(Open("/dirlink", O_RDONLY | O_DIRECTORY | O_NOFOLLOW), IsErrno(ENOTDIR));
}

TEST_F(NamesTest, DirectoryIsNotOpenedForWriting) {
  EXPECT_THAT(Open("/d", O_WRONLY), IsErrno(EISDIR));
  EXPECT_THAT(Open("/d", O_RDWR), IsErrno(EISDIR));
}

TEST_F(NamesTest, SocketsAndNamelessFilesAreNotOpened) {
  ASSERT_THAT(Mknod("/socket", S_IFSOCK | 0666), IsOk());
  EXPECT_THAT(Open("/socket", O_RDWR), IsErrno(ENXIO));
  EXPECT_THAT(Open("/socket", O_PATH), IsOk());
}

TEST_F(NamesTest, NamelessFileIsThereUntilItIsClosed) {
  const uint64_t inodes = fs->inodes_used();
  auto file = Open("/d", O_TMPFILE | O_RDWR, 0640);
  ASSERT_THAT(file, IsOk());
  EXPECT_EQ((*file)->GetStat()->nlink, 0u);
  EXPECT_EQ((*file)->GetStat()->mode, S_IFREG | 0640u);
  ASSERT_THAT((*file)->PWrite(0, BytesOf("x")), IsOk());
  EXPECT_THAT(List("/d"), IsOk());
  EXPECT_TRUE(List("/d")->empty());
  EXPECT_EQ(fs->inodes_used(), inodes + 1);
  file->reset();
  EXPECT_EQ(fs->inodes_used(), inodes);
}

TEST_F(NamesTest, NamelessFileCanGetANameOnce) {
  const auto file = *Open("/d", O_TMPFILE | O_RDWR);
  ASSERT_THAT(file->PWrite(0, BytesOf("x")), IsOk());
  const PathOperation itself{root, file->at(), ""};
  ASSERT_THAT(vfs->LinkAt(creds, itself, At("/named")), IsOk());
  EXPECT_EQ(*Get("/named"), "x");
  EXPECT_EQ(Stat("/named")->nlink, 1u);
  ASSERT_THAT(Unlink("/named"), IsOk());
  EXPECT_THAT(vfs->LinkAt(creds, itself, At("/again")), IsErrno(ENOENT));
}

TEST_F(NamesTest, ExclusiveNamelessFileNeverGetsAName) {
  const auto file = *Open("/d", O_TMPFILE | O_EXCL | O_RDWR);
  EXPECT_THAT(vfs->LinkAt(creds, {root, file->at(), ""}, At("/named")), IsErrno(ENOENT));
}

TEST_F(NamesTest, NamelessFileNeedsADirectoryThatMayBeWritten) {
  EXPECT_THAT(Open("/d", O_TMPFILE | O_RDONLY), IsErrno(EINVAL));
  EXPECT_THAT(Open("/f", O_TMPFILE | O_RDWR), IsErrno(ENOTDIR));
  EXPECT_THAT(Open("/missing", O_TMPFILE | O_RDWR), IsErrno(ENOENT));
  creds = Credentials::User(1000, 1000);
  EXPECT_THAT(Open("/d", O_TMPFILE | O_RDWR), IsErrno(EACCES));
}

TEST_F(NamesTest, UnlinkedOpenFileIsStillThere) {
  const auto file = *Open("/f", O_RDWR);
  ASSERT_THAT(Unlink("/f"), IsOk());
  EXPECT_THAT(Stat("/f"), IsErrno(ENOENT));
  EXPECT_EQ(file->GetStat()->nlink, 0u);
  EXPECT_EQ(*PReadSome(*file, 0, 100), "content");
  ASSERT_THAT(file->PWrite(7, BytesOf(" and more")), IsOk());
  EXPECT_EQ(*PReadSome(*file, 0, 100), "content and more");
}

}  // namespace
}  // namespace stasis::vfs
