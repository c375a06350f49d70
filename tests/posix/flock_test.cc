// SPDX-License-Identifier: Apache-2.0

#include <sys/file.h>

#include "tests/posix/posix_test.h"
#include "tests/testing/record_lock.h"

namespace stasis::posix {
namespace {

// flock(2) without waiting.
class FlockTest : public PosixTest {
 protected:
  FlockTest() {
    Put("/f");
    a_ = Open("/f", O_RDONLY);
    b_ = Open("/f", O_RDONLY);
    c_ = Open("/f", O_RDONLY);
  }

  Result<void> Try(int fd, int operation) { return sys.Flock(fd, operation | LOCK_NB); }

  int a_ = -1;
  int b_ = -1;
  int c_ = -1;
};

TEST_P(FlockTest, SharedAndExclusive) {
  EXPECT_THAT(Try(a_, LOCK_SH), IsOk());
  EXPECT_THAT(Try(b_, LOCK_SH), IsOk());
  EXPECT_THAT(Try(c_, LOCK_EX), IsErrno(EWOULDBLOCK));
  EXPECT_THAT(Try(a_, LOCK_UN), IsOk());
  EXPECT_THAT(Try(c_, LOCK_EX), IsErrno(EWOULDBLOCK));
  EXPECT_THAT(Try(b_, LOCK_UN), IsOk());
  EXPECT_THAT(Try(c_, LOCK_EX), IsOk());
  EXPECT_THAT(Try(a_, LOCK_SH), IsErrno(EWOULDBLOCK));
}

TEST_P(FlockTest, SameAgainAndNothingToUnlock) {
  EXPECT_THAT(Try(a_, LOCK_UN), IsOk());
  EXPECT_THAT(sys.Flock(a_, LOCK_EX), IsOk());
  EXPECT_THAT(sys.Flock(a_, LOCK_EX), IsOk());
  EXPECT_THAT(Try(a_, LOCK_UN), IsOk());
  EXPECT_THAT(Try(b_, LOCK_EX), IsOk());
}

TEST_P(FlockTest, Conversions) {
  ASSERT_THAT(Try(a_, LOCK_SH), IsOk());
  EXPECT_THAT(Try(a_, LOCK_EX), IsOk());
  EXPECT_THAT(Try(b_, LOCK_SH), IsErrno(EWOULDBLOCK));
  EXPECT_THAT(Try(a_, LOCK_SH), IsOk());
  EXPECT_THAT(Try(b_, LOCK_SH), IsOk());
}

TEST_P(FlockTest, ConversionThatFailsLosesTheLock) {
  ASSERT_THAT(Try(a_, LOCK_SH), IsOk());
  ASSERT_THAT(Try(b_, LOCK_SH), IsOk());
  EXPECT_THAT(Try(a_, LOCK_EX), IsErrno(EWOULDBLOCK));
  EXPECT_THAT(Try(b_, LOCK_EX), IsOk()) << "a has no lock any more";
}

TEST_P(FlockTest, BadOperations) {
  EXPECT_THAT(sys.Flock(a_, 0), IsErrno(EINVAL));
  EXPECT_THAT(sys.Flock(a_, LOCK_NB), IsErrno(EINVAL));
  EXPECT_THAT(sys.Flock(a_, LOCK_SH | LOCK_EX), IsErrno(EINVAL));
  EXPECT_THAT(sys.Flock(a_, LOCK_SH | 0x100), IsErrno(EINVAL));
  EXPECT_THAT(sys.Flock(99, LOCK_SH), IsErrno(EBADF));
  EXPECT_THAT(sys.Flock(Open("/f", O_PATH), LOCK_SH), IsErrno(EBADF));
}

TEST_P(FlockTest, NeedsNoParticularAccess) {
  EXPECT_THAT(Try(a_, LOCK_EX), IsOk());
  EXPECT_THAT(Try(Open("/f", O_WRONLY), LOCK_SH), IsErrno(EWOULDBLOCK));
  MakeDir("/d");
  EXPECT_THAT(Try(Open("/d", O_RDONLY | O_DIRECTORY), LOCK_EX), IsOk());
}

TEST_P(FlockTest, DuplicatesAndChildrenShareTheLock) {
  const int dup = sys.Dup(a_).value();
  const auto child = sys.Fork();
  ASSERT_THAT(Try(a_, LOCK_EX), IsOk());
  EXPECT_THAT(Try(dup, LOCK_EX), IsOk());
  EXPECT_THAT(child->Flock(a_, LOCK_EX | LOCK_NB), IsOk());
  EXPECT_THAT(child->Flock(b_, LOCK_EX | LOCK_NB), IsErrno(EWOULDBLOCK));
  EXPECT_THAT(child->Flock(dup, LOCK_UN), IsOk());
  EXPECT_THAT(Try(b_, LOCK_EX), IsOk());
}

TEST_P(FlockTest, EndsWithTheLastDescriptor) {
  const int dup = sys.Dup(a_).value();
  auto child = sys.Fork();
  ASSERT_THAT(Try(a_, LOCK_EX), IsOk());
  ASSERT_THAT(sys.Close(a_), IsOk());
  ASSERT_THAT(sys.Close(dup), IsOk());
  EXPECT_THAT(Try(b_, LOCK_SH), IsErrno(EWOULDBLOCK));
  child.reset();
  EXPECT_THAT(Try(b_, LOCK_SH), IsOk());
}

TEST_P(FlockTest, KnowsNothingOfRecordLocks) {
  const int writer = Open("/f", O_RDWR);
  ASSERT_THAT(Try(a_, LOCK_EX), IsOk());
  const struct flock lock = stasis::testing::RecordLock(F_WRLCK, 0, 0);
  EXPECT_THAT(sys.SetLock(writer, F_SETLK, lock), IsOk());
  EXPECT_THAT(sys.SetLock(writer, F_OFD_SETLK, lock), IsErrno(EAGAIN));
  EXPECT_THAT(Try(writer, LOCK_SH), IsErrno(EWOULDBLOCK));
}

STASIS_POSIX_SUITE(FlockTest);

}  // namespace
}  // namespace stasis::posix
