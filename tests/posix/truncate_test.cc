// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class TruncateTest : public PosixTest {};

TEST_P(TruncateTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Truncate(path, 0); });
}

TEST_P(TruncateTest, FollowErrors) {
  ExpectFollowErrors([this](const std::string& path) { return sys.Truncate(path, 0); });
}

TEST_P(TruncateTest, CutsAndGrows) {
  Put("/f", "abcdef");
  EXPECT_THAT(sys.Truncate("/f", 3), IsOk());
  EXPECT_EQ(Get("/f"), "abc");
  EXPECT_THAT(sys.Truncate("/f", 5), IsOk());
  EXPECT_EQ(Get("/f"), std::string("abc\0\0", 5)) << "what was cut off does not come back";
  EXPECT_THAT(sys.Truncate("/f", 0), IsOk());
  EXPECT_EQ(StatOf("/f").blocks, 0u);
}

TEST_P(TruncateTest, Blocks) {
  Put("/f", std::string(4 * 4096, 'x'));
  EXPECT_THAT(sys.Truncate("/f", 4097), IsOk());
  EXPECT_EQ(StatOf("/f").blocks, 16u);
  EXPECT_THAT(sys.Truncate("/f", 1'000'000), IsOk());
  EXPECT_EQ(StatOf("/f").blocks, 16u) << "a hole";
  EXPECT_EQ(StatOf("/f").size, 1'000'000u);
}

TEST_P(TruncateTest, LargestSize) {
  Put("/f", "x");
  EXPECT_THAT(sys.Truncate("/f", INT64_MAX), IsOk());
  EXPECT_EQ(StatOf("/f").size, static_cast<uint64_t>(INT64_MAX));
  EXPECT_EQ(StatOf("/f").blocks, 8u);
  EXPECT_THAT(sys.Truncate("/f", 1), IsOk());
  EXPECT_EQ(Get("/f"), "x");
}

TEST_P(TruncateTest, NegativeSize) {
  Put("/f");
  EXPECT_THAT(sys.Truncate("/f", -1), IsErrno(EINVAL));
  EXPECT_THAT(sys.Truncate("/missing", -1), IsErrno(EINVAL)) << "comes before ENOENT";
  EXPECT_THAT(sys.FTruncate(Open("/f", O_RDWR), -1), IsErrno(EINVAL));
}

TEST_P(TruncateTest, NotARegularFile) {
  MakeDir("/d");
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  if (Has(kWhiteouts)) {
    ASSERT_THAT(sys.Mknod("/device", S_IFCHR | 0644, 0), IsOk());
  }
  EXPECT_THAT(sys.Truncate("/d", 0), IsErrno(EISDIR));
  EXPECT_THAT(sys.Truncate("/", 0), IsErrno(EISDIR));
  EXPECT_THAT(sys.Truncate("/fifo", 0), IsErrno(EINVAL));
  if (Has(kWhiteouts)) {
    EXPECT_THAT(sys.Truncate("/device", 0), IsErrno(EINVAL));
  }
  EXPECT_THAT(sys.FTruncate(Open("/d", O_RDONLY), 0), IsErrno(EINVAL));
}

TEST_P(TruncateTest, DescriptorsThatAreNotOpenForWriting) {
  Put("/f", "content");
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  EXPECT_THAT(sys.FTruncate(Open("/f", O_RDONLY), 0), IsErrno(EINVAL));
  EXPECT_THAT(sys.FTruncate(Open("/f", O_PATH), 0), IsErrno(EBADF));
  EXPECT_THAT(sys.FTruncate(Open("/f", O_PATH), -1), IsErrno(EINVAL)) << "comes before EBADF";
  EXPECT_THAT(sys.FTruncate(Open("/fifo", O_RDWR), 0), IsErrno(EINVAL));
  EXPECT_EQ(Get("/f"), "content");
}

TEST_P(TruncateTest, NeedsWritePermission) {
  Put("/f", "content", 0444);
  Become(kAlice);
  EXPECT_THAT(sys.Truncate("/f", 0), IsErrno(EACCES));
  EXPECT_THAT(sys.FTruncate(Open("/f", O_RDONLY), 0), IsErrno(EINVAL)) << "not open for writing";
}

TEST_P(TruncateTest, OfADescriptorNeedsNoPermission) {
  Put("/f", "content", 0666);
  Become(kAlice);
  const int fd = Open("/f", O_WRONLY);
  BecomeRoot();
  ASSERT_THAT(sys.Chmod("/f", 0), IsOk());
  Become(kAlice);
  EXPECT_THAT(sys.FTruncate(fd, 3), IsOk());
  EXPECT_EQ(StatOf("/f").size, 3u);
}

TEST_P(TruncateTest, LeavesTheOffset) {
  Put("/f", "abcdef");
  const int fd = Open("/f", O_RDWR);
  ASSERT_THAT(sys.Seek(fd, 4, SEEK_SET), IsOk());
  ASSERT_THAT(sys.FTruncate(fd, 2), IsOk());
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_CUR), 4);
  EXPECT_EQ(sys.Read(fd, 10), "");
  EXPECT_THAT(sys.Write(fd, "x"), IsOk());
  EXPECT_EQ(Get("/f"), std::string("ab\0\0x", 5));
}

TEST_P(TruncateTest, Times) {
  Put("/f", "content");
  const int fd = Open("/f", O_RDWR);
  ExpectSetsTimes("/f", kMtime | kCtime, [this] { return sys.Truncate("/f", 3); });
  ExpectSetsTimes("/f", kMtime | kCtime, [&] { return sys.FTruncate(fd, 2); });
  ExpectSetsTimes("/f", kMtime | kCtime, [&] { return sys.FTruncate(fd, 5000); });
  ExpectSetsTimes("/f", kMtime | kCtime, [&] { return sys.FTruncate(fd, 5000); });
}

TEST_P(TruncateTest, TimesOfTheSameSize) {
  Put("/f", "content");
  ExpectSetsTimes("/f", kMtime | kCtime, [this] { return sys.Truncate("/f", 7); });
}

TEST_P(TruncateTest, ClearsSetIdBits) {
  Put("/f", "content");
  const int fd = Open("/f", O_RDWR);
  ASSERT_THAT(sys.Chmod("/f", 06777), IsOk());
  EXPECT_THAT(sys.Truncate("/f", 5), IsOk());
  EXPECT_EQ(ModeOf("/f"), 06777u) << "not by root";
  Become(kAlice);
  EXPECT_THAT(sys.Truncate("/f", 4), IsOk());
  EXPECT_EQ(ModeOf("/f"), 0777u);
  BecomeRoot();
  ASSERT_THAT(sys.Chmod("/f", 06767), IsOk());
  Become(kAlice);
  EXPECT_THAT(sys.FTruncate(fd, 3), IsOk());
  EXPECT_EQ(ModeOf("/f"), 0767u) << "set-group-ID too: she is not in the group";
}

TEST_P(TruncateTest, ReadOnlyFilesystem) {
  Put("/f", "content", 0444);
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.Truncate("/f", 0), IsErrno(EROFS));
  Become(kAlice);
  EXPECT_THAT(sys.Truncate("/f", 0), IsErrno(EACCES)) << "comes before EROFS";
}

STASIS_POSIX_SUITE(TruncateTest);

}  // namespace
}  // namespace stasis::posix
