// SPDX-License-Identifier: Apache-2.0
//
// How names come, go and move, and what that leaves in the upper layer.

#include <linux/fs.h>

#include "tests/fsimpl/overlay/overlay_tree.h"

namespace stasis::overlay {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::IsErrno;
using testing::IsOk;
using ::testing::UnorderedElementsAre;

constexpr char kOpaque[] = "trusted.overlay.opaque";
constexpr char kRedirect[] = "trusted.overlay.redirect";

class NamesTest : public OverlayTree {
 protected:
  // Another overlay on the same layers.
  RefPtr<OverlayFilesystem> Anew() {
    if (!t.Exists("/work2")) t.Mkdir("/work2");
    OverlayOptions options = Options();
    options.work = At("/work2");
    return testing::MakeOverlay(t.vfs(), options);
  }
  // What the overlay shows is what its layers say, to who sees them for the first time.
  void ExpectSameAnew(const std::string& path, const std::vector<std::string>& names) {
    EXPECT_THAT(t.List("/merged" + path), ::testing::UnorderedElementsAreArray(names));
    EXPECT_THAT(overlay().SettleUpper(), IsOk());
    const auto again = Anew();
    const vfs::VirtualDentry root = testing::RootOf(t.vfs(), *again);
    const auto dir = t.vfs().OpenAt(t.creds(), {root, root, path}, {.flags = O_RDONLY});
    ASSERT_THAT(dir, IsOk());
    std::vector<std::string> found;
    EXPECT_THAT((*dir)->IterateDirectory(0,
                                         [&](const vfs::DirectoryEntry& entry) {
                                           if (entry.dentry != nullptr)
                                             found.emplace_back(entry.name);
                                           return true;
                                         }),
                IsOk());
    EXPECT_THAT(found, ::testing::UnorderedElementsAreArray(names));
  }
};

TEST_F(NamesTest, UnlinkLeavesAWhiteoutWhereALowerHasTheName) {
  Put("/lower/f");
  Mount();
  t.Unlink("/merged/f");
  EXPECT_TRUE(IsWhiteout("/upper/f"));
  t.Write("/merged/g", "x");
  t.Unlink("/merged/g");
  EXPECT_THAT(t.List("/upper"), ElementsAre("f"));
  ExpectSameAnew("/", {});
}

TEST_F(NamesTest, UnlinkOfACopiedFile) {
  Put("/lower/d/f");
  Mount();
  t.Write("/merged/d/f", "x");
  t.Unlink("/merged/d/f");
  EXPECT_TRUE(IsWhiteout("/upper/d/f"));
  EXPECT_FALSE(t.Exists("/merged/d/f"));
  EXPECT_THAT(t.List("/work/work"), IsEmpty());
}

TEST_F(NamesTest, CreateOverAWhiteout) {
  Put("/lower/f", "old");
  Put("/lower/l", "old");
  Put("/lower/n", "old");
  Mount();
  for (const char* name : {"/merged/f", "/merged/l", "/merged/n"}) t.Unlink(name);
  t.Write("/merged/f", "new");
  t.Symlink("/merged/l", "target");
  t.Mknod("/merged/n", S_IFIFO | 0600);
  EXPECT_EQ(t.Read("/upper/f"), "new");
  EXPECT_EQ(t.ReadLink("/upper/l"), "target");
  EXPECT_EQ(t.Stat("/upper/n").mode, uint32_t{S_IFIFO | 0600});
  EXPECT_THAT(t.List("/work/work"), IsEmpty());
}

TEST_F(NamesTest, NewDirectoryOverAWhiteoutIsOpaque) {
  Put("/lower/d/old");
  Mount();
  t.Unlink("/merged/d/old");
  t.Rmdir("/merged/d");
  EXPECT_TRUE(IsWhiteout("/upper/d"));
  t.Mkdir("/merged/d", 0750);
  EXPECT_EQ(t.GetXattr("/upper/d", kOpaque), "y");
  EXPECT_EQ(t.Stat("/upper/d").mode, uint32_t{S_IFDIR | 0750});
  EXPECT_THAT(t.List("/merged/d"), IsEmpty());
  t.Write("/merged/d/new", "x");
  ExpectSameAnew("/d", {"new"});
}

TEST_F(NamesTest, LinkOverAWhiteout) {
  Put("/lower/f", "old");
  Mount();
  t.Unlink("/merged/f");
  t.Write("/merged/g", "new");
  t.Link("/merged/g", "/merged/f");
  EXPECT_EQ(t.Read("/upper/f"), "new");
  EXPECT_EQ(t.Stat("/merged/f").nlink, 2u);
  EXPECT_THAT(t.List("/work/work"), IsEmpty());
}

TEST_F(NamesTest, WhiteoutsCannotBeMade) {
  Mount();
  EXPECT_THAT(t.vfs().MknodAt(t.creds(), t.At("/merged/w"), {.mode = S_IFCHR, .rdev = 0}),
              IsErrno(EPERM));
  Put("/upper/f");
  EXPECT_THAT(TryRename("/merged/f", "/merged/g", RENAME_WHITEOUT), IsErrno(EINVAL));
}

TEST_F(NamesTest, RmdirOfAMergedDirectoryNeedsItEmpty) {
  Put("/lower/d/a");
  Put("/lower2/d/b");
  Mount();
  EXPECT_THAT(t.vfs().RmdirAt(t.creds(), t.At("/merged/d")), IsErrno(ENOTEMPTY))
      << "not listed yet";
  t.Unlink("/merged/d/a");
  EXPECT_THAT(t.vfs().RmdirAt(t.creds(), t.At("/merged/d")), IsErrno(ENOTEMPTY));
  t.Unlink("/merged/d/b");
  t.Rmdir("/merged/d");
  EXPECT_TRUE(IsWhiteout("/upper/d"));
  EXPECT_THAT(t.List("/work/work"), IsEmpty());
  ExpectSameAnew("/", {});
}

TEST_F(NamesTest, RmdirOfAnUpperDirectoryWithWhiteouts) {
  Put("/upper/d/w");
  t.Unlink("/upper/d/w");
  WhiteOut("/upper/d/w");
  Mount();
  t.Rmdir("/merged/d");
  EXPECT_THAT(t.List("/upper"), IsEmpty());
}

TEST_F(NamesTest, RenameOfALowerFile) {
  Put("/lower/a", "content");
  Mount();
  t.Rename("/merged/a", "/merged/b");
  EXPECT_TRUE(IsWhiteout("/upper/a"));
  EXPECT_EQ(t.Read("/merged/b"), "content");
  ExpectSameAnew("/", {"b"});
  EXPECT_EQ(t.Read("/upper/b"), "content") << "settled";
}

TEST_F(NamesTest, RenamedMetacopyFindsItsData) {
  Put("/lower/d/a", "content");
  Mount();
  t.Set("/merged/d/a", {.mode = 0600});
  t.Rename("/merged/d/a", "/merged/b");
  EXPECT_EQ(t.GetXattr("/upper/b", kRedirect), "/d/a");
  const auto again = Anew();
  const vfs::VirtualDentry root = testing::RootOf(t.vfs(), *again);
  const auto file = t.vfs().OpenAt(t.creds(), {root, root, "b"}, {.flags = O_RDONLY});
  ASSERT_THAT(file, IsOk());
  EXPECT_EQ(testing::ReadAll(**file), "content");
}

TEST_F(NamesTest, RenameOverALowerFile) {
  Put("/lower/a", "a");
  Put("/lower/b", "b");
  Mount();
  t.Rename("/merged/a", "/merged/b");
  EXPECT_EQ(t.Read("/merged/b"), "a");
  ExpectSameAnew("/", {"b"});
}

TEST_F(NamesTest, RenameToAWhiteoutOfALowerName) {
  Put("/lower/a", "a");
  Put("/lower/b", "b");
  Mount();
  t.Unlink("/merged/b");
  t.Rename("/merged/a", "/merged/b");
  EXPECT_TRUE(IsWhiteout("/upper/a"));
  EXPECT_EQ(t.Read("/merged/b"), "a");
  t.Write("/merged/new", "new");
  t.Rename("/merged/new", "/merged/a");
  EXPECT_EQ(t.Read("/merged/a"), "new");
  ExpectSameAnew("/", {"a", "b"});
}

TEST_F(NamesTest, RenameOfALowerDirectoryIsARedirect) {
  Put("/lower/d/l", "l");
  Put("/lower2/d/m", "m");
  Mount();
  t.Rename("/merged/d", "/merged/e");
  EXPECT_EQ(t.GetXattr("/upper/e", kRedirect), "d");
  EXPECT_TRUE(IsWhiteout("/upper/d"));
  EXPECT_EQ(t.Read("/merged/e/l") + t.Read("/merged/e/m"), "lm");
  t.Rename("/merged/e", "/merged/f");
  EXPECT_EQ(t.GetXattr("/upper/f", kRedirect), "d") << "still";
  ExpectSameAnew("/f", {"l", "m"});
}

TEST_F(NamesTest, RenameToAnotherDirectoryIsAnAbsoluteRedirect) {
  Put("/lower/a/d/f", "f");
  t.Mkdir("/lower/b");
  Mount();
  t.Rename("/merged/a/d", "/merged/a/e");
  t.Rename("/merged/a", "/merged/a2");
  t.Rename("/merged/a2/e", "/merged/b/g");
  EXPECT_EQ(t.GetXattr("/upper/b/g", kRedirect), "/a/d");
  ExpectSameAnew("/b/g", {"f"});
  t.Rename("/merged/b/g", "/merged/h");
  EXPECT_EQ(t.GetXattr("/upper/h", kRedirect), "/a/d");
  EXPECT_EQ(t.Read("/merged/h/f"), "f");
}

TEST_F(NamesTest, NewDirectoryRenamedToALowerNameIsOpaque) {
  Put("/lower/d/old");
  Put("/lower/x");
  Mount();
  t.Unlink("/merged/d/old");
  t.Rmdir("/merged/d");
  t.Mkdir("/merged/n");
  t.Write("/merged/n/f", "x");
  t.Rename("/merged/n", "/merged/d");
  EXPECT_EQ(t.GetXattr("/upper/d", kOpaque), "y");
  EXPECT_FALSE(t.Exists("/upper/n"));
  ExpectSameAnew("/d", {"f"});
  ExpectSameAnew("/", {"d", "x"});
}

TEST_F(NamesTest, DirectoryReplacesAnEmptyMergedOne) {
  Put("/lower/d/old");
  Put("/lower/e/f");
  Mount();
  EXPECT_THAT(TryRename("/merged/e", "/merged/d"), IsErrno(ENOTEMPTY));
  t.Unlink("/merged/d/old");
  t.Rename("/merged/e", "/merged/d");
  ExpectSameAnew("/", {"d"});
  ExpectSameAnew("/d", {"f"});
}

TEST_F(NamesTest, ExchangeOfLowerFilesAndDirectories) {
  Put("/lower/a/in_a", "x");
  Put("/lower/b/in_b", "y");
  Put("/lower/f", "file");
  Mount();
  EXPECT_THAT(TryRename("/merged/a", "/merged/b", RENAME_EXCHANGE), IsOk());
  EXPECT_THAT(t.List("/merged/a"), ElementsAre("in_b"));
  EXPECT_THAT(TryRename("/merged/a", "/merged/f", RENAME_EXCHANGE), IsOk());
  EXPECT_EQ(t.Read("/merged/a"), "file");
  ExpectSameAnew("/f", {"in_b"});
  ExpectSameAnew("/b", {"in_a"});
}

TEST_F(NamesTest, NoReplace) {
  Put("/lower/a", "a");
  Put("/lower/b", "b");
  Mount();
  EXPECT_THAT(TryRename("/merged/a", "/merged/b", RENAME_NOREPLACE), IsErrno(EEXIST));
  t.Unlink("/merged/b");
  EXPECT_THAT(TryRename("/merged/a", "/merged/b", RENAME_NOREPLACE), IsOk());
  EXPECT_EQ(t.Read("/merged/b"), "a");
}

TEST_F(NamesTest, DirectoriesInheritFromWhatIsBelow) {
  t.Mkdir("/lower/d", 0755);
  t.Set("/lower/d", {.mode = 02775, .gid = 77});
  Mount();
  t.Mkdir("/merged/d/sub");
  t.Write("/merged/d/f", "x");
  EXPECT_EQ(t.Stat("/merged/d/sub").mode, uint32_t{S_IFDIR | 02755});
  EXPECT_EQ(t.Stat("/merged/d/sub").gid, 77u);
  EXPECT_EQ(t.Stat("/merged/d/f").gid, 77u);
  EXPECT_EQ(t.Stat("/upper/d").mode, uint32_t{S_IFDIR | 02775});
}

TEST_F(NamesTest, NamelessFileGetsAName) {
  Put("/lower/d/f", "old");
  Mount();
  t.Unlink("/merged/d/f");
  const auto file = t.Open("/merged/d", O_TMPFILE | O_RDWR);
  ASSERT_TRUE(file);
  EXPECT_THAT(file->PWrite(0, testing::AsBytes("new")), IsOk());
  EXPECT_THAT(t.vfs().LinkAt(t.creds(), {t.root(), file->at(), ""}, t.At("/merged/d/f")), IsOk());
  EXPECT_EQ(t.Read("/merged/d/f"), "new");
  EXPECT_EQ(t.Read("/upper/d/f"), "new");
}

}  // namespace
}  // namespace stasis::overlay
