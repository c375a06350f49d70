// SPDX-License-Identifier: Apache-2.0

#include <limits>

#include "tests/posix/posix_test.h"
#include "tests/testing/record_lock.h"

namespace stasis::posix {
namespace {

using stasis::testing::RecordLock;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// F_SETLK and F_GETLK, F_OFD_SETLK and F_OFD_GETLK of fcntl(2): what they answer without waiting.
class FcntlLockTest : public PosixTest {
 protected:
  FcntlLockTest() {
    Put("/f", "0123456789");
    fd_ = Open("/f", O_RDWR);
    child_ = sys.Fork();
  }

  // Of the first process, and of the other one, through the same description.
  Result<void> Set(short type, int64_t start, int64_t length) {
    return sys.SetLock(fd_, F_SETLK, RecordLock(type, start, length));
  }
  Result<void> ChildSet(short type, int64_t start, int64_t length) {
    return child_->SetLock(fd_, F_SETLK, RecordLock(type, start, length));
  }
  // What is locked, as the other process finds it: "w0-4 r7-7" or "r100-" (to the end).
  std::string Held() { return Ranges(*child_, fd_, F_GETLK); }
  static std::string Ranges(Process& process, int fd, int command) {
    std::string found;
    for (int64_t from = 0;;) {
      const auto lock = process.GetLock(fd, command, RecordLock(F_WRLCK, from, 0));
      if (!lock) return "(" + ErrnoName(lock.error()) + ")";
      if (lock->l_type == F_UNLCK) return found;
      EXPECT_EQ(lock->l_whence, SEEK_SET);
      if (!found.empty()) found += " ";
      found += (lock->l_type == F_WRLCK ? "w" : "r") + std::to_string(lock->l_start) + "-";
      if (lock->l_len == 0) return found;
      from = lock->l_start + lock->l_len;
      found += std::to_string(from - 1);
    }
  }

