// SPDX-License-Identifier: Apache-2.0
//
// DiffLayers on what the kernel's overlayfs writes.

#include <gmock/gmock.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "fsimpl/gofer/filesystem.h"
#include "fsimpl/overlay/lower_view.h"
#include "restore/transfer/compare.h"
#include "restore/transfer/diff.h"
#include "tests/testing/errno_matchers.h"
#include "tests/testing/kernel_overlay.h"
#include "tests/testing/overlay_layers.h"
#include "tests/testing/random_changes.h"
#include "tests/testing/scratch_dir.h"
#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::KernelOverlay;
using stasis::testing::ScratchDir;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::unique_ptr<TreeSource> Host(const std::string& directory) {
  auto tree = OpenHostTree(directory);
  EXPECT_TRUE(tree.ok()) << tree.status();
  return *std::move(tree);
}

// Host directories as the lower layers of an overlay, and what of them is seen without the upper
// one.
class Below {
 public:
  explicit Below(const std::vector<std::string>& layers) {
    std::vector<vfs::VirtualDentry> lowers;
    for (const std::string& layer : layers) {
      const auto fs = gofer::GoferFilesystem::Create(
          t_.vfs(), {.root = std::to_string(lowers.size()), .directory = layer});
      EXPECT_TRUE(fs.ok()) << fs.status();
      lowers.push_back(stasis::testing::RootOf(t_.vfs(), **fs));
    }
    const auto upper = memfs::MemFilesystem::Create(t_.vfs(), {});
    overlay_ = stasis::testing::MakeOverlay(
        t_.vfs(), stasis::testing::OverlayOn(t_.vfs(), *upper, std::move(lowers)));
    auto view = overlay::LowerView::Of(*overlay_);
    EXPECT_THAT(view, stasis::testing::IsOk());
    view_ = *std::move(view);
    tree_ = OpenVfsTree(t_.vfs(), view_->root());
  }
  TreeSource& operator*() { return *tree_; }
  TreeSource* operator->() { return tree_.get(); }
  vfs::VirtualFilesystem& vfs() { return t_.vfs(); }

 private:
  stasis::testing::TestVfs t_;
  RefPtr<overlay::OverlayFilesystem> overlay_;
  std::unique_ptr<overlay::LowerView> view_;
  std::unique_ptr<TreeSource> tree_;
};

// A tree that is in use: one name is gone once it was looked at.
class VanishingTree final : public TreeSource {
 public:
  VanishingTree(std::unique_ptr<TreeSource> tree, std::string name)
      : tree_(std::move(tree)), gone_(std::move(name)) {}
  Result<std::vector<std::string>> List() override { return tree_->List(); }
  Result<FileAttributes> Stat(const std::string& name) override { return tree_->Stat(name); }
  Result<std::string> ReadLink(const std::string& name) override { return tree_->ReadLink(name); }
  Result<Xattrs> GetXattrs(const std::string& name) override { return tree_->GetXattrs(name); }
  Result<std::unique_ptr<FileReader>> Open(const std::string& name) override {
    if (name == gone_) return Err(ENOENT);
    return tree_->Open(name);
  }
  Result<void> Enter(const std::string& name) override {
    if (name == gone_) return Err(ENOENT);
    return tree_->Enter(name);
  }
  Result<void> Leave() override { return tree_->Leave(); }

 private:
  std::unique_ptr<TreeSource> tree_;
  const std::string gone_;
};

class LayerDiffTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::umask(022);
    ASSERT_EQ(
        Shell("cd " + scratch_.path() +
              " && mkdir -p low/dir/sub top && cd low && echo text > file && echo a > dir/a &&"
              " echo b > dir/sub/b && echo g > gone && ln -s file link && chmod 0700 dir &&"
              " echo h > hard1 && ln hard1 hard2 && echo below > ../top/over && mkdir big &&"
              " for i in $(seq 200); do echo $i > big/$i; done"),
        0);
  }
  static int Shell(const std::string& script) {
    return std::system(("set -e; " + script).c_str());  // NOLINT
  }
  std::vector<std::string> Lowers() { return {scratch_ / "top", scratch_ / "low"}; }

  // Changes the merged tree; the lines of what that did.
  std::vector<std::string> LinesOf(const std::string& script) { return LinesOf(script, Lowers()); }
  std::vector<std::string> LinesOf(const std::string& script,
                                   const std::vector<std::string>& lowers) {
    KernelOverlay overlay(scratch_.path(), lowers);
    EXPECT_EQ(Shell("cd " + overlay.merged() + "; " + script), 0);
    Below below(lowers);
    auto report = DiffLayers(*Host(overlay.upper()), *Host(overlay.merged()), *below);
    EXPECT_TRUE(report.ok()) << report.status();
    std::vector<std::string> lines;
    if (!report.ok()) return lines;
    for (const Change& change : report->changes) lines.push_back(change.ToText());
    files_ = report->files;
    return lines;
  }

  ScratchDir scratch_;
  uint64_t files_ = 0;
};

