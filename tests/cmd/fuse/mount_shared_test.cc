// SPDX-License-Identifier: Apache-2.0
//
// A filesystem that others change too, through a real mount: programs see it at once. Each change
// is made in the tree, behind the kernel's back.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cmd/fuse/file_system_calls.h"
#include "tests/cmd/fuse/host_files.h"
#include "tests/cmd/fuse/mounted_tree.h"
#include "tests/testing/scratch_dir.h"

namespace stasis::fuse {
namespace {

using ::testing::UnorderedElementsAre;

enum Action : uint64_t { kMake, kRemove, kReplace, kWrite, kMakeLink, kReplaceLink };

class Changes {
 public:
  explicit Changes(TestTree& tree) : tree_(tree) {}

  void Make(std::string_view name, std::string_view content) {
    vfs::OpenOptions options;
    options.flags = O_WRONLY | O_CREAT | O_EXCL;
    options.mode = 0644;
    Write(options, name, content);
  }
  void Write(std::string_view name, std::string_view content) {
    vfs::OpenOptions options;
    options.flags = O_WRONLY;
    Write(options, name, content);
  }
  void Remove(std::string_view name) {
    EXPECT_TRUE(tree_.vfs()->UnlinkAt(tree_.creds(), {root_, root_, name}).has_value());
  }
  void MakeLink(std::string_view name, std::string_view target) {
    EXPECT_TRUE(tree_.vfs()->SymlinkAt(tree_.creds(), {root_, root_, name}, target).has_value());
  }

 private:
  void Write(const vfs::OpenOptions& options, std::string_view name, std::string_view content) {
    auto file = tree_.vfs()->OpenAt(tree_.creds(), {root_, root_, name}, options);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE((*file)->PWrite(0, std::as_bytes(std::span(content))).has_value());
  }

  TestTree& tree_;
  const vfs::VirtualDentry root_ = tree_.root();
};

uint64_t Act(TestTree& tree, uint64_t what) {
  Changes changes(tree);
  switch (what) {
    case kMake:
      changes.Make("host/a", "first");
      break;
    case kRemove:
      changes.Remove("host/a");
      break;
    case kReplace:
      changes.Remove("host/a");
      changes.Make("host/a", "other file");
      break;
    case kWrite:
      changes.Write("host/a", "FIRST");
      break;
    case kMakeLink:
      changes.MakeLink("host/link", "a");
      break;
    case kReplaceLink:
      changes.Remove("host/link");
      changes.MakeLink("host/link", "b");
      break;
    default:
      break;
  }
  return 0;
}

// The parameter: whether files have a backing.
class MountSharedTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override { tree_.Do(kMake); }
  std::string Path(const std::string& name) const { return tree_ / ("host/" + name); }

