// SPDX-License-Identifier: Apache-2.0
//
// Several mount namespaces: copies, locked mounts, removed mount points, pivot_root.

#include <linux/mount.h>

#include "tests/testing/mount_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MountTreeTest;
using Paths = std::vector<std::string>;

constexpr int kDetach = 2;  // MNT_DETACH

class NamespaceTest : public MountTreeTest {
 protected:
  NamespaceTest() {
    MakeDirectories({"/a", "/b"});
    EXPECT_THAT(Mount("/a"), IsOk());
    MakeDirectories({"/a/x"});
  }
  // Goes on in the other one.
  void Enter(RefPtr<MountNamespace> other) { ns = std::move(other); }
  RefPtr<MountNamespace> Namespace(size_t index) { return vfs().namespaces().at(index); }
};

TEST_F(NamespaceTest, CloneCopiesAllMounts) {
  ASSERT_THAT(Make(Propagation::kUnbindable, "/a"), IsOk());
  Enter(Clone());
  EXPECT_EQ(Points(), (Paths{"/", "/a"}));
  EXPECT_TRUE(Exists("/a/x"));
}

TEST_F(NamespaceTest, PrivateMountsOfACloneAreItsOwn) {
  const auto original = ns;
  Enter(Clone());
  ASSERT_THAT(Mount("/a/x"), IsOk());
  ASSERT_THAT(Umount("/a", kDetach), IsOk());
  EXPECT_EQ(Points(), (Paths{"/"}));
  Enter(original);
  EXPECT_EQ(Points(), (Paths{"/", "/a"}));
}

TEST_F(NamespaceTest, SharedMountsOfACloneArePeers) {
  ASSERT_THAT(Make(Propagation::kShared, "/a"), IsOk());
  Clone();
  SaveAndRestore();
  ASSERT_THAT(Mount("/a/x"), IsOk());
  Enter(Namespace(1));
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/a/x"}));
  ASSERT_THAT(Umount("/a/x"), IsOk());
  Enter(Namespace(0));
  EXPECT_EQ(Points(), (Paths{"/", "/a"}));
}

TEST_F(NamespaceTest, ClonesPlacesComeAlong) {
  VirtualDentry root = vfs().RootOf(*ns);
  VirtualDentry cwd = *vfs().GetDentryAt(creds, At("/a/x"));
  const uint64_t id = cwd.mount().id();
  VirtualDentry* places[] = {&root, &cwd};
  const auto copy = *vfs().CloneMountNamespace(creds, *ns, false, places);
  EXPECT_EQ(root, vfs().RootOf(*copy));
  EXPECT_NE(cwd.mount().id(), id);
  EXPECT_TRUE(copy->Contains(cwd.mount()));
}

TEST_F(NamespaceTest, WhatIsElsewhereIsEINVAL) {
  const auto other = Clone();
  const VirtualDentry there = vfs().RootOf(*other);
  const PathOperation a = {there, there, "/a"};
  EXPECT_THAT(vfs().UmountAt(creds, *ns, a), IsErrno(EINVAL));
  EXPECT_THAT(vfs().MountAt(creds, *ns, a, NewMemfs(), {}), IsErrno(EINVAL));
  EXPECT_THAT(vfs().BindAt(creds, *ns, a, At("/b")), IsErrno(EINVAL));
  EXPECT_THAT(vfs().BindAt(creds, *ns, At("/a"), a), IsErrno(EINVAL));
  EXPECT_THAT(vfs().MoveMountAt(creds, *ns, a, At("/b")), IsErrno(EINVAL));
  EXPECT_THAT(vfs().RemountAt(creds, *ns, a, {}), IsErrno(EINVAL));
  EXPECT_THAT(vfs().SetPropagationAt(creds, *ns, a, Propagation::kShared, false), IsErrno(EINVAL));
}

TEST_F(NamespaceTest, NeedsTheCapability) {
  const Credentials user = Credentials::User(1000, 1000);
  EXPECT_THAT(vfs().CloneMountNamespace(user, *ns), IsErrno(EPERM));
  EXPECT_THAT(vfs().PivotRootAt(user, *ns, At("/a"), At("/a/x")), IsErrno(EPERM));
  EXPECT_THAT(vfs().SetMountAttributesAt(user, *ns, At("/a"), {}, false), IsErrno(EPERM));
}

TEST_F(NamespaceTest, RemovedOneGetsNoMountsAnyMore) {
  ASSERT_THAT(Make(Propagation::kShared, "/a"), IsOk());
  const auto other = Clone();
  vfs().RemoveMountNamespace(*other);
  EXPECT_EQ(vfs().namespaces().size(), 1u);
  EXPECT_EQ(other->size(), 0u);
  EXPECT_THAT(Mount("/a/x"), IsOk());
  EXPECT_THAT(vfs().CloneMountNamespace(creds, *other), IsErrno(EINVAL));
}

