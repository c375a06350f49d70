// SPDX-License-Identifier: Apache-2.0
//
// A directory of the host through a real mount: what programs on the mount and those on the host
// see of each other.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "fsimpl/gofer/filesystem.h"
#include "tests/cmd/fuse/file_system_calls.h"
#include "tests/cmd/fuse/mounted_tree.h"
#include "tests/testing/scratch_dir.h"

namespace stasis::fuse {
namespace {

using ::testing::UnorderedElementsAre;

class MountGoferTest : public ::testing::Test {
 protected:
  explicit MountGoferTest(gofer::Interop interop = gofer::Interop::kExclusive)
      : tree_(
            60, {}, {.prepare = [this, interop](TestTree& tree) {
              tree.MakeDirectory("host");
              const vfs::VirtualDentry root = tree.root();
              auto fs = gofer::GoferFilesystem::Create(
                  *tree.vfs(), {.root = "data", .directory = scratch_.path(), .interop = interop});
              if (!fs.ok() ||
                  !tree.vfs()->MountAt(tree.creds(), tree.mounts(), {root, root, "host"}, *fs, {}))
                abort();
            }}) {}

  std::string Host(const std::string& name) { return scratch_ / name; }
  std::string Path(const std::string& name) { return tree_ / ("host/" + name); }
  uint64_t DataRequests() {
    const auto by_opcode = tree_.Count().stats.by_opcode;
    return by_opcode[FUSE_READ] + by_opcode[FUSE_WRITE];
  }

  stasis::testing::ScratchDir scratch_;
  MountedTree tree_;
};

TEST_F(MountGoferTest, TheKernelReadsAndWritesTheHostsFile) {
  UniqueFd fd = Open(Path("a"), O_RDWR | O_CREAT);
  ASSERT_EQ(write(fd.get(), "hello", 5), 5);
  EXPECT_EQ(StatOf(Path("a")).st_size, 5);
  ASSERT_TRUE(WriteFile(Path("b"), "world"));
  EXPECT_EQ(ReadFile(Path("b")), "world");
  EXPECT_EQ(stasis::testing::ReadHostFile(Host("a")), "hello");
  EXPECT_EQ(StatOf(Path("a")).st_mtim.tv_nsec, StatOf(Host("a")).st_mtim.tv_nsec);
  EXPECT_EQ(DataRequests(), 0u);
}

TEST_F(MountGoferTest, AListingTellsTheAttributesOfFilesNotSeenBefore) {
  for (int i = 0; i < 50; ++i) {
    const std::string name = "f" + std::to_string(i);
    stasis::testing::WriteHostFile(Host(name), "four");
    std::filesystem::permissions(Host(name), std::filesystem::perms(0640));
  }
  std::filesystem::create_symlink("f1", Host("link"));
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(Path(""))) {
    const struct stat stat = StatOf(entry.path());
    if (S_ISLNK(stat.st_mode)) continue;
    EXPECT_EQ(stat.st_mode, S_IFREG | 0640u) << entry.path();
    EXPECT_EQ(stat.st_size, 4) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 50);
  EXPECT_EQ(std::filesystem::read_symlink(Path("link")), "f1");
}

TEST_F(MountGoferTest, AReaderStaysWhenAWriterComes) {
  stasis::testing::WriteHostFile(Host("a"), "hello");
  UniqueFd reader = Open(Path("a"), O_RDONLY);
  UniqueFd writer = Open(Path("a"), O_WRONLY | O_APPEND);
  ASSERT_EQ(write(writer.get(), " world", 6), 6);
  char text[12] = {};
  ASSERT_EQ(pread(reader.get(), text, 11, 0), 11);
  EXPECT_STREQ(text, "hello world");
  EXPECT_EQ(DataRequests(), 0u);
}

TEST_F(MountGoferTest, DeletedFileThatIsOpen) {
  UniqueFd fd = Open(Path("a"), O_RDWR | O_CREAT);
  ASSERT_EQ(write(fd.get(), "hello", 5), 5);
  ASSERT_EQ(unlink(Path("a").c_str()), 0);
  UniqueFd again = Open("/proc/self/fd/" + std::to_string(fd.get()), O_RDONLY);
  char text[6] = {};
  ASSERT_EQ(read(again.get(), text, 5), 5);
  EXPECT_STREQ(text, "hello");
  struct stat status;
  ASSERT_EQ(fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, 5);
}

TEST_F(MountGoferTest, ListsAreTheHosts) {
  for (int i = 0; i < 300; ++i)
    stasis::testing::WriteHostFile(Host("file" + std::to_string(i)), "x");
  EXPECT_EQ(List(Path("")).size(), 300u);
  ASSERT_TRUE(WriteFile(Path("more"), ""));
  EXPECT_EQ(List(Path("")).size(), 301u);
}

class MountSharedGoferTest : public MountGoferTest {
 protected:
  MountSharedGoferTest() : MountGoferTest(gofer::Interop::kShared) {}
};

TEST_F(MountSharedGoferTest, ChangesOnTheHostAreSeenAtOnce) {
  EXPECT_EQ(ReadFile(Path("a")), "(missing)");
  stasis::testing::WriteHostFile(Host("a"), "first");
  EXPECT_EQ(ReadFile(Path("a")), "first");
  stasis::testing::WriteHostFile(Host("a"), "FIRST");
  EXPECT_EQ(ReadFile(Path("a")), "FIRST");
  EXPECT_EQ(StatOf(Path("a")).st_size, 5);
  stasis::testing::WriteHostFile(Host("a"), "longer than before");
  EXPECT_EQ(StatOf(Path("a")).st_size, 18);
  ASSERT_EQ(chmod(Host("a").c_str(), 0600), 0);
  EXPECT_EQ(StatOf(Path("a")).st_mode & 07777, 0600u);
  ASSERT_EQ(unlink(Host("a").c_str()), 0);
  EXPECT_EQ(ReadFile(Path("a")), "(missing)");
}

TEST_F(MountSharedGoferTest, NamesBecomeOtherFiles) {
  std::filesystem::create_directories(Host("d/e"));
  stasis::testing::WriteHostFile(Host("d/e/f"), "old");
  EXPECT_EQ(ReadFile(Path("d/e/f")), "old");
  std::filesystem::rename(Host("d"), Host("moved"));
  std::filesystem::create_directories(Host("d/e"));
  stasis::testing::WriteHostFile(Host("d/e/f"), "new");
  EXPECT_EQ(ReadFile(Path("d/e/f")), "new");
  EXPECT_EQ(ReadFile(Path("moved/e/f")), "old");
  EXPECT_THAT(List(Path("")), UnorderedElementsAre("d", "moved"));
  std::filesystem::remove_all(Host("d"));
  std::filesystem::create_symlink("moved", Host("d"));
  EXPECT_EQ(ReadFile(Path("d/e/f")), "old");
  std::filesystem::remove(Host("d"));
  std::filesystem::create_symlink("nowhere", Host("d"));
  EXPECT_EQ(ReadFile(Path("d/e/f")), "(missing)");
}

TEST_F(MountSharedGoferTest, ListsFollow) {
  EXPECT_THAT(List(Path("")), UnorderedElementsAre());
  stasis::testing::WriteHostFile(Host("a"), "");
  stasis::testing::WriteHostFile(Host("b"), "");
  EXPECT_THAT(List(Path("")), UnorderedElementsAre("a", "b"));
  std::filesystem::rename(Host("a"), Host("c"));
  EXPECT_THAT(List(Path("")), UnorderedElementsAre("b", "c"));
}

}  // namespace
}  // namespace stasis::fuse
