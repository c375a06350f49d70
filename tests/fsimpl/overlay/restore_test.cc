// SPDX-License-Identifier: Apache-2.0
//
// Overlays in images: what comes back, bases that are others by then, and images that cannot be.

#include <filesystem>
#include <functional>

#include "fsimpl/gofer/filesystem.h"
#include "fsimpl/overlay/inode.h"
#include "restore/types.h"
#include "tests/fsimpl/overlay/overlay_tree.h"

namespace stasis::testing {
struct OverlayIntruder {};  // see Access::Type<OverlayIntruder>
}  // namespace stasis::testing

namespace stasis::state {

// Comes in through the door of generated code, and leaves things as no operation would.
template <>
struct Access::Type<::stasis::testing::OverlayIntruder> {
  static auto& Lowers(overlay::OverlayFilesystem& fs) { return fs.lowers_; }
  static auto& Upper(overlay::OverlayFilesystem& fs) { return fs.upper_; }
  static auto& Work(overlay::OverlayFilesystem& fs) { return fs.work_; }
  static auto& LowersOf(vfs::Inode& dir) {
    return static_cast<overlay::OverlayDirectory&>(dir).lowers_;
  }
  static auto& UpperOf(vfs::Inode& file) {
    return static_cast<overlay::OverlayInode&>(file).upper_;
  }
  static auto& LowerLayerOf(vfs::Inode& file) {
    return static_cast<overlay::OverlayInode&>(file).lower_layer_;
  }
  static auto& DataInUpper(vfs::Inode& file) {
    return static_cast<overlay::OverlayRegular&>(file).data_in_upper_;
  }
  static auto& DataBelow(vfs::Inode& file) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return static_cast<overlay::OverlayRegular&>(file).data_below_;
  }
  static auto& Redirect(vfs::Inode& dir) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return static_cast<overlay::OverlayDirectory&>(dir).redirect_;
  }
};

}  // namespace stasis::state

