// SPDX-License-Identifier: Apache-2.0
//
// renameat2(2): what it refuses, and what it leaves behind.

#include <linux/fs.h>

#include "tests/testing/memfs_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::BytesOf;
using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;
using stasis::testing::PReadSome;
using ::testing::ElementsAre;

class RenameTest : public MemfsTest {
 protected:
  void SetUp() override {
    ASSERT_THAT(Mkdir("/d"), IsOk());
    ASSERT_THAT(Mkdir("/e"), IsOk());
    ASSERT_THAT(Put("/f", "f"), IsOk());
    ASSERT_THAT(Put("/g", "g"), IsOk());
  }
};

TEST_F(RenameTest, MovesAFileWithItsInode) {
  const uint64_t ino = Stat("/f")->ino;
  EXPECT_THAT(Rename("/f", "/d/new"), IsOk());
  EXPECT_EQ(Stat("/d/new")->ino, ino);
  EXPECT_EQ(*Get("/d/new"), "f");
  EXPECT_THAT(Stat("/f"), IsErrno(ENOENT));
}

TEST_F(RenameTest, MissingSourceOrParentIsENOENT) {
  EXPECT_THAT(Rename("/missing", "/x"), IsErrno(ENOENT));
  EXPECT_THAT(Rename("/missing", "/g"), IsErrno(ENOENT));
  EXPECT_THAT(Rename("/missing/x", "/x"), IsErrno(ENOENT));
  EXPECT_THAT(Rename("/f", "/missing/x"), IsErrno(ENOENT));
}

TEST_F(RenameTest, MissingSourceCountsBeforeATooLongTarget) {
  const std::string name = "/" + std::string(256, 'x');
  EXPECT_THAT(Rename("/missing", name), IsErrno(ENOENT));
  EXPECT_THAT(Rename("/f", name), IsErrno(ENAMETOOLONG));
  EXPECT_THAT(Rename(name, "/x"), IsErrno(ENAMETOOLONG));
}

TEST_F(RenameTest, NoReplaceIsEEXISTIfTheNameIsTaken) {
  EXPECT_THAT(Rename("/f", "/g", RENAME_NOREPLACE), IsErrno(EEXIST));
  EXPECT_THAT(Rename("/f", "/d", RENAME_NOREPLACE), IsErrno(EEXIST));
  EXPECT_THAT(Rename("/f", "/f", RENAME_NOREPLACE), IsErrno(EEXIST));
  EXPECT_EQ(*Get("/g"), "g");
  EXPECT_THAT(Rename("/f", "/new", RENAME_NOREPLACE), IsOk());
}

TEST_F(RenameTest, UnknownOrContradictingFlagsAreEINVAL) {
  EXPECT_THAT(Rename("/f", "/g", RENAME_NOREPLACE | RENAME_EXCHANGE), IsErrno(EINVAL));
  EXPECT_THAT(Rename("/f", "/g", RENAME_WHITEOUT | RENAME_EXCHANGE), IsErrno(EINVAL));
  EXPECT_THAT(Rename("/f", "/g", 1 << 10), IsErrno(EINVAL));
}

TEST_F(RenameTest, WhiteoutIsLeftUnderTheOldName) {
  creds = Credentials::User(1000, 1000);  // takes no privilege
  creds.uid = 0;
  const uint64_t inodes = fs->inodes_used();
  ASSERT_THAT(Rename("/f", "/d/moved", RENAME_WHITEOUT), IsOk());
  EXPECT_EQ(LStat("/f")->mode, static_cast<uint32_t>(S_IFCHR));
  EXPECT_EQ(LStat("/f")->rdev, 0u);
  EXPECT_EQ(*Get("/d/moved"), "f");
  ASSERT_THAT(Rename("/g", "/d/moved", RENAME_WHITEOUT | RENAME_NOREPLACE), IsErrno(EEXIST));
  EXPECT_EQ(fs->inodes_used(), inodes + 1);
  ASSERT_THAT(Rename("/g", "/d/moved", RENAME_WHITEOUT), IsOk());
  EXPECT_EQ(*Get("/d/moved"), "g");
  EXPECT_EQ(fs->inodes_used(), inodes + 1);
}

TEST_F(RenameTest, ExchangeSwapsAFileAndADirectory) {
  ASSERT_THAT(Put("/d/inside", "x"), IsOk());
  ASSERT_THAT(Rename("/f", "/e/f"), IsOk());
  EXPECT_THAT(Rename("/d", "/e/f", RENAME_EXCHANGE), IsOk());
  EXPECT_EQ(*Get("/d"), "f");
  EXPECT_EQ(*Get("/e/f/inside"), "x");
  EXPECT_EQ(Stat("/")->nlink, 3u);
  EXPECT_EQ(Stat("/e")->nlink, 3u);
}

