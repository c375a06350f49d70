// SPDX-License-Identifier: Apache-2.0
//
// Which layers an overlay takes, and what it does with a work directory that is in use.

#include "tests/fsimpl/overlay/overlay_tree.h"

namespace stasis::overlay {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::IsErrno;
using testing::IsOk;

class CreateTest : public OverlayTree {
 protected:
  Result<RefPtr<OverlayFilesystem>> Create(const OverlayOptions& options) {
    return OverlayFilesystem::Create(t.vfs(), options);
  }
};

TEST_F(CreateTest, NeedsALowerLayer) {
  OverlayOptions options = Options();
  options.lowers.clear();
  EXPECT_THAT(Create(options), IsErrno(EINVAL));
}

TEST_F(CreateTest, NoMoreLowersThanLinuxTakes) {
  OverlayOptions options = Options();
  options.lowers.assign(kMaxLowers + 1, At("/lower"));
  EXPECT_THAT(Create(options), IsErrno(EINVAL));
}

TEST_F(CreateTest, UpperAndWorkGoTogether) {
  OverlayOptions options = Options();
  options.work.reset();
  EXPECT_THAT(Create(options), IsErrno(EINVAL));
  options = Options();
  options.upper.reset();
  EXPECT_THAT(Create(options), IsErrno(EINVAL));
  options = Options();
  const auto other = memfs::MemFilesystem::Create(t.vfs(), {});
  options.work = testing::RootOf(t.vfs(), *other);
  EXPECT_THAT(Create(options), IsErrno(EINVAL)) << "in another filesystem";
}

TEST_F(CreateTest, LayersAreDirectories) {
  Put("/file");
  OverlayOptions options = Options();
  options.lowers.push_back(At("/file"));
  EXPECT_THAT(Create(options), IsErrno(ENOTDIR));
}

TEST_F(CreateTest, LayersAreApart) {
  t.Mkdir("/lower/inner");
  t.Mkdir("/upper/inner");
  for (const char* upper : {"/lower", "/lower/inner", "/work", "/"}) {
    OverlayOptions options = Options();
    options.upper = At(upper);
    EXPECT_THAT(Create(options), IsErrno(ELOOP)) << upper;
  }
  for (const char* lower : {"/lower", "/lower/inner", "/upper", "/upper/inner", "/work", "/"}) {
    OverlayOptions options = Options();
    options.lowers.push_back(At(lower));
    EXPECT_THAT(Create(options), IsErrno(ELOOP)) << lower;
  }
}

TEST_F(CreateTest, RemovedDirectoryIsNoLayer) {
  t.Mkdir("/gone");
  OverlayOptions options = Options();
  options.lowers.push_back(At("/gone"));
  t.Rmdir("/gone");
  EXPECT_THAT(Create(options), IsErrno(ENOENT));
}

TEST_F(CreateTest, CleansTheWorkDirectory) {
  Put("/work/work/#1/deep/file", "left by a crash");
  Put("/work/work/#2");
  WhiteOut("/work/work/#3");
  Put("/work/other", "not ours");
  Mount();
  EXPECT_THAT(t.List("/work/work"), IsEmpty());
  EXPECT_EQ(t.Read("/work/other"), "not ours");
}

TEST_F(CreateTest, WorkDirectoryMayBeAnything) {
  Put("/work/work", "a file");
  Mount();
  EXPECT_THAT(t.List("/work/work"), IsEmpty());
}

TEST_F(CreateTest, WithoutUpperNothingChanges) {
  Put("/lower/f", "x");
  Put("/lower/d/g", "y");
  OverlayOptions options = Options();
  options.upper.reset();
  options.work.reset();
  Mount(options);
  EXPECT_EQ(t.Read("/merged/f"), "x");
  const auto& creds = t.creds();
  EXPECT_THAT(t.vfs().OpenAt(creds, t.At("/merged/f"), {.flags = O_RDWR}), IsErrno(EROFS));
  EXPECT_THAT(t.vfs().MkdirAt(creds, t.At("/merged/n"), 0755), IsErrno(EROFS));
  EXPECT_THAT(t.vfs().UnlinkAt(creds, t.At("/merged/f")), IsErrno(EROFS));
  EXPECT_THAT(t.vfs().RmdirAt(creds, t.At("/merged/d")), IsErrno(ENOTEMPTY));
  EXPECT_THAT(TryRename("/merged/f", "/merged/g"), IsErrno(EROFS));
  EXPECT_THAT(t.vfs().SetAttributesAt(creds, t.At("/merged/f"), {.mode = 0600}), IsErrno(EROFS));
  EXPECT_THAT(t.vfs().SetXattrAt(creds, t.At("/merged/f"), "user.a", "b", 0), IsErrno(EROFS));
}

TEST_F(CreateTest, OverlayOnAnOverlay) {
  Put("/lower2/f", "lowest");
  OverlayOptions below = Options();
  below.upper.reset();
  below.work.reset();
  const auto lower = testing::MakeOverlay(t.vfs(), below);
  OverlayOptions options = Options();
  options.lowers = {testing::RootOf(t.vfs(), *lower)};
  Mount(options);
  EXPECT_EQ(t.Read("/merged/f"), "lowest");
  t.Write("/merged/f", "changed");
  EXPECT_EQ(t.Read("/upper/f"), "changed");
  t.SaveAndRestore();
  EXPECT_EQ(t.Read("/merged/f"), "changed");
}

TEST_F(CreateTest, AsksForSpaceInTheUpperLayer) {
  Mount();
  const auto stat = t.vfs().StatFsAt(t.creds(), t.At("/merged"));
  ASSERT_THAT(stat, IsOk());
  EXPECT_EQ(stat->type, 0x794c7630u);
  EXPECT_EQ(stat->files_free, t.vfs().StatFsAt(t.creds(), t.At("/upper"))->files_free);
}

}  // namespace
}  // namespace stasis::overlay