TEST_F(LayerDiffTest, NothingIsNoChange) {
  EXPECT_THAT(LinesOf("true"), IsEmpty());
  EXPECT_EQ(files_, 0u);
}

TEST_F(LayerDiffTest, CopiedUpWithoutChangeIsNoChange) {
  EXPECT_THAT(
      LinesOf("chmod 600 file; chmod 644 file; touch -a dir/sub/b; : >> dir/a; chown 0 link -h"),
      IsEmpty());
  EXPECT_GT(files_, 0u);
}

TEST_F(LayerDiffTest, EveryKindOfChangeIsNamed) {
  EXPECT_THAT(LinesOf("echo more >> file; rm gone; mkdir new; echo x > new/x; chmod 755 dir;"
                      "rm link; ln -s other link; rm -r dir/sub; setfattr -n user.a -v 1 dir/a"),
              ElementsAre("M /dir (mode 700 -> 755)", "M /dir/a (xattr user.a added)", "D /dir/sub",
                          "M /file (size 5 -> 10)", "D /gone", "M /link (target file -> other)",
                          "A /new", "A /new/x"));
}

TEST_F(LayerDiffTest, ReplacedDirectoryIsComparedWithTheOldOne) {
  EXPECT_THAT(LinesOf("rm -r dir; mkdir -m 0700 dir; echo a > dir/a; echo n > dir/n"),
              ElementsAre("A /dir/n", "D /dir/sub"));
}

TEST_F(LayerDiffTest, MovedDirectoryIsThereInFull) {
  EXPECT_THAT(LinesOf("mv dir moved; echo c > moved/sub/c"),
              ElementsAre("D /dir", "A /moved", "A /moved/a", "A /moved/sub", "A /moved/sub/b",
                          "A /moved/sub/c"));
}

TEST_F(LayerDiffTest, DirectoryMovedOverAnotherIsComparedWithIt) {
  EXPECT_THAT(LinesOf("mv dir/sub sub; rm dir/a; rmdir dir; mv sub dir; chmod 700 dir"),
              ElementsAre("D /dir/a", "A /dir/b", "D /dir/sub"));
}

TEST_F(LayerDiffTest, FilesWithoutDataOfTheirOwnAreComparedAsTheyAreSeen) {
  EXPECT_THAT(LinesOf("chmod 600 file; chown 7 dir/a"),
              ElementsAre("M /dir/a (owner 0:0 -> 7:0)", "M /file (mode 644 -> 600)"));
}

TEST_F(LayerDiffTest, TypesThatChangeAreModified) {
  EXPECT_THAT(LinesOf("rm file; mkdir file; echo > file/in; rm -r dir; echo > dir"),
              ElementsAre("M /dir (type directory -> file, mode 700 -> 644)",
                          "M /file (type file -> directory, mode 644 -> 755)", "A /file/in"));
}

TEST_F(LayerDiffTest, NewLinksNameTheOldFile) {
  EXPECT_THAT(LinesOf("ln file zz; ln dir/a aa"),
              ElementsAre("A /aa (link /dir/a)", "A /zz (link /file)"));
}

TEST_F(LayerDiffTest, CostFollowsTheUpperLayer) {
  EXPECT_THAT(LinesOf("echo new > big/7"), ElementsAre("M /big/7 (size 2 -> 4)"));
  EXPECT_EQ(files_, 2u);
}

TEST_F(LayerDiffTest, NamesOfTheUpperOfTwoLowersAreBelowToo) {
  EXPECT_THAT(LinesOf("rm over; echo 5 > file"), ElementsAre("M /file (size 5 -> 2)", "D /over"));
}

TEST_F(LayerDiffTest, WhatGoesMeanwhileIsLeftOut) {
  KernelOverlay overlay(scratch_.path(), Lowers());
  ASSERT_EQ(Shell("cd " + overlay.merged() + "; echo tex1 > file; rm big/1; echo n > new"), 0);
  for (const char* name : {"file", "big"}) {
    VanishingTree merged(Host(overlay.merged()), name);
    Below below(Lowers());
    const auto report = DiffLayers(*Host(overlay.upper()), merged, *below);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->ToText(),
              std::string(name) == "file" ? "D /big/1\nA /new\n" : "M /file (content)\nA /new\n");
  }
}