  stasis::testing::ScratchDir scratch_;
  MountedTree tree_{60,
                    {},
                    {.prepare =
                         [this](TestTree& tree) {
                           MountHostFiles(tree, {scratch_.path(), /*exclusive=*/false, GetParam()});
                         },
                     .act = Act}};
};

std::string NameOf(const ::testing::TestParamInfo<bool>& test) {
  return test.param ? "Passthrough" : "PageCache";
}

INSTANTIATE_TEST_SUITE_P(, MountSharedTest, ::testing::Bool(), NameOf);

TEST_P(MountSharedTest, NamesThatWereMissing) {
  tree_.Do(kRemove);
  ASSERT_EQ(ReadFile(Path("a")), "(missing)");
  ASSERT_EQ(ReadFile(Path("a")), "(missing)");
  tree_.Do(kMake);
  EXPECT_EQ(ReadFile(Path("a")), "first");
}

TEST_P(MountSharedTest, NamesThatAreGone) {
  ASSERT_EQ(ReadFile(Path("a")), "first");
  tree_.Do(kRemove);
  EXPECT_EQ(ReadFile(Path("a")), "(missing)");
}

TEST_P(MountSharedTest, NamesOfAnotherFile) {
  ASSERT_EQ(ReadFile(Path("a")), "first");
  const UniqueFd old = Open(Path("a"), O_RDONLY);
  tree_.Do(kReplace);
  EXPECT_EQ(ReadFile(Path("a")), "other file");
  EXPECT_EQ(StatOf(Path("a")).st_size, 10);
  char text[6] = {};
  ASSERT_EQ(pread(old.get(), text, 5, 0), 5);
  EXPECT_STREQ(text, "first") << "who has the old one open keeps it";
}

TEST_P(MountSharedTest, ContentOfTheSameSize) {
  ASSERT_EQ(ReadFile(Path("a")), "first");
  tree_.Do(kWrite);
  EXPECT_EQ(ReadFile(Path("a")), "FIRST");
}

TEST_P(MountSharedTest, ContentOfAnOpenFile) {
  const UniqueFd fd = Open(Path("a"), O_RDONLY);
  char text[6] = {};
  ASSERT_EQ(pread(fd.get(), text, 5, 0), 5);
  ASSERT_STREQ(text, "first");
  tree_.Do(kWrite);
  ASSERT_EQ(pread(fd.get(), text, 5, 0), 5);
  EXPECT_STREQ(text, "FIRST");
}

TEST_P(MountSharedTest, Times) {
  const timespec before = StatOf(Path("a")).st_mtim;
  tree_.Do(kWrite);
  const timespec after = StatOf(Path("a")).st_mtim;
  EXPECT_NE(std::pair(before.tv_sec, before.tv_nsec), std::pair(after.tv_sec, after.tv_nsec));
}

TEST_P(MountSharedTest, Lists) {
  ASSERT_THAT(List(Path("")), UnorderedElementsAre("a"));
  ASSERT_THAT(List(Path("")), UnorderedElementsAre("a"));
  tree_.Do(kMakeLink);
  EXPECT_THAT(List(Path("")), UnorderedElementsAre("a", "link"));
  tree_.Do(kRemove);
  EXPECT_THAT(List(Path("")), UnorderedElementsAre("link"));
}

// A listing takes several requests, each of which says where it goes on.
TEST_P(MountSharedTest, LongLists) {
  std::multiset<std::string> names = {"a"};
  for (int i = 0; i < 2000; ++i) {
    names.insert("file" + std::to_string(i));
    ASSERT_TRUE(Open(Path("file" + std::to_string(i)), O_WRONLY | O_CREAT).valid());
  }
  EXPECT_EQ(List(Path("")), names);

  DIR* dir = opendir(Path("").c_str());
  for (int i = 0; i < 1500; ++i) ASSERT_NE(readdir(dir), nullptr);
  const long place = telldir(dir);
  const std::string next = readdir(dir)->d_name;
  int rest = 1;
  while (readdir(dir) != nullptr) ++rest;
  EXPECT_EQ(rest, 2003 - 1500);
  tree_.Do(kMakeLink);
  seekdir(dir, place);
  EXPECT_EQ(readdir(dir)->d_name, next);
  rewinddir(dir);
  int all = 0;
  while (readdir(dir) != nullptr) ++all;
  EXPECT_EQ(all, 2004) << "begun anew, it has the new name";
  closedir(dir);
}

TEST_P(MountSharedTest, ListsEndWhoeverRenames) {
  DIR* dir = opendir(Path("").c_str());
  int seen = 0;
  while (const dirent* entry = readdir(dir)) {
    ASSERT_LE(++seen, 10);
    const std::string name = entry->d_name;
    if (name[0] == '.') continue;
    ASSERT_EQ(rename(Path(name).c_str(), Path(name + "x").c_str()), 0);
  }
  closedir(dir);
}

TEST_P(MountSharedTest, Links) {
  tree_.Do(kMakeLink);
  char target[2] = {};
  ASSERT_EQ(readlink(Path("link").c_str(), target, 2), 1);
  ASSERT_EQ(target[0], 'a');
  tree_.Do(kReplaceLink);
  ASSERT_EQ(readlink(Path("link").c_str(), target, 2), 1);
  EXPECT_EQ(target[0], 'b');
}

// The rest of the tree is cached as ever.
TEST_P(MountSharedTest, OtherFilesystemsStayCached) {
  ASSERT_TRUE(WriteFile(tree_ / "mine", "x"));
  ASSERT_EQ(StatOf(tree_ / "mine").st_size, 1);
  const auto requests = [&] {
    const auto by_opcode = tree_.Count().stats.by_opcode;
    return by_opcode[FUSE_LOOKUP] + by_opcode[FUSE_GETATTR];
  };
  const uint64_t before = requests();
  for (int i = 0; i < 10; ++i) ASSERT_EQ(StatOf(tree_ / "mine").st_size, 1);
  EXPECT_EQ(requests(), before);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(StatOf(Path("a")).st_size, 5);
  EXPECT_GE(requests(), before + 10);
}

}  // namespace
}  // namespace stasis::fuse