  int fd_ = -1;
  std::unique_ptr<Process> child_;
};

TEST_P(FcntlLockTest, ReadersShareWritersDoNot) {
  ASSERT_THAT(Set(F_RDLCK, 0, 10), IsOk());
  EXPECT_THAT(ChildSet(F_RDLCK, 0, 10), IsOk());
  EXPECT_THAT(ChildSet(F_WRLCK, 5, 1), IsErrno(EAGAIN));
  EXPECT_THAT(Set(F_WRLCK, 9, 1), IsErrno(EAGAIN));
  EXPECT_THAT(Set(F_WRLCK, 10, 1), IsOk());
  EXPECT_THAT(ChildSet(F_RDLCK, 10, 1), IsErrno(EAGAIN));
}

TEST_P(FcntlLockTest, AnOwnerReplacesHisOwn) {
  ASSERT_THAT(Set(F_WRLCK, 0, 100), IsOk());
  EXPECT_THAT(Set(F_RDLCK, 20, 10), IsOk());
  EXPECT_EQ(Held(), "w0-19 r20-29 w30-99");
  EXPECT_THAT(Set(F_UNLCK, 10, 15), IsOk());
  EXPECT_EQ(Held(), "w0-9 r25-29 w30-99");
  EXPECT_THAT(Set(F_WRLCK, 25, 5), IsOk());
  EXPECT_EQ(Held(), "w0-9 w25-99");
  EXPECT_THAT(Set(F_RDLCK, 0, 0), IsOk());
  EXPECT_EQ(Held(), "r0-");
  EXPECT_THAT(Set(F_UNLCK, 5, 1), IsOk());
  EXPECT_EQ(Held(), "r0-4 r6-");
  EXPECT_THAT(Set(F_UNLCK, 0, 0), IsOk());
  EXPECT_EQ(Held(), "");
}

TEST_P(FcntlLockTest, NeighboursBecomeOne) {
  ASSERT_THAT(Set(F_WRLCK, 0, 10), IsOk());
  ASSERT_THAT(Set(F_WRLCK, 20, 10), IsOk());
  ASSERT_THAT(Set(F_RDLCK, 30, 10), IsOk());
  EXPECT_EQ(Held(), "w0-9 w20-29 r30-39");
  ASSERT_THAT(Set(F_WRLCK, 10, 10), IsOk());
  EXPECT_EQ(Held(), "w0-29 r30-39");
  ASSERT_THAT(Set(F_WRLCK, 25, 100), IsOk());
  EXPECT_EQ(Held(), "w0-124");
}

TEST_P(FcntlLockTest, ReplacesManyAtOnce) {
  for (int64_t i = 0; i < 10; ++i)
    ASSERT_THAT(Set(i % 2 == 0 ? F_RDLCK : F_WRLCK, i * 10, 5), IsOk());
  ASSERT_THAT(Set(F_WRLCK, 12, 51), IsOk());
  EXPECT_EQ(Held(), "r0-4 w10-62 r63-64 w70-74 r80-84 w90-94");
  ASSERT_THAT(Set(F_UNLCK, 3, 89), IsOk());
  EXPECT_EQ(Held(), "r0-2 w92-94");
}

TEST_P(FcntlLockTest, NegativeLengthsEndBeforeTheStart) {
  EXPECT_THAT(Set(F_WRLCK, 10, -4), IsOk());
  EXPECT_EQ(Held(), "w6-9");
  EXPECT_THAT(Set(F_WRLCK, 3, -3), IsOk());
  EXPECT_EQ(Held(), "w0-2 w6-9");
  EXPECT_THAT(Set(F_WRLCK, 3, -4), IsErrno(EINVAL));
  EXPECT_THAT(Set(F_WRLCK, 0, -1), IsErrno(EINVAL));
}

TEST_P(FcntlLockTest, RangesOfOffsetsAndEnds) {
  ASSERT_THAT(sys.Seek(fd_, 4, SEEK_SET), IsOk());
  EXPECT_THAT(sys.SetLock(fd_, F_SETLK, RecordLock(F_WRLCK, -2, 3, SEEK_CUR)), IsOk());
  EXPECT_THAT(sys.SetLock(fd_, F_SETLK, RecordLock(F_WRLCK, 2, 5, SEEK_END)), IsOk());
  EXPECT_EQ(Held(), "w2-4 w12-16");
  EXPECT_THAT(sys.SetLock(fd_, F_SETLK, RecordLock(F_WRLCK, -5, 1, SEEK_CUR)), IsErrno(EINVAL));
  EXPECT_THAT(sys.SetLock(fd_, F_SETLK, RecordLock(F_WRLCK, -11, 1, SEEK_END)), IsErrno(EINVAL));
  EXPECT_THAT(sys.SetLock(fd_, F_SETLK, RecordLock(F_WRLCK, 0, 1, 3)), IsErrno(EINVAL));
  EXPECT_THAT(sys.SetLock(fd_, F_SETLK, RecordLock(F_WRLCK, 0, 1, -1)), IsErrno(EINVAL));
}

TEST_P(FcntlLockTest, TheLargestOffset) {
  EXPECT_THAT(Set(F_WRLCK, kMax, 1), IsOk());
  EXPECT_EQ(Held(), "w9223372036854775807-");
  EXPECT_THAT(Set(F_WRLCK, kMax, 2), IsErrno(EOVERFLOW));
  EXPECT_THAT(Set(F_WRLCK, 1, kMax), IsOk());
  EXPECT_EQ(Held(), "w1-");
  EXPECT_THAT(Set(F_WRLCK, 2, kMax), IsErrno(EOVERFLOW));
  EXPECT_THAT(sys.SetLock(fd_, F_SETLK, RecordLock(F_WRLCK, kMax - 9, 1, SEEK_END)),
              IsErrno(EOVERFLOW));
  EXPECT_THAT(sys.SetLock(fd_, F_SETLK, RecordLock(F_WRLCK, kMax - 10, 1, SEEK_END)), IsOk());
  EXPECT_THAT(Set(F_UNLCK, 0, kMax), IsOk());
  EXPECT_EQ(Held(), "w9223372036854775807-");
}

TEST_P(FcntlLockTest, UnknownTypes) {
  EXPECT_THAT(Set(7, 0, 1), IsErrno(EINVAL));
  EXPECT_THAT(Set(-1, 0, 1), IsErrno(EINVAL));
  EXPECT_THAT(sys.GetLock(fd_, F_GETLK, RecordLock(F_UNLCK, 0, 1)), IsErrno(EINVAL));
  EXPECT_THAT(sys.GetLock(fd_, F_GETLK, RecordLock(7, 0, 1)), IsErrno(EINVAL));
  EXPECT_THAT(sys.GetLock(fd_, F_OFD_GETLK, RecordLock(7, 0, 1)), IsErrno(EINVAL));
}

TEST_P(FcntlLockTest, NeedsTheAccessOfItsType) {
  const int reader = Open("/f", O_RDONLY);
  const int writer = Open("/f", O_WRONLY);
  for (const int command : {F_SETLK, F_OFD_SETLK}) {
    EXPECT_THAT(sys.SetLock(reader, command, RecordLock(F_WRLCK, 0, 1)), IsErrno(EBADF));
    EXPECT_THAT(sys.SetLock(reader, command, RecordLock(F_RDLCK, 0, 1)), IsOk());
    EXPECT_THAT(sys.SetLock(reader, command, RecordLock(F_UNLCK, 0, 1)), IsOk());
    EXPECT_THAT(sys.SetLock(writer, command, RecordLock(F_RDLCK, 0, 1)), IsErrno(EBADF));
    EXPECT_THAT(sys.SetLock(writer, command, RecordLock(F_WRLCK, 0, 1)), IsOk());
    EXPECT_THAT(sys.SetLock(writer, command, RecordLock(F_UNLCK, 0, 1)), IsOk());
    // The range is looked at first.
    EXPECT_THAT(sys.SetLock(reader, command, RecordLock(F_WRLCK, -1, 1)), IsErrno(EINVAL));
    EXPECT_THAT(sys.SetLock(99, command, RecordLock(F_RDLCK, 0, 1)), IsErrno(EBADF));
  }
  EXPECT_THAT(sys.GetLock(reader, F_GETLK, RecordLock(F_WRLCK, 0, 1)), IsOk());
  EXPECT_THAT(sys.GetLock(writer, F_OFD_GETLK, RecordLock(F_RDLCK, 0, 1)), IsOk());
}

TEST_P(FcntlLockTest, NotOfPathsAlone) {
  const int path = Open("/f", O_PATH);
  for (const int command : {F_SETLK, F_OFD_SETLK})
    EXPECT_THAT(sys.SetLock(path, command, RecordLock(F_UNLCK, 0, 1)), IsErrno(EBADF));
  EXPECT_THAT(sys.GetLock(path, F_GETLK, RecordLock(F_RDLCK, 0, 1)), IsErrno(EBADF));
  EXPECT_THAT(sys.GetLock(path, F_OFD_GETLK, RecordLock(F_RDLCK, 0, 1)), IsErrno(EBADF));
}

TEST_P(FcntlLockTest, DirectoriesHaveThemToo) {
  MakeDir("/d");
  const int dir = Open("/d", O_RDONLY | O_DIRECTORY);
  EXPECT_THAT(sys.SetLock(dir, F_SETLK, RecordLock(F_RDLCK, 0, 0)), IsOk());
  EXPECT_THAT(sys.SetLock(dir, F_SETLK, RecordLock(F_WRLCK, 0, 0)), IsErrno(EBADF));
}

TEST_P(FcntlLockTest, GetLockTellsOfTheFirstInTheWay) {
  ASSERT_THAT(Set(F_RDLCK, 2, 3), IsOk());
  ASSERT_THAT(Set(F_WRLCK, 7, 2), IsOk());
  auto found = child_->GetLock(fd_, F_GETLK, RecordLock(F_WRLCK, 0, 0));
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->l_type, F_RDLCK);
  EXPECT_EQ(found->l_whence, SEEK_SET);
  EXPECT_EQ(found->l_start, 2);
  EXPECT_EQ(found->l_len, 3);
  EXPECT_EQ(found->l_pid, getpid());
  found = child_->GetLock(fd_, F_GETLK, RecordLock(F_RDLCK, -2, 2, SEEK_END));
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->l_type, F_WRLCK) << "readers are in nobody's way";
  EXPECT_EQ(found->l_start, 7);
  found = child_->GetLock(fd_, F_GETLK, RecordLock(F_RDLCK, -1, 1, SEEK_END));
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->l_type, F_UNLCK);
  EXPECT_EQ(found->l_whence, SEEK_END) << "the rest stays as it was asked";
  EXPECT_EQ(found->l_start, -1);
  found = sys.GetLock(fd_, F_GETLK, RecordLock(F_WRLCK, 0, 0));
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->l_type, F_UNLCK) << "its own are in nobody's way";
}

