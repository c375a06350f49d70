// SPDX-License-Identifier: Apache-2.0
//
// The limits of a memfs: ENOSPC for bytes and for files, and what gives them back.

#include "tests/testing/memfs_tree.h"

namespace stasis::memfs {
namespace {

using stasis::testing::BytesOf;
using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;

constexpr uint64_t kBytes = 64 * 1024;
constexpr uint64_t kInodes = 5;  // with the root

class LimitsTest : public MemfsTest {
 protected:
  LimitsTest() : MemfsTest(MemfsOptions{.size_limit = kBytes, .inode_limit = kInodes}) {}
};

TEST_F(LimitsTest, WriteThatFitsOnlyInPartIsShort) {
  const auto file = *Open("/f", O_CREAT | O_RDWR);
  EXPECT_EQ(*file->Write(BytesOf(std::string(kBytes + 5000, 'x'))), kBytes);
  EXPECT_THAT(file->Write(BytesOf("x")), IsErrno(ENOSPC));
  EXPECT_EQ(Stat("/f")->size, kBytes);
  EXPECT_EQ(fs->bytes_used(), kBytes);
}

TEST_F(LimitsTest, FullFilesystemCanBeOverwritten) {
  ASSERT_THAT(Put("/f", std::string(kBytes, 'x')), IsOk());
  const auto file = *Open("/f", O_RDWR);
  EXPECT_EQ(*file->PWrite(0, BytesOf(std::string(kBytes, 'y'))), kBytes);
  EXPECT_EQ(*Get("/f"), std::string(kBytes, 'y'));
}

TEST_F(LimitsTest, HolesTakeNothing) {
  ASSERT_THAT(Create("/f"), IsOk());
  EXPECT_THAT(Truncate("/f", 100 * kBytes), IsOk());
  EXPECT_EQ(fs->bytes_used(), 0u);
  EXPECT_EQ(Stat("/f")->blocks, 0u);
}

TEST_F(LimitsTest, TruncateGivesBytesBack) {
  ASSERT_THAT(Put("/f", std::string(kBytes, 'x')), IsOk());
  EXPECT_THAT((*Open("/g", O_CREAT | O_RDWR))->Write(BytesOf("x")), IsErrno(ENOSPC));
  ASSERT_THAT(Truncate("/f", kBytes / 2), IsOk());
  EXPECT_EQ(fs->bytes_used(), kBytes / 2);
  EXPECT_THAT(Put("/g", std::string(kBytes / 2, 'x')), IsOk());
  ASSERT_THAT(Truncate("/f", 0), IsOk());
  EXPECT_EQ(fs->bytes_used(), kBytes / 2);
}

TEST_F(LimitsTest, UnlinkGivesBytesBackWithTheLastNameAndTheLastClose) {
  ASSERT_THAT(Put("/f", std::string(kBytes, 'x')), IsOk());
  ASSERT_THAT(Link("/f", "/g"), IsOk());
  ASSERT_THAT(Unlink("/f"), IsOk());
  EXPECT_EQ(fs->bytes_used(), kBytes);
  auto file = *Open("/g", O_RDONLY);
  ASSERT_THAT(Unlink("/g"), IsOk());
  EXPECT_EQ(fs->bytes_used(), kBytes);
  file.reset();
  EXPECT_EQ(fs->bytes_used(), 0u);
}

TEST_F(LimitsTest, RenameOverAFileGivesItsBytesBack) {
  ASSERT_THAT(Put("/f", std::string(kBytes / 2, 'x')), IsOk());
  ASSERT_THAT(Put("/g", std::string(kBytes / 2, 'x')), IsOk());
  ASSERT_THAT(Rename("/f", "/g"), IsOk());
  EXPECT_EQ(fs->bytes_used(), kBytes / 2);
}

TEST_F(LimitsTest, EveryKindOfFileCounts) {
  ASSERT_THAT(Mkdir("/d"), IsOk());
  ASSERT_THAT(Create("/f"), IsOk());
  ASSERT_THAT(Symlink("f", "/l"), IsOk());
  ASSERT_THAT(Mknod("/p", S_IFIFO), IsOk());
  EXPECT_EQ(fs->inodes_used(), kInodes);
  EXPECT_THAT(Create("/x"), IsErrno(ENOSPC));
  EXPECT_THAT(Mkdir("/x"), IsErrno(ENOSPC));
  EXPECT_THAT(Symlink("f", "/x"), IsErrno(ENOSPC));
  EXPECT_THAT(Mknod("/x", S_IFIFO), IsErrno(ENOSPC));
  EXPECT_THAT(Stat("/x"), IsErrno(ENOENT));
  EXPECT_EQ(Stat("/")->nlink, 3u);
  EXPECT_THAT(Link("/f", "/x"), IsErrno(ENOSPC)) << "a name counts too, as in a tmpfs";
  ASSERT_THAT(Unlink("/p"), IsOk());
  EXPECT_THAT(Link("/f", "/x"), IsOk());
  EXPECT_EQ(fs->inodes_used(), kInodes);
  ASSERT_THAT(Unlink("/f"), IsOk());
  EXPECT_EQ(fs->inodes_used(), kInodes - 1);
}

TEST_F(LimitsTest, ExtendedAttributesTakeSpace) {
  ASSERT_THAT(Create("/f"), IsOk());
  ASSERT_THAT(SetXattr("/f", "user.x", std::string(1000, 'x')), IsOk());
  EXPECT_EQ(fs->bytes_used(), 1006u);
  EXPECT_THAT(SetXattr("/f", "user.y", std::string(kBytes - 1006, 'y')), IsErrno(ENOSPC));
  ASSERT_THAT(SetXattr("/f", "user.x", "short"), IsOk());
  EXPECT_EQ(fs->bytes_used(), 11u);
  ASSERT_THAT(SetXattr("/f", "user.y", "y"), IsOk());
  ASSERT_THAT(RemoveXattr("/f", "user.x"), IsOk());
  EXPECT_EQ(fs->bytes_used(), 7u);
  ASSERT_THAT(Unlink("/f"), IsOk());
  EXPECT_EQ(fs->bytes_used(), 0u);
}

TEST_F(LimitsTest, UnlinkGivesInodesBackWithTheLastClose) {
  for (const char* path : {"/a", "/b", "/c"}) ASSERT_THAT(Create(path), IsOk());
  ASSERT_THAT(Mkdir("/d"), IsOk());
  ASSERT_THAT(Create("/x"), IsErrno(ENOSPC));
  auto file = *Open("/a", O_RDONLY);
  ASSERT_THAT(Unlink("/a"), IsOk());
  EXPECT_THAT(Create("/x"), IsErrno(ENOSPC));
  file.reset();
  EXPECT_THAT(Create("/x"), IsOk());
  EXPECT_THAT(Create("/y"), IsErrno(ENOSPC));
  ASSERT_THAT(Rmdir("/d"), IsOk());
  EXPECT_THAT(Create("/y"), IsOk());
}

TEST_F(LimitsTest, StatFsTellsLimitsAndWhatIsFree) {
  ASSERT_THAT(Put("/f", "x"), IsOk());
  const auto stat = *vfs->StatFsAt(creds, At("/"));
  EXPECT_EQ(stat.blocks * stat.block_size, kBytes);
  EXPECT_EQ(stat.blocks_free, stat.blocks - 1);
  EXPECT_EQ(stat.files, kInodes);
  EXPECT_EQ(stat.files_free, kInodes - 2);
}

using UnlimitedTest = MemfsTest;

TEST_F(UnlimitedTest, NoLimitIsNoLimit) {
  for (int i = 0; i < 1000; ++i) ASSERT_THAT(Create("/" + std::to_string(i)), IsOk());
  ASSERT_THAT(Put("/f", std::string(10'000'000, 'x')), IsOk());
  const auto stat = *vfs->StatFsAt(creds, At("/"));
  EXPECT_GT(stat.blocks_free, uint64_t{1} << 20);
  EXPECT_GT(stat.files_free, uint64_t{1} << 20);
}

}  // namespace
}  // namespace stasis::memfs
