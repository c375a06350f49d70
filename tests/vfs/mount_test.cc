// SPDX-License-Identifier: Apache-2.0
//
// Mounts: what can be mounted where, what keeps a mount busy, and read-only mounts.

#include <sys/sysmacros.h>

#include <functional>

#include "tests/testing/memfs_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::BytesOf;
using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;

class MountTest : public MemfsTest {
 protected:
  void SetUp() override {
    ASSERT_THAT(Mkdir("/m"), IsOk());
    ASSERT_THAT(Mkdir("/d"), IsOk());
    ASSERT_THAT(Put("/d/f", "content"), IsOk());
  }
  // Mounts on `at` itself, without a walk.
  Result<RefPtr<vfs::Mount>> MountExactly(const VirtualDentry& at) {
    return vfs->MountAt(creds, *ns, {root, at, ""}, memfs::MemFilesystem::Create(*vfs, {}), {});
  }
};

TEST_F(MountTest, NeedsTheCapability) {
  creds = Credentials::User(1000, 1000);
  EXPECT_THAT(Mount("/m"), IsErrno(EPERM));
  EXPECT_THAT(Bind("/d", "/m"), IsErrno(EPERM));
  EXPECT_THAT(Umount("/m"), IsErrno(EPERM));
}

TEST_F(MountTest, TargetMustBeThere) {
  EXPECT_THAT(Mount("/missing"), IsErrno(ENOENT));
  EXPECT_THAT(Bind("/missing", "/m"), IsErrno(ENOENT));
  EXPECT_THAT(Bind("/d", "/missing"), IsErrno(ENOENT));
}

TEST_F(MountTest, DirectoryGoesOnADirectoryAndAFileOnAFile) {
  EXPECT_THAT(Mount("/d/f"), IsErrno(ENOTDIR));
  EXPECT_THAT(Bind("/d/f", "/m"), IsErrno(ENOTDIR));
  EXPECT_THAT(Bind("/d", "/d/f"), IsErrno(ENOTDIR));
}

TEST_F(MountTest, RemovedDirectoryIsENOENT) {
  const VirtualDentry at = *Lookup("/m");
  ASSERT_THAT(Rmdir("/m"), IsOk());
  EXPECT_THAT(MountExactly(at), IsErrno(ENOENT));
}

TEST_F(MountTest, CoveredDirectoryIsMountedOnItsTop) {
  const VirtualDentry at = *Lookup("/m");
  ASSERT_THAT(Mount("/m"), IsOk());
  const auto top = *MountExactly(at);
  EXPECT_EQ(Stat("/m")->mount_id, top->id());
}

TEST_F(MountTest, TargetInAnotherNamespaceIsEINVAL) {
  const auto other = vfs->NewMountNamespace(memfs::MemFilesystem::Create(*vfs, {}), {});
  EXPECT_THAT(vfs->MountAt(creds, *other, At("/m"), fs, {}), IsErrno(EINVAL));
  EXPECT_THAT(vfs->BindAt(creds, *other, At("/d"), At("/m"), {}), IsErrno(EINVAL));
  ASSERT_THAT(Mount("/m"), IsOk());
  EXPECT_THAT(vfs->UmountAt(creds, *other, At("/m")), IsErrno(EINVAL));
}

TEST_F(MountTest, OnlyAMountCanBeUnmounted) {
  ASSERT_THAT(Mount("/m"), IsOk());
  ASSERT_THAT(Mkdir("/m/x"), IsOk());
  EXPECT_THAT(Umount("/m/x"), IsErrno(EINVAL));
  EXPECT_THAT(Umount("/d"), IsErrno(EINVAL));
  EXPECT_THAT(Umount("/"), IsErrno(EINVAL));
  EXPECT_THAT(Umount("/missing"), IsErrno(ENOENT));
  EXPECT_THAT(Umount("/m"), IsOk());
  EXPECT_THAT(Umount("/m"), IsErrno(EINVAL));
}

TEST_F(MountTest, OpenFileKeepsItBusy) {
  ASSERT_THAT(Mount("/m"), IsOk());
  auto file = *Open("/m/f", O_CREAT | O_RDWR);
  EXPECT_THAT(Umount("/m"), IsErrno(EBUSY));
  ASSERT_THAT(Unlink("/m/f"), IsOk());
  EXPECT_THAT(Umount("/m"), IsErrno(EBUSY));
  file.reset();
  EXPECT_THAT(Umount("/m"), IsOk());
}

TEST_F(MountTest, WorkingDirectoryKeepsItBusy) {
  ASSERT_THAT(Mount("/m"), IsOk());
  cwd = *Lookup("/m");
  EXPECT_THAT(Umount("/m"), IsErrno(EBUSY));
  cwd = root;
  EXPECT_THAT(Umount("/m"), IsOk());
}

