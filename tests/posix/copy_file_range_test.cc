// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class CopyFileRangeTest : public PosixTest {};

TEST_P(CopyFileRangeTest, Copies) {
  Put("/a", "0123456789");
  Put("/b", "abcdefghij");
  const int a = Open("/a", O_RDONLY);
  const int b = Open("/b", O_RDWR);
  EXPECT_EQ(sys.CopyFileRange(a, 2, b, 4, 3), 3);
  EXPECT_EQ(Get("/b"), "abcd234hij");
  EXPECT_EQ(sys.Seek(a, 0, SEEK_CUR), 0);
  EXPECT_EQ(sys.Seek(b, 0, SEEK_CUR), 0);
}

TEST_P(CopyFileRangeTest, ToTheEndOfTheSource) {
  Put("/a", "0123456789");
  const int a = Open("/a", O_RDONLY);
  const int b = Open("/b", O_WRONLY | O_CREAT, 0644);
  EXPECT_EQ(sys.CopyFileRange(a, 6, b, 2, 100), 4);
  EXPECT_EQ(Get("/b"), std::string("\0\0006789", 6));
  EXPECT_EQ(sys.CopyFileRange(a, 10, b, 0, 100), 0);
  EXPECT_EQ(sys.CopyFileRange(a, 1000, b, 0, 100), 0);
  EXPECT_EQ(sys.CopyFileRange(a, 0, b, 0, 0), 0);
}

TEST_P(CopyFileRangeTest, Large) {
  std::string content(1'000'000, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 + i / 4096);
  Put("/a", content);
  const int a = Open("/a", O_RDONLY);
  const int b = Open("/b", O_RDWR | O_CREAT, 0644);
  int64_t done = 0;
  while (done < 900'000) {
    const auto n = sys.CopyFileRange(a, 50'000 + done, b, 7 + done, 900'000 - done);
    ASSERT_THAT(n, IsOk());
    ASSERT_GT(*n, 0);
    done += *n;
  }
  EXPECT_TRUE(sys.PRead(b, 7, 1'000'000) == content.substr(50'000, 900'000));
  ASSERT_THAT(sys.PWrite(b, 7, "changed"), IsOk());
  EXPECT_TRUE(sys.PRead(a, 0, content.size()) == content) << "nothing is shared";
}

TEST_P(CopyFileRangeTest, WithinOneFile) {
  Put("/f", "0123456789");
  const int fd = Open("/f", O_RDWR);
  EXPECT_EQ(sys.CopyFileRange(fd, 0, fd, 5, 5), 5);
  EXPECT_EQ(Get("/f"), "0123401234");
  EXPECT_THAT(sys.CopyFileRange(fd, 0, fd, 1, 5), IsErrno(EINVAL)) << "overlapping";
  EXPECT_THAT(sys.CopyFileRange(fd, 1, fd, 0, 5), IsErrno(EINVAL));
  EXPECT_THAT(sys.CopyFileRange(fd, 0, fd, 0, 5), IsErrno(EINVAL));
  const int other = Open("/f", O_RDWR);
  EXPECT_THAT(sys.CopyFileRange(fd, 0, other, 1, 5), IsErrno(EINVAL));
}

TEST_P(CopyFileRangeTest, AccessModes) {
  Put("/a", "content");
  Put("/b");
  const int reader = Open("/a", O_RDONLY);
  const int writer = Open("/b", O_WRONLY);
  EXPECT_THAT(sys.CopyFileRange(writer, 0, writer, 10, 1), IsErrno(EBADF));
  EXPECT_THAT(sys.CopyFileRange(reader, 0, reader, 10, 1), IsErrno(EBADF));
  EXPECT_THAT(sys.CopyFileRange(reader, 0, Open("/b", O_WRONLY | O_APPEND), 0, 1), IsErrno(EBADF));
}

TEST_P(CopyFileRangeTest, WrongKinds) {
  Put("/a", "content");
  MakeDir("/d");
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  const int a = Open("/a", O_RDWR);
  const int fifo = Open("/fifo", O_RDWR | O_NONBLOCK);
  EXPECT_THAT(sys.CopyFileRange(Open("/d", O_RDONLY), 0, a, 0, 1), IsErrno(EISDIR));
  EXPECT_THAT(sys.CopyFileRange(fifo, 0, a, 0, 1), IsErrno(EINVAL));
  EXPECT_THAT(sys.CopyFileRange(a, 0, fifo, 0, 1), IsErrno(EINVAL));
}

TEST_P(CopyFileRangeTest, Offsets) {
  Put("/a", "content");
  const int a = Open("/a", O_RDONLY);
  const int b = Open("/b", O_RDWR | O_CREAT, 0644);
  EXPECT_THAT(sys.CopyFileRange(a, -5, b, 0, 1), IsErrno(EINVAL));
  EXPECT_THAT(sys.CopyFileRange(a, 0, b, -5, 1), IsErrno(EINVAL));
  EXPECT_THAT(sys.CopyFileRange(a, 0, b, INT64_MAX, 1), IsErrno(EFBIG));
  EXPECT_EQ(sys.CopyFileRange(a, INT64_MAX, b, 0, 1), 0);
}

