// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class SeekTest : public PosixTest {};

TEST_P(SeekTest, Whence) {
  Put("/f", "abcdef");
  const int fd = Open("/f", O_RDONLY);
  EXPECT_EQ(sys.Seek(fd, 4, SEEK_SET), 4);
  EXPECT_EQ(sys.Seek(fd, -1, SEEK_CUR), 3);
  EXPECT_EQ(sys.Seek(fd, -2, SEEK_END), 4);
  EXPECT_EQ(sys.Seek(fd, 10, SEEK_END), 16);
  EXPECT_EQ(sys.Read(fd, 10), "");
  EXPECT_EQ(sys.Seek(fd, -16, SEEK_CUR), 0);
}

TEST_P(SeekTest, Invalid) {
  Put("/f", "abcdef");
  const int fd = Open("/f", O_RDONLY);
  ASSERT_THAT(sys.Seek(fd, 3, SEEK_SET), IsOk());
  EXPECT_THAT(sys.Seek(fd, -1, SEEK_SET), IsErrno(EINVAL));
  EXPECT_THAT(sys.Seek(fd, -4, SEEK_CUR), IsErrno(EINVAL));
  EXPECT_THAT(sys.Seek(fd, -7, SEEK_END), IsErrno(EINVAL));
  EXPECT_THAT(sys.Seek(fd, 0, 5), IsErrno(EINVAL));
  EXPECT_THAT(sys.Seek(fd, 0, -1), IsErrno(EINVAL));
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_CUR), 3) << "stays";
}

TEST_P(SeekTest, Overflow) {
  Put("/f", "abcdef");
  const int fd = Open("/f", O_RDWR);
  EXPECT_EQ(sys.Seek(fd, INT64_MAX, SEEK_SET), INT64_MAX);
  EXPECT_THAT(sys.Seek(fd, 1, SEEK_CUR), IsErrno(EINVAL));
  EXPECT_THAT(sys.Seek(fd, INT64_MAX, SEEK_END), IsErrno(EINVAL));
  EXPECT_THAT(sys.Write(fd, "x"), IsErrno(EINVAL));
  EXPECT_THAT(sys.Seek(fd, INT64_MIN, SEEK_CUR), IsErrno(EINVAL));
}

TEST_P(SeekTest, DataAndHoles) {
  constexpr int64_t kExtent = 1 << 20;  // file_layout_test.cc looks closer
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ASSERT_THAT(sys.PWrite(fd, kExtent, std::string(kExtent, 'x')), IsOk());
  ASSERT_THAT(sys.PWrite(fd, 5 * kExtent, std::string(2 * kExtent, 'y')), IsOk());
  ASSERT_THAT(sys.FTruncate(fd, 9 * kExtent), IsOk());
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_DATA), kExtent);
  EXPECT_EQ(sys.Seek(fd, kExtent + 5, SEEK_DATA), kExtent + 5);
  EXPECT_EQ(sys.Seek(fd, 2 * kExtent, SEEK_DATA), 5 * kExtent);
  EXPECT_THAT(sys.Seek(fd, 7 * kExtent, SEEK_DATA), IsErrno(ENXIO));
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_HOLE), 0);
  EXPECT_EQ(sys.Seek(fd, kExtent + 5, SEEK_HOLE), 2 * kExtent);
  EXPECT_EQ(sys.Seek(fd, 5 * kExtent, SEEK_HOLE), 7 * kExtent);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_CUR), 7 * kExtent) << "the offset moves";
  EXPECT_THAT(sys.Seek(fd, 9 * kExtent, SEEK_DATA), IsErrno(ENXIO));
  EXPECT_THAT(sys.Seek(fd, 9 * kExtent, SEEK_HOLE), IsErrno(ENXIO));
  EXPECT_THAT(sys.Seek(fd, -1, SEEK_DATA), IsErrno(ENXIO));
  EXPECT_THAT(sys.Seek(fd, -1, SEEK_HOLE), IsErrno(ENXIO));
}

TEST_P(SeekTest, HoleAtTheEnd) {
  Put("/f", "abc");
  const int fd = Open("/f", O_RDONLY);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_DATA), 0);
  EXPECT_EQ(sys.Seek(fd, 1, SEEK_HOLE), 3);
  EXPECT_THAT(sys.Seek(fd, 3, SEEK_HOLE), IsErrno(ENXIO));
  Put("/empty");
  const int empty = Open("/empty", O_RDONLY);
  EXPECT_THAT(sys.Seek(empty, 0, SEEK_DATA), IsErrno(ENXIO));
  EXPECT_THAT(sys.Seek(empty, 0, SEEK_HOLE), IsErrno(ENXIO));
}

TEST_P(SeekTest, WithoutAFile) {
  Put("/f", "abc");
  const int fd = Open("/f", O_PATH);
  for (const int whence : {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, 77})
    EXPECT_THAT(sys.Seek(fd, 0, whence), IsErrno(EBADF)) << whence;
}

TEST_P(SeekTest, FarPastTheEnd) {
  Put("/f", "abc");
  const int fd = Open("/f", O_RDWR);
  EXPECT_THAT(sys.Seek(fd, INT64_MAX, SEEK_DATA), IsErrno(ENXIO));
  EXPECT_THAT(sys.Seek(fd, INT64_MAX, SEEK_HOLE), IsErrno(ENXIO));
  EXPECT_THAT(sys.Seek(fd, INT64_MIN, SEEK_DATA), IsErrno(ENXIO));
  EXPECT_THAT(sys.Seek(fd, INT64_MIN, SEEK_SET), IsErrno(EINVAL));
  EXPECT_THAT(sys.Seek(fd, INT64_MIN, SEEK_END), IsErrno(EINVAL));
  ASSERT_THAT(sys.FTruncate(fd, INT64_MAX), IsOk());
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_END), INT64_MAX);
  EXPECT_THAT(sys.Seek(fd, 1, SEEK_END), IsErrno(EINVAL));
  EXPECT_EQ(sys.Seek(fd, INT64_MAX - 1, SEEK_HOLE), INT64_MAX - 1);
  EXPECT_THAT(sys.Seek(fd, INT64_MAX - 1, SEEK_DATA), IsErrno(ENXIO));
  EXPECT_THAT(sys.Seek(fd, INT64_MAX, SEEK_HOLE), IsErrno(ENXIO));
}

TEST_P(SeekTest, Directory) {
  MakeDir("/d");
  const int fd = Open("/d", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_SET), 0);
  EXPECT_THAT(sys.Seek(fd, -1, SEEK_SET), IsErrno(EINVAL));
}

TEST_P(SeekTest, Pipe) {
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  EXPECT_THAT(sys.Seek(Open("/fifo", O_RDWR), 0, SEEK_SET), IsErrno(ESPIPE));
}

STASIS_POSIX_SUITE(SeekTest);

class SeekDirectoryTest : public PosixTest {};

TEST_P(SeekDirectoryTest, HasNoEndAndNoHoles) {
  MakeDir("/d");
  const int fd = Open("/d", O_RDONLY | O_DIRECTORY);
  EXPECT_THAT(sys.Seek(fd, 0, SEEK_END), IsErrno(EINVAL));
  EXPECT_THAT(sys.Seek(fd, 0, SEEK_DATA), IsErrno(EINVAL));
  EXPECT_THAT(sys.Seek(fd, 0, SEEK_HOLE), IsErrno(EINVAL));
}

STASIS_POSIX_SUITE(SeekDirectoryTest, kDirectoryOffsets);

}  // namespace
}  // namespace stasis::posix
