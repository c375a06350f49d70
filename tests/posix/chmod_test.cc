// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class ChmodTest : public PosixTest {};

TEST_P(ChmodTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Chmod(path, 0600); });
}

TEST_P(ChmodTest, FollowErrors) {
  ExpectFollowErrors([this](const std::string& path) { return sys.Chmod(path, 0600); });
}

TEST_P(ChmodTest, EveryBitAndNoOther) {
  Put("/f");
  for (const uint32_t mode : {0u, 0777u, 04000u, 02000u, 01000u, 07777u}) {
    EXPECT_THAT(sys.Chmod("/f", mode), IsOk());
    EXPECT_EQ(StatOf("/f").mode, S_IFREG | mode);
  }
  EXPECT_THAT(sys.Chmod("/f", S_IFDIR | 0644), IsOk()) << "the type is not looked at";
  EXPECT_EQ(StatOf("/f").mode, S_IFREG | 0644u);
}

TEST_P(ChmodTest, OfEveryKind) {
  MakeDir("/d");
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  ASSERT_THAT(sys.Symlink("d", "/link"), IsOk());
  EXPECT_THAT(sys.Chmod("/fifo", 0600), IsOk());
  EXPECT_EQ(ModeOf("/fifo"), 0600u);
  EXPECT_THAT(sys.Chmod("/link", 07700), IsOk()) << "follows";
  EXPECT_EQ(ModeOf("/d"), 07700u);
  EXPECT_EQ(ModeOf("/link"), 0777u);
  EXPECT_THAT(sys.Chmod("/", 0700), IsOk());
}

TEST_P(ChmodTest, OnlyTheOwner) {
  Put("/f", "", 0666);
  GiveTo(kAlice, "/f");
  Become(kBob);
  EXPECT_THAT(sys.Chmod("/f", 0666), IsErrno(EPERM));
  EXPECT_THAT(sys.Chmod(Open("/f", O_RDWR), 0666), IsErrno(EPERM));
  Become(kAlice);
  EXPECT_THAT(sys.Chmod("/f", 0), IsOk());
  EXPECT_THAT(sys.Chmod("/f", 0644), IsOk()) << "needs no permission of the file";
}

TEST_P(ChmodTest, SetGroupIdOfAForeignGroup) {
  Put("/f");
  MakeDir("/d");
  for (const char* path : {"/f", "/d"}) {
    ASSERT_THAT(sys.Chown(path, kAlice, kTeam), IsOk());
    Become(kAlice);
    EXPECT_THAT(sys.Chmod(path, 06775), IsOk());
    EXPECT_EQ(ModeOf(path), 04775u) << path << ": silently not set";
    Become(kAlice, {kTeam});
    EXPECT_THAT(sys.Chmod(path, 02775), IsOk());
    EXPECT_EQ(ModeOf(path), 02775u) << path;
    BecomeRoot();
  }
}

TEST_P(ChmodTest, StickyBitOfAFile) {
  Put("/f");
  GiveTo(kAlice, "/f");
  Become(kAlice);
  EXPECT_THAT(sys.Chmod("/f", 01644), IsOk());
  EXPECT_EQ(ModeOf("/f"), 01644u);
}

TEST_P(ChmodTest, Times) {
  Put("/f");
  ExpectSetsTimes("/f", kCtime, [this] { return sys.Chmod("/f", 0600); });
  ExpectSetsTimes("/f", kCtime, [this] { return sys.Chmod("/f", 0600); });
}

TEST_P(ChmodTest, OfADescriptor) {
  Put("/f");
  MakeDir("/d");
  EXPECT_THAT(sys.Chmod(Open("/f", O_RDONLY), 0600), IsOk());
  EXPECT_EQ(ModeOf("/f"), 0600u);
  EXPECT_THAT(sys.Chmod(Open("/d", O_RDONLY), 0700), IsOk());
  EXPECT_EQ(ModeOf("/d"), 0700u);
}

TEST_P(ChmodTest, RelativeToADescriptor) {
  MakeDir("/d");
  Put("/d/f");
  EXPECT_THAT(sys.Chmod({Open("/d", O_PATH), "f"}, 0600), IsOk());
  EXPECT_EQ(ModeOf("/d/f"), 0600u);
  EXPECT_THAT(sys.Chmod({99, "f"}, 0600), IsErrno(EBADF));
}

TEST_P(ChmodTest, DoesNotTouchOpenFiles) {
  Put("/f", "content");
  GiveTo(kAlice, "/f");
  Become(kAlice);
  const int fd = Open("/f", O_RDWR);
  ASSERT_THAT(sys.Chmod("/f", 0), IsOk());
  EXPECT_EQ(sys.Read(fd, 100), "content");
  EXPECT_THAT(sys.Write(fd, "x"), IsOk());
  EXPECT_THAT(sys.Open("/f", O_RDONLY), IsErrno(EACCES));
}

TEST_P(ChmodTest, ReadOnlyFilesystem) {
  Put("/f");
  const int fd = Open("/f", O_RDONLY);
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.Chmod("/f", 0600), IsErrno(EROFS));
  EXPECT_THAT(sys.Chmod(fd, 0600), IsErrno(EROFS));
  Become(kAlice);
  EXPECT_THAT(sys.Chmod("/f", 0600), IsErrno(EROFS)) << "comes before EPERM";
}

STASIS_POSIX_SUITE(ChmodTest);

}  // namespace
}  // namespace stasis::posix
