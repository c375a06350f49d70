// SPDX-License-Identifier: Apache-2.0
//
// Attributes through a real mount.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <atomic>
#include <ctime>
#include <functional>
#include <thread>

#include "tests/cmd/fuse/file_system_calls.h"
#include "tests/cmd/fuse/mounted_tree.h"

namespace stasis::fuse {
namespace {

constexpr uid_t kUser = 1234;
constexpr gid_t kGroup = 5678;

class MountAttributesTest : public testing::Test {
 protected:
  MountAttributesTest() { EXPECT_EQ(chmod(tree_.path().c_str(), 0777), 0); }

  // The value that `fn` returns in a process of another user.
  static int AsUser(const std::function<int()>& fn) {
    const pid_t child = fork();
    if (child == 0) {
      if (setresgid(kGroup, kGroup, kGroup) != 0 || setresuid(kUser, kUser, kUser) != 0) _exit(255);
      umask(0022);
      _exit(fn());
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 254;
  }

  uint32_t ModeOf(const std::string& name) { return StatOf(tree_ / name).st_mode & 07777; }

  MountedTree tree_;
};

// Replies may overtake each other on their way into the kernel, which keeps attributes for ever.
TEST_F(MountAttributesTest, AreNeverOldOnesWhenReadDuringChanges) {
  constexpr int kRounds = 300;
  std::atomic<bool> done = false;
  const auto read_forced = [&] {
    struct statx status;
    while (!done) {
      for (const char* name : {"", "file"}) {
        statx(AT_FDCWD, (tree_ / name).c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &status);
      }
    }
  };
  std::thread readers[] = {std::thread(read_forced), std::thread(read_forced)};
  for (int i = 0; i < kRounds; ++i) {
    const std::string name = std::to_string(i);
    ASSERT_TRUE(i != 0 || WriteFile(tree_ / "file", ""));
    ASSERT_EQ(mkdir((tree_ / name).c_str(), 0755), 0);
    ASSERT_EQ(link((tree_ / "file").c_str(), (tree_ / (name + "/link")).c_str()), 0);
    usleep(i % 3 == 0 ? 200 : 0);
    ASSERT_EQ(StatOf(tree_.path()).st_nlink, static_cast<nlink_t>(i + 3)) << i;
    ASSERT_EQ(StatOf(tree_ / "file").st_nlink, static_cast<nlink_t>(i + 2)) << i;
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
}

TEST_F(MountAttributesTest, NewFilesBelongToTheCaller) {
  ASSERT_EQ(AsUser([&] {
              UniqueFd fd = Open(tree_ / "file", O_CREAT | O_RDWR, 0666);
              if (!fd.valid()) return errno;
              if (mkdir((tree_ / "dir").c_str(), 0777) != 0) return errno;
              if (mknod((tree_ / "fifo").c_str(), S_IFIFO | 0666, 0) != 0) return errno;
              return ErrorOf(symlink("x", (tree_ / "link").c_str()));
            }),
            0);
  for (const char* name : {"file", "dir", "fifo", "link"}) {
    EXPECT_EQ(StatOf(tree_ / name).st_uid, kUser) << name;
    EXPECT_EQ(StatOf(tree_ / name).st_gid, kGroup) << name;
  }
  EXPECT_EQ(ModeOf("file"), 0644u) << "the umask is the kernel's to apply";
  EXPECT_EQ(ModeOf("dir"), 0755u);
}

TEST_F(MountAttributesTest, SetGroupIdDirectoryPassesOnItsGroup) {
  ASSERT_EQ(mkdir((tree_ / "d").c_str(), 0777), 0);
  ASSERT_EQ(chown((tree_ / "d").c_str(), 0, 42), 0);
  ASSERT_EQ(chmod((tree_ / "d").c_str(), 02777), 0);
  ASSERT_EQ(AsUser([&] {
              if (mkdir((tree_ / "d/e").c_str(), 0755) != 0) return errno;
              return Open(tree_ / "d/f", O_CREAT | O_RDWR, 0644).valid() ? 0 : errno;
            }),
            0);
  EXPECT_EQ(StatOf(tree_ / "d/f").st_gid, 42u);
  EXPECT_EQ(StatOf(tree_ / "d/e").st_gid, 42u);
  EXPECT_EQ(ModeOf("d/e"), 02755u);
}

TEST_F(MountAttributesTest, TheKernelChecksPermissions) {
  ASSERT_TRUE(WriteFile(tree_ / "secret", "x"));
  ASSERT_EQ(chmod((tree_ / "secret").c_str(), 0600), 0);
  EXPECT_EQ(AsUser([&] { return Open(tree_ / "secret", O_RDONLY).valid() ? 0 : errno; }), EACCES);
  EXPECT_EQ(AsUser([&] { return ErrorOf(chmod((tree_ / "secret").c_str(), 0777)); }), EPERM);
  EXPECT_EQ(AsUser([&] { return ErrorOf(access((tree_ / "secret").c_str(), R_OK)); }), EACCES);
  ASSERT_EQ(chmod(tree_.path().c_str(), 01777), 0);
  EXPECT_EQ(AsUser([&] { return ErrorOf(unlink((tree_ / "secret").c_str())); }), EPERM);
}

TEST_F(MountAttributesTest, WriteByAUserClearsSetIds) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  ASSERT_EQ(chmod((tree_ / "a").c_str(), 06777), 0);
  ASSERT_EQ(AsUser([&] {
              UniqueFd fd = Open(tree_ / "a", O_WRONLY);
              return write(fd.get(), "y", 1) == 1 ? 0 : errno;
            }),
            0);
  EXPECT_EQ(ModeOf("a"), 0777u);
}

TEST_F(MountAttributesTest, WriteByRootKeepsSetIds) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  ASSERT_EQ(chmod((tree_ / "a").c_str(), 06777), 0);
  UniqueFd fd = Open(tree_ / "a", O_WRONLY);
  ASSERT_EQ(write(fd.get(), "y", 1), 1);
  EXPECT_EQ(ModeOf("a"), 06777u);
}

TEST_F(MountAttributesTest, TruncationByAUserClearsSetIds) {
  for (const char* name : {"a", "b"}) {
    ASSERT_TRUE(WriteFile(tree_ / name, "x"));
    ASSERT_EQ(chmod((tree_ / name).c_str(), 06777), 0);
  }
  ASSERT_EQ(AsUser([&] {
              if (truncate((tree_ / "a").c_str(), 0) != 0) return errno;
              return Open(tree_ / "b", O_WRONLY | O_TRUNC).valid() ? 0 : errno;
            }),
            0);
  EXPECT_EQ(ModeOf("a"), 0777u);
  EXPECT_EQ(ModeOf("b"), 0777u);
}

TEST_F(MountAttributesTest, ChangeOfOwnerClearsSetIds) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  ASSERT_EQ(chmod((tree_ / "a").c_str(), 06755), 0);
  ASSERT_EQ(chown((tree_ / "a").c_str(), kUser, kGroup), 0);
  EXPECT_EQ(ModeOf("a"), 0755u);
  ASSERT_EQ(mkdir((tree_ / "d").c_str(), 0755), 0);
  ASSERT_EQ(chmod((tree_ / "d").c_str(), 06755), 0);
  ASSERT_EQ(chown((tree_ / "d").c_str(), kUser, kGroup), 0);
  EXPECT_EQ(ModeOf("d"), 06755u) << "directories keep them";
}

TEST_F(MountAttributesTest, ChangeToTheSameOwnerClearsSetIds) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  ASSERT_EQ(chmod((tree_ / "a").c_str(), 06755), 0);
  ASSERT_EQ(chown((tree_ / "a").c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(-1)), 0);
  EXPECT_EQ(ModeOf("a"), 0755u);
}