TEST_F(MountTest, MountInItKeepsItBusy) {
  ASSERT_THAT(Mount("/m"), IsOk());
  ASSERT_THAT(Mkdir("/m/x"), IsOk());
  ASSERT_THAT(Mount("/m/x"), IsOk());
  EXPECT_THAT(Umount("/m"), IsErrno(EBUSY));
  EXPECT_THAT(Umount("/m/x"), IsOk());
  EXPECT_THAT(Umount("/m"), IsOk());
}

TEST_F(MountTest, OpenFileElsewhereInTheFilesystemDoesNotKeepABindBusy) {
  ASSERT_THAT(Bind("/d", "/m"), IsOk());
  const auto file = *Open("/d/f", O_RDONLY);
  EXPECT_THAT(Umount("/m"), IsOk());
}

TEST_F(MountTest, MountPointIsNeitherRemovedNorRenamed) {
  ASSERT_THAT(Mount("/m"), IsOk());
  EXPECT_THAT(Rmdir("/m"), IsErrno(EBUSY));
  EXPECT_THAT(Rename("/m", "/x"), IsErrno(EBUSY));
  EXPECT_THAT(Rename("/d", "/m"), IsErrno(EBUSY));
  ASSERT_THAT(Put("/g", ""), IsOk());
  ASSERT_THAT(Bind("/d/f", "/g"), IsOk());
  EXPECT_THAT(Unlink("/g"), IsErrno(EBUSY));
  ASSERT_THAT(Umount("/m"), IsOk());
  EXPECT_THAT(Rename("/m", "/x"), IsOk());
  EXPECT_THAT(Rmdir("/x"), IsOk());
}

TEST_F(MountTest, DirectoryAboveAMountPointMayBeRenamed) {
  ASSERT_THAT(Mkdir("/d/p"), IsOk());
  ASSERT_THAT(Mount("/d/p"), IsOk());
  ASSERT_THAT(Put("/d/p/x", "in the mount"), IsOk());
  ASSERT_THAT(Rename("/d", "/e"), IsOk());
  EXPECT_EQ(*Get("/e/p/x"), "in the mount");
}

TEST_F(MountTest, BindShowsTheSameFilesOnBothSides) {
  ASSERT_THAT(Bind("/d", "/m"), IsOk());
  EXPECT_EQ(*Get("/m/f"), "content");
  ASSERT_THAT(Put("/m/new", "x"), IsOk());
  EXPECT_EQ(*Get("/d/new"), "x");
  EXPECT_EQ(Stat("/d/f")->dev, Stat("/m/f")->dev);
  EXPECT_NE(Stat("/d/f")->mount_id, Stat("/m/f")->mount_id);
}

TEST_F(MountTest, BindIsNotRecursive) {
  ASSERT_THAT(Mkdir("/d/p"), IsOk());
  ASSERT_THAT(Mount("/d/p"), IsOk());
  ASSERT_THAT(Put("/d/p/x", ""), IsOk());
  ASSERT_THAT(Bind("/d", "/m"), IsOk());
  EXPECT_THAT(Stat("/m/p"), IsOk());
  EXPECT_THAT(Stat("/m/p/x"), IsErrno(ENOENT));
}

TEST_F(MountTest, ReadOnlyMountRefusesEveryChange) {
  ASSERT_THAT(Bind("/d", "/m", {.read_only = true}), IsOk());
  EXPECT_THAT(Mkdir("/m/x"), IsErrno(EROFS));
  EXPECT_THAT(Mknod("/m/x", S_IFREG), IsErrno(EROFS));
  EXPECT_THAT(Symlink("y", "/m/x"), IsErrno(EROFS));
  EXPECT_THAT(Link("/m/f", "/m/x"), IsErrno(EROFS));
  EXPECT_THAT(Create("/m/x"), IsErrno(EROFS));
  EXPECT_THAT(Unlink("/m/f"), IsErrno(EROFS));
  EXPECT_THAT(Rmdir("/m/f"), IsErrno(EROFS));
  EXPECT_THAT(Rename("/m/f", "/m/x"), IsErrno(EROFS));
  EXPECT_THAT(Chmod("/m/f", 0600), IsErrno(EROFS));
  EXPECT_THAT(Truncate("/m/f", 0), IsErrno(EROFS));
  EXPECT_THAT(SetXattr("/m/f", "user.x", "y"), IsErrno(EROFS));
  EXPECT_THAT(RemoveXattr("/m/f", "user.x"), IsErrno(EROFS));
  EXPECT_THAT(Open("/m/f", O_WRONLY), IsErrno(EROFS));
  EXPECT_THAT(Open("/m/f", O_RDWR), IsErrno(EROFS));
  EXPECT_THAT(Open("/m/f", O_RDONLY | O_TRUNC), IsErrno(EROFS));
  EXPECT_THAT(Access("/m/f", kWrite), IsErrno(EROFS));
}

