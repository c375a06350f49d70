// SPDX-License-Identifier: Apache-2.0
//
// Which parts of a file take up space, to the page. Other filesystems may say that a file has no
// holes; a tmpfs is exact.

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

constexpr int64_t kPage = 4096;
constexpr uint64_t kBlocks = kPage / 512;  // of a page
constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

class FileLayoutTest : public PosixTest {};

TEST_P(FileLayoutTest, PagesThatWereWritten) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.PWrite(fd, kPage, "x"), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, kBlocks);
  ASSERT_THAT(sys.PWrite(fd, 10 * kPage, std::string(2 * kPage, 'y')), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 3 * kBlocks);
  ASSERT_THAT(sys.PWrite(fd, INT64_MAX - 1, "z"), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 4 * kBlocks);
}

TEST_P(FileLayoutTest, DataAndHoles) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.PWrite(fd, kPage, "x"), IsOk());
  ASSERT_THAT(sys.PWrite(fd, 10 * kPage, std::string(2 * kPage, 'y')), IsOk());
  ASSERT_THAT(sys.FTruncate(fd, 20 * kPage), IsOk());
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_HOLE), 0);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_DATA), kPage);
  EXPECT_EQ(sys.Seek(fd, kPage + 5, SEEK_HOLE), 2 * kPage);
  EXPECT_EQ(sys.Seek(fd, 2 * kPage, SEEK_DATA), 10 * kPage);
  EXPECT_EQ(sys.Seek(fd, 10 * kPage, SEEK_HOLE), 12 * kPage);
  EXPECT_THAT(sys.Seek(fd, 12 * kPage, SEEK_DATA), IsErrno(ENXIO));
}

TEST_P(FileLayoutTest, AllocatedPages) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.FTruncate(fd, 10 * kPage), IsOk());
  EXPECT_THAT(sys.Fallocate(fd, 0, 2 * kPage + 5, kPage), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 2 * kBlocks);
}

TEST_P(FileLayoutTest, AllocatedIsAHoleUntilItIsWritten) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.FTruncate(fd, 10 * kPage), IsOk());
  ASSERT_THAT(sys.Fallocate(fd, 0, 4 * kPage, 2 * kPage), IsOk());
  EXPECT_THAT(sys.Seek(fd, 0, SEEK_DATA), IsErrno(ENXIO));
  EXPECT_EQ(sys.Seek(fd, 4 * kPage, SEEK_HOLE), 4 * kPage);
  ASSERT_THAT(sys.PWrite(fd, 5 * kPage, "x"), IsOk());
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_DATA), 5 * kPage);
}

TEST_P(FileLayoutTest, AllocatedPastTheEnd) {
  Put("/f", "abc");
  const int fd = Open("/f", O_RDWR);
  EXPECT_THAT(sys.Fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 3 * kPage), IsOk());
  EXPECT_EQ(StatOf(fd).size, 3u);
  EXPECT_EQ(StatOf(fd).blocks, 3 * kBlocks);
  EXPECT_EQ(Get("/f"), "abc");
  ASSERT_THAT(sys.FTruncate(fd, 2), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, kBlocks);
}

TEST_P(FileLayoutTest, PunchedPages) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.Write(fd, std::string(4 * kPage, 'x')), IsOk());
  EXPECT_THAT(sys.Fallocate(fd, kPunch, kPage, 2 * kPage), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 2 * kBlocks);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_HOLE), kPage);
  EXPECT_EQ(sys.Seek(fd, kPage, SEEK_DATA), 3 * kPage);
  EXPECT_EQ(sys.PRead(fd, kPage - 2, 4), std::string("xx\0\0", 4));
}

TEST_P(FileLayoutTest, PunchedPartsOfAPageStay) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.Write(fd, std::string(4 * kPage, 'x')), IsOk());
  EXPECT_THAT(sys.Fallocate(fd, kPunch, kPage + 1, kPage), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 4 * kBlocks);
}

TEST_P(FileLayoutTest, PunchedPartOfTheOnlyPage) {
  Put("/f", "abc");
  const int fd = Open("/f", O_RDWR);
  EXPECT_THAT(sys.Fallocate(fd, kPunch, 0, 3), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, kBlocks);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_DATA), 0);
  EXPECT_THAT(sys.Fallocate(fd, kPunch, 0, kPage), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 0u);
  EXPECT_EQ(StatOf(fd).size, 3u);
  EXPECT_EQ(Get("/f"), std::string(3, '\0'));
}

TEST_P(FileLayoutTest, TruncateKeepsThePageOfTheEnd) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.Write(fd, std::string(4 * kPage, 'x')), IsOk());
  ASSERT_THAT(sys.FTruncate(fd, 2 * kPage + 1), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 3 * kBlocks);
  ASSERT_THAT(sys.FTruncate(fd, 2 * kPage), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 2 * kBlocks);
  ASSERT_THAT(sys.FTruncate(fd, 4 * kPage), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 2 * kBlocks);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_HOLE), 2 * kPage);
}

TEST_P(FileLayoutTest, TruncateToAHoleLeavesNothingOfThePage) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.PWrite(fd, 3 * kPage, "x"), IsOk());
  ASSERT_THAT(sys.FTruncate(fd, kPage + 1), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 0u);
  EXPECT_THAT(sys.Seek(fd, 0, SEEK_DATA), IsErrno(ENXIO));
}

