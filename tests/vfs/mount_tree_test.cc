// SPDX-License-Identifier: Apache-2.0
//
// Stacks of mounts, binding with and without what is mounted below, moving.

#include "tests/testing/mount_tree.h"

#include <absl/strings/str_cat.h>
#include <sys/mount.h>

namespace stasis::vfs {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MountTreeTest;
using Paths = std::vector<std::string>;

class MountStackTest : public MountTreeTest {
 protected:
  MountStackTest() { MakeDirectories({"/a", "/b"}); }
};

TEST_F(MountStackTest, MountGoesOnTopOfWhatIsThere) {
  ASSERT_THAT(Mount("/a"), IsOk());
  ASSERT_THAT(MakeFile("/a/first"), IsOk());
  ASSERT_THAT(Mount("/a"), IsOk());
  EXPECT_FALSE(Exists("/a/first"));
  ASSERT_THAT(MakeFile("/a/second"), IsOk());
  SaveAndRestore();
  EXPECT_TRUE(Exists("/a/second"));
  ASSERT_THAT(Umount("/a"), IsOk());
  EXPECT_TRUE(Exists("/a/first"));
  ASSERT_THAT(Umount("/a"), IsOk());
  EXPECT_FALSE(Exists("/a/first"));
  EXPECT_THAT(Umount("/a"), IsErrno(EINVAL));
}

TEST_F(MountStackTest, WalkComesThroughATallOne) {
  constexpr int kMounts = 100;
  for (int i = 0; i < kMounts; ++i) ASSERT_THAT(Bind("/a", "/a"), IsOk());
  SaveAndRestore();
  ASSERT_THAT(MakeFile("/a/f"), IsOk());
  EXPECT_TRUE(Exists("/a/../a/f"));
  for (int i = 0; i < kMounts; ++i) ASSERT_THAT(Umount("/a"), IsOk());
  EXPECT_TRUE(Exists("/a/f"));
  EXPECT_THAT(Umount("/a"), IsErrno(EINVAL));
}

TEST_F(MountStackTest, DotsLeaveTheWholeStack) {
  ASSERT_THAT(Mount("/a"), IsOk());
  ASSERT_THAT(Mount("/a"), IsOk());
  ASSERT_THAT(MakeFile("/mark"), IsOk());
  EXPECT_TRUE(Exists("/a/../mark"));
}

TEST_F(MountStackTest, RootIsWhatWasMountedOnItLast) {
  ASSERT_THAT(MakeFile("/mark"), IsOk());
  const VirtualDentry old = vfs().RootOf(*ns);
  ASSERT_THAT(Mount("/"), IsOk());
  EXPECT_FALSE(Exists("/mark"));
  // Who had the old root keeps it, until he asks for "..".
  EXPECT_THAT(vfs().StatAt(creds, {old, old, "/mark"}), IsOk());
  EXPECT_THAT(vfs().StatAt(creds, {old, old, "/../mark"}), IsErrno(ENOENT));
}

TEST_F(MountStackTest, SameFilesystemOnItsOwnRootIsEBUSY) {
  const auto memfs = NewMemfs();
  ASSERT_THAT(vfs().MountAt(creds, *ns, At("/a"), memfs, {}), IsOk());
  EXPECT_THAT(vfs().MountAt(creds, *ns, At("/a"), memfs, {}), IsErrno(EBUSY));
  EXPECT_THAT(vfs().MountAt(creds, *ns, At("/b"), memfs, {}), IsOk());
}

class BindTest : public MountTreeTest {
 protected:
  BindTest() {
    MakeDirectories({"/a", "/b"});
    EXPECT_THAT(Mount("/a"), IsOk());
    MakeDirectories({"/a/x", "/a/y"});
    EXPECT_THAT(Mount("/a/x"), IsOk());
    EXPECT_THAT(Mount("/a/y"), IsOk());
    EXPECT_THAT(MakeFile("/a/x/f"), IsOk());
  }
};

TEST_F(BindTest, TakesOneMount) {
  ASSERT_THAT(Bind("/a", "/b"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/a/x", "/a/y", "/b"}));
  EXPECT_FALSE(Exists("/b/x/f"));
}

TEST_F(BindTest, RecursiveTakesWhatIsMountedBelow) {
  ASSERT_THAT(Bind("/a", "/b", true), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/a/x", "/a/y", "/b", "/b/x", "/b/y"}));
  SaveAndRestore();
  EXPECT_TRUE(Exists("/b/x/f"));
}

TEST_F(BindTest, RecursiveOfADirectoryTakesWhatIsBelowIt) {
  MakeDirectories({"/a/x/c", "/a/x/d"});
  ASSERT_THAT(Mount("/a/x/c"), IsOk());
  ASSERT_THAT(Mount("/a/x/d"), IsOk());
  ASSERT_THAT(Bind("/a/x/c", "/b", true), IsOk());
  EXPECT_EQ(Field("/b", 3), "/");
  ASSERT_THAT(Umount("/a/x/c"), IsOk());
  ASSERT_THAT(Bind("/a/x/c", "/b", true), IsOk());
  EXPECT_EQ(Field("/b", 3), "/c");
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/a/x", "/a/y", "/a/x/d", "/b", "/b"}));
}

TEST_F(BindTest, RecursiveLeavesOutUnbindableOnes) {
  ASSERT_THAT(Make(Propagation::kUnbindable, "/a/x"), IsOk());
  ASSERT_THAT(Bind("/a", "/b", true), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/a/x", "/a/y", "/b", "/b/y"}));
  EXPECT_THAT(Bind("/a/x", "/b"), IsErrno(EINVAL));
  EXPECT_THAT(Bind("/a/x", "/b", true), IsErrno(EINVAL));
}

TEST_F(BindTest, IntoItselfDoesNotEndInACircle) {
  ASSERT_THAT(Bind("/a", "/a/y", true), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/a/x", "/a/y", "/a/y", "/a/y/x", "/a/y/y"}));
}

TEST_F(BindTest, OfAFile) {
  ASSERT_THAT(MakeFile("/g"), IsOk());
  ASSERT_THAT(Bind("/a/x/f", "/g"), IsOk());
  EXPECT_EQ(Field("/g", 3), "/f");
  EXPECT_THAT(Bind("/a", "/g"), IsErrno(ENOTDIR));
  EXPECT_THAT(Bind("/g", "/b"), IsErrno(ENOTDIR));
  EXPECT_EQ(Points().size(), 5u);
}

TEST_F(BindTest, OfARemovedDirectoryIsENOENT) {
  MakeDirectories({"/c"});
  const VirtualDentry gone = *vfs().GetDentryAt(creds, At("/c"));
  ASSERT_THAT(Rmdir("/c"), IsOk());
  EXPECT_THAT(vfs().BindAt(creds, *ns, {gone, gone, ""}, At("/b")), IsErrno(ENOENT));
}

TEST_F(BindTest, KeepsTheFlags) {
  ASSERT_THAT(Remount("/a", {.read_only = true, .no_exec = true}), IsOk());
  ASSERT_THAT(Bind("/a", "/b"), IsOk());
  EXPECT_EQ(Options("/b"), "ro,noexec,relatime");
}

class MoveTest : public MountTreeTest {
 protected:
  MoveTest() {
    MakeDirectories({"/a", "/b", "/c"});
    EXPECT_THAT(Mount("/a"), IsOk());
    MakeDirectories({"/a/x", "/a/y"});
    EXPECT_THAT(Mount("/a/x"), IsOk());
  }
};

TEST_F(MoveTest, CarriesWhatIsMountedBelow) {
  const auto file = Open("/a/x/f", O_CREAT | O_RDWR);
  ASSERT_THAT(Move("/a", "/b"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/b", "/b/x"}));
  EXPECT_TRUE(Exists("/b/x/f"));
  SaveAndRestore();
  EXPECT_TRUE(Exists("/b/x/f"));
  EXPECT_FALSE(Exists("/a/x"));
}

TEST_F(MoveTest, BelowItselfIsELOOP) {
  EXPECT_THAT(Move("/a", "/a/y"), IsErrno(ELOOP));
  EXPECT_THAT(Move("/a", "/a/x"), IsErrno(ELOOP));
}

TEST_F(MoveTest, OfWhatIsNoMountIsEINVAL) {
  EXPECT_THAT(Move("/a/y", "/b"), IsErrno(EINVAL));
  EXPECT_THAT(Move("/missing", "/b"), IsErrno(ENOENT));
  EXPECT_THAT(Move("/a", "/missing"), IsErrno(ENOENT));
}

TEST_F(MoveTest, ToAnotherKindIsEINVAL) {
  ASSERT_THAT(MakeFile("/f"), IsOk());
  EXPECT_THAT(Move("/a", "/f"), IsErrno(EINVAL));
}

TEST_F(MoveTest, OutOfASharedMountIsEINVAL) {
  ASSERT_THAT(Make(Propagation::kShared, "/a"), IsOk());
  EXPECT_THAT(Move("/a/x", "/b"), IsErrno(EINVAL));
  EXPECT_THAT(Move("/a", "/b"), IsOk());
}

TEST_F(MoveTest, OfAnUnbindableOneIntoASharedOneIsEINVAL) {
  ASSERT_THAT(Mount("/b"), IsOk());
  MakeDirectories({"/b/in"});
  ASSERT_THAT(Make(Propagation::kShared, "/b"), IsOk());
  ASSERT_THAT(Make(Propagation::kUnbindable, "/a/x"), IsOk());
  EXPECT_THAT(Move("/a", "/b/in"), IsErrno(EINVAL));
  EXPECT_THAT(Move("/a", "/c"), IsOk());
}

TEST_F(MoveTest, OfTheRootIsEINVAL) {
  const VirtualDentry base = ns->root();
  EXPECT_THAT(vfs().MoveMountAt(creds, *ns, {base, base, ""}, At("/b")), IsErrno(EINVAL));
}

TEST_F(MoveTest, ToTheTopOfAStack) {
  ASSERT_THAT(Mount("/b"), IsOk());
  ASSERT_THAT(Move("/a", "/b"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/b", "/b/x", "/b"}));
  EXPECT_TRUE(Exists("/b/x"));
}

class MountLimitTest : public MountTreeTest {};

TEST_F(MountLimitTest, IsTheKernelsUnlessSet) { EXPECT_EQ(vfs().mount_limit(), 100'000u); }

TEST_F(MountLimitTest, IsSaved) {
  vfs().set_mount_limit(7);
  SaveAndRestore();
  EXPECT_EQ(vfs().mount_limit(), 7u);
}

TEST_F(MountLimitTest, IsCountedBeforeAnythingChanges) {
  MakeDirectories({"/a", "/b", "/c"});
  ASSERT_THAT(Mount("/a"), IsOk());
  MakeDirectories({"/a/x"});
  ASSERT_THAT(Mount("/a/x"), IsOk());  // the fourth, with the two roots
  vfs().set_mount_limit(5);
  EXPECT_THAT(Bind("/a", "/b", true), IsErrno(ENOSPC));
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/a/x"}));
  EXPECT_THAT(Rmdir("/b"), IsOk());
  EXPECT_THAT(Mount("/c"), IsOk());
  EXPECT_THAT(Mount("/c"), IsErrno(ENOSPC));
  EXPECT_THAT(Move("/a", "/c"), IsOk());
}

TEST_F(MountLimitTest, CountsWhatIsPropagated) {
  MakeDirectories({"/a", "/b"});
  ASSERT_THAT(Mount("/a"), IsOk());
  MakeDirectories({"/a/x"});
  ASSERT_THAT(Make(Propagation::kShared, "/a"), IsOk());
  ASSERT_THAT(Bind("/a", "/b"), IsOk());
  vfs().set_mount_limit(5);
  EXPECT_THAT(Mount("/a/x"), IsErrno(ENOSPC));
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/b"}));
  vfs().set_mount_limit(6);
  EXPECT_THAT(Mount("/a/x"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/b", "/a/x", "/b/x"}));
}

// What grows with the square of their number would be seen here.
TEST_F(MountLimitTest, ThousandsOfMountsInOnePlace) {
  MakeDirectories({"/a", "/b", "/c"});
  ASSERT_THAT(Mount("/a"), IsOk());
  ASSERT_THAT(Make(Propagation::kShared, "/a"), IsOk());
  for (int i = 0; i < 12; ++i) {
    MakeDirectories({absl::StrCat("/a/", i)});
    ASSERT_THAT(Bind("/a", absl::StrCat("/a/", i)), IsOk());
  }
  EXPECT_EQ(Points().size(), 1u + (1u << 12));
  SaveAndRestore();
  EXPECT_EQ(Points().size(), 1u + (1u << 12));
  ASSERT_THAT(Umount("/a", MNT_DETACH), IsOk());
  EXPECT_EQ(Points(), (Paths{"/"}));
}

}  // namespace
}  // namespace stasis::vfs