TEST_F(MountTest, ReadOnlyMountCanBeRead) {
  ASSERT_THAT(Bind("/d", "/m", {.read_only = true}), IsOk());
  EXPECT_EQ(*Get("/m/f"), "content");
  EXPECT_THAT(Open("/m/f", O_RDONLY | O_CREAT), IsOk());
  EXPECT_THAT(Mkdir("/m/f"), IsErrno(EEXIST));
  EXPECT_THAT(Access("/m/f", kRead), IsOk());
  EXPECT_THAT(Put("/d/f", "changed"), IsOk());  // the other mount may be written
  EXPECT_EQ(*Get("/m/f"), "changed");
}

TEST_F(MountTest, MountMadeReadOnlyRefusesFilesThatAreOpenAlready) {
  const auto mount = *Mount("/m");
  const auto file = *Open("/m/f", O_CREAT | O_RDWR);
  ASSERT_THAT(mount->SetReadOnly(true), IsOk());
  EXPECT_TRUE(mount->flags().read_only);
  EXPECT_THAT(file->PWrite(0, BytesOf("x")), IsErrno(EROFS));
  EXPECT_THAT(file->SetAttributes(creds, {.size = 1}), IsErrno(EROFS));
  ASSERT_THAT(mount->SetReadOnly(false), IsOk());
  EXPECT_THAT(file->PWrite(0, BytesOf("x")), IsOk());
}

TEST_F(MountTest, MountIsNotMadeReadOnlyUnderAWriter) {
  const auto mount = *Mount("/m");
  {
    const MountWriter writer(*mount);
    ASSERT_THAT(writer.status(), IsOk());
    EXPECT_THAT(mount->SetReadOnly(true), IsErrno(EBUSY));
  }
  EXPECT_THAT(mount->SetReadOnly(true), IsOk());
  EXPECT_THAT(MountWriter(*mount).status(), IsErrno(EROFS));
}

TEST_F(MountTest, FlagsOfTheMountApply) {
  ASSERT_THAT(Chmod("/d/f", 0755), IsOk());
  ASSERT_THAT(Mknod("/d/null", S_IFCHR | 0666, makedev(1, 3)), IsOk());
  ASSERT_THAT(Bind("/d", "/m", {.no_exec = true, .no_dev = true, .no_atime = true}), IsOk());
  EXPECT_THAT(Access("/d/f", kExecute), IsOk());
  EXPECT_THAT(Access("/m/f", kExecute), IsErrno(EACCES));
  EXPECT_THAT(Open("/d/null", O_RDWR), IsOk());
  EXPECT_THAT(Open("/m/null", O_RDWR), IsErrno(EACCES));
  const TimeNs atime = Stat("/m/f")->atime;
  clock.Advance(1'000'000'000);
  EXPECT_EQ(*Get("/m/f"), "content");
  EXPECT_EQ(Stat("/m/f")->atime, atime);
}

class AccessTimeTest : public MountTest {
 protected:
  // Whether an access a second later sets the time of "/m/..." through a mount of "/d" with
  // `flags`.
  bool Sets(std::string_view path, const std::function<void()>& access) {
    const TimeNs before = Stat(path)->atime;
    clock.Advance(1'000'000'000);
    access();
    return Stat(path)->atime != before;
  }
  bool Reads() {
    return Sets("/m/f", [this] { EXPECT_THAT(Get("/m/f"), IsOk()); });
  }
  bool Lists() {
    return Sets("/m", [this] { EXPECT_THAT(List("/m"), IsOk()); });
  }
};

TEST_F(AccessTimeTest, RelativeUnlessSaidOtherwise) {
  ASSERT_THAT(Bind("/d", "/m"), IsOk());
  EXPECT_TRUE(Reads());
  EXPECT_FALSE(Reads());
  EXPECT_TRUE(Lists());
  EXPECT_FALSE(Lists());
}

TEST_F(AccessTimeTest, StrictSetsItEachTime) {
  const auto mount = *Bind("/d", "/m", {.strict_atime = true});
  EXPECT_TRUE(mount->flags().strict_atime);
  EXPECT_TRUE(Reads());
  EXPECT_TRUE(Reads());
  EXPECT_TRUE(Lists());
  EXPECT_TRUE(Lists());
}

TEST_F(AccessTimeTest, NotOfDirectories) {
  const auto mount = *Bind("/d", "/m", {.no_dir_atime = true, .strict_atime = true});
  EXPECT_TRUE(mount->flags().no_dir_atime);
  EXPECT_TRUE(Reads());
  EXPECT_TRUE(Reads());
  EXPECT_FALSE(Lists());
}

TEST_F(AccessTimeTest, FlagsAreOfTheMountNotTheFilesystem) {
  ASSERT_THAT(Bind("/d", "/m", {.no_atime = true}), IsOk());
  EXPECT_FALSE(Reads());
  EXPECT_FALSE(Lists());
  EXPECT_TRUE(Sets("/m/f", [this] { EXPECT_THAT(Get("/d/f"), IsOk()); }));
}

TEST_F(AccessTimeTest, ReadOnlyMountSetsNone) {
  ASSERT_THAT(Bind("/d", "/m", {.read_only = true, .strict_atime = true}), IsOk());
  EXPECT_FALSE(Reads());
}

}  // namespace
}  // namespace stasis::vfs