namespace stasis::overlay {
namespace {

using testing::AsBytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsErrno;
using testing::IsOk;
using testing::ReadAll;
using ::testing::UnorderedElementsAre;
using Intruder = state::Access::Type<testing::OverlayIntruder>;

class RestoreTest : public OverlayTree {};

TEST_F(RestoreTest, GoesOnWithAllOfIt) {
  Put("/lower/d/f", "lower");
  Put("/lower/gone");
  Put("/lower2/d/g", "lowest");
  Mount();
  t.WriteAt("/merged/d/f", 0, "L");
  t.Unlink("/merged/gone");
  t.Rename("/merged/d", "/merged/e");
  t.SaveAndRestore();
  EXPECT_THAT(t.List("/merged"), ElementsAre("e"));
  EXPECT_EQ(t.Read("/merged/e/f") + t.Read("/merged/e/g"), "Lowerlowest");
  t.Write("/merged/e/g", "new");
  EXPECT_EQ(t.Read("/upper/e/g"), "new");
  t.Write("/merged/gone", "back");
  EXPECT_EQ(t.Read("/upper/gone"), "back");
}

TEST_F(RestoreTest, OpenAndRemovedFiles) {
  Put("/lower/f", "lower");
  Put("/lower/g", "lower");
  Mount();
  t.Hold("reader", t.Open("/merged/f", O_RDONLY));
  t.Hold("writer", t.Open("/merged/g", O_RDWR));
  ASSERT_THAT(t.Held<vfs::FileDescription>("writer")->PWrite(0, AsBytes("W")), IsOk());
  t.Unlink("/merged/f");
  t.Unlink("/merged/g");
  t.SaveAndRestore();
  EXPECT_EQ(ReadAll(*t.Held<vfs::FileDescription>("reader")), "lower");
  EXPECT_EQ(ReadAll(*t.Held<vfs::FileDescription>("writer")), "Wower");
  ASSERT_THAT(t.Held<vfs::FileDescription>("writer")->PWrite(5, AsBytes("!")), IsOk());
  EXPECT_EQ(ReadAll(*t.Held<vfs::FileDescription>("writer")), "Wower!");
}

TEST_F(RestoreTest, LazyPagesComeBack) {
  Put("/lower/f", std::string(100'000, 'l'));
  OverlayOptions options = Options();
  options.lazy_data = true;
  Mount(options);
  t.WriteAt("/merged/f", 50'000, "changed");
  const std::string before = t.Read("/merged/f");
  t.SaveAndRestore();
  EXPECT_EQ(t.Read("/merged/f"), before);
  t.WriteAt("/merged/f", 10, "again");
  EXPECT_EQ(t.Read("/merged/f"), std::string(before).replace(10, 5, "again"));
}

TEST_F(RestoreTest, ListedFilesComeBack) {
  Put("/lower/d/f", "x");
  t.Mkdir("/lower2/d");
  Put("/lower2/d/g", "y");
  Mount();
  t.List("/merged");
  t.SaveAndRestore();
  EXPECT_THAT(t.List("/merged/d"), UnorderedElementsAre("f", "g"));
}

class HostileTest : public OverlayTree {
 protected:
  // Each twist is taken back, for the tree to be taken down.
  absl::Status RestoreTwisted(const std::function<void()>& twist,
                              const std::function<void()>& untwist) {
    twist();
    const absl::Status saved = t.Save();
    untwist();
    EXPECT_TRUE(saved.ok()) << saved;
    return t.Restore();
  }
};

TEST_F(HostileTest, LayersThatCannotBe) {
  Put("/lower/d/f");
  Mount();
  t.Stat("/merged/d/f");
  OverlayFilesystem& fs = overlay();
  auto lowers = Intruder::Lowers(fs);
  const auto with_lowers = [&](const std::vector<vfs::VirtualDentry>& other) {
    return RestoreTwisted([&] { Intruder::Lowers(fs) = other; },
                          [&] { Intruder::Lowers(fs) = lowers; });
  };
  EXPECT_THAT(std::string(with_lowers({}).message()),
              HasSubstr("field lower: is in no layer there is"));
  EXPECT_THAT(std::string(with_lowers(std::vector<vfs::VirtualDentry>(501, lowers[0])).message()),
              HasSubstr("field lowers: are 501"));
  EXPECT_THAT(std::string(with_lowers({lowers[0], lowers[1], vfs::VirtualDentry()}).message()),
              HasSubstr("field lowers: has one that is no directory of an older"));
  const vfs::VirtualDentry itself = testing::RootOf(t.vfs(), fs);
  EXPECT_THAT(std::string(with_lowers({lowers[0], lowers[1], itself}).message()),
              HasSubstr("field lowers: has one that is no directory of an older"));
  const vfs::VirtualDentry work = Intruder::Work(fs);
  EXPECT_THAT(std::string(RestoreTwisted([&] { Intruder::Work(fs) = {}; },
                                         [&] { Intruder::Work(fs) = work; })
                              .message()),
              HasSubstr("field work: must be there exactly if upper is"));
}

TEST_F(HostileTest, FilesThatCannotBe) {
  Put("/lower/d/f");
  Put("/upper/u");
  Mount();
  t.Stat("/merged/d/f");
  t.Stat("/merged/u");
  vfs::Inode& dir = At("/merged/d").inode();
  vfs::Inode& file = At("/merged/d/f").inode();
  vfs::Inode& upper = At("/merged/u").inode();
  const auto lowers = Intruder::LowersOf(dir);
  EXPECT_THAT(std::string(RestoreTwisted([&] { Intruder::LowersOf(dir).clear(); },
                                         [&] { Intruder::LowersOf(dir) = lowers; })
                              .message()),
              HasSubstr("field lowers: do not begin with the lower directory"));
  EXPECT_THAT(std::string(RestoreTwisted([&] { Intruder::LowerLayerOf(file) = 7; },
                                         [&] { Intruder::LowerLayerOf(file) = 0; })
                              .message()),
              HasSubstr("field lower: is in no layer there is"));
  vfs::Dentry* real = Intruder::UpperOf(upper);
  EXPECT_THAT(std::string(RestoreTwisted([&] { Intruder::UpperOf(upper) = nullptr; },
                                         [&] { Intruder::UpperOf(upper) = real; })
                              .message()),
              HasSubstr("field upper: is missing"));
  const vfs::VirtualDentry directory = At("/upper");
  EXPECT_THAT(std::string(RestoreTwisted([&] { Intruder::UpperOf(upper) = &directory.dentry(); },
                                         [&] { Intruder::UpperOf(upper) = real; })
                              .message()),
              HasSubstr("field upper: is of another type"));
  const vfs::VirtualDentry itself = At("/merged/u");
  EXPECT_THAT(std::string(RestoreTwisted([&] { Intruder::UpperOf(upper) = &itself.dentry(); },
                                         [&] { Intruder::UpperOf(upper) = real; })
                              .message()),
              HasSubstr("field upper: is not in the upper layer"));
  EXPECT_THAT(std::string(RestoreTwisted([&] { Intruder::UpperOf(file) = real; },
                                         [&] { Intruder::UpperOf(file) = nullptr; })
                              .message()),
              HasSubstr("another inode's"));
  EXPECT_THAT(std::string(RestoreTwisted([&] { Intruder::DataInUpper(file) = true; },
                                         [&] { Intruder::DataInUpper(file) = false; })
                              .message()),
              HasSubstr("field data_in_upper"));
  EXPECT_THAT(std::string(RestoreTwisted([&] { Intruder::Redirect(dir) = "../x"; },
                                         [&] { Intruder::Redirect(dir) = ""; })
                              .message()),
              HasSubstr("field redirect"));
}

TEST_F(HostileTest, DataThatCannotBeThere) {
  Put("/lower2/f", "content");
  Put("/lower/f");
  t.Truncate("/lower/f", 7);
  t.SetXattr("/lower/f", "trusted.overlay.metacopy", "");
  Mount();
  ASSERT_EQ(t.Read("/merged/f"), "content");
  vfs::Inode& file = At("/merged/f").inode();
  const RefPtr<DataBelow> right = Intruder::DataBelow(file);
  ASSERT_TRUE(right);
  LowerFile below = right->file;
  const auto restored_with = [&](const LowerFile& wrong) {
    return std::string(
        RestoreTwisted([&] { Intruder::DataBelow(file) = MakeRef<DataBelow>(wrong); },
                       [&] { Intruder::DataBelow(file) = right; })
            .message());
  };
  EXPECT_THAT(restored_with({}), HasSubstr("field data_below: is missing"));
  EXPECT_THAT(restored_with({below.dentry, 2}), HasSubstr("field data_below: is in no layer"));
  EXPECT_THAT(restored_with({RefPtr<vfs::Dentry>(&At("/lower2").dentry()), 1}),
              HasSubstr("field data_below: is of another type"));
  EXPECT_THAT(restored_with({RefPtr<vfs::Dentry>(&At("/merged/f").dentry()), 1}),
              HasSubstr("field data_below: is not in its layer"));
}

TEST_F(HostileTest, RemovedFilesThatAreNowhere) {
  Put("/upper/u", "x");
  Put("/lower/f", "x");
  Mount();
  t.Hold("u", t.Open("/merged/u", O_RDONLY));
  t.Hold("f", t.Open("/merged/f", O_RDONLY));
  t.Unlink("/merged/u");
  t.Unlink("/merged/f");
  vfs::Inode& upper = t.Held<vfs::FileDescription>("u")->inode();
  vfs::Inode& lower = t.Held<vfs::FileDescription>("f")->inode();
  vfs::Dentry* real = Intruder::UpperOf(upper);
  EXPECT_THAT(std::string(RestoreTwisted([&] { Intruder::UpperOf(upper) = nullptr; },
                                         [&] { Intruder::UpperOf(upper) = real; })
                              .message()),
              HasSubstr("field upper: is missing"));
  EXPECT_THAT(std::string(RestoreTwisted([&] { Intruder::DataInUpper(lower) = true; },
                                         [&] { Intruder::DataInUpper(lower) = false; })
                              .message()),
              HasSubstr("field data_in_upper"));
}

// Layers in one directory of the host.
class HostLayersTest : public OverlayTree {
 protected:
  HostLayersTest()
      : OverlayTree([](vfs::VirtualFilesystem& vfs) {
          auto fs =
              gofer::GoferFilesystem::Create(vfs, {.root = "data", .directory = scratch().path()});
          EXPECT_TRUE(fs.ok()) << fs.status();
          return RefPtr<vfs::Filesystem>(*fs);
        }) {
    t.roots()["data"] = scratch().path();
  }

  // One per test: there before the base.
  static testing::ScratchDir& scratch() {
    static std::unique_ptr<testing::ScratchDir> dir;
    static const ::testing::TestInfo* owner = nullptr;
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    if (owner != test) {
      dir = std::make_unique<testing::ScratchDir>(testing::ScratchDir::Where::kInMemory);
      owner = test;
    }
    return *dir;
  }
  static std::string Path(std::string_view name) { return scratch() / name; }
};

TEST_F(HostLayersTest, ComesBackOnTheSameFiles) {
  Put("/lower/d/f", "lower");
  Put("/lower/d/g", "lower");
  Mount();
  t.Hold("reader", t.Open("/merged/d/g", O_RDONLY));
  t.Hold("writer", t.Open("/merged/d/f", O_RDWR));
  ASSERT_THAT(t.Held<vfs::FileDescription>("writer")->PWrite(0, AsBytes("W")), IsOk());
  t.SaveAndRestore();
  EXPECT_EQ(ReadAll(*t.Held<vfs::FileDescription>("reader")), "lower");
  ASSERT_THAT(t.Held<vfs::FileDescription>("writer")->PWrite(1, AsBytes("X")), IsOk());
  EXPECT_EQ(testing::ReadHostFile(Path("upper/d/f")), "WXwer");
  EXPECT_EQ(t.Read("/merged/d/f"), "WXwer");
}

TEST_F(HostLayersTest, AccessControlListsCount) {
  constexpr uint32_t kStaff = 50;
  Put("/lower/f", "x");
  Put("/lower/d/f", "x");
  Put("/lower/plain", "x");
  for (const char* path : {"/lower/f", "/lower/plain"}) t.Set(path, {.mode = 0640, .gid = kStaff});
  t.Set("/lower/d", {.mode = 0750, .gid = kStaff});
  t.Set("/", {.mode = 0755});
  t.Set("/lower", {.mode = 0755});
  // Of 1000 nothing, of the group reading.
  const auto deny = [&](const char* path, char group) {
    std::string acl(
        "\2\0\0\0\1\0\6\0\xff\xff\xff\xff\2\0\0\0\xe8\3\0\0\4\0\4\0\xff\xff\xff\xff"
        "\x10\0\4\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff",
        44);
    acl[22] = acl[30] = group;
    if ((group & 1) != 0) acl[6] = 7;
    t.SetXattr(path, "system.posix_acl_access", acl);
  };
  deny("/lower/f", 4);
  deny("/lower/d", 5);
  Mount();
  vfs::Credentials alice = vfs::Credentials::User(1000, 1000);
  alice.groups = {kStaff};
  vfs::Credentials bob = vfs::Credentials::User(1001, 1001);
  bob.groups = {kStaff};
  const auto check = [&] {
    for (const char* path : {"/merged/f", "/merged/d/f"}) {
      EXPECT_THAT(t.vfs().OpenAt(alice, t.At(path), {.flags = O_RDONLY}), IsErrno(EACCES)) << path;
      EXPECT_THAT(t.vfs().OpenAt(bob, t.At(path), {.flags = O_RDONLY}), IsOk()) << path;
    }
    EXPECT_THAT(t.vfs().OpenAt(alice, t.At("/merged/plain"), {.flags = O_RDONLY}), IsOk());
  };
  check();
  t.SaveAndRestore();
  check();
  for (const char* path : {"/merged/f", "/merged/d"}) t.SetXattr(path, "user.a", "1");
  check();
  t.SaveAndRestore();
  check();
  t.Set("/merged/f", {.mode = 0600});
  EXPECT_THAT(t.vfs().OpenAt(bob, t.At("/merged/f"), {.flags = O_RDONLY}), IsErrno(EACCES));
}

TEST_F(HostLayersTest, DriftOfABaseIsSeenThrough) {
  Put("/lower/changed", "before");
  Put("/lower/gone", "x");
  Put("/lower/d/f", "x");
  Mount();
  EXPECT_EQ(t.Read("/merged/changed"), "before");
  t.Stat("/merged/gone");
  t.List("/merged");
  ASSERT_TRUE(t.Save().ok());
  testing::WriteHostFile(Path("lower/changed"), "after, and longer");
  std::filesystem::remove(Path("lower/gone"));
  testing::WriteHostFile(Path("lower/new"), "new");
  t.prepare_restore = [](restore::RestoreRequest& request) {
    request.rules = restore::DriftRules(vfs::DriftPolicy::kAdopt);
  };
  const absl::Status restored = t.Restore();
  ASSERT_TRUE(restored.ok()) << restored;
  EXPECT_EQ(t.Read("/merged/changed"), "after, and longer");
  EXPECT_EQ(t.Stat("/merged/changed").size, 17u);
  EXPECT_FALSE(t.Exists("/merged/gone"));
  EXPECT_EQ(t.Read("/merged/new"), "new");
  EXPECT_THAT(t.List("/merged"), UnorderedElementsAre("changed", "d", "new"));
}

TEST_F(HostLayersTest, LowerThatVanishesIsAnError) {
  Put("/lower/d/f", "x");
  Put("/lower/e/g", "x");
  Mount();
  t.Stat("/merged/d/f");
  t.Stat("/merged/e");
  std::filesystem::remove_all(Path("lower"));
  const auto known = t.vfs().OpenAt(t.creds(), t.At("/merged/d/f"), {.flags = O_RDWR});
  if (known) {
    EXPECT_EQ(ReadAll(**known), "x") << "by a descriptor that was open";
  }
  EXPECT_THAT(t.vfs().OpenAt(t.creds(), t.At("/merged/e/g"), {.flags = O_RDWR}), IsErrno(ESTALE));
  EXPECT_THAT(t.vfs().SetAttributesAt(t.creds(), t.At("/merged/e"), {.mode = 0700}), IsOk())
      << "of attributes that are known";
  t.Write("/merged/new", "x");
  EXPECT_EQ(t.Read("/merged/new"), "x");
}

TEST_F(HostLayersTest, PassthroughOnlyOfWhatStays) {
  Put("/lower/f", "lower");
  Put("/upper/u", "upper");
  Mount();
  const auto reader = t.Open("/merged/f", O_RDONLY);
  EXPECT_EQ(reader->backing_fd(), -1) << "may be copied up";
  const auto upper = t.Open("/merged/u", O_RDWR);
  EXPECT_GE(upper->backing_fd(), 0);
  const auto writer = t.Open("/merged/f", O_RDWR);
  EXPECT_EQ(writer->backing_fd(), -1) << "the data is below";
  ASSERT_THAT(writer->PWrite(0, AsBytes("x")), IsOk());
  EXPECT_GE(writer->backing_fd(), 0);
  EXPECT_GE(reader->backing_fd(), 0);
}

}  // namespace
}  // namespace stasis::overlay