TEST_F(LayerDiffTest, RandomChangesAreThoseBetweenTheWholeTrees) {
  const uint64_t seed = stasis::testing::RandomSeed();
  for (uint64_t round = 0; round < 20; ++round) {
    ScratchDir scratch;
    const std::vector<std::string> lowers = {scratch / "top", scratch / "low"};
    for (const std::string& lower : lowers) {
      std::filesystem::create_directory(lower);
      stasis::testing::RandomChanges(lower, seed + round + (lower == lowers[0] ? 1000 : 0))
          .Make(60);
    }
    KernelOverlay overlay(scratch.path(), lowers);
    ::chmod(overlay.upper().c_str(), 0755);
    stasis::testing::RandomChanges(overlay.merged(), seed + round + 2000).Make(40);
    Below below(lowers);
    const auto guided = DiffLayers(*Host(overlay.upper()), *Host(overlay.merged()), *below);
    const auto whole = DiffTrees(*below, *Host(overlay.merged()));
    ASSERT_TRUE(guided.ok() && whole.ok()) << guided.status() << whole.status();
    EXPECT_EQ(guided->ToText(), whole->ToText()) << "round " << round;
  }
}

// What the kernel's overlayfs makes of a layer: attributes alone, moved files and directories.
class MadeLayerTest : public LayerDiffTest {
 protected:
  // The layer that `script` makes above "low".
  void MakeLayer(const std::string& script) {
    {
      KernelOverlay overlay(scratch_.path(), {scratch_ / "low"});
      ASSERT_EQ(Shell("cd " + overlay.merged() + "; " + script), 0);
    }
    std::filesystem::rename(scratch_ / "upper", scratch_ / "made");
  }
  std::vector<std::string> WithMade() {
    return {scratch_ / "top", scratch_ / "made", scratch_ / "low"};
  }
};

TEST_F(MadeLayerTest, FilesWithoutDataInALowerLayerAreReadFromBelow) {
  MakeLayer("chmod 600 file; chown 7 dir/a; mv dir/sub/b b");
  ASSERT_EQ(Shell("cd " + scratch_.path() + "/made; getfattr -n trusted.overlay.metacopy file b"),
            0);
  EXPECT_THAT(LinesOf("echo tex1 > file; echo a > dir/a; echo b2 > b", WithMade()),
              ElementsAre("M /b (size 2 -> 3)", "M /file (content)"));
}

TEST_F(MadeLayerTest, DirectoriesThatALowerLayerHasMovedAreFollowed) {
  MakeLayer("mv dir moved; mv moved/sub sub");
  EXPECT_THAT(LinesOf("echo c > sub/c; rm moved/a; mv moved again; echo q > sub/b", WithMade()),
              ElementsAre("A /again", "D /moved", "M /sub/b (content)", "A /sub/c"));
}

TEST_F(MadeLayerTest, TheViewIsWhatTheKernelShows) {
  MakeLayer(
      "rm gone; mv dir moved; mkdir dir; echo n > dir/n; chmod 600 file; mkdir -p big/d;"
      "rm big/1; mkfifo fifo; rm hard2; mv big/2 two");
  ScratchDir other;
  KernelOverlay merged(other.path(), WithMade());
  CompareOptions options;
  options.hard_links = false;
  options.mtime = false;  // the merged root is a new directory
  Below below(WithMade());
  const auto report = CompareTrees(*Host(merged.merged()), *below, options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->equal()) << report->ToText();
}

TEST_F(MadeLayerTest, AFileWithNothingBelowCannotBeRead) {
  ASSERT_EQ(Shell("head -c 10000 /dev/zero > " + scratch_ / "low/large"), 0);
  MakeLayer("chmod 600 large");
  Below below({scratch_ / "made"});
  const auto file = below->Open("large");
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error(), Errno(EIO));
}

TEST_F(LayerDiffTest, AViewIsInNoList) {
  Below below(Lowers());
  for (const auto& fs : below.vfs().filesystems()) {
    const auto* overlay = dynamic_cast<overlay::OverlayFilesystem*>(fs.get());
    EXPECT_TRUE(overlay == nullptr || overlay->upper().ok());
  }
}

}  // namespace
}  // namespace stasis::restore
