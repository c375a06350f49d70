// SPDX-License-Identifier: Apache-2.0
//
// Flags of mounts: what they do, and how they are changed while the mount is used.

#include <linux/mount.h>
#include <sys/sysmacros.h>

#include "tests/testing/mount_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MountTreeTest;

class MountAttributesTest : public MountTreeTest {
 protected:
  MountAttributesTest() {
    MakeDirectories({"/a", "/b"});
    EXPECT_THAT(Mount("/a"), IsOk());
    MakeDirectories({"/a/x"});
    EXPECT_THAT(Mount("/a/x"), IsOk());
    EXPECT_THAT(MakeFile("/a/x/f"), IsOk());
  }
};

TEST_F(MountAttributesTest, RemountReplacesAll) {
  ASSERT_THAT(Remount("/a", {.no_exec = true,
                             .no_suid = true,
                             .no_dev = true,
                             .no_atime = true,
                             .no_dir_atime = true,
                             .no_sym_follow = true}),
              IsOk());
  EXPECT_EQ(Options("/a"), "rw,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow");
  SaveAndRestore();
  EXPECT_EQ(Options("/a"), "rw,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow");
  ASSERT_THAT(Remount("/a", {.strict_atime = true}), IsOk());
  EXPECT_EQ(Options("/a"), "rw");
  EXPECT_EQ(Options("/a/x"), "rw,relatime");
}

TEST_F(MountAttributesTest, OnlyOfAMountsRoot) {
  MakeDirectories({"/a/y"});
  EXPECT_THAT(Remount("/a/y", {}), IsErrno(EINVAL));
  EXPECT_THAT(SetAttributes("/a/y", {.set = MOUNT_ATTR_RDONLY}), IsErrno(EINVAL));
  EXPECT_THAT(SetAttributes("/missing", {.set = MOUNT_ATTR_RDONLY}), IsErrno(ENOENT));
}

TEST_F(MountAttributesTest, ReadOnlyIsEBUSYWhileAFileIsOpenToBeWritten) {
  auto file = *Open("/a/x/f", O_RDWR);
  EXPECT_THAT(Remount("/a/x", {.read_only = true}), IsErrno(EBUSY));
  EXPECT_EQ(Options("/a/x"), "rw,relatime");
  t.Hold("file", std::move(file));
  SaveAndRestore();
  EXPECT_THAT(Remount("/a/x", {.read_only = true}), IsErrno(EBUSY));
  t.Release("file");
  const auto reader = *Open("/a/x/f", O_RDONLY);
  EXPECT_THAT(Remount("/a/x", {.read_only = true}), IsOk());
  EXPECT_THAT(Open("/a/x/f", O_RDWR), IsErrno(EROFS));
  EXPECT_THAT(Rmdir("/a/x/f"), IsErrno(EROFS));
}

TEST_F(MountAttributesTest, RecursiveChangesAllBelow) {
  ASSERT_THAT(SetAttributes("/", {.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC}, true), IsOk());
  for (const char* path : {"/", "/a", "/a/x"}) EXPECT_EQ(Options(path), "ro,noexec,relatime");
  ASSERT_THAT(SetAttributes("/a", {.clear = MOUNT_ATTR_RDONLY}), IsOk());
  EXPECT_EQ(Options("/a"), "rw,noexec,relatime");
  EXPECT_EQ(Options("/a/x"), "ro,noexec,relatime");
}

TEST_F(MountAttributesTest, RecursiveIsAllOrNothing) {
  const auto file = *Open("/a/x/f", O_RDWR);
  EXPECT_THAT(SetAttributes(
                  "/", {.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, .propagation = 1 << 20}, true),
              IsErrno(EBUSY));
  for (const char* path : {"/", "/a", "/a/x"}) {
    EXPECT_EQ(Options(path), "rw,relatime");
    EXPECT_EQ(Tags(path), "");
  }
  EXPECT_THAT(MakeFile("/a/new"), IsOk());
}