TEST_P(CopyFileRangeTest, Lengths) {
  Put("/a", "content");
  const int a = Open("/a", O_RDWR);
  const int b = Open("/b", O_RDWR | O_CREAT, 0644);
  EXPECT_THAT(sys.CopyFileRange(a, 1, b, 0, SIZE_MAX), IsErrno(EOVERFLOW));
  EXPECT_THAT(sys.CopyFileRange(a, 0, b, 1, SIZE_MAX), IsErrno(EOVERFLOW));
  EXPECT_EQ(sys.CopyFileRange(a, 0, b, 0, SIZE_MAX), 7);
  EXPECT_EQ(sys.CopyFileRange(a, 3, b, 3, INT64_MAX), 4) << "past what an offset can be";
  EXPECT_EQ(sys.CopyFileRange(a, 3, a, 7, SIZE_MAX - 7), 4) << "no overlap in what there is";
  EXPECT_EQ(Get("/a"), "contenttent");
}

// The end of what was copied may be the largest size, not more.
TEST_P(CopyFileRangeTest, UpToTheLargestSize) {
  Put("/a", "content");
  const int a = Open("/a", O_RDONLY);
  const int b = Open("/b", O_RDWR | O_CREAT, 0644);
  EXPECT_EQ(sys.CopyFileRange(a, 0, b, INT64_MAX - 3, 7), 3);
  EXPECT_EQ(StatOf("/b").size, static_cast<uint64_t>(INT64_MAX));
  EXPECT_THAT(sys.CopyFileRange(a, 7, b, INT64_MAX, 0), IsErrno(EFBIG)) << "even of nothing";
}

TEST_P(CopyFileRangeTest, WhichErrorComesFirst) {
  Put("/a", "content");
  MakeDir("/d");
  const int reader = Open("/a", O_RDONLY);
  const int writer = Open("/a", O_WRONLY);
  const int dir = Open("/d", O_RDONLY);
  EXPECT_THAT(sys.CopyFileRange(dir, 0, reader, 0, 1), IsErrno(EISDIR));
  EXPECT_THAT(sys.CopyFileRange(writer, 0, dir, 0, 1), IsErrno(EISDIR));
  EXPECT_THAT(sys.CopyFileRange(writer, 1, reader, 1, SIZE_MAX), IsErrno(EBADF));
  EXPECT_THAT(sys.CopyFileRange(reader, 1, writer, INT64_MAX, SIZE_MAX), IsErrno(EOVERFLOW));
  EXPECT_THAT(sys.CopyFileRange(Open("/a", O_PATH), 0, writer, 0, 1), IsErrno(EBADF));
  EXPECT_THAT(sys.CopyFileRange(reader, 0, Open("/a", O_PATH), 0, 1), IsErrno(EBADF));
}

TEST_P(CopyFileRangeTest, OtherFilesystem) {
  Put("/a", "content");
  MakeDir("/m");
  ASSERT_THAT(sys.MountAnother("/m"), IsOk());
  const int a = Open("/a", O_RDONLY);
  const int b = Open("/m/b", O_RDWR | O_CREAT, 0644);
  EXPECT_THAT(sys.CopyFileRange(a, 0, b, 0, 7), IsErrno(EXDEV));
}

TEST_P(CopyFileRangeTest, Times) {
  Put("/a", "content");
  Put("/b", "content");
  const int a = Open("/a", O_RDONLY);
  const int b = Open("/b", O_RDWR);
  ExpectSetsTimes("/b", kMtime | kCtime, [&] { return sys.CopyFileRange(a, 0, b, 0, 7); });
  ExpectSetsTimes("/b", kNone, [&] { return sys.CopyFileRange(a, 0, b, 0, 0); });
}

TEST_P(CopyFileRangeTest, ClearsSetIdBits) {
  Put("/a", "content");
  Put("/b");
  const int a = Open("/a", O_RDONLY);
  const int b = Open("/b", O_RDWR);
  ASSERT_THAT(sys.Chmod("/b", 06777), IsOk());
  Become(kAlice);
  EXPECT_EQ(sys.CopyFileRange(a, 0, b, 0, 7), 7);
  EXPECT_EQ(ModeOf("/b"), 0777u);
}

STASIS_POSIX_SUITE(CopyFileRangeTest);

class CopyFileRangeTimesTest : public PosixTest {};

TEST_P(CopyFileRangeTimesTest, ReadsTheSource) {
  Put("/a", "content");
  Put("/b");
  const int a = Open("/a", O_RDONLY);
  const int b = Open("/b", O_RDWR);
  ExpectSetsTimes("/a", kAtime, [&] { return sys.CopyFileRange(a, 0, b, 0, 7); });
}

STASIS_POSIX_SUITE(CopyFileRangeTimesTest, kAccessTimes);

class CopyFileRangeLimitTest : public PosixTest {
 protected:
  CopyFileRangeLimitTest() : PosixTest(4 * 4096) {}
};

TEST_P(CopyFileRangeLimitTest, CopiesWhatFits) {
  Put("/a", std::string(3 * 4096, 'x'));
  const int a = Open("/a", O_RDONLY);
  const int b = Open("/b", O_RDWR | O_CREAT, 0644);
  EXPECT_EQ(sys.CopyFileRange(a, 0, b, 0, 3 * 4096), 4096);
  EXPECT_THAT(sys.CopyFileRange(a, 4096, b, 4096, 4096), IsErrno(ENOSPC));
  EXPECT_EQ(StatOf("/b").size, 4096u);
}

STASIS_POSIX_SUITE(CopyFileRangeLimitTest);

}  // namespace
}  // namespace stasis::posix