TEST_F(MountAttributesTest, OnlyRootSeesTrustedXattrs) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  const std::string path = tree_ / "a";
  ASSERT_EQ(setxattr(path.c_str(), "trusted.t", "1", 1, 0), 0);
  ASSERT_EQ(setxattr(path.c_str(), "user.u", "1", 1, 0), 0);
  EXPECT_EQ(listxattr(path.c_str(), nullptr, 0), ssize_t{sizeof("trusted.t") + sizeof("user.u")});
  EXPECT_EQ(AsUser([&] { return static_cast<int>(listxattr(path.c_str(), nullptr, 0)); }),
            int{sizeof("user.u")});
}

TEST_F(MountAttributesTest, WriteDropsFileCapabilities) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  const std::string path = tree_ / "a";
  // cap_net_raw+p, version 2.
  const unsigned char value[20] = {0, 0, 0, 2, 0, 0x20};
  ASSERT_EQ(setxattr(path.c_str(), "security.capability", value, sizeof(value), 0), 0);
  ASSERT_EQ(getxattr(path.c_str(), "security.capability", nullptr, 0), 20);
  UniqueFd fd = Open(path, O_WRONLY);
  ASSERT_EQ(write(fd.get(), "y", 1), 1);
  EXPECT_EQ(ErrorOf(getxattr(path.c_str(), "security.capability", nullptr, 0)), ENODATA);
}

