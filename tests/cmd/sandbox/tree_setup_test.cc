// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/tree_setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "fsimpl/memfs/filesystem.h"
#include "state/base/clock.h"

namespace stasis::sandbox {
namespace {

class TreeSetupTest : public testing::Test {
 protected:
  void SetUp() override {
    vfs_ = MakeRef<vfs::VirtualFilesystem>(clock_);
    root_ = vfs_->NewMountNamespace(memfs::MemFilesystem::Create(*vfs_, {}), {})->root();
  }
  void TearDown() override {
    root_ = {};
    vfs_->Teardown();
  }

  uint32_t ModeOf(std::string_view path) {
    const Result<vfs::Stat> stat =
        vfs_->StatAt(vfs::Credentials::Root(), {root_, root_, path, true});
    return stat ? stat->mode : 0;
  }
  void Symlink(std::string_view path, std::string_view target) {
    ASSERT_TRUE(vfs_->SymlinkAt(vfs::Credentials::Root(), {root_, root_, path}, target));
  }

  // A name in a directory that makes it other than empty.
  void MakeProgram(const std::string& directory) {
    ASSERT_TRUE(MakeDirectories(*vfs_, root_, directory).ok());
    Symlink(directory + "/program", "elsewhere");
  }

  RealClock clock_;
  RefPtr<vfs::VirtualFilesystem> vfs_;
  vfs::VirtualDentry root_;
};

TEST_F(TreeSetupTest, MakesDirectoriesOnTheWay) {
  ASSERT_TRUE(MakeDirectories(*vfs_, root_, "/a/b/c").ok());
  EXPECT_TRUE(S_ISDIR(ModeOf("/a/b/c")));
  EXPECT_TRUE(MakeDirectories(*vfs_, root_, "/a/b/c").ok());
}

TEST_F(TreeSetupTest, FollowsLinksToDirectories) {
  ASSERT_TRUE(MakeDirectories(*vfs_, root_, "/real").ok());
  Symlink("/link", "real");
  ASSERT_TRUE(MakeDirectories(*vfs_, root_, "/link/sub").ok());
  EXPECT_TRUE(S_ISDIR(ModeOf("/real/sub")));
}

TEST_F(TreeSetupTest, AFileInTheWayIsAnError) {
  ASSERT_TRUE(vfs_->MknodAt(vfs::Credentials::Root(), {root_, root_, "/a"}, {S_IFREG | 0644, 0}));
  EXPECT_TRUE(absl::IsFailedPrecondition(MakeDirectories(*vfs_, root_, "/a/b")));
}

TEST_F(TreeSetupTest, MakesThePlacesOfMounts) {
  ASSERT_TRUE(PrepareTree(*vfs_, root_, {{"/proc/version", "/x/version"}, {"/proc", "/y"}},
                          SystemDirectories::kNone)
                  .ok());
  EXPECT_TRUE(S_ISDIR(ModeOf("/proc")));
  EXPECT_TRUE(S_ISDIR(ModeOf("/dev")));
  EXPECT_EQ(ModeOf("/tmp"), static_cast<uint32_t>(S_IFDIR | 01777));
  EXPECT_TRUE(S_ISREG(ModeOf("/x/version")));
  EXPECT_TRUE(S_ISDIR(ModeOf("/y")));
}

TEST_F(TreeSetupTest, AnEmptyTreeGetsTheHostsPrograms) {
  const auto binds = PrepareTree(*vfs_, root_, {}, SystemDirectories::kAuto);
  ASSERT_TRUE(binds.ok());
  EXPECT_THAT(*binds, testing::Contains(Bind{"/usr", "/usr", true}));
  EXPECT_THAT(*binds, testing::Contains(Bind{"/etc", "/etc", true}));
}

TEST_F(TreeSetupTest, DoesTheSameAfterARestore) {
  const auto first = PrepareTree(*vfs_, root_, {}, SystemDirectories::kAuto);
  const auto second = PrepareTree(*vfs_, root_, {}, SystemDirectories::kAuto);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
}

TEST_F(TreeSetupTest, ATreeWithProgramsKeepsThem) {
  MakeProgram("/usr/bin");
  const auto binds = PrepareTree(*vfs_, root_, {}, SystemDirectories::kAuto);
  ASSERT_TRUE(binds.ok());
  EXPECT_TRUE(binds->empty());
}

TEST_F(TreeSetupTest, ATreeWithAnEtcOfItsOwnKeepsIt) {
  MakeProgram("/etc");
  const auto binds = PrepareTree(*vfs_, root_, {}, SystemDirectories::kAuto);
  ASSERT_TRUE(binds.ok());
  EXPECT_THAT(*binds, testing::Contains(Bind{"/usr", "/usr", true}));
  EXPECT_THAT(*binds, testing::Not(testing::Contains(Bind{"/etc", "/etc", true})));
}

TEST_F(TreeSetupTest, HostShowsAllWhateverTheTreeHas) {
  MakeProgram("/usr/bin");
  MakeProgram("/bin");
  const auto binds = PrepareTree(*vfs_, root_, {}, SystemDirectories::kHost);
  ASSERT_TRUE(binds.ok());
  EXPECT_THAT(*binds, testing::Contains(Bind{"/usr", "/usr", true}));
  EXPECT_THAT(*binds, testing::Contains(testing::Field(&Bind::target, "/bin")));
}

TEST_F(TreeSetupTest, AnEmptyPlaceOfAFormerMountHidesNoPrograms) {
  ASSERT_TRUE(MakeDirectories(*vfs_, root_, "/usr/share/place").ok());
  ASSERT_TRUE(vfs_->MknodAt(vfs::Credentials::Root(), {root_, root_, "/usr/share/file"},
                            {S_IFREG | 0644, 0}));
  const auto binds = PrepareTree(*vfs_, root_, {}, SystemDirectories::kAuto);
  ASSERT_TRUE(binds.ok());
  EXPECT_THAT(*binds, testing::Contains(Bind{"/usr", "/usr", true}));
}

TEST_F(TreeSetupTest, MakesNoPlaceThatCannotBeSeen) {
  const auto binds = PrepareTree(
      *vfs_, root_,
      {{"/proc", "/usr/bin"}, {"/proc", "/m/inner"}, {"/proc", "/m"}, {"/proc/version", "/dev/x"}},
      SystemDirectories::kAuto);
  ASSERT_TRUE(binds.ok()) << binds.status();
  for (const char* path : {"/usr/bin", "/m/inner", "/dev/x"}) EXPECT_EQ(ModeOf(path), 0u) << path;
  EXPECT_TRUE(S_ISDIR(ModeOf("/m")));
}

TEST_F(TreeSetupTest, WhatIsDeeperIsMountedLater) {
  const std::vector<Bind> binds = {{"/proc", "/m/a/b"}, {"/proc", "/m/a"}, {"/proc", "/m"}};
  const auto sorted = PrepareTree(*vfs_, root_, binds, SystemDirectories::kNone);
  ASSERT_TRUE(sorted.ok());
  EXPECT_EQ(*sorted, std::vector<Bind>(binds.rbegin(), binds.rend()));
}

TEST_F(TreeSetupTest, APlaceThatTheHostDoesNotHaveIsAnError) {
  EXPECT_TRUE(absl::IsFailedPrecondition(
      PrepareTree(*vfs_, root_, {{"/proc", "/usr/no-such"}}, SystemDirectories::kAuto).status()));
}

}  // namespace
}  // namespace stasis::sandbox