class LockedMountTest : public NamespaceTest {
 protected:
  LockedMountTest() {
    EXPECT_THAT(Mount("/a/x"), IsOk());
    EXPECT_THAT(Remount("/a", {.read_only = true, .no_suid = true}), IsOk());
    EXPECT_THAT(Make(Propagation::kShared, "/", true), IsOk());
    Enter(Clone(/*less_privileged=*/true));
  }
};

TEST_F(LockedMountTest, AreSlaves) {
  EXPECT_EQ(Tags("/a").substr(0, 7), "master:");
  Enter(Namespace(0));
  ASSERT_THAT(Mount("/b"), IsOk());
  Enter(Namespace(1));
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/a/x", "/b"}));
}

TEST_F(LockedMountTest, AreNeitherUnmountedNorMoved) {
  SaveAndRestore();
  EXPECT_THAT(Umount("/a/x"), IsErrno(EINVAL));
  EXPECT_THAT(Umount("/a", kDetach), IsErrno(EINVAL));
  EXPECT_THAT(Move("/a", "/b"), IsErrno(EINVAL));
}

TEST_F(LockedMountTest, HideWhatIsBelowThem) {
  EXPECT_THAT(Bind("/a", "/b"), IsErrno(EINVAL));
  ASSERT_THAT(Bind("/a", "/b", true), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/a/x", "/b", "/b/x"}));
  // What was bound goes in one piece.
  EXPECT_THAT(Umount("/b/x"), IsErrno(EINVAL));
  EXPECT_THAT(Umount("/b", kDetach), IsOk());
}

TEST_F(LockedMountTest, KeepTheirFlags) {
  EXPECT_THAT(Remount("/a", {.no_suid = true}), IsErrno(EPERM));
  EXPECT_THAT(Remount("/a", {.read_only = true}), IsErrno(EPERM));
  EXPECT_THAT(Remount("/a", {.read_only = true, .no_suid = true, .no_atime = true}),
              IsErrno(EPERM));
  EXPECT_THAT(SetAttributes("/a", {.clear = MOUNT_ATTR_RDONLY}), IsErrno(EPERM));
  EXPECT_EQ(Options("/a"), "ro,nosuid,relatime");
  EXPECT_THAT(Remount("/a", {.read_only = true, .no_exec = true, .no_suid = true}), IsOk());
  EXPECT_THAT(Remount("/a", {.read_only = true, .no_suid = true}), IsOk());
}

TEST_F(LockedMountTest, GoWithWhatTheyAreLockedTo) {
  Enter(Namespace(0));
  ASSERT_THAT(Umount("/a", kDetach), IsOk());
  Enter(Namespace(1));
  EXPECT_EQ(Points(), (Paths{"/"}));
}

TEST_F(LockedMountTest, StayOnADetachedMountThatIsUsed) {
  Enter(Namespace(1));
  ASSERT_THAT(Make(Propagation::kPrivate, "/", true), IsOk());
  ASSERT_THAT(Bind("/a", "/b", true), IsOk());
  ASSERT_THAT(Open("/b/x/f", O_CREAT | O_RDWR), IsOk());
  t.Hold("cwd", *Open("/b", O_PATH));
  ASSERT_THAT(Umount("/b", kDetach), IsOk());
  for (int round = 0; round < 2; ++round) {
    const VirtualDentry cwd = t.Held<FileDescription>("cwd")->at();
    const VirtualDentry root = vfs().RootOf(*ns);
    EXPECT_THAT(vfs().StatAt(creds, {root, cwd, "x/f"}), IsOk());
    EXPECT_THAT(vfs().StatAt(creds, {root, cwd, "x/../x/f"}), IsOk());
    if (round == 0) SaveAndRestore();
  }
  // Its end is that of what is on it.
  t.Hold("file",
         *vfs().OpenAt(creds, {vfs().RootOf(*ns), t.Held<FileDescription>("cwd")->at(), "x/f"},
                       {.flags = O_RDWR}));
  t.Release("cwd");
  const VirtualDentry file = t.Held<FileDescription>("file")->at();
  EXPECT_EQ(file.mount().parent(), nullptr);
  SaveAndRestore();
}

class RemovedMountPointTest : public NamespaceTest {};

TEST_F(RemovedMountPointTest, InTheOwnNamespaceIsEBUSY) {
  EXPECT_THAT(Rmdir("/a"), IsErrno(EBUSY));
  EXPECT_THAT(Rename("/a", "/c"), IsErrno(EBUSY));
  EXPECT_THAT(Rename("/b", "/a"), IsErrno(EBUSY));
}

TEST_F(RemovedMountPointTest, InAnotherNamespaceIsUnmounted) {
  Clone();
  ASSERT_THAT(Umount("/a"), IsOk());
  ASSERT_THAT(Rmdir("/a"), IsOk());
  Enter(Namespace(1));
  EXPECT_EQ(Points(), (Paths{"/"}));
}

TEST_F(RemovedMountPointTest, ReplacedInAnotherNamespaceIsUnmounted) {
  Clone();
  ASSERT_THAT(Umount("/a"), IsOk());
  ASSERT_THAT(Rename("/b", "/a"), IsOk());
  Enter(Namespace(1));
  EXPECT_EQ(Points(), (Paths{"/"}));
}

TEST_F(RemovedMountPointTest, RenamedInAnotherNamespaceStays) {
  Clone();
  ASSERT_THAT(Umount("/a"), IsOk());
  ASSERT_THAT(Rename("/a", "/c"), IsOk());
  Enter(Namespace(1));
  EXPECT_EQ(Points(), (Paths{"/", "/c"}));
}

TEST_F(RemovedMountPointTest, FileToo) {
  ASSERT_THAT(MakeFile("/f"), IsOk());
  ASSERT_THAT(MakeFile("/g"), IsOk());
  ASSERT_THAT(Bind("/g", "/f"), IsOk());
  EXPECT_THAT(Unlink("/f"), IsErrno(EBUSY));
  const auto other = Clone();
  ASSERT_THAT(Umount("/f"), IsOk());
  ASSERT_THAT(Unlink("/f"), IsOk());
  Enter(other);
  EXPECT_EQ(Points(), (Paths{"/", "/a"}));
}

class PivotRootTest : public NamespaceTest {
 protected:
  Result<void> Pivot(std::string_view new_root, std::string_view put_old) {
    return Void(vfs().PivotRootAt(creds, *ns, At(new_root), At(put_old)));
  }
};

TEST_F(PivotRootTest, ExchangesTheRoots) {
  const VirtualDentry fresh = *vfs().PivotRootAt(creds, *ns, At("/a"), At("/a/x"));
  EXPECT_EQ(fresh, vfs().RootOf(*ns));
  EXPECT_EQ(Points(), (Paths{"/x", "/"}));
  SaveAndRestore();
  EXPECT_TRUE(Exists("/x/b"));
  ASSERT_THAT(Umount("/x"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/"}));
}

TEST_F(PivotRootTest, OntoItself) {
  ASSERT_THAT(Pivot("/a", "/a"), IsOk());
  // The old root lies on the new one.
  EXPECT_EQ(Points(), (Paths{"/"}));
  EXPECT_TRUE(Exists("/b"));
  const VirtualDentry top = vfs().RootOf(*ns);
  ASSERT_THAT(vfs().UmountAt(creds, *ns, {ns->root(), top, ""}, kDetach), IsOk());
  EXPECT_TRUE(Exists("/x"));
}

TEST_F(PivotRootTest, Refuses) {
  ASSERT_THAT(MakeFile("/f"), IsOk());
  MakeDirectories({"/b/in"});
  EXPECT_THAT(Pivot("/missing", "/a/x"), IsErrno(ENOENT));
  EXPECT_THAT(Pivot("/a", "/missing"), IsErrno(ENOENT));
  EXPECT_THAT(Pivot("/f", "/a/x"), IsErrno(ENOTDIR));
  EXPECT_THAT(Pivot("/a", "/f"), IsErrno(ENOTDIR));
  EXPECT_THAT(Pivot("/", "/b"), IsErrno(EBUSY));   // the root it is already
  EXPECT_THAT(Pivot("/a", "/b"), IsErrno(EBUSY));  // put_old is on the old root
  EXPECT_THAT(Pivot("/b", "/b/in"), IsErrno(EBUSY));
  EXPECT_THAT(Pivot("/a/x", "/a/x"), IsErrno(EINVAL));  // no mount
  ASSERT_THAT(Mount("/b"), IsOk());
  EXPECT_THAT(Pivot("/a", "/b"), IsErrno(EINVAL));  // not below the new root
}

TEST_F(PivotRootTest, OfSharedMountsIsEINVAL) {
  ASSERT_THAT(Make(Propagation::kShared, "/"), IsOk());
  EXPECT_THAT(Pivot("/a", "/a/x"), IsErrno(EINVAL));
  ASSERT_THAT(Make(Propagation::kPrivate, "/"), IsOk());
  ASSERT_THAT(Make(Propagation::kShared, "/a"), IsOk());
  EXPECT_THAT(Pivot("/a", "/a/x"), IsErrno(EINVAL));
}

TEST_F(PivotRootTest, OfTheNamespacesOwnRootIsEINVAL) {
  const VirtualDentry base = ns->root();
  ASSERT_THAT(vfs().MkdirAt(creds, {base, base, "m"}, 0755), IsOk());
  ASSERT_THAT(vfs().MountAt(creds, *ns, {base, base, "m"}, NewMemfs(), {}), IsOk());
  const PathOperation m = {base, base, "m"};
  EXPECT_THAT(vfs().PivotRootAt(creds, *ns, m, m), IsErrno(EINVAL));
}

}  // namespace
}  // namespace stasis::vfs