TEST_P(FcntlLockTest, CloseOfAnyDescriptorEndsTheProcesssLocks) {
  ASSERT_THAT(Set(F_WRLCK, 0, 5), IsOk());
  ASSERT_THAT(ChildSet(F_WRLCK, 5, 5), IsOk());
  const int other = Open("/f", O_RDONLY);
  ASSERT_THAT(sys.Close(other), IsOk());
  EXPECT_EQ(Held(), "");
  EXPECT_EQ(Ranges(sys, fd_, F_GETLK), "w5-9") << "the other process keeps its own";
  const int dup = sys.Dup(fd_).value();
  ASSERT_THAT(Set(F_WRLCK, 0, 1), IsOk());
  ASSERT_THAT(sys.Close(dup), IsOk());
  EXPECT_EQ(Held(), "");
}

TEST_P(FcntlLockTest, CloseOfAPathDescriptorEndsNothing) {
  ASSERT_THAT(Set(F_WRLCK, 0, 5), IsOk());
  ASSERT_THAT(sys.Close(Open("/f", O_PATH)), IsOk());
  EXPECT_EQ(Held(), "w0-4");
}

TEST_P(FcntlLockTest, EndOfAProcessEndsItsLocks) {
  ASSERT_THAT(ChildSet(F_WRLCK, 0, 5), IsOk());
  EXPECT_THAT(Set(F_WRLCK, 0, 5), IsErrno(EAGAIN));
  child_.reset();
  EXPECT_THAT(Set(F_WRLCK, 0, 5), IsOk());
}

