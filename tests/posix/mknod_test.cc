// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class MknodTest : public PosixTest {};

TEST_P(MknodTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Mknod(path, S_IFREG | 0644); });
}

TEST_P(MknodTest, Types) {
  EXPECT_THAT(sys.Mknod("/file", S_IFREG | 0644), IsOk());
  EXPECT_THAT(sys.Mknod("/file0", 0644), IsOk()) << "no type: a regular file";
  EXPECT_EQ(StatOf("/file0").mode, S_IFREG | 0644u);
  EXPECT_THAT(sys.Mknod("/fifo", S_IFIFO | 0600), IsOk());
  EXPECT_EQ(StatOf("/fifo").mode, S_IFIFO | 0600u);
  EXPECT_THAT(sys.Mknod("/dir", S_IFDIR | 0755), IsErrno(EPERM));
  EXPECT_THAT(sys.Mknod("/link", S_IFLNK | 0755), IsErrno(EINVAL));
  EXPECT_THAT(sys.Mknod("/what", 0170000 | 0755), IsErrno(EINVAL));
}

TEST_P(MknodTest, NumbersAreOfDevices) {
  EXPECT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644, makedev(8, 1)), IsOk());
  EXPECT_THAT(sys.Mknod("/file", S_IFREG | 0644, makedev(8, 1)), IsOk());
  EXPECT_EQ(StatOf("/file").rdev, 0u);
}

TEST_P(MknodTest, WhatAUserMayMake) {
  MakeDir("/d", 0777);
  Become(kAlice);
  EXPECT_THAT(sys.Mknod("/d/char", S_IFCHR | 0644, makedev(1, 3)), IsErrno(EPERM));
  EXPECT_THAT(sys.Mknod("/d/block", S_IFBLK | 0644, makedev(1, 3)), IsErrno(EPERM));
  EXPECT_THAT(sys.Mknod("/d/block0", S_IFBLK | 0644, 0), IsErrno(EPERM));
  if (Has(kWhiteouts)) {
    EXPECT_THAT(sys.Mknod("/d/whiteout", S_IFCHR, 0), IsOk());
  } else {
    EXPECT_THAT(sys.Mknod("/d/whiteout", S_IFCHR, 0), IsErrno(EPERM));
  }
  EXPECT_THAT(sys.Mknod("/d/fifo", S_IFIFO | 0644), IsOk());
  EXPECT_THAT(sys.Mknod("/d/socket", S_IFSOCK | 0644), IsOk());
  EXPECT_THAT(sys.Mknod("/d/file", S_IFREG | 0644), IsOk());
  EXPECT_THAT(sys.Mknod("/char", S_IFCHR | 0644, makedev(1, 3)), IsErrno(EACCES))
      << "comes before EPERM";
}

TEST_P(MknodTest, ModeOwnerAndUmask) {
  MakeDir("/d");
  ASSERT_THAT(sys.Chown("/d", kKeepId, kTeam), IsOk());
  ASSERT_THAT(sys.Chmod("/d", 02777), IsOk());
  sys.Umask(027);
  Become(kAlice);
  EXPECT_THAT(sys.Mknod("/d/fifo", S_IFIFO | 07777), IsOk());
  EXPECT_EQ(StatOf("/d/fifo").uid, kAlice);
  EXPECT_EQ(StatOf("/d/fifo").gid, kTeam);
  EXPECT_EQ(ModeOf("/d/fifo"), 05750u);
}

TEST_P(MknodTest, ExistingNames) {
  Put("/f");
  MakeDir("/d");
  ASSERT_THAT(sys.Symlink("missing", "/dangling"), IsOk());
  for (const char* path : {"/f", "/d", "/d/", "/dangling", "/", "/d/.", "/d/.."})
    EXPECT_THAT(sys.Mknod(path, S_IFIFO | 0644), IsErrno(EEXIST)) << path;
  EXPECT_THAT(sys.Mknod("/new/", S_IFIFO | 0644), IsErrno(ENOENT));
}

TEST_P(MknodTest, Times) {
  ExpectSetsTimes("/", kMtime | kCtime, [this] { return sys.Mknod("/fifo", S_IFIFO | 0644); });
  EXPECT_EQ(StatOf("/").size, 60u);
  EXPECT_EQ(StatOf("/fifo").nlink, 1u);
  EXPECT_EQ(StatOf("/fifo").size, 0u);
}

TEST_P(MknodTest, ReadOnlyFilesystem) {
  Put("/f");
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsErrno(EROFS));
  EXPECT_THAT(sys.Mknod("/f", S_IFIFO | 0644), IsErrno(EEXIST));
}

STASIS_POSIX_SUITE(MknodTest);

class MknodDeviceTest : public PosixTest {};

TEST_P(MknodDeviceTest, TypesAndNumbers) {
  MakeDir("/d");
  EXPECT_THAT(sys.Mknod("/d/char", S_IFCHR | 0644, makedev(4095, 1'048'575)), IsOk());
  EXPECT_EQ(StatOf("/d/char").rdev, makedev(4095, 1'048'575));
  EXPECT_EQ(StatOf("/d/char").mode, uint32_t{S_IFCHR | 0644});
  EXPECT_THAT(sys.Mknod("/d/block", S_IFBLK | 0644, makedev(8, 1)), IsOk());
  EXPECT_EQ(StatOf("/d/block").rdev, makedev(8, 1));
  EXPECT_EQ(StatOf("/d/block").mode, uint32_t{S_IFBLK | 0644});
  const auto entries = sys.GetDents(Open("/d", O_RDONLY)).value();
  for (const Dirent& entry : entries)
    EXPECT_EQ(entry.type, (StatOf("/d/" + entry.name).mode & S_IFMT) >> 12) << entry.name;
}

STASIS_POSIX_SUITE(MknodDeviceTest, kDevices);

}  // namespace
}  // namespace stasis::posix
