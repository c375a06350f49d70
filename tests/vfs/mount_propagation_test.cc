// SPDX-License-Identifier: Apache-2.0
//
// Shared, slave, private and unbindable mounts: who gets whose mounts and unmounts.

#include <sys/mount.h>

#include <map>
#include <string>
#include <vector>

#include "tests/testing/mount_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MountTreeTest;
using Paths = std::vector<std::string>;

// /a is shared, /b its peer.
class PropagationTest : public MountTreeTest {
 protected:
  PropagationTest() {
    MakeDirectories({"/a", "/b", "/c", "/d"});
    EXPECT_THAT(Mount("/a"), IsOk());
    MakeDirectories({"/a/x", "/a/y"});
    EXPECT_THAT(Make(Propagation::kShared, "/a"), IsOk());
    EXPECT_THAT(Bind("/a", "/b"), IsOk());
  }
};

TEST_F(PropagationTest, MountsComeToPeers) {
  ASSERT_THAT(Mount("/a/x"), IsOk());
  ASSERT_THAT(Mount("/b/y"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/b", "/a/x", "/b/x", "/b/y", "/a/y"}));
  EXPECT_EQ(Tags("/a/x"), Tags("/b/x"));
  EXPECT_NE(Tags("/a/x"), Tags("/a/y"));
}

TEST_F(PropagationTest, PeersShareAGroup) {
  EXPECT_EQ(Tags("/a"), "shared:1");
  EXPECT_EQ(Tags("/b"), "shared:1");
  EXPECT_EQ(Tags("/"), "");
}

// As whoever shows them elsewhere is to be told.
TEST_F(PropagationTest, PlacesSayHowTheyPropagate) {
  ASSERT_THAT(Bind("/b", "/c"), IsOk());
  ASSERT_THAT(Make(Propagation::kSlave, "/c"), IsOk());
  ASSERT_THAT(Make(Propagation::kShared, "/c"), IsOk());
  ASSERT_THAT(Bind("/c", "/d"), IsOk());
  ASSERT_THAT(Make(Propagation::kSlave, "/d"), IsOk());
  MakeDirectories({"/u"});
  ASSERT_THAT(Mount("/u"), IsOk());
  ASSERT_THAT(Make(Propagation::kUnbindable, "/u"), IsOk());
  std::map<std::string, MountSharing> found;
  for (const auto& place : vfs().MountPlaces(*ns)) found[place.path] = place.sharing;
  const std::map<std::string, MountSharing> expected = {{"/", {}},
                                                        {"/a", {1, {}, false}},
                                                        {"/b", {1, {}, false}},
                                                        {"/c", {2, {1}, false}},
                                                        {"/d", {0, {2, 1}, false}},
                                                        {"/u", {0, {}, true}}};
  EXPECT_EQ(found, expected);
  EXPECT_TRUE(found["/d"].propagates());
  EXPECT_FALSE(found["/u"].propagates());
}

TEST_F(PropagationTest, UnmountsComeToPeers) {
  ASSERT_THAT(Mount("/a/x"), IsOk());
  ASSERT_THAT(Umount("/b/x"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/b"}));
}

TEST_F(PropagationTest, MountOnAPeerKeepsItFromGoing) {
  ASSERT_THAT(Mount("/a/x"), IsOk());
  ASSERT_THAT(Make(Propagation::kPrivate, "/b/x"), IsOk());
  MakeDirectories({"/b/x/in"});
  ASSERT_THAT(Mount("/b/x/in"), IsOk());
  ASSERT_THAT(Umount("/a/x"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/b", "/b/x", "/b/x/in"}));
}

TEST_F(PropagationTest, MountThatCoversAPeerComesDown) {
  ASSERT_THAT(Mount("/a/x"), IsOk());
  ASSERT_THAT(Make(Propagation::kPrivate, "/b/x"), IsOk());
  ASSERT_THAT(Mount("/b/x"), IsOk());
  ASSERT_THAT(MakeFile("/b/x/over"), IsOk());
  ASSERT_THAT(Umount("/a/x"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/b", "/b/x"}));
  EXPECT_TRUE(Exists("/b/x/over"));
}

TEST_F(PropagationTest, UsedMountOfAPeerIsEBUSY) {
  ASSERT_THAT(Mount("/a/x"), IsOk());
  auto file = *Open("/b/x/f", O_CREAT | O_RDWR);
  EXPECT_THAT(Umount("/a/x"), IsErrno(EBUSY));
  file.reset();
  EXPECT_THAT(Umount("/a/x"), IsOk());
}

TEST_F(PropagationTest, SlavesGetAndDoNotGive) {
  ASSERT_THAT(Make(Propagation::kSlave, "/b"), IsOk());
  EXPECT_EQ(Tags("/b"), "master:1");
  ASSERT_THAT(Mount("/a/x"), IsOk());
  ASSERT_THAT(Mount("/b/y"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/b", "/a/x", "/b/x", "/b/y"}));
  EXPECT_EQ(Tags("/b/x"), "master:2");
  EXPECT_EQ(Tags("/b/y"), "");
}

TEST_F(PropagationTest, SharedSlaveHandsOn) {
  ASSERT_THAT(Make(Propagation::kSlave, "/b"), IsOk());
  ASSERT_THAT(Make(Propagation::kShared, "/b"), IsOk());
  EXPECT_EQ(Tags("/b"), "shared:2 master:1");
  ASSERT_THAT(Bind("/b", "/c"), IsOk());
  EXPECT_EQ(Tags("/c"), "shared:2 master:1");
  SaveAndRestore();
  ASSERT_THAT(Mount("/a/x"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/b", "/c", "/a/x", "/b/x", "/c/x"}));
  EXPECT_EQ(Tags("/b/x"), "shared:4 master:3");
  EXPECT_EQ(Tags("/c/x"), "shared:4 master:3");
}

TEST_F(PropagationTest, LastPeersSlavesGoToItsMaster) {
  ASSERT_THAT(Make(Propagation::kSlave, "/b"), IsOk());
  ASSERT_THAT(Make(Propagation::kShared, "/b"), IsOk());
  ASSERT_THAT(Bind("/b", "/c"), IsOk());
  ASSERT_THAT(Make(Propagation::kSlave, "/c"), IsOk());
  EXPECT_EQ(Tags("/c"), "master:2");
  ASSERT_THAT(Umount("/b"), IsOk());
  EXPECT_EQ(Tags("/c"), "master:1");
  ASSERT_THAT(Mount("/a/x"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/c", "/a/x", "/c/x"}));
}

TEST_F(PropagationTest, SlaveOfNobodyIsPrivate) {
  ASSERT_THAT(Make(Propagation::kPrivate, "/b"), IsOk());
  ASSERT_THAT(Make(Propagation::kSlave, "/a"), IsOk());
  EXPECT_EQ(Tags("/a"), "");
}

TEST_F(PropagationTest, PrivateOnesNeitherGetNorGive) {
  ASSERT_THAT(Make(Propagation::kPrivate, "/b"), IsOk());
  ASSERT_THAT(Mount("/a/x"), IsOk());
  ASSERT_THAT(Mount("/b/y"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/b", "/a/x", "/b/y"}));
}

TEST_F(PropagationTest, RecursiveChangesAllBelow) {
  ASSERT_THAT(Mount("/a/x"), IsOk());
  ASSERT_THAT(Make(Propagation::kUnbindable, "/", true), IsOk());
  for (const char* path : {"/", "/a", "/a/x", "/b", "/b/x"}) EXPECT_EQ(Tags(path), "unbindable");
  SaveAndRestore();
  EXPECT_THAT(Bind("/a", "/c"), IsErrno(EINVAL));
  ASSERT_THAT(Make(Propagation::kPrivate, "/"), IsOk());
  EXPECT_EQ(Tags("/"), "");
  EXPECT_EQ(Tags("/a"), "unbindable");
}

TEST_F(PropagationTest, OnlyOfAMountsRoot) {
  EXPECT_THAT(Make(Propagation::kShared, "/a/x"), IsErrno(EINVAL));
  EXPECT_THAT(Make(Propagation::kShared, "/missing"), IsErrno(ENOENT));
}

TEST_F(PropagationTest, PartOfATreeGetsWhatItShows) {
  MakeDirectories({"/a/x/in", "/a/y/out"});
  ASSERT_THAT(Bind("/a/x", "/c"), IsOk());
  ASSERT_THAT(Mount("/a/x/in"), IsOk());
  ASSERT_THAT(Mount("/a/y/out"), IsOk());
  EXPECT_EQ(Points(),
            (Paths{"/", "/a", "/b", "/c", "/a/x/in", "/c/in", "/b/x/in", "/a/y/out", "/b/y/out"}));
}

TEST_F(PropagationTest, MovedTreeIsCopiedToPeers) {
  ASSERT_THAT(Mount("/c"), IsOk());
  MakeDirectories({"/c/in"});
  ASSERT_THAT(Mount("/c/in"), IsOk());
  ASSERT_THAT(Move("/c", "/a/x"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/b", "/a/x", "/a/x/in", "/b/x", "/b/x/in"}));
}

TEST_F(PropagationTest, MountBelowWhatCoversThePlaceAtAPeer) {
  ASSERT_THAT(Make(Propagation::kSlave, "/b"), IsOk());
  ASSERT_THAT(Mount("/b/x"), IsOk());
  ASSERT_THAT(MakeFile("/b/x/own"), IsOk());
  ASSERT_THAT(Mount("/a/x"), IsOk());
  EXPECT_TRUE(Exists("/b/x/own"));
  ASSERT_THAT(Umount("/b/x"), IsOk());
  EXPECT_EQ(Field("/b/x", 2), Field("/a/x", 2));
}

TEST_F(PropagationTest, ComesBackFromAnImage) {
  ASSERT_THAT(Bind("/a", "/c"), IsOk());
  ASSERT_THAT(Make(Propagation::kSlave, "/c"), IsOk());
  ASSERT_THAT(Bind("/c", "/d"), IsOk());
  const std::string before = Info();
  SaveAndRestore();
  EXPECT_EQ(Info(), before);
  ASSERT_THAT(Mount("/b/x"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a", "/b", "/c", "/d", "/b/x", "/a/x", "/c/x", "/d/x"}));
}

}  // namespace
}  // namespace stasis::vfs
