// SPDX-License-Identifier: Apache-2.0
//
// posix_test.h: the fixture of tests that run on every implementation of Posix.
//
//   class RmdirTest : public PosixTest {};
//   TEST_P(RmdirTest, OfTheRootIsBusy) { EXPECT_THAT(sys.Rmdir("/"), IsErrno(EBUSY)); }
//   STASIS_POSIX_SUITE(RmdirTest);
//
// The kernel's tmpfs is the judge: a test that fails there is wrong. A suite about something that
// not every implementation has names it, and is not made for the others:
//
//   STASIS_POSIX_SUITE(OpenFifoTest, kSpecialFiles);

#ifndef STASIS_TESTS_POSIX_POSIX_TEST_H_
#define STASIS_TESTS_POSIX_POSIX_TEST_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/sysmacros.h>

#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tests/posix/posix.h"
#include "tests/testing/errno_matchers.h"

namespace stasis {

// What a matcher shows of a Result.
template <typename T>
void PrintTo(const Result<T>& result, std::ostream* os) {
  if (!result) {
    *os << ErrnoName(result.error());
  } else if constexpr (std::is_void_v<T>) {
    *os << "ok";
  } else {
    *os << ::testing::PrintToString(*result);
  }
}

}  // namespace stasis

namespace stasis::posix {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;

enum Capability : unsigned {
  // Opened FIFOs and device nodes are what they say. In the VFS they are only names: the kernel
  // that serves the tree gives them a life.
  kSpecialFiles = 1 << 0,
  // Every read counts for the access time. Of FUSE the kernel's page cache answers most.
  kAccessTimes = 1 << 1,
  // lseek(2) in a directory is the filesystem's. With FUSE the kernel does it as in a file.
  kDirectoryOffsets = 1 << 2,
  // Who takes set-ID bits away knows all groups of the caller. A FUSE request has only the first.
  kCallersGroups = 1 << 3,
  // Attributes count among inodes, and no limit is shown as 0. A memfs counts attributes in bytes:
  // docs/testing.md.
  kTmpfsAccounting = 1 << 4,
  // Nodes of devices can be made. Nobody in a sandbox is to make one on the host; a whiteout is
  // none.
  kDevices = 1 << 5,
  // Access ACLs count when a user is checked. Of host files only the kernel in front of the VFS
  // does that: the VFS would have to ask for the ACL of each file that it sees.
  kAclChecks = 1 << 6,
  // Access times are the VFS's to set: O_NOATIME and read-only mounts count. In a host directory
  // that others look at, they are the host's.
  kOwnAccessTimes = 1 << 7,
  // What is open and has no name takes space, and keeps its time of birth when it gets a name. Of a
  // host directory it is in the image after a save, and is made anew on the host with its name.
  kNamelessFilesStay = 1 << 8,
  // A rename may leave a whiteout that is seen. In an overlay one hides a name.
  kWhiteouts = 1 << 9,
  // A directory's links tell how many directories are in it. An overlay does not count them.
  kDirectoryLinks = 1 << 10,
};

struct Implementation {
  const char* name;
  unsigned capabilities;
  // The limits are of a tmpfs: bytes (whole pages) and inodes; 0: none.
  std::unique_ptr<Posix> (*make)(uint64_t size_limit, uint64_t inode_limit);

  friend std::ostream& operator<<(std::ostream& os, const Implementation& implementation) {
    return os << implementation.name;
  }
};

std::vector<Implementation> ImplementationsWith(unsigned capabilities = 0);
inline std::string NameOf(const ::testing::TestParamInfo<Implementation>& test) {
  return test.param.name;
}

inline constexpr uint32_t kAlice = 1000;  // uid and gid
inline constexpr uint32_t kBob = 1001;
inline constexpr uint32_t kTeam = 2000;  // a group
inline constexpr uint32_t kKeepId = -1;  // of chown(2)

class PosixTest : public ::testing::TestWithParam<Implementation> {
 protected:
  explicit PosixTest(uint64_t size_limit = 0, uint64_t inode_limit = 0)
      : posix_(GetParam().make(size_limit, inode_limit)), sys(*posix_) {}

  bool Has(unsigned capabilities) const {
    return (GetParam().capabilities & capabilities) == capabilities;
  }

  // What is shown of the root's links if they are this many.
  uint32_t RootLinks(uint32_t links) const { return Has(kDirectoryLinks) ? links : 1; }

  // Acts as a user without capabilities, or as root again.
  void Become(uint32_t uid, std::vector<uint32_t> groups = {}) {
    sys.Become({uid, uid, std::move(groups)});
  }
  void BecomeRoot() { sys.Become({}); }

  // A descriptor, or a failed test.
  int Open(const At& at, int flags, uint32_t mode = 0644);
  // A file with that content (and mode if it is new), a directory; what it is that `uid` owns.
  void Put(const At& at, std::string_view content = "", uint32_t mode = 0644);
  void MakeDir(const At& at, uint32_t mode = 0755);
  void GiveTo(uint32_t uid, const At& at);
  // What is in a file, "(ENOENT)" or so if it cannot be read.
  std::string Get(const At& at);
  vfs::Stat StatOf(const At& at);
  uint32_t ModeOf(const At& at) { return StatOf(at).mode & 07777; }
  // Names in a directory without "." and "..", sorted.
  std::vector<std::string> List(const At& at);
  // Waits until so many more files fit: a FUSE server hears of a removal or a close after it.
  void WaitForFreeInodes(uint64_t n);
  // Chain of links "1" to `n` below /: "1" leads to "target", "2" to "1" and so on.
  void MakeLinkChain(int n, const std::string& target);

