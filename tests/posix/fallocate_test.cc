// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

constexpr int64_t kPage = 4096;
constexpr int64_t kExtent = 1 << 20;  // how finely space is counted is file_layout_test.cc's
constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

class FallocateTest : public PosixTest {};

TEST_P(FallocateTest, Grows) {
  Put("/f", "abc");
  const int fd = Open("/f", O_RDWR);
  EXPECT_THAT(sys.Fallocate(fd, 0, 0, 3 * kPage), IsOk());
  EXPECT_EQ(StatOf(fd).size, 3u * kPage);
  EXPECT_EQ(StatOf(fd).blocks, 24u);
  EXPECT_EQ(sys.PRead(fd, 0, 5), std::string("abc\0\0", 5));
  EXPECT_THAT(sys.Fallocate(fd, 0, 0, kPage), IsOk());
  EXPECT_EQ(StatOf(fd).size, 3u * kPage) << "never shrinks";
}

TEST_P(FallocateTest, FillsHoles) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.FTruncate(fd, kExtent * 4), IsOk());
  EXPECT_THAT(sys.Fallocate(fd, 0, kExtent, kExtent), IsOk());
  EXPECT_EQ(StatOf(fd).blocks, kExtent / 512u);
  EXPECT_EQ(StatOf(fd).size, 4u * kExtent);
  EXPECT_EQ(sys.PRead(fd, kExtent, 3), std::string(3, '\0'));
}

TEST_P(FallocateTest, KeepSize) {
  Put("/f", "abc");
  const int fd = Open("/f", O_RDWR);
  EXPECT_THAT(sys.Fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100), IsOk());
  EXPECT_EQ(StatOf(fd).size, 3u);
  EXPECT_EQ(StatOf(fd).blocks, 8u);
  EXPECT_EQ(Get("/f"), "abc");
}

TEST_P(FallocateTest, PunchHole) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.Write(fd, std::string(4 * kExtent, 'x')), IsOk());
  EXPECT_THAT(sys.Fallocate(fd, kPunch, kExtent, 2 * kExtent), IsOk());
  EXPECT_EQ(StatOf(fd).size, 4u * kExtent);
  EXPECT_EQ(StatOf(fd).blocks, 2u * kExtent / 512);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_HOLE), kExtent);
  EXPECT_EQ(sys.Seek(fd, kExtent, SEEK_DATA), 3 * kExtent);
  EXPECT_EQ(sys.PRead(fd, kExtent - 2, 4), std::string("xx\0\0", 4));
  EXPECT_EQ(sys.PRead(fd, 3 * kExtent - 2, 4), std::string("\0\0xx", 4));
}

TEST_P(FallocateTest, PunchPartsOfPages) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.Write(fd, std::string(2 * kPage, 'x')), IsOk());
  EXPECT_THAT(sys.Fallocate(fd, kPunch, 1, 2), IsOk());
  EXPECT_EQ(sys.PRead(fd, 0, 4), std::string("x\0\0x", 4));
  EXPECT_EQ(StatOf(fd).blocks, 16u);
  EXPECT_THAT(sys.Fallocate(fd, kPunch, kPage - 1, 2), IsOk());
  EXPECT_EQ(sys.PRead(fd, kPage - 2, 4), std::string("x\0\0x", 4));
}

TEST_P(FallocateTest, PunchPastTheEnd) {
  Put("/f", "abc");
  const int fd = Open("/f", O_RDWR);
  EXPECT_THAT(sys.Fallocate(fd, kPunch, 100 * kPage, kPage), IsOk());
  EXPECT_THAT(sys.Fallocate(fd, kPunch, 1, 100 * kPage), IsOk());
  EXPECT_EQ(Get("/f"), std::string("a\0\0", 3));
}

TEST_P(FallocateTest, InvalidRanges) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  EXPECT_THAT(sys.Fallocate(fd, 0, 0, 0), IsErrno(EINVAL));
  EXPECT_THAT(sys.Fallocate(fd, 0, 0, -1), IsErrno(EINVAL));
  EXPECT_THAT(sys.Fallocate(fd, 0, -1, 1), IsErrno(EINVAL));
  EXPECT_THAT(sys.Fallocate(fd, kPunch, 0, 0), IsErrno(EINVAL));
  EXPECT_THAT(sys.Fallocate(fd, 0, INT64_MAX, 1), IsErrno(EFBIG));
  EXPECT_THAT(sys.Fallocate(fd, 0, 1, INT64_MAX), IsErrno(EFBIG));
}

TEST_P(FallocateTest, ModesThatAreNotThere) {
  Put("/f", std::string(4 * kPage, 'x'));
  const int fd = Open("/f", O_RDWR);
  EXPECT_THAT(sys.Fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, kPage), IsErrno(EOPNOTSUPP));
  EXPECT_THAT(sys.Fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, kPage), IsErrno(EOPNOTSUPP));
  EXPECT_THAT(sys.Fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, kPage), IsErrno(EOPNOTSUPP));
  EXPECT_THAT(sys.Fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, kPage), IsErrno(EOPNOTSUPP));
  EXPECT_THAT(sys.Fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, kPage), IsErrno(EOPNOTSUPP));
  EXPECT_THAT(sys.Fallocate(fd, 0x1000, 0, kPage), IsErrno(EOPNOTSUPP));
}

TEST_P(FallocateTest, WrongFiles) {
  Put("/f");
  MakeDir("/d");
  EXPECT_THAT(sys.Fallocate(Open("/f", O_RDONLY), 0, 0, 1), IsErrno(EBADF));
  EXPECT_THAT(sys.Fallocate(Open("/d", O_RDONLY), 0, 0, 1), IsErrno(EBADF));
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  EXPECT_THAT(sys.Fallocate(Open("/fifo", O_RDWR), 0, 0, 1), IsErrno(ESPIPE));
}