TEST_P(FileLayoutTest, TruncateToMoreKeepsWhatIsReserved) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.Fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8 * kPage), IsOk());
  ASSERT_THAT(sys.FTruncate(fd, kPage + 1), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 8 * kBlocks);
  EXPECT_EQ(Get("/f"), std::string(kPage + 1, '\0'));
  ASSERT_THAT(sys.FTruncate(fd, kPage + 1), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 2 * kBlocks) << "the same size gives it back";
}

TEST_P(FileLayoutTest, ReservedPagesArePunched) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.Fallocate(fd, FALLOC_FL_KEEP_SIZE, 10 * kPage, 8 * kPage), IsOk());
  EXPECT_THAT(sys.Fallocate(fd, kPunch, 11 * kPage - 1, 3 * kPage), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 6 * kBlocks);
}

TEST_P(FileLayoutTest, WritesInAnyOrder) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  for (const int64_t page : {6, 1, 3}) ASSERT_THAT(sys.PWrite(fd, page * kPage, "x"), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 3 * kBlocks);
  EXPECT_EQ(sys.Seek(fd, kPage, SEEK_HOLE), 2 * kPage);
  EXPECT_EQ(sys.Seek(fd, 2 * kPage, SEEK_DATA), 3 * kPage);
  EXPECT_EQ(sys.Seek(fd, 4 * kPage, SEEK_DATA), 6 * kPage);
  ASSERT_THAT(sys.PWrite(fd, 2 * kPage - 1, "yy"), IsOk());
  EXPECT_EQ(sys.Seek(fd, kPage, SEEK_HOLE), 4 * kPage);
}

// Zeros that were written are data.
TEST_P(FileLayoutTest, WrittenZeros) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.Write(fd, std::string(4 * kPage, '\0')), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 4 * kBlocks);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_DATA), 0);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_HOLE), 4 * kPage);
}

STASIS_POSIX_SUITE(FileLayoutTest);

class FileLayoutLimitTest : public PosixTest {
 protected:
  FileLayoutLimitTest() : PosixTest(16 * kPage) {}
  uint64_t FreePages() { return sys.StatFs("/").value_or(vfs::StatFs()).blocks_free; }
};

TEST_P(FileLayoutLimitTest, SparseFilesTakeTheirPages) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  for (int64_t i = 0; i < 16; ++i) ASSERT_THAT(sys.PWrite(fd, 5 * i * kPage, "x"), IsOk()) << i;
  EXPECT_EQ(FreePages(), 0u);
  EXPECT_THAT(sys.PWrite(fd, kPage, "x"), IsErrno(ENOSPC));
  EXPECT_THAT(sys.PWrite(fd, 5 * kPage + 1, "x"), IsOk()) << "in a page that is there";
  EXPECT_THAT(sys.Fallocate(fd, kPunch, 5 * kPage, kPage), IsOk());
  EXPECT_THAT(sys.PWrite(fd, kPage, "x"), IsOk());
}

TEST_P(FileLayoutLimitTest, WriteOverHolesAndPagesStopsWhereNoMoreFits) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.PWrite(fd, 2 * kPage, "x"), IsOk());
  ASSERT_THAT(sys.Fallocate(fd, FALLOC_FL_KEEP_SIZE, 40 * kPage, 11 * kPage), IsOk());
  EXPECT_EQ(FreePages(), 4u);
  EXPECT_EQ(sys.PWrite(fd, kPage + 1, std::string(10 * kPage, 'y')), 5u * kPage - 1);
  EXPECT_EQ(StatOf(fd).size, 6u * kPage);
  EXPECT_EQ(FreePages(), 0u);
}

TEST_P(FileLayoutLimitTest, ReservedPagesCanBeWritten) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.Fallocate(fd, FALLOC_FL_KEEP_SIZE, kPage, 4 * kPage), IsOk());
  ASSERT_THAT(sys.Fallocate(Open("/g", O_RDWR | O_CREAT, 0644), 0, 0, 12 * kPage), IsOk());
  EXPECT_EQ(FreePages(), 0u);
  EXPECT_EQ(sys.PWrite(fd, kPage, std::string(4 * kPage, 'x')), 4u * kPage);
  EXPECT_THAT(sys.PWrite(fd, 0, "x"), IsErrno(ENOSPC));
}

TEST_P(FileLayoutLimitTest, FailedReservationChangesNothing) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.Fallocate(fd, FALLOC_FL_KEEP_SIZE, 5 * kPage, kPage), IsOk());
  ASSERT_THAT(sys.PWrite(fd, 2 * kPage, "x"), IsOk());
  Put("/g", std::string(11 * kPage, 'g'));
  EXPECT_THAT(sys.Fallocate(fd, 0, kPage, 12 * kPage), IsErrno(ENOSPC));
  EXPECT_EQ(StatOf(fd).blocks, 2 * kBlocks);
  EXPECT_EQ(StatOf(fd).size, 2u * kPage + 1);
  EXPECT_EQ(FreePages(), 3u);
}

STASIS_POSIX_SUITE(FileLayoutLimitTest);

}  // namespace
}  // namespace stasis::posix