  // The errors of every walk: tries `call` on paths that lead nowhere.
  template <typename Call>
  void ExpectWalkErrors(Call call);
  // The errors of calls that follow a link at the end of the path.
  template <typename Call>
  void ExpectFollowErrors(Call call);
  // Whether `call`, which succeeds, sets these times of the file and no others.
  enum Times { kNone = 0, kAtime = 1, kMtime = 2, kCtime = 4 };
  template <typename Call>
  void ExpectSetsTimes(const At& at, int times, Call call);

 private:
  std::unique_ptr<Posix> posix_;

 protected:
  Posix& sys;  // NOLINT: the tests' word for the system
};

// A name and a path one byte too long, and the longest that are not.
inline std::string LongestName() { return std::string(255, 'n'); }
inline std::string TooLongName() { return std::string(256, 'n'); }
inline std::string PathOfLength(size_t length) {
  std::string path;
  while (path.size() + 2 <= length) path += "./";
  return path + std::string(length - path.size(), '/');
}

template <typename Call>
void PosixTest::ExpectWalkErrors(Call call) {
  Put("/file");
  MakeDir("/locked", 0700);
  MakeDir("/locked/inner");
  MakeLinkChain(41, ".");
  ASSERT_THAT(sys.Symlink("loop", "/loop"), IsOk());
  ASSERT_THAT(sys.Symlink("missing", "/dangling"), IsOk());
  EXPECT_THAT(call(""), IsErrno(ENOENT)) << "an empty path";
  EXPECT_THAT(call("/missing/x"), IsErrno(ENOENT)) << "a missing directory";
  EXPECT_THAT(call("/dangling/x"), IsErrno(ENOENT)) << "a dangling link on the way";
  EXPECT_THAT(call("/file/x"), IsErrno(ENOTDIR)) << "a file on the way";
  EXPECT_THAT(call("/file/../x"), IsErrno(ENOTDIR)) << ".. of a file";
  EXPECT_THAT(call("/file/."), IsErrno(ENOTDIR)) << ". of a file";
  EXPECT_THAT(call("/" + TooLongName()), IsErrno(ENAMETOOLONG)) << "a name of 256 bytes";
  EXPECT_THAT(call("/" + TooLongName() + "/x"), IsErrno(ENAMETOOLONG)) << "on the way";
  EXPECT_THAT(call(PathOfLength(4095) + "x"), IsErrno(ENAMETOOLONG)) << "a path of 4096 bytes";
  EXPECT_THAT(call("/loop/x"), IsErrno(ELOOP)) << "a link to itself";
  EXPECT_THAT(call("/41/x"), IsErrno(ELOOP)) << "41 links";
  Become(kAlice);
  EXPECT_THAT(call("/locked/x"), IsErrno(EACCES)) << "no search permission";
  EXPECT_THAT(call("/locked/inner/x"), IsErrno(EACCES)) << "no search permission on the way";
  BecomeRoot();
}

template <typename Call>
void PosixTest::ExpectFollowErrors(Call call) {
  MakeLinkChain(41, "/target");
  ASSERT_THAT(sys.Symlink("loop", "/loop"), IsOk());
  ASSERT_THAT(sys.Symlink("missing", "/dangling"), IsOk());
  EXPECT_THAT(call("/missing"), IsErrno(ENOENT)) << "a missing file";
  EXPECT_THAT(call("/dangling"), IsErrno(ENOENT)) << "a dangling link";
  EXPECT_THAT(call("/loop"), IsErrno(ELOOP)) << "a link to itself";
  Put("/target");
  EXPECT_THAT(call("/41"), IsErrno(ELOOP)) << "41 links";
  EXPECT_THAT(call("/40"), IsOk()) << "40 links";
  EXPECT_THAT(call("/target/"), IsErrno(ENOTDIR)) << "a file with a slash";
  EXPECT_THAT(call("/1/"), IsErrno(ENOTDIR)) << "a link to a file with a slash";
}

template <typename Call>
void PosixTest::ExpectSetsTimes(const At& at, int times, Call call) {
  sys.Tick();
  const vfs::Stat before = StatOf(at);
  sys.Tick();
  EXPECT_THAT(call(), IsOk());
  const vfs::Stat after = StatOf(at);
  EXPECT_EQ(after.atime > before.atime, (times & kAtime) != 0) << "atime of " << at.path;
  EXPECT_EQ(after.mtime > before.mtime, (times & kMtime) != 0) << "mtime of " << at.path;
  EXPECT_EQ(after.ctime > before.ctime, (times & kCtime) != 0) << "ctime of " << at.path;
  EXPECT_EQ(after.btime, before.btime) << "btime of " << at.path;
}

}  // namespace stasis::posix

// Makes the suite for all implementations, or for those with all of the given capabilities.
#define STASIS_POSIX_SUITE(suite, ...)                                                             \
  INSTANTIATE_TEST_SUITE_P(Posix, suite,                                                           \
                           ::testing::ValuesIn(::stasis::posix::ImplementationsWith(__VA_ARGS__)), \
                           ::stasis::posix::NameOf)

#endif  // STASIS_TESTS_POSIX_POSIX_TEST_H_
