// SPDX-License-Identifier: Apache-2.0
//
// The text of /proc/PID/mountinfo. That the kernel prints the same of all that can be mounted is
// what mount_model/ tests; here is what it leaves out.

#include "tests/testing/mount_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsOk;
using stasis::testing::MountTreeTest;
using Paths = std::vector<std::string>;

class MountInfoTest : public MountTreeTest {};

TEST_F(MountInfoTest, LineHasAllFields) {
  MakeDirectories({"/a"});
  ASSERT_THAT(Mount("/a", {.read_only = true, .no_dev = true}), IsOk());
  ASSERT_THAT(Make(Propagation::kShared, "/a"), IsOk());
  // The base is mount 1 of device 1.
  EXPECT_EQ(Info(),
            "2 1 0:2 / / rw,relatime - memfs memfs rw\n"
            "3 2 0:3 / /a ro,nodev,relatime shared:1 - memfs memfs rw\n");
}

TEST_F(MountInfoTest, EscapesWhatSeparates) {
  MakeDirectories({"/a b\tc\nd\\e#"});
  MakeDirectories({"/m"});
  ASSERT_THAT(Mount("/a b\tc\nd\\e#"), IsOk());
  ASSERT_THAT(Bind("/a b\tc\nd\\e#", "/m"), IsOk());
  EXPECT_EQ(Points(), (Paths{"/", "/a\\040b\\011c\\012d\\134e#", "/m"}));
}

TEST_F(MountInfoTest, RootIsThatOfTheBind) {
  MakeDirectories({"/d", "/d/e f", "/m"});
  ASSERT_THAT(Bind("/d/e f", "/m"), IsOk());
  EXPECT_EQ(Field("/m", 3), "/d/e\\040f");
  ASSERT_THAT(Rmdir("/d/e f"), IsOk());
  EXPECT_EQ(Field("/m", 3), "/d/e\\040f//deleted");
}

TEST_F(MountInfoTest, OnlyWhatIsBelowTheRootIsShown) {
  MakeDirectories({"/a", "/b"});
  ASSERT_THAT(Mount("/a"), IsOk());
  ASSERT_THAT(Mount("/b"), IsOk());
  MakeDirectories({"/a/x", "/a/y"});
  ASSERT_THAT(Mount("/a/x"), IsOk());
  ASSERT_THAT(Mount("/a/y"), IsOk());
  const VirtualDentry inside = *vfs().GetDentryAt(creds, At("/a"));
  EXPECT_EQ(vfs().MountInfo(*ns, inside),
            "3 2 0:3 / / rw,relatime - memfs memfs rw\n"
            "5 3 0:5 / /x rw,relatime - memfs memfs rw\n"
            "6 3 0:6 / /y rw,relatime - memfs memfs rw\n");
  // As after chroot(2) to a directory: the mount that it is in is not shown.
  ASSERT_THAT(vfs().MkdirAt(creds, At("/a/x/sub"), 0755), IsOk());
  const VirtualDentry sub = *vfs().GetDentryAt(creds, At("/a/x/sub"));
  EXPECT_EQ(vfs().MountInfo(*ns, sub), "");
}

TEST_F(MountInfoTest, PropagationFromWhatIsNotSeen) {
  MakeDirectories({"/a", "/in"});
  ASSERT_THAT(Mount("/in"), IsOk());
  MakeDirectories({"/in/b", "/in/c"});
  ASSERT_THAT(Mount("/a"), IsOk());
  ASSERT_THAT(Make(Propagation::kShared, "/a"), IsOk());  // 1, seen from /in as /b only
  ASSERT_THAT(Bind("/a", "/in/b"), IsOk());
  MakeDirectories({"/d"});
  ASSERT_THAT(Bind("/a", "/d"), IsOk());
  ASSERT_THAT(Make(Propagation::kSlave, "/d"), IsOk());
  ASSERT_THAT(Make(Propagation::kShared, "/d"), IsOk());  // 2, slave of 1, not seen from /in
  ASSERT_THAT(Bind("/d", "/in/c"), IsOk());
  ASSERT_THAT(Make(Propagation::kSlave, "/in/c"), IsOk());
  const VirtualDentry inside = *vfs().GetDentryAt(creds, At("/in"));
  const std::string info = vfs().MountInfo(*ns, inside);
  EXPECT_NE(info.find(" /c rw,relatime master:2 propagate_from:1 - "), info.npos) << info;
}

}  // namespace
}  // namespace stasis::vfs