TEST_F(RenameTest, ExchangeNeedsBothNames) {
  EXPECT_THAT(Rename("/f", "/missing", RENAME_EXCHANGE), IsErrno(ENOENT));
  EXPECT_THAT(Rename("/missing", "/f", RENAME_EXCHANGE), IsErrno(ENOENT));
}

TEST_F(RenameTest, ExchangeOfAnAncestorIsEINVAL) {
  ASSERT_THAT(Mkdir("/d/x"), IsOk());
  EXPECT_THAT(Rename("/d", "/d/x", RENAME_EXCHANGE), IsErrno(EINVAL));
  EXPECT_THAT(Rename("/d/x", "/d", RENAME_EXCHANGE), IsErrno(EINVAL));
}

TEST_F(RenameTest, DirectoryIntoItselfIsEINVAL) {
  ASSERT_THAT(Mkdir("/d/x"), IsOk());
  EXPECT_THAT(Rename("/d", "/d/y"), IsErrno(EINVAL));
  EXPECT_THAT(Rename("/d", "/d/x/y"), IsErrno(EINVAL));
  EXPECT_THAT(Rename("/d", "/d/x"), IsErrno(EINVAL));
}

TEST_F(RenameTest, OverAnAncestorIsENOTEMPTY) {
  ASSERT_THAT(Mkdir("/d/x"), IsOk());
  ASSERT_THAT(Mkdir("/d/x/y"), IsOk());
  EXPECT_THAT(Rename("/d/x/y", "/d"), IsErrno(ENOTEMPTY));
}

TEST_F(RenameTest, DirectoryReplacesOnlyAnEmptyDirectory) {
  ASSERT_THAT(Put("/e/x", ""), IsOk());
  EXPECT_THAT(Rename("/d", "/e"), IsErrno(ENOTEMPTY));
  EXPECT_THAT(Stat("/e/x"), IsOk());
  ASSERT_THAT(Unlink("/e/x"), IsOk());
  const uint64_t ino = Stat("/d")->ino;
  EXPECT_THAT(Rename("/d", "/e"), IsOk());
  EXPECT_EQ(Stat("/e")->ino, ino);
}

TEST_F(RenameTest, DirectoryThatWasReplacedIsDead) {
  cwd = *Lookup("/e");
  ASSERT_THAT(Rename("/d", "/e"), IsOk());
  EXPECT_EQ(Stat("")->nlink, 0u);
  EXPECT_THAT(Create("x"), IsErrno(ENOENT));
  EXPECT_THAT(Rename("/f", "x"), IsErrno(ENOENT));
}

TEST_F(RenameTest, FileAndDirectoryDoNotReplaceEachOther) {
  EXPECT_THAT(Rename("/f", "/d"), IsErrno(EISDIR));
  EXPECT_THAT(Rename("/d", "/f"), IsErrno(ENOTDIR));
}

TEST_F(RenameTest, SlashAfterAFileIsENOTDIR) {
  EXPECT_THAT(Rename("/f/", "/x"), IsErrno(ENOTDIR));
  EXPECT_THAT(Rename("/f", "/x/"), IsErrno(ENOTDIR));
  EXPECT_THAT(Rename("/d/", "/x/"), IsOk());
}

TEST_F(RenameTest, RootAndDotsAreEBUSY) {
  EXPECT_THAT(Rename("/", "/x"), IsErrno(EBUSY));
  EXPECT_THAT(Rename("/d/.", "/x"), IsErrno(EBUSY));
  EXPECT_THAT(Rename("/d/..", "/x"), IsErrno(EBUSY));
  EXPECT_THAT(Rename("/d", "/"), IsErrno(EBUSY));
  EXPECT_THAT(Rename("/d", "/e/."), IsErrno(EBUSY));
  EXPECT_THAT(Rename("/d", "/e/..", RENAME_NOREPLACE), IsErrno(EEXIST));
}

TEST_F(RenameTest, MountPointIsEBUSY) {
  ASSERT_THAT(Mkdir("/m"), IsOk());
  ASSERT_THAT(Mount("/m"), IsOk());
  EXPECT_THAT(Rename("/m", "/x"), IsErrno(EBUSY));
  EXPECT_THAT(Rename("/d", "/m"), IsErrno(EBUSY));
  EXPECT_THAT(Rename("/m", "/d", RENAME_EXCHANGE), IsErrno(EBUSY));
}

TEST_F(RenameTest, AcrossMountsIsEXDEV) {
  ASSERT_THAT(Mount("/d"), IsOk());
  EXPECT_THAT(Rename("/f", "/d/f"), IsErrno(EXDEV));
  ASSERT_THAT(Bind("/", "/e"), IsOk());
  EXPECT_THAT(Rename("/f", "/e/x"), IsErrno(EXDEV));
}

