// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

constexpr uint64_t kBlocks = 100;
constexpr uint64_t kInodes = 10;

class StatFsTest : public PosixTest {
 protected:
  StatFsTest() : PosixTest(kBlocks * 4096, kInodes) {}
  vfs::StatFs Now() { return sys.StatFs("/").value_or(vfs::StatFs()); }
};

TEST_P(StatFsTest, WalkErrors) {
  // Files for the walk, beyond this suite's limit.
  EXPECT_THAT(sys.StatFs(""), IsErrno(ENOENT));
  EXPECT_THAT(sys.StatFs("/missing"), IsErrno(ENOENT));
  Put("/f");
  EXPECT_THAT(sys.StatFs("/f/x"), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.StatFs("/" + TooLongName()), IsErrno(ENAMETOOLONG));
  EXPECT_THAT(sys.StatFs(PathOfLength(4096)), IsErrno(ENAMETOOLONG));
  ASSERT_THAT(sys.Symlink("loop", "/loop"), IsOk());
  EXPECT_THAT(sys.StatFs("/loop"), IsErrno(ELOOP));
  MakeDir("/d", 0700);
  Become(kAlice);
  EXPECT_THAT(sys.StatFs("/d/x"), IsErrno(EACCES));
}

TEST_P(StatFsTest, Limits) {
  const vfs::StatFs stat = Now();
  EXPECT_EQ(stat.block_size, 4096u);
  EXPECT_EQ(stat.blocks, kBlocks);
  EXPECT_EQ(stat.blocks_free, kBlocks);
  EXPECT_EQ(stat.files, kInodes);
  EXPECT_EQ(stat.files_free, kInodes - 1) << "the root";
  EXPECT_EQ(stat.name_max, 255u);
}

TEST_P(StatFsTest, CountsDataInPages) {
  Put("/f", "x");
  EXPECT_EQ(Now().blocks_free, kBlocks - 1);
  Put("/f", std::string(4097, 'x'));
  EXPECT_EQ(Now().blocks_free, kBlocks - 2);
  ASSERT_THAT(sys.Truncate("/f", 1'000'000), IsOk());
  EXPECT_EQ(Now().blocks_free, kBlocks - 2) << "a hole";
  ASSERT_THAT(sys.Truncate("/f", 0), IsOk());
  EXPECT_EQ(Now().blocks_free, kBlocks);
}

TEST_P(StatFsTest, CountsFiles) {
  Put("/f");
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink("x", "/d/link"), IsOk());
  ASSERT_THAT(sys.Mknod("/d/fifo", S_IFIFO | 0644), IsOk());
  EXPECT_EQ(Now().files_free, kInodes - 5);
  EXPECT_EQ(Now().blocks_free, kBlocks);
  ASSERT_THAT(sys.Unlink("/d/link"), IsOk());
  WaitForFreeInodes(kInodes - 4);
}

TEST_P(StatFsTest, OfAnyFile) {
  MakeDir("/m");
  Put("/f");
  ASSERT_THAT(sys.MountAnother("/m"), IsOk());
  EXPECT_EQ(sys.StatFs("/f")->blocks, kBlocks);
  EXPECT_NE(sys.StatFs("/m")->blocks, kBlocks);
  EXPECT_EQ(sys.StatFs(Open("/f", O_RDONLY))->blocks, kBlocks);
  EXPECT_EQ(sys.StatFs(Open("/f", O_PATH))->blocks, kBlocks);
  EXPECT_NE(sys.StatFs(Open("/m", O_RDONLY))->blocks, kBlocks);
}

STASIS_POSIX_SUITE(StatFsTest);

class StatFsTypeTest : public PosixTest {};

TEST_P(StatFsTypeTest, WithoutLimits) {
  const vfs::StatFs stat = sys.StatFs("/").value();
  EXPECT_EQ(stat.blocks, 0u);
  EXPECT_EQ(stat.blocks_free, 0u);
  EXPECT_EQ(stat.files, 0u);
  EXPECT_EQ(stat.files_free, 0u);
  EXPECT_EQ(stat.block_size, 4096u);
}

STASIS_POSIX_SUITE(StatFsTypeTest, kTmpfsAccounting);

}  // namespace
}  // namespace stasis::posix