TEST_F(MountAttributesTest, ClearedAndSetIsSet) {
  ASSERT_THAT(SetAttributes("/a", {.set = MOUNT_ATTR_NODEV, .clear = MOUNT_ATTR_NODEV}), IsOk());
  EXPECT_EQ(Options("/a"), "rw,nodev,relatime");
}

TEST_F(MountAttributesTest, AccessTimeIsOneOfThree) {
  const auto set = [&](uint64_t atime) {
    return SetAttributes("/a", {.set = atime, .clear = MOUNT_ATTR__ATIME});
  };
  ASSERT_THAT(set(MOUNT_ATTR_NOATIME), IsOk());
  EXPECT_EQ(Options("/a"), "rw,noatime");
  ASSERT_THAT(set(MOUNT_ATTR_STRICTATIME), IsOk());
  EXPECT_EQ(Options("/a"), "rw");
  ASSERT_THAT(set(MOUNT_ATTR_RELATIME), IsOk());
  EXPECT_EQ(Options("/a"), "rw,relatime");
  EXPECT_THAT(set(MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME), IsErrno(EINVAL));
  EXPECT_THAT(SetAttributes("/a", {.set = MOUNT_ATTR_NOATIME}), IsErrno(EINVAL));
  EXPECT_THAT(SetAttributes("/a", {.clear = MOUNT_ATTR_NOATIME}), IsErrno(EINVAL));
}

TEST_F(MountAttributesTest, UnknownOnesAreEINVAL) {
  EXPECT_THAT(SetAttributes("/a", {.set = MOUNT_ATTR_IDMAP}), IsErrno(EINVAL));
  EXPECT_THAT(SetAttributes("/a", {.set = uint64_t{1} << 40}), IsErrno(EINVAL));
  EXPECT_THAT(SetAttributes("/a", {.propagation = (1 << 20) | (1 << 18)}), IsErrno(EINVAL));
  EXPECT_THAT(SetAttributes("/missing", {}), IsOk());  // as in Linux: nothing to do
}

TEST_F(MountAttributesTest, PropagationChangesAlong) {
  ASSERT_THAT(SetAttributes("/a", {.set = MOUNT_ATTR_NODEV, .propagation = 1 << 20}, true), IsOk());
  EXPECT_EQ(Tags("/a"), "shared:1");
  EXPECT_EQ(Tags("/a/x"), "shared:2");
}

TEST_F(MountAttributesTest, NoSymFollowIsELOOPOnlyThroughThatMount) {
  ASSERT_THAT(vfs().SymlinkAt(creds, At("/a/link"), "x"), IsOk());
  ASSERT_THAT(Bind("/a", "/b"), IsOk());
  ASSERT_THAT(SetAttributes("/a", {.set = MOUNT_ATTR_NOSYMFOLLOW}), IsOk());
  EXPECT_THAT(Stat("/a/link/f"), IsErrno(ELOOP));
  EXPECT_THAT(Stat("/a/link/"), IsErrno(ELOOP));
  EXPECT_THAT(Open("/a/link", O_RDONLY), IsErrno(ELOOP));
  EXPECT_THAT(vfs().ReadLinkAt(creds, At("/a/link")), IsOk());
  EXPECT_THAT(Stat("/a/link"), IsOk());  // the link itself
  EXPECT_THAT(Open("/b/link", O_RDONLY), IsOk());
}

TEST_F(MountAttributesTest, FlagsApplyFromTheChangeOn) {
  ASSERT_THAT(vfs().MknodAt(creds, At("/a/null"), {S_IFCHR | 0666, makedev(1, 3)}), IsOk());
  EXPECT_THAT(Open("/a/null", O_RDONLY), IsOk());
  ASSERT_THAT(SetAttributes("/a", {.set = MOUNT_ATTR_NODEV}), IsOk());
  EXPECT_THAT(Open("/a/null", O_RDONLY), IsErrno(EACCES));
  ASSERT_THAT(SetAttributes("/a", {.clear = MOUNT_ATTR_NODEV}), IsOk());
  EXPECT_THAT(Open("/a/null", O_RDONLY), IsOk());
}

}  // namespace
}  // namespace stasis::vfs
