// SPDX-License-Identifier: Apache-2.0
//
// What the layers make of a name: merging, whiteouts, opaque directories, redirects.

#include "tests/fsimpl/overlay/overlay_tree.h"

namespace stasis::overlay {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::IsErrno;
using testing::IsOk;
using ::testing::UnorderedElementsAre;

class LookupTest : public OverlayTree {};

TEST_F(LookupTest, MergesDirectories) {
  Put("/upper/d/u", "u");
  Put("/lower/d/l", "l");
  Put("/lower2/d/m", "m");
  Mount();
  EXPECT_THAT(t.List("/merged/d"), UnorderedElementsAre("u", "l", "m"));
  EXPECT_EQ(t.Read("/merged/d/u") + t.Read("/merged/d/l") + t.Read("/merged/d/m"), "ulm");
}

TEST_F(LookupTest, FindsNamesWithoutAListing) {
  Put("/lower2/a/b/c", "deep");
  Mount();
  EXPECT_EQ(t.Read("/merged/a/b/c"), "deep");
  EXPECT_FALSE(t.Exists("/merged/a/b/d"));
}

TEST_F(LookupTest, TheTopmostFileIsIt) {
  Put("/upper/f", "upper");
  Put("/lower/f", "lower");
  Put("/lower/g", "lower");
  Put("/lower2/g", "lowest");
  Mount();
  EXPECT_EQ(t.Read("/merged/f"), "upper");
  EXPECT_EQ(t.Read("/merged/g"), "lower");
  EXPECT_THAT(t.List("/merged"), UnorderedElementsAre("f", "g"));
}

TEST_F(LookupTest, AFileHidesDirectoriesBelow) {
  Put("/lower/x", "file");
  Put("/lower2/x/inner");
  Put("/upper/y/inner");
  Put("/lower/y", "file");
  Put("/lower2/y/other");
  Mount();
  EXPECT_EQ(t.Read("/merged/x"), "file");
  EXPECT_THAT(t.List("/merged/y"), ElementsAre("inner")) << "a file between ends the merge";
}

TEST_F(LookupTest, WhiteoutsHide) {
  Put("/lower/f");
  Put("/lower/d/g");
  Put("/lower2/h");
  WhiteOut("/upper/f");
  t.Mkdir("/upper/d");
  WhiteOut("/upper/d/g");
  WhiteOut("/lower/h");
  Mount();
  EXPECT_FALSE(t.Exists("/merged/f"));
  EXPECT_FALSE(t.Exists("/merged/h"));
  EXPECT_THAT(t.List("/merged"), ElementsAre("d"));
  EXPECT_THAT(t.List("/merged/d"), IsEmpty());
}

TEST_F(LookupTest, AWhiteoutEndsAMerge) {
  Put("/upper/d/u");
  WhiteOut("/lower/d");
  Put("/lower2/d/m");
  Mount();
  EXPECT_THAT(t.List("/merged/d"), ElementsAre("u"));
}

TEST_F(LookupTest, WhiteoutOfTheLowestLayerIsNotSeen) {
  WhiteOut("/lower2/f");
  Mount();
  EXPECT_FALSE(t.Exists("/merged/f"));
  EXPECT_THAT(t.List("/merged"), IsEmpty());
}

TEST_F(LookupTest, OpaqueDirectoriesHide) {
  Put("/upper/d/u");
  Put("/lower/d/l");
  Put("/lower/e/l");
  Put("/lower2/e/m");
  MakeOpaque("/upper/d");
  MakeOpaque("/lower/e");
  Mount();
  EXPECT_THAT(t.List("/merged/d"), ElementsAre("u"));
  EXPECT_THAT(t.List("/merged/e"), ElementsAre("l"));
}

TEST_F(LookupTest, AttributesMayMarkWhiteouts) {
  Put("/lower/d/f");
  Put("/lower/d/g", "lower");
  t.Mkdir("/upper/d");
  t.SetXattr("/upper/d", "trusted.overlay.opaque", "x");
  Put("/upper/d/f");
  t.SetXattr("/upper/d/f", "trusted.overlay.whiteout", "y");
  Put("/upper/d/empty");
  Mount();
  EXPECT_FALSE(t.Exists("/merged/d/f"));
  EXPECT_THAT(t.List("/merged/d"), UnorderedElementsAre("empty", "g"));
}

TEST_F(LookupTest, RelativeRedirectRenamesBelow) {
  Put("/upper/new/u");
  t.SetXattr("/upper/new", "trusted.overlay.redirect", "old");
  Put("/lower/old/l");
  Put("/lower2/old/m");
  Put("/lower/new/hidden");
  WhiteOut("/upper/old");
  Mount();
  EXPECT_THAT(t.List("/merged/new"), UnorderedElementsAre("u", "l", "m"));
  EXPECT_THAT(t.List("/merged"), ElementsAre("new"));
}

TEST_F(LookupTest, AbsoluteRedirectStartsAtTheLayersRoots) {
  Put("/upper/a/new/u");
  MakeOpaque("/upper/a");
  t.SetXattr("/upper/a/new", "trusted.overlay.redirect", "/x/y");
  Put("/lower/x/y/l");
  Put("/lower2/x/y/m");
  Mount();
  EXPECT_THAT(t.List("/merged/a/new"), UnorderedElementsAre("u", "l", "m"));
}

TEST_F(LookupTest, RedirectsOfLowerLayersCountForThoseBelow) {
  t.Mkdir("/upper/c");
  t.SetXattr("/upper/c", "trusted.overlay.redirect", "/b/in");
  Put("/lower/b/in/l");
  t.SetXattr("/lower/b", "trusted.overlay.redirect", "/a");
  Put("/lower2/a/in/m");
  Put("/lower2/b/in/hidden");
  Mount();
  EXPECT_THAT(t.List("/merged/c"), UnorderedElementsAre("l", "m"));
}

TEST_F(LookupTest, RedirectsThatAreNoneAreErrors) {
  int n = 0;
  const std::vector<std::string> redirects = {
      "..", "/a/../b", "a/b", "/", "//a", "/a/", ".", "/a//b", std::string(5000, 'x')};
  for (const std::string& redirect : redirects) {
    const std::string dir = "/upper/d" + std::to_string(n++);
    t.Mkdir(dir);
    t.SetXattr(dir, "trusted.overlay.redirect", redirect);
  }
  Mount();
  for (int i = 0; i < n; ++i) {
    EXPECT_THAT(t.vfs().StatAt(t.creds(), t.At("/merged/d" + std::to_string(i))), IsErrno(EIO))
        << i;
  }
}

TEST_F(LookupTest, MetacopiesHaveTheDataOfBelow) {
  Put("/lower2/f", "content");
  Put("/lower/f");
  t.Truncate("/lower/f", 7);
  t.SetXattr("/lower/f", "trusted.overlay.metacopy", "");
  Put("/upper/f");
  t.Truncate("/upper/f", 7);
  t.Set("/upper/f", {.mode = 0640});
  t.SetXattr("/upper/f", "trusted.overlay.metacopy", "");
  Mount();
  EXPECT_EQ(t.Read("/merged/f"), "content");
  EXPECT_EQ(t.Stat("/merged/f").mode & 07777, 0640u);
}

class LowerMetacopyTest : public LookupTest {
 protected:
  static constexpr std::string_view kMetacopy = "trusted.overlay.metacopy";