TEST_P(FcntlLockTest, OfTheFileWhateverItsName) {
  ASSERT_THAT(sys.Link("/f", "/link"), IsOk());
  ASSERT_THAT(Set(F_WRLCK, 0, 5), IsOk());
  const int link = Open("/link", O_RDWR);
  EXPECT_THAT(sys.SetLock(link, F_OFD_SETLK, RecordLock(F_RDLCK, 0, 1)), IsErrno(EAGAIN));
  ASSERT_THAT(sys.Unlink("/f"), IsOk());
  ASSERT_THAT(sys.Unlink("/link"), IsOk());
  EXPECT_EQ(Held(), "w0-4");
  Put("/f", "another");
  const int another = Open("/f", O_RDWR);
  EXPECT_THAT(sys.SetLock(another, F_OFD_SETLK, RecordLock(F_WRLCK, 0, 0)), IsOk());
}

TEST_P(FcntlLockTest, OpenFileLocksAreTheDescriptions) {
  const int other = Open("/f", O_RDWR);
  ASSERT_THAT(sys.SetLock(fd_, F_OFD_SETLK, RecordLock(F_WRLCK, 0, 5)), IsOk());
  EXPECT_THAT(child_->SetLock(fd_, F_OFD_SETLK, RecordLock(F_RDLCK, 2, 5)), IsOk()) << "the same";
  EXPECT_THAT(sys.SetLock(other, F_OFD_SETLK, RecordLock(F_RDLCK, 0, 1)), IsErrno(EAGAIN));
  EXPECT_EQ(Ranges(sys, other, F_OFD_GETLK), "w0-1 r2-6");
  const auto found = sys.GetLock(other, F_OFD_GETLK, RecordLock(F_RDLCK, 0, 0));
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->l_pid, -1);
}