TEST_F(RenameTest, TwoNamesOfOneFileStayBoth) {
  ASSERT_THAT(Link("/f", "/link"), IsOk());
  EXPECT_THAT(Rename("/f", "/link"), IsOk());
  EXPECT_THAT(Rename("/f", "/f"), IsOk());
  EXPECT_EQ(Stat("/f")->nlink, 2u);
  EXPECT_EQ(Stat("/f")->ino, Stat("/link")->ino);
}

TEST_F(RenameTest, ReplacedFileDisappearsButStaysOpen) {
  const auto open = *Open("/g", O_RDWR);
  EXPECT_THAT(Rename("/f", "/g"), IsOk());
  EXPECT_EQ(*Get("/g"), "f");
  EXPECT_THAT(*List("/"), ElementsAre("d", "e", "g"));
  EXPECT_EQ(open->GetStat()->nlink, 0u);
  EXPECT_EQ(*PReadSome(*open, 0, 10), "g");
  EXPECT_THAT(open->PWrite(0, BytesOf("G")), IsOk());
  EXPECT_EQ(*Get("/g"), "f");
}

TEST_F(RenameTest, ReplacedFileKeepsItsOtherNames) {
  ASSERT_THAT(Link("/g", "/other"), IsOk());
  EXPECT_THAT(Rename("/f", "/g"), IsOk());
  EXPECT_EQ(*Get("/other"), "g");
  EXPECT_EQ(Stat("/other")->nlink, 1u);
}

TEST_F(RenameTest, LinkCountsOfDirectoriesFollow) {
  ASSERT_THAT(Mkdir("/d/x"), IsOk());
  EXPECT_EQ(Stat("/d")->nlink, 3u);
  EXPECT_EQ(Stat("/e")->nlink, 2u);
  EXPECT_THAT(Rename("/d/x", "/e/x"), IsOk());
  EXPECT_EQ(Stat("/d")->nlink, 2u);
  EXPECT_EQ(Stat("/e")->nlink, 3u);
  ASSERT_THAT(Mkdir("/e/y"), IsOk());
  EXPECT_THAT(Rename("/e/x", "/e/y"), IsOk());
  EXPECT_EQ(Stat("/e")->nlink, 3u);
}

TEST_F(RenameTest, DotDotOfAMovedDirectoryIsItsNewParent) {
  ASSERT_THAT(Mkdir("/d/x"), IsOk());
  cwd = *Lookup("/d/x");
  ASSERT_THAT(Rename("/d/x", "/e/y"), IsOk());
  EXPECT_EQ(Stat("..")->ino, Stat("/e")->ino);
}

TEST_F(RenameTest, LinkItselfIsRenamed) {
  ASSERT_THAT(Symlink("f", "/link"), IsOk());
  EXPECT_THAT(Rename("/link", "/moved"), IsOk());
  EXPECT_EQ(*ReadLink("/moved"), "f");
  EXPECT_THAT(Rename("/g", "/moved"), IsOk());
  EXPECT_EQ(*Get("/moved"), "g");
  EXPECT_EQ(*Get("/f"), "f");
}

TEST_F(RenameTest, BothDirectoriesMustBeWritable) {
  ASSERT_THAT(Mkdir("/open", 0777), IsOk());
  ASSERT_THAT(Put("/open/mine", ""), IsOk());
  creds = Credentials::User(1000, 1000);
  EXPECT_THAT(Rename("/open/mine", "/mine"), IsErrno(EACCES));
  EXPECT_THAT(Rename("/f", "/open/f"), IsErrno(EACCES));
  EXPECT_THAT(Rename("/open/mine", "/open/yours"), IsOk());
}

TEST_F(RenameTest, DirectoryThatChangesItsParentMustBeWritable) {
  ASSERT_THAT(Mkdir("/one", 0777), IsOk());
  ASSERT_THAT(Mkdir("/two", 0777), IsOk());
  ASSERT_THAT(Mkdir("/one/x", 0755), IsOk());
  creds = Credentials::User(1000, 1000);
  EXPECT_THAT(Rename("/one/x", "/two/x"), IsErrno(EACCES));
  EXPECT_THAT(Rename("/one/x", "/one/y"), IsOk());
}

TEST_F(RenameTest, StickyDirectoryProtectsSourceAndTarget) {
  ASSERT_THAT(Mkdir("/t", 01777), IsOk());
  ASSERT_THAT(Put("/t/roots", ""), IsOk());
  creds = Credentials::User(1000, 1000);
  ASSERT_THAT(Put("/t/mine", ""), IsOk());
  EXPECT_THAT(Rename("/t/roots", "/t/x"), IsErrno(EPERM));
  EXPECT_THAT(Rename("/t/mine", "/t/roots"), IsErrno(EPERM));
  EXPECT_THAT(Rename("/t/mine", "/t/x"), IsOk());
}

}  // namespace
}  // namespace stasis::vfs