TEST_F(MountAttributesTest, Xattrs) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  const std::string path = tree_ / "a";
  ASSERT_EQ(setxattr(path.c_str(), "user.one", "1", 1, XATTR_CREATE), 0);
  EXPECT_EQ(ErrorOf(setxattr(path.c_str(), "user.one", "1", 1, XATTR_CREATE)), EEXIST);
  EXPECT_EQ(ErrorOf(setxattr(path.c_str(), "user.two", "1", 1, XATTR_REPLACE)), ENODATA);
  ASSERT_EQ(setxattr(path.c_str(), "user.empty", "", 0, 0), 0);
  ASSERT_EQ(setxattr(path.c_str(), "trusted.t", "\0\1", 2, 0), 0);
  char buffer[100];
  EXPECT_EQ(getxattr(path.c_str(), "user.one", buffer, sizeof(buffer)), 1);
  EXPECT_EQ(getxattr(path.c_str(), "user.empty", buffer, sizeof(buffer)), 0);
  EXPECT_EQ(getxattr(path.c_str(), "trusted.t", nullptr, 0), 2);
  EXPECT_EQ(ErrorOf(getxattr(path.c_str(), "trusted.t", buffer, 1)), ERANGE);
  const std::string list(buffer, static_cast<size_t>(listxattr(path.c_str(), buffer, 100)));
  EXPECT_THAT(list, testing::HasSubstr(std::string("user.one\0", 9)));
  EXPECT_THAT(list, testing::HasSubstr(std::string("user.empty\0", 11)));
  ASSERT_EQ(removexattr(path.c_str(), "user.one"), 0);
  EXPECT_EQ(ErrorOf(removexattr(path.c_str(), "user.one")), ENODATA);
  const std::string big(65536, 'v');
  ASSERT_EQ(setxattr(path.c_str(), "user.big", big.data(), big.size(), 0), 0);
  EXPECT_EQ(getxattr(path.c_str(), "user.big", nullptr, 0), 65536);
}

TEST_F(MountAttributesTest, BirthTime) {
  timespec before;
  clock_gettime(CLOCK_REALTIME, &before);
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  ASSERT_EQ(chmod((tree_ / "a").c_str(), 0600), 0);
  struct statx status;
  ASSERT_EQ(statx(AT_FDCWD, (tree_ / "a").c_str(), 0, STATX_BASIC_STATS | STATX_BTIME, &status), 0);
  ASSERT_NE(status.stx_mask & STATX_BTIME, 0u);
  EXPECT_GE(status.stx_btime.tv_sec, before.tv_sec);
  EXPECT_LE(status.stx_btime.tv_sec, before.tv_sec + 60);
  EXPECT_EQ(status.stx_mode & 07777, 0600);
  EXPECT_EQ(status.stx_size, 1u);
}

TEST_F(MountAttributesTest, TimesAreSetToTheNanosecond) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  const timespec times[2] = {{1'000'000'000, 1}, {-5, 999'999'999}};
  ASSERT_EQ(utimensat(AT_FDCWD, (tree_ / "a").c_str(), times, 0), 0);
  const struct stat status = StatOf(tree_ / "a");
  EXPECT_EQ(status.st_atim.tv_sec, 1'000'000'000);
  EXPECT_EQ(status.st_atim.tv_nsec, 1);
  EXPECT_EQ(status.st_mtim.tv_sec, -5);
  EXPECT_EQ(status.st_mtim.tv_nsec, 999'999'999);
}

TEST_F(MountAttributesTest, WritesMoveTheTimes) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  const timespec times[2] = {{5, 0}, {5, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, (tree_ / "a").c_str(), times, 0), 0);
  UniqueFd fd = Open(tree_ / "a", O_RDWR);
  ASSERT_EQ(write(fd.get(), "y", 1), 1);
  EXPECT_GT(StatOf(tree_ / "a").st_mtime, 5);
  EXPECT_GT(StatOf(tree_ / "a").st_ctime, 5);
  EXPECT_EQ(StatOf(tree_ / "a").st_atime, 5);
}

TEST_F(MountAttributesTest, FirstReadAfterAChangeMovesTheAccessTime) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  const timespec times[2] = {{5, 0}, {6, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, (tree_ / "a").c_str(), times, 0), 0);
  UniqueFd fd = Open(tree_ / "a", O_RDONLY);
  posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  char c;
  ASSERT_EQ(pread(fd.get(), &c, 1, 0), 1);
  EXPECT_GT(StatOf(tree_ / "a").st_atime, 6);
}

TEST_F(MountAttributesTest, SizeOfTheFilesystem) {
  struct statvfs status;
  ASSERT_EQ(statvfs(tree_.path().c_str(), &status), 0);
  EXPECT_EQ(status.f_namemax, 255u);
  EXPECT_GT(status.f_bsize, 0u);
}

}  // namespace
}  // namespace stasis::fuse
