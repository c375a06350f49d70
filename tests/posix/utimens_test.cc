// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;

SetTime Value(TimeNs value) { return {.value = value}; }
SetTime Now() { return {.now = true}; }

class UTimensTest : public PosixTest {};

TEST_P(UTimensTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.UTimens(path, Now(), Now()); });
}

TEST_P(UTimensTest, FollowErrors) {
  ExpectFollowErrors([this](const std::string& path) { return sys.UTimens(path, Now(), Now()); });
}

TEST_P(UTimensTest, SetsToTheNanosecond) {
  Put("/f");
  EXPECT_THAT(sys.UTimens("/f", Value(1'000'000'001), Value(2'123'456'789)), IsOk());
  EXPECT_EQ(StatOf("/f").atime, 1'000'000'001);
  EXPECT_EQ(StatOf("/f").mtime, 2'123'456'789);
}

TEST_P(UTimensTest, BeforeTheEpochAndFarAhead) {
  Put("/f");
  const TimeNs past = -kSecond * 3600 * 24 * 365 * 100 + 1;
  const TimeNs future = kSecond * 3600 * 24 * 365 * 250;
  EXPECT_THAT(sys.UTimens("/f", Value(past), Value(future)), IsOk());
  EXPECT_EQ(StatOf("/f").atime, past);
  EXPECT_EQ(StatOf("/f").mtime, future);
  EXPECT_THAT(sys.UTimens("/f", Value(-1), Value(0)), IsOk());
  EXPECT_EQ(StatOf("/f").atime, -1);
  EXPECT_EQ(StatOf("/f").mtime, 0);
}

TEST_P(UTimensTest, OneOrNeither) {
  Put("/f");
  ASSERT_THAT(sys.UTimens("/f", Value(1), Value(2)), IsOk());
  EXPECT_THAT(sys.UTimens("/f", Value(3), {}), IsOk());
  EXPECT_EQ(StatOf("/f").atime, 3);
  EXPECT_EQ(StatOf("/f").mtime, 2);
  EXPECT_THAT(sys.UTimens("/f", {}, Value(4)), IsOk());
  EXPECT_EQ(StatOf("/f").atime, 3);
  EXPECT_EQ(StatOf("/f").mtime, 4);
  EXPECT_THAT(sys.UTimens("/missing", {}, {}), IsOk()) << "nothing is looked at";
}

TEST_P(UTimensTest, Times) {
  Put("/f");
  ExpectSetsTimes("/f", kAtime | kMtime | kCtime,
                  [this] { return sys.UTimens("/f", Now(), Now()); });
  ExpectSetsTimes("/f", kAtime | kCtime, [this] { return sys.UTimens("/f", Now(), {}); });
  ExpectSetsTimes("/f", kMtime | kCtime, [this] { return sys.UTimens("/f", {}, Now()); });
  ExpectSetsTimes("/f", kCtime, [this] { return sys.UTimens("/f", Value(1), Value(1)); });
  ExpectSetsTimes("/f", kNone, [this] { return sys.UTimens("/f", {}, {}); });
}

TEST_P(UTimensTest, FollowsOrNot) {
  Put("/f");
  ASSERT_THAT(sys.Symlink("f", "/link"), IsOk());
  EXPECT_THAT(sys.UTimens("/link", Value(1), Value(2), AT_SYMLINK_NOFOLLOW), IsOk());
  EXPECT_EQ(StatOf("/link").mtime, 2);
  EXPECT_GT(StatOf("/f").mtime, 2);
  EXPECT_THAT(sys.UTimens("/link", Value(3), Value(4)), IsOk());
  EXPECT_EQ(StatOf("/link").mtime, 2);
  EXPECT_EQ(StatOf("/f").mtime, 4);
}

TEST_P(UTimensTest, WhoMay) {
  Put("/writable", "", 0666);
  Put("/readable", "", 0444);
  GiveTo(kAlice, "/writable");
  GiveTo(kAlice, "/readable");
  Become(kAlice);
  EXPECT_THAT(sys.UTimens("/readable", Value(1), Value(1)), IsOk()) << "the owner";
  EXPECT_THAT(sys.UTimens("/readable", Now(), Now()), IsOk());
  Become(kBob);
  EXPECT_THAT(sys.UTimens("/writable", Now(), Now()), IsOk()) << "who can write";
  EXPECT_THAT(sys.UTimens("/writable", Value(1), Value(1)), IsErrno(EPERM));
  EXPECT_THAT(sys.UTimens("/writable", Now(), {}), IsErrno(EPERM));
  EXPECT_THAT(sys.UTimens("/writable", {}, Now()), IsErrno(EPERM));
  EXPECT_THAT(sys.UTimens("/writable", Now(), Value(1)), IsErrno(EPERM));
  EXPECT_THAT(sys.UTimens("/readable", Now(), Now()), IsErrno(EACCES));
  EXPECT_THAT(sys.UTimens("/readable", Value(1), Value(1)), IsErrno(EPERM));
}

TEST_P(UTimensTest, OfADescriptor) {
  Put("/f");
  EXPECT_THAT(sys.UTimens(Open("/f", O_RDONLY), Value(1), Value(2)), IsOk());
  EXPECT_EQ(StatOf("/f").mtime, 2);
  MakeDir("/d");
  Put("/d/f");
  EXPECT_THAT(sys.UTimens({Open("/d", O_PATH), "f"}, Value(3), Value(4)), IsOk());
  EXPECT_EQ(StatOf("/d/f").atime, 3);
  EXPECT_THAT(sys.UTimens({99, "f"}, Now(), Now()), IsErrno(EBADF));
}

TEST_P(UTimensTest, OfEveryKind) {
  MakeDir("/d");
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  for (const char* path : {"/d", "/fifo", "/"}) {
    EXPECT_THAT(sys.UTimens(path, Value(5), Value(6)), IsOk());
    EXPECT_EQ(StatOf(path).mtime, 6) << path;
  }
}

TEST_P(UTimensTest, ReadOnlyFilesystem) {
  Put("/f", "", 0444);
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.UTimens("/f", Now(), Now()), IsErrno(EROFS));
  Become(kAlice);
  EXPECT_THAT(sys.UTimens("/f", Now(), Now()), IsErrno(EROFS)) << "comes before EACCES";
}

STASIS_POSIX_SUITE(UTimensTest);

}  // namespace
}  // namespace stasis::posix
