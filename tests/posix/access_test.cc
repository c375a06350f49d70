// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class AccessTest : public PosixTest {};

TEST_P(AccessTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Access(path, F_OK); });
}

TEST_P(AccessTest, FollowErrors) {
  ExpectFollowErrors([this](const std::string& path) { return sys.Access(path, R_OK); });
}

TEST_P(AccessTest, OwnerGroupAndOthers) {
  Put("/f");
  ASSERT_THAT(sys.Chown("/f", kAlice, kTeam), IsOk());
  const Identity owner{kAlice, kAlice};
  const Identity group{kBob, kTeam};
  const Identity supplementary{kBob, kBob, {kTeam}};
  const Identity other{kBob, kBob};
  const auto may = [this](const Identity& who, int what) {
    sys.Become(who);
    const auto result = sys.Access("/f", what);
    BecomeRoot();
    EXPECT_TRUE(result || result.error() == Errno(EACCES));
    return result.has_value();
  };
  for (const int bit : {R_OK, W_OK, X_OK}) {
    const auto right = static_cast<uint32_t>(bit);
    ASSERT_THAT(sys.Chmod("/f", right << 6), IsOk());
    EXPECT_TRUE(may(owner, bit));
    EXPECT_FALSE(may(group, bit));
    EXPECT_FALSE(may(other, bit));
    ASSERT_THAT(sys.Chmod("/f", right << 3), IsOk());
    EXPECT_FALSE(may(owner, bit)) << "only the first class counts";
    EXPECT_TRUE(may(group, bit));
    EXPECT_TRUE(may(supplementary, bit));
    EXPECT_FALSE(may(other, bit));
    ASSERT_THAT(sys.Chmod("/f", right), IsOk());
    EXPECT_FALSE(may(owner, bit));
    EXPECT_FALSE(may(group, bit));
    EXPECT_FALSE(may(supplementary, bit));
    EXPECT_TRUE(may(other, bit));
    EXPECT_FALSE(may(other, R_OK | W_OK | X_OK)) << "all that is asked for";
  }
}

TEST_P(AccessTest, Root) {
  Put("/f", "", 0);
  MakeDir("/d", 0);
  EXPECT_THAT(sys.Access("/f", R_OK | W_OK), IsOk());
  EXPECT_THAT(sys.Access("/f", X_OK), IsErrno(EACCES)) << "nobody may execute it";
  EXPECT_THAT(sys.Access("/d", R_OK | W_OK | X_OK), IsOk());
  ASSERT_THAT(sys.Chmod("/f", 0001), IsOk());
  EXPECT_THAT(sys.Access("/f", X_OK), IsOk());
}

TEST_P(AccessTest, Existence) {
  Put("/f", "", 0);
  Become(kAlice);
  EXPECT_THAT(sys.Access("/f", F_OK), IsOk());
  EXPECT_THAT(sys.Access("/missing", F_OK), IsErrno(ENOENT));
}

TEST_P(AccessTest, InvalidMode) {
  Put("/f");
  EXPECT_THAT(sys.Access("/f", 8), IsErrno(EINVAL));
  EXPECT_THAT(sys.Access("/f", -1), IsErrno(EINVAL));
  EXPECT_THAT(sys.Access("/missing", 8), IsErrno(EINVAL));
}

TEST_P(AccessTest, OfADescriptor) {
  Put("/f", "", 0444);
  const int fd = Open("/f", O_PATH);
  Become(kAlice);
  EXPECT_THAT(sys.Access(fd, R_OK), IsOk());
  EXPECT_THAT(sys.Access(fd, W_OK), IsErrno(EACCES));
  EXPECT_THAT(sys.Access({99, "f"}, R_OK), IsErrno(EBADF));
}

TEST_P(AccessTest, ReadOnlyFilesystem) {
  Put("/f", "", 0666);
  MakeDir("/d");
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0666), IsOk());
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.Access("/f", R_OK), IsOk());
  EXPECT_THAT(sys.Access("/f", W_OK), IsErrno(EROFS));
  EXPECT_THAT(sys.Access("/d", W_OK), IsErrno(EROFS));
  EXPECT_THAT(sys.Access("/fifo", W_OK), IsOk()) << "its data is not of the filesystem";
  Become(kAlice);
  EXPECT_THAT(sys.Access("/d", W_OK), IsErrno(EACCES)) << "comes before EROFS";
}

STASIS_POSIX_SUITE(AccessTest);

}  // namespace
}  // namespace stasis::posix
