// SPDX-License-Identifier: Apache-2.0
//
// Which parts of a file take up space, to the page. Programs may not rely on it (a filesystem may
// say that a file has no holes), but tmpfs does so.

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

// Zeros that were written are data.
TEST_P(FileLayoutTest, WrittenZeros) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.Write(fd, std::string(4 * kPage, '\0')), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, 4 * kBlocks);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_DATA), 0);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_HOLE), 4 * kPage);
}

STASIS_POSIX_SUITE(FileLayoutTest, kTmpfsAccounting);

}  // namespace
}  // namespace stasis::posix
