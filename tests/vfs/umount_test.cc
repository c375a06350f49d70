// SPDX-License-Identifier: Apache-2.0
//
// umount2(2) and its flags, and mounts that outlive it.

#include <sys/mount.h>

#include <atomic>
#include <thread>

#include "tests/testing/mount_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MountTreeTest;
using Paths = std::vector<std::string>;

class UmountTest : public MountTreeTest {
 protected:
  UmountTest() {
    MakeDirectories({"/a", "/b"});
    EXPECT_THAT(Mount("/a"), IsOk());
    MakeDirectories({"/a/x"});
    EXPECT_THAT(Mount("/a/x"), IsOk());
  }
};

TEST_F(UmountTest, DetachTakesTheWholeTree) {
  EXPECT_THAT(Umount("/a"), IsErrno(EBUSY));
  ASSERT_THAT(Umount("/a", MNT_DETACH), IsOk());
  EXPECT_EQ(Points(), (Paths{"/"}));
  EXPECT_THAT(Rmdir("/a"), IsOk());
}

TEST_F(UmountTest, OpenFileKeepsADetachedMountAlive) {
  t.Hold("file", *Open("/a/x/f", O_CREAT | O_RDWR));
  ASSERT_THAT(Umount("/a", MNT_DETACH), IsOk());
  SaveAndRestore();
  const auto file = t.Held<FileDescription>("file");
  EXPECT_THAT(file->PWrite(0, stasis::testing::AsBytes("still here")), IsOk());
  EXPECT_EQ(stasis::testing::ReadAll(*file), "still here");
}

TEST_F(UmountTest, DetachedMountsAreConnectedNoMore) {
  const VirtualDentry cwd = *vfs().GetDentryAt(creds, At("/a"));
  const VirtualDentry below = *vfs().GetDentryAt(creds, At("/a/x"));
  ASSERT_THAT(MakeFile("/a/x/f"), IsOk());
  ASSERT_THAT(MakeFile("/mark"), IsOk());
  ASSERT_THAT(Umount("/a", MNT_DETACH), IsOk());
  const VirtualDentry root = vfs().RootOf(*ns);
  EXPECT_THAT(vfs().StatAt(creds, {root, cwd, "x/f"}), IsErrno(ENOENT));
  EXPECT_THAT(vfs().StatAt(creds, {root, below, "f"}), IsOk());
  EXPECT_THAT(vfs().StatAt(creds, {root, below, "../mark"}), IsErrno(ENOENT));
  // Nothing is mounted there any more, and nothing can be.
  EXPECT_THAT(vfs().MountAt(creds, *ns, {root, cwd, "x"}, NewMemfs(), {}), IsErrno(ENOENT));
  EXPECT_THAT(vfs().UmountAt(creds, *ns, {root, cwd, ""}), IsErrno(EINVAL));
}

TEST_F(UmountTest, ExpireTakesTwoCalls) {
  EXPECT_THAT(Umount("/a", MNT_EXPIRE), IsErrno(EBUSY));
  EXPECT_THAT(Umount("/a/x", MNT_EXPIRE), IsErrno(EAGAIN));
  SaveAndRestore();
  EXPECT_THAT(Umount("/a/x", MNT_EXPIRE), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a"}));
}

TEST_F(UmountTest, UseTakesTheMarkOfExpireAway) {
  EXPECT_THAT(Umount("/a/x", MNT_EXPIRE), IsErrno(EAGAIN));
  EXPECT_TRUE(Exists("/a/x"));
  EXPECT_THAT(Umount("/a/x", MNT_EXPIRE), IsErrno(EAGAIN));
  const auto file = Open("/a/x/f", O_CREAT | O_RDWR);
  EXPECT_THAT(Umount("/a/x", MNT_EXPIRE), IsErrno(EBUSY));
}

TEST_F(UmountTest, ExpireGoesWithNothingElse) {
  EXPECT_THAT(Umount("/a/x", MNT_EXPIRE | MNT_FORCE), IsErrno(EINVAL));
  EXPECT_THAT(Umount("/a/x", MNT_EXPIRE | MNT_DETACH), IsErrno(EINVAL));
}

TEST_F(UmountTest, UnknownFlagIsEINVAL) {
  EXPECT_THAT(Umount("/missing", 1 << 20), IsErrno(EINVAL));
}

TEST_F(UmountTest, ForceIsNoMoreThanNone) {
  const auto file = Open("/a/x/f", O_CREAT | O_RDWR);
  EXPECT_THAT(Umount("/a/x", MNT_FORCE), IsErrno(EBUSY));
}

TEST_F(UmountTest, FollowsALinkUnlessToldNotTo) {
  ASSERT_THAT(vfs().SymlinkAt(creds, At("/link"), "/a/x"), IsOk());
  EXPECT_THAT(Umount("/link", UMOUNT_NOFOLLOW), IsErrno(EINVAL));
  EXPECT_THAT(Umount("/link"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a"}));
}

TEST_F(UmountTest, CallersRootGoesOnlyDetached) {
  EXPECT_THAT(Umount("/"), IsErrno(EINVAL));
  EXPECT_THAT(Umount("/", MNT_EXPIRE), IsErrno(EINVAL));
  EXPECT_THAT(Umount("/", MNT_DETACH), IsOk());
  EXPECT_FALSE(Exists("/a"));
}

// Under ThreadSanitizer above all.
TEST_F(UmountTest, WalksGoOnMeanwhile) {
  std::atomic<bool> end = false;
  std::atomic<uint64_t> walks = 0;
  std::thread walker([&] {
    const VirtualDentry root = vfs().RootOf(*ns);
    while (!end) {
      // Before, during or after: nothing else.
      const auto stat = vfs().StatAt(creds, {root, root, "/b/../b"});
      EXPECT_THAT(stat, IsOk());
      static_cast<void>(vfs().OpenAt(creds, {root, root, "/b"}, {.flags = O_PATH}));
      static_cast<void>(vfs().StatAt(creds, {root, root, "/b/x/.."}));
      ++walks;
    }
  });
  for (int i = 0; i < 200 || walks < 100; ++i) {
    ASSERT_THAT(Bind("/a", "/b", true), IsOk());
    ASSERT_THAT(Move("/b/x", "/a/x"), IsOk());
    ASSERT_THAT(Umount("/a/x", MNT_DETACH), IsOk());
    ASSERT_THAT(Umount("/b", MNT_DETACH), IsOk());
  }
  end = true;
  walker.join();
}

}  // namespace
}  // namespace stasis::vfs