  // A file that has only attributes in the upper one of two lower layers.
  void PutMetacopy(const std::string& name, std::string_view content, const std::string& below) {
    Put("/lower2/" + below, content);
    t.Set("/lower2/" + below, {.mode = 0644});
    Put("/lower/" + name);
    t.Truncate("/lower/" + name, content.size());
    t.Set("/lower/" + name, {.mode = 0600});
    t.SetXattr("/lower/" + name, kMetacopy, "");
    t.SetXattr("/lower/" + name, "user.of", "metacopy");
    if (name != below) t.SetXattr("/lower/" + name, "trusted.overlay.redirect", "/" + below);
  }
};

// Those of what has the data would let others read it.
TEST_F(LowerMetacopyTest, HasItsOwnAttributes) {
  PutMetacopy("f", "content", "f");
  Mount();
  EXPECT_EQ(t.Stat("/merged/f").mode & 07777, 0600u);
  EXPECT_EQ(t.Stat("/merged/f").blocks, t.Stat("/lower2/f").blocks);
  EXPECT_EQ(Xattr("/merged/f", "user.of"), "metacopy");
  EXPECT_EQ(t.Read("/merged/f"), "content");
  EXPECT_THAT(
      t.vfs().OpenAt(vfs::Credentials::User(1000, 1000), t.At("/merged/f"), {.flags = O_RDONLY}),
      IsErrno(EACCES));
}

TEST_F(LowerMetacopyTest, IsFoundFromAListing) {
  PutMetacopy("f", "content", "below");
  Mount();
  EXPECT_THAT(t.List("/merged"), UnorderedElementsAre("f", "below"));
  EXPECT_EQ(t.Read("/merged/f"), "content");
  EXPECT_EQ(t.Stat("/merged/f").mode & 07777, 0600u);
  EXPECT_NE(t.Stat("/merged/f").ino, t.Stat("/merged/below").ino);
  EXPECT_EQ(t.Stat("/merged/below").mode & 07777, 0644u);
}

TEST_F(LowerMetacopyTest, IsCopiedUpWithTheDataOfBelow) {
  for (const bool lazy : {false, true}) {
    for (const bool metacopy : {false, true}) {
      const std::string name = std::string("f") + (lazy ? "l" : "") + (metacopy ? "m" : "");
      PutMetacopy(name, "content", name);
      OverlayOptions options = Options();
      options.lazy_data = lazy;
      options.metacopy = metacopy;
      Mount(options);
      const std::string path = "/merged/" + name;
      t.Set(path, {.uid = 5});
      EXPECT_EQ(t.Read(path), "content");
      t.WriteAt(path, 0, "C");
      EXPECT_EQ(t.Read(path), "Content");
      EXPECT_EQ(t.Stat(path).mode & 07777, 0600u);
      EXPECT_EQ(t.Stat(path).uid, 5u);
      EXPECT_EQ(t.Read("/lower2/" + name), "content");
    }
  }
}

TEST_F(LowerMetacopyTest, ComesBackWithARestore) {
  PutMetacopy("f", "content", "below");
  Mount();
  t.Hold("open", t.Open("/merged/f", O_RDONLY));
  t.SaveAndRestore();
  EXPECT_EQ(testing::ReadAll(*t.Held<vfs::FileDescription>("open")), "content");
  EXPECT_EQ(t.Read("/merged/f"), "content");
  EXPECT_EQ(t.Stat("/merged/f").mode & 07777, 0600u);
  t.Rename("/merged/f", "/merged/g");
  t.SaveAndRestore();
  EXPECT_EQ(t.Read("/merged/g"), "content");
}

TEST_F(LowerMetacopyTest, OfTheLowestLayerIsAnError) {
  Put("/lower2/f");
  t.Truncate("/lower2/f", 7);
  t.SetXattr("/lower2/f", kMetacopy, "");
  Mount();
  EXPECT_THAT(t.List("/merged"), ElementsAre("f"));
  EXPECT_THAT(t.vfs().StatAt(t.creds(), t.At("/merged/f")), IsErrno(EIO));
}

// One that looks like a file with data: its attributes take blocks, too.
TEST_F(LowerMetacopyTest, OfTheLowestLayerThatIsSmallIsAnErrorWhenItIsOpened) {
  for (const bool lazy : {false, true}) {
    for (const bool metacopy : {false, true}) {
      const std::string name = std::string("f") + (lazy ? "l" : "") + (metacopy ? "m" : "");
      Put("/lower2/" + name, "zeros");
      t.SetXattr("/lower2/" + name, kMetacopy, "");
      OverlayOptions options = Options();
      options.lazy_data = lazy;
      options.metacopy = metacopy;
      Mount(options);
      const auto open = [&](int flags) {
        return t.vfs().OpenAt(t.creds(), t.At("/merged/" + name), {.flags = flags});
      };
      EXPECT_THAT(open(O_RDONLY), IsErrno(EIO));
      EXPECT_THAT(open(O_RDWR), IsErrno(EIO));
      (void)t.vfs().SetAttributesAt(t.creds(), t.At("/merged/" + name), {.uid = 5});
      EXPECT_THAT(open(O_RDONLY), IsErrno(EIO)) << "copied up or not";
      t.WriteAt("/lower2/" + name, 0, "data!");
      t.vfs().RemoveXattrAt(t.creds(), t.At("/lower2/" + name), kMetacopy);
      EXPECT_EQ(t.Read("/merged/" + name), "data!");
    }
  }
}

TEST_F(LookupTest, MetacopyWithoutDataIsAnError) {
  Put("/upper/f");
  t.SetXattr("/upper/f", "trusted.overlay.metacopy", "");
  Mount();
  EXPECT_THAT(t.vfs().StatAt(t.creds(), t.At("/merged/f")), IsErrno(EIO));
}

TEST_F(LookupTest, MarksAreHidden) {
  Put("/upper/d/f");
  MakeOpaque("/upper/d");
  t.SetXattr("/upper/d", "user.shown", "1");
  Mount();
  EXPECT_THAT(*t.vfs().ListXattrAt(t.creds(), t.At("/merged/d")), ElementsAre("user.shown"));
  EXPECT_THAT(t.vfs().GetXattrAt(t.creds(), t.At("/merged/d"), "trusted.overlay.opaque"),
              IsErrno(EOPNOTSUPP));
  EXPECT_THAT(t.vfs().SetXattrAt(t.creds(), t.At("/merged/d"), "trusted.overlay.redirect", "x", 0),
              IsErrno(EOPNOTSUPP));
}

TEST_F(LookupTest, UserAttributesIfSoAsked) {
  Put("/upper/d/u");
  Put("/lower/d/l");
  t.SetXattr("/upper/d", "user.overlay.opaque", "y");
  Put("/upper/e/u");
  Put("/lower/e/l");
  MakeOpaque("/upper/e");
  OverlayOptions options = Options();
  options.user_xattrs = true;
  Mount(options);
  EXPECT_THAT(t.List("/merged/d"), ElementsAre("u"));
  EXPECT_THAT(t.List("/merged/e"), UnorderedElementsAre("u", "l"));
  EXPECT_THAT(*t.vfs().ListXattrAt(t.creds(), t.At("/merged/d")), IsEmpty());
}

TEST_F(LookupTest, PositionsOfAListingStay) {
  for (int i = 0; i < 20; ++i) Put("/lower/l" + std::to_string(i));
  for (int i = 0; i < 20; ++i) Put("/upper/u" + std::to_string(i));
  Mount();
  const std::vector<std::string> before = t.List("/merged");
  t.Write("/merged/new", "x");
  t.SaveAndRestore();
  std::vector<std::string> after = t.List("/merged");
  ASSERT_EQ(after.size(), before.size() + 1);
  EXPECT_EQ(after.back(), "new");
  after.pop_back();
  EXPECT_EQ(after, before);
}

class ManyLayersTest : public OverlayTree {};

TEST_F(ManyLayersTest, AsManyAsLinuxTakes) {
  OverlayOptions options = Options();
  options.lowers.clear();
  for (size_t i = 0; i < kMaxLowers; ++i) {
    const std::string layer = "/layer" + std::to_string(i);
    Put(layer + "/d/f" + std::to_string(i), layer);
    Put(layer + "/same", layer);
    options.lowers.push_back(At(layer));
  }
  Mount(options);
  EXPECT_EQ(t.List("/merged/d").size(), kMaxLowers);
  EXPECT_EQ(t.Read("/merged/d/f499"), "/layer499");
  EXPECT_EQ(t.Read("/merged/same"), "/layer0");
}

}  // namespace
}  // namespace stasis::overlay