TEST_P(FcntlLockTest, OpenFileLocksAreInTheWayOfTheOwnProcesss) {
  ASSERT_THAT(sys.SetLock(fd_, F_OFD_SETLK, RecordLock(F_WRLCK, 0, 5)), IsOk());
  EXPECT_THAT(Set(F_RDLCK, 0, 1), IsErrno(EAGAIN));
  ASSERT_THAT(Set(F_WRLCK, 5, 5), IsOk());
  EXPECT_THAT(sys.SetLock(fd_, F_OFD_SETLK, RecordLock(F_WRLCK, 5, 1)), IsErrno(EAGAIN));
}

TEST_P(FcntlLockTest, OpenFileLocksEndWithTheLastDescriptor) {
  const int other = Open("/f", O_RDWR);
  ASSERT_THAT(sys.SetLock(fd_, F_OFD_SETLK, RecordLock(F_WRLCK, 0, 5)), IsOk());
  ASSERT_THAT(sys.Close(Open("/f", O_RDONLY)), IsOk());
  EXPECT_EQ(Ranges(sys, other, F_OFD_GETLK), "w0-4") << "another description ends nothing";
  ASSERT_THAT(sys.Close(fd_), IsOk());
  EXPECT_EQ(Ranges(sys, other, F_OFD_GETLK), "w0-4") << "the child has it yet";
  ASSERT_THAT(child_->Close(fd_), IsOk());
  EXPECT_EQ(Ranges(sys, other, F_OFD_GETLK), "");
}

TEST_P(FcntlLockTest, OpenFileLocksWantNoProcess) {
  struct flock lock = RecordLock(F_WRLCK, 0, 1);
  lock.l_pid = 1;
  EXPECT_THAT(sys.SetLock(fd_, F_OFD_SETLK, lock), IsErrno(EINVAL));
  EXPECT_THAT(sys.GetLock(fd_, F_OFD_GETLK, lock), IsErrno(EINVAL));
  EXPECT_THAT(sys.SetLock(fd_, F_SETLK, lock), IsOk()) << "others do not look at it";
}

TEST_P(FcntlLockTest, OpenFileLocksOfItsOwn) {
  ASSERT_THAT(sys.SetLock(fd_, F_OFD_SETLK, RecordLock(F_RDLCK, 3, 4)), IsOk());
  auto own = sys.GetLock(fd_, F_OFD_GETLK, RecordLock(F_UNLCK, 5, 100));
  ASSERT_THAT(own, IsOk());
  EXPECT_EQ(own->l_type, F_RDLCK);
  EXPECT_EQ(own->l_start, 3);
  EXPECT_EQ(own->l_len, 4);
  own = sys.GetLock(fd_, F_OFD_GETLK, RecordLock(F_UNLCK, 7, 100));
  ASSERT_THAT(own, IsOk());
  EXPECT_EQ(own->l_type, F_UNLCK);
}

TEST_P(FcntlLockTest, ManyOwnersManyRanges) {
  std::vector<std::unique_ptr<Process>> children;
  for (int i = 0; i < 4; ++i) children.push_back(sys.Fork());
  const auto set = [&](size_t who, short type, int64_t start, int64_t length) {
    return children[who]->SetLock(fd_, F_SETLK, RecordLock(type, start, length));
  };
  ASSERT_THAT(set(2, F_RDLCK, 0, 100), IsOk());
  ASSERT_THAT(set(0, F_RDLCK, 50, 100), IsOk());
  ASSERT_THAT(set(3, F_RDLCK, 10, 10), IsOk());
  EXPECT_THAT(set(1, F_WRLCK, 100, 1), IsErrno(EAGAIN));
  EXPECT_THAT(set(0, F_WRLCK, 100, 50), IsOk());
  EXPECT_THAT(set(2, F_UNLCK, 10, 80), IsOk());
  EXPECT_THAT(set(1, F_WRLCK, 20, 30), IsOk());
  EXPECT_EQ(Ranges(sys, fd_, F_GETLK), "r0-9 r90-99 w100-149");
  EXPECT_EQ(Ranges(*children[2], fd_, F_GETLK), "r50-99 w100-149");
  children[0].reset();
  EXPECT_EQ(Ranges(*children[2], fd_, F_GETLK), "r10-19 w20-49");
}

STASIS_POSIX_SUITE(FcntlLockTest);

}  // namespace
}  // namespace stasis::posix