TEST_P(FallocateTest, WhichErrorComesFirst) {
  Put("/f");
  MakeDir("/d");
  const int reader = Open("/f", O_RDONLY);
  EXPECT_THAT(sys.Fallocate(reader, 0, 0, 0), IsErrno(EINVAL));
  EXPECT_THAT(sys.Fallocate(reader, 0x1000, 0, 0), IsErrno(EINVAL));
  constexpr int kNoMode[] = {0x1000,
                             FALLOC_FL_PUNCH_HOLE,
                             kPunch | FALLOC_FL_ZERO_RANGE,
                             FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE,
                             FALLOC_FL_INSERT_RANGE | FALLOC_FL_KEEP_SIZE,
                             FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE};
  for (const int mode : kNoMode)
    EXPECT_THAT(sys.Fallocate(reader, mode, 0, 1), IsErrno(EOPNOTSUPP)) << mode;
  constexpr int kMode[] = {kPunch,
                           FALLOC_FL_COLLAPSE_RANGE,
                           FALLOC_FL_INSERT_RANGE,
                           FALLOC_FL_ZERO_RANGE,
                           FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                           FALLOC_FL_UNSHARE_RANGE};
  for (const int mode : kMode)
    EXPECT_THAT(sys.Fallocate(reader, mode, 0, 1), IsErrno(EBADF)) << mode;
  EXPECT_THAT(sys.Fallocate(reader, 0, 1, INT64_MAX), IsErrno(EBADF));
  const int writer = Open("/f", O_WRONLY);
  EXPECT_THAT(sys.Fallocate(writer, FALLOC_FL_ZERO_RANGE, 1, INT64_MAX), IsErrno(EFBIG));
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  EXPECT_THAT(sys.Fallocate(Open("/fifo", O_RDWR), 0, 1, INT64_MAX), IsErrno(ESPIPE));
  EXPECT_THAT(sys.Fallocate(Open("/f", O_PATH), 0, 0, 1), IsErrno(EBADF));
  EXPECT_THAT(sys.Fallocate(Open("/f", O_PATH), 0, 0, 0), IsErrno(EBADF));
}

TEST_P(FallocateTest, AppendersMay) {
  const int fd = Open("/f", O_WRONLY | O_APPEND | O_CREAT, 0644);
  EXPECT_THAT(sys.Fallocate(fd, 0, 0, kPage), IsOk());
}

TEST_P(FallocateTest, Times) {
  Put("/f", "abc");
  const int fd = Open("/f", O_RDWR);
  ExpectSetsTimes("/f", kMtime | kCtime, [&] { return sys.Fallocate(fd, 0, 0, 2 * kPage); });
  ExpectSetsTimes("/f", kMtime | kCtime, [&] { return sys.Fallocate(fd, 0, 0, kPage); });
  ExpectSetsTimes("/f", kMtime | kCtime, [&] { return sys.Fallocate(fd, kPunch, 0, kPage); });
}

TEST_P(FallocateTest, SetIdBits) {
  Put("/f");
  const int fd = Open("/f", O_RDWR);
  ASSERT_THAT(sys.Chmod("/f", 06777), IsOk());
  Become(kAlice);
  EXPECT_THAT(sys.Fallocate(fd, 0, 0, kPage), IsOk());
  EXPECT_EQ(ModeOf("/f"), 0777u);
}

STASIS_POSIX_SUITE(FallocateTest);

class FallocateDeviceTest : public PosixTest {};

TEST_P(FallocateDeviceTest, HasNoSpace) {
  ASSERT_THAT(sys.Mknod("/null", S_IFCHR | 0666, makedev(1, 3)), IsOk());
  const int fd = Open("/null", O_WRONLY);
  EXPECT_THAT(sys.Fallocate(fd, 0, 0, 1), IsErrno(ENODEV));
  EXPECT_THAT(sys.Fallocate(fd, 0, 1, INT64_MAX), IsErrno(ENODEV));
}

STASIS_POSIX_SUITE(FallocateDeviceTest, kSpecialFiles);

class FallocateLimitTest : public PosixTest {
 protected:
  FallocateLimitTest() : PosixTest(4 * kExtent) {}
};

TEST_P(FallocateLimitTest, AllOrNothing) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  EXPECT_THAT(sys.Fallocate(fd, 0, 0, 5 * kExtent), IsErrno(ENOSPC));
  EXPECT_EQ(StatOf(fd).size, 0u);
  EXPECT_EQ(StatOf(fd).blocks, 0u);
  EXPECT_THAT(sys.Fallocate(fd, 0, 0, 4 * kExtent), IsOk());
  EXPECT_EQ(sys.StatFs("/")->blocks_free, 0u);
  EXPECT_THAT(sys.Write(fd, std::string(4 * kPage, 'x')), IsOk()) << "there is room for it";
  Put("/g");
  EXPECT_THAT(sys.PWrite(Open("/g", O_RDWR), 0, "x"), IsErrno(ENOSPC));
  EXPECT_THAT(sys.Fallocate(fd, kPunch, 0, kExtent), IsOk());
  EXPECT_THAT(sys.PWrite(Open("/g", O_RDWR), 0, "x"), IsOk());
}

TEST_P(FallocateLimitTest, HugeRange) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  EXPECT_THAT(sys.Fallocate(fd, 0, 0, int64_t{1} << 50), IsErrno(ENOSPC));
}

STASIS_POSIX_SUITE(FallocateLimitTest);

}  // namespace
}  // namespace stasis::posix
