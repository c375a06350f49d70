// SPDX-License-Identifier: Apache-2.0
//
// Names through a real mount: directories, links, renames.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <limits>

#include "tests/cmd/fuse/file_system_calls.h"
#include "tests/cmd/fuse/mounted_tree.h"

namespace stasis::fuse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class MountNamesTest : public testing::Test {
 protected:
  int Rename(const std::string& from, const std::string& to, unsigned flags = 0) {
    return ErrorOf(
        renameat2(AT_FDCWD, (tree_ / from).c_str(), AT_FDCWD, (tree_ / to).c_str(), flags));
  }
  int Mkdir(const std::string& name) { return ErrorOf(mkdir((tree_ / name).c_str(), 0755)); }
  int Link(const std::string& from, const std::string& to) {
    return ErrorOf(link((tree_ / from).c_str(), (tree_ / to).c_str()));
  }
  int Unlink(const std::string& name) { return ErrorOf(unlink((tree_ / name).c_str())); }
  int Rmdir(const std::string& name) { return ErrorOf(rmdir((tree_ / name).c_str())); }

  MountedTree tree_;
};

TEST_F(MountNamesTest, DirectoriesAreMadeAndRemoved) {
  EXPECT_EQ(Mkdir("d"), 0);
  EXPECT_EQ(Mkdir("d"), EEXIST);
  EXPECT_EQ(Mkdir("d/e"), 0);
  EXPECT_EQ(StatOf(tree_ / "d").st_nlink, 3u);
  EXPECT_EQ(Rmdir("d"), ENOTEMPTY);
  EXPECT_EQ(Unlink("d/e"), EISDIR);
  EXPECT_EQ(Rmdir("d/e"), 0);
  EXPECT_EQ(StatOf(tree_ / "d").st_nlink, 2u);
  EXPECT_EQ(Rmdir("d"), 0);
  EXPECT_THAT(List(tree_.path()), IsEmpty());
}

TEST_F(MountNamesTest, MissingNamesAreRemembered) {
  EXPECT_EQ(StatOf(tree_ / "a").st_mode, 0u);
  const uint64_t before = tree_.Count().stats.requests;
  EXPECT_EQ(StatOf(tree_ / "a").st_mode, 0u);
  EXPECT_EQ(tree_.Count().stats.requests, before);
  ASSERT_TRUE(WriteFile(tree_ / "a", ""));
  EXPECT_NE(StatOf(tree_ / "a").st_mode, 0u);
}

TEST_F(MountNamesTest, AttributesAreRemembered) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  StatOf(tree_ / "a");
  const uint64_t before = tree_.Count().stats.requests;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(StatOf(tree_ / "a").st_size, 1);
  EXPECT_EQ(tree_.Count().stats.requests, before);
}

TEST_F(MountNamesTest, RenameReplaces) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "a"));
  ASSERT_TRUE(WriteFile(tree_ / "b", "b"));
  UniqueFd old = Open(tree_ / "b", O_RDONLY);
  EXPECT_EQ(Rename("a", "b"), 0);
  EXPECT_THAT(List(tree_.path()), ElementsAre("b"));
  EXPECT_EQ(ReadFile(tree_ / "b"), "a");
  char c = 0;
  EXPECT_EQ(read(old.get(), &c, 1), 1);
  EXPECT_EQ(c, 'b');
}

TEST_F(MountNamesTest, RenameFlags) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "a"));
  ASSERT_EQ(Mkdir("d"), 0);
  ASSERT_TRUE(WriteFile(tree_ / "d/b", "b"));
  EXPECT_EQ(Rename("a", "d/b", RENAME_NOREPLACE), EEXIST);
  EXPECT_EQ(Rename("a", "d/b", RENAME_EXCHANGE), 0);
  EXPECT_EQ(ReadFile(tree_ / "a"), "b");
  EXPECT_EQ(ReadFile(tree_ / "d/b"), "a");
  EXPECT_EQ(Rename("a", "c", RENAME_NOREPLACE), 0);
  EXPECT_EQ(Rename("c", "missing", RENAME_EXCHANGE), ENOENT);
  EXPECT_EQ(Rename("c", "w", RENAME_WHITEOUT), 0);
  EXPECT_THAT(List(tree_.path()), ElementsAre("c", "d", "w"));
  EXPECT_TRUE(S_ISCHR(StatOf(tree_ / "c").st_mode));
  EXPECT_EQ(StatOf(tree_ / "c").st_rdev, makedev(0, 0));
}

TEST_F(MountNamesTest, RenameOfDirectories) {
  ASSERT_EQ(Mkdir("d"), 0);
  ASSERT_EQ(Mkdir("d/e"), 0);
  ASSERT_TRUE(WriteFile(tree_ / "d/e/f", "f"));
  EXPECT_EQ(Rename("d", "d/e/x"), EINVAL);
  ASSERT_EQ(Mkdir("other"), 0);
  EXPECT_EQ(Rename("d/e", "other"), 0);
  EXPECT_EQ(ReadFile(tree_ / "other/f"), "f");
  EXPECT_EQ(Rename("d", "other"), ENOTEMPTY);
  EXPECT_EQ(StatOf(tree_ / "d").st_nlink, 2u);
}

TEST_F(MountNamesTest, HardLinks) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "one"));
  ASSERT_EQ(Link("a", "b"), 0);
  EXPECT_EQ(StatOf(tree_ / "a").st_ino, StatOf(tree_ / "b").st_ino);
  EXPECT_EQ(StatOf(tree_ / "a").st_nlink, 2u);
  ASSERT_TRUE(WriteFile(tree_ / "b", "two"));
  EXPECT_EQ(ReadFile(tree_ / "a"), "two");
  EXPECT_EQ(Unlink("a"), 0);
  EXPECT_EQ(StatOf(tree_ / "b").st_nlink, 1u);
  EXPECT_EQ(Link("a", "c"), ENOENT);
}

// The kernel may know a file by a name that is gone while another is left.
TEST_F(MountNamesTest, LinkOfAFileWhoseFirstNameIsGone) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "one"));
  ASSERT_EQ(Link("a", "b"), 0);
  ASSERT_EQ(Unlink("a"), 0);
  EXPECT_EQ(Link("b", "c"), 0);
  EXPECT_EQ(ReadFile(tree_ / "c"), "one");
  EXPECT_EQ(StatOf(tree_ / "c").st_nlink, 2u);
}

TEST_F(MountNamesTest, LinkOfADeletedFile) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "one"));
  UniqueFd fd = Open(tree_ / "a", O_RDONLY);
  ASSERT_EQ(Unlink("a"), 0);
  const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
  EXPECT_EQ(
      ErrorOf(linkat(AT_FDCWD, self.c_str(), AT_FDCWD, (tree_ / "b").c_str(), AT_SYMLINK_FOLLOW)),
      ENOENT);
}

TEST_F(MountNamesTest, SymbolicLinks) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "target"));
  ASSERT_EQ(symlink("a", (tree_ / "l").c_str()), 0);
  EXPECT_EQ(ReadFile(tree_ / "l"), "target");
  char buffer[100];
  EXPECT_EQ(readlink((tree_ / "l").c_str(), buffer, sizeof(buffer)), 1);
  EXPECT_TRUE(S_ISLNK(StatOf(tree_ / "l").st_mode));
  EXPECT_EQ(StatOf(tree_ / "l").st_size, 1);
  EXPECT_FALSE(Open(tree_ / "l", O_RDONLY | O_NOFOLLOW).valid());
  EXPECT_EQ(errno, ELOOP);
}

TEST_F(MountNamesTest, SpecialFiles) {
  ASSERT_EQ(mknod((tree_ / "fifo").c_str(), S_IFIFO | 0600, 0), 0);
  ASSERT_EQ(mknod((tree_ / "null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  EXPECT_TRUE(S_ISFIFO(StatOf(tree_ / "fifo").st_mode));
  EXPECT_EQ(StatOf(tree_ / "null").st_rdev, makedev(1, 3));
  UniqueFd null = Open(tree_ / "null", O_WRONLY);
  EXPECT_EQ(write(null.get(), "x", 1), 1);
  UniqueFd reader = Open(tree_ / "fifo", O_RDONLY | O_NONBLOCK);
  UniqueFd writer = Open(tree_ / "fifo", O_WRONLY);
  ASSERT_EQ(write(writer.get(), "x", 1), 1);
  char c = 0;
  EXPECT_EQ(read(reader.get(), &c, 1), 1);
}

// A node number is gone once the kernel forgets it, so a handle would be, too.
TEST_F(MountNamesTest, FileHandlesAreNotOffered) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  union {
    file_handle handle;
    char room[sizeof(file_handle) + MAX_HANDLE_SZ];
  } buffer;
  buffer.handle.handle_bytes = MAX_HANDLE_SZ;
  int mount_id = 0;
  EXPECT_EQ(
      ErrorOf(name_to_handle_at(AT_FDCWD, (tree_ / "a").c_str(), &buffer.handle, &mount_id, 0)),
      EOPNOTSUPP);
}

TEST_F(MountNamesTest, LongNames) {
  EXPECT_EQ(Mkdir(std::string(255, 'n')), 0);
  EXPECT_EQ(Mkdir(std::string(256, 'n')), ENAMETOOLONG);
  EXPECT_THAT(List(tree_.path()), ElementsAre(std::string(255, 'n')));
}

TEST_F(MountNamesTest, RemovedWorkingDirectory) {
  ASSERT_EQ(Mkdir("d"), 0);
  UniqueFd dir = Open(tree_ / "d", O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(Rmdir("d"), 0);
  EXPECT_EQ(ErrorOf(openat(dir.get(), "x", O_CREAT | O_RDWR, 0644)), ENOENT);
  EXPECT_EQ(ErrorOf(mkdirat(dir.get(), "x", 0755)), ENOENT);
  struct stat status;
  EXPECT_EQ(fstat(dir.get(), &status), 0);
  EXPECT_EQ(status.st_nlink, 0u);
}

TEST_F(MountNamesTest, ReaddirWhileRemoving) {
  constexpr int kFiles = 3000;
  for (int i = 0; i < kFiles; ++i) ASSERT_TRUE(WriteFile(tree_ / std::to_string(i), ""));
  DIR* dir = opendir(tree_.path().c_str());
  int seen = 0;
  while (const dirent* entry = readdir(dir)) {
    if (entry->d_name[0] == '.') continue;
    ++seen;
    EXPECT_EQ(Unlink(entry->d_name), 0) << entry->d_name;
  }
  closedir(dir);
  EXPECT_EQ(seen, kFiles);
  EXPECT_THAT(List(tree_.path()), IsEmpty());
}

TEST_F(MountNamesTest, ReaddirSeesNewFiles) {
  ASSERT_TRUE(WriteFile(tree_ / "a", ""));
  EXPECT_EQ(List(tree_.path()).size(), 1u);
  EXPECT_EQ(List(tree_.path()).size(), 1u) << "cached";
  ASSERT_TRUE(WriteFile(tree_ / "b", ""));
  EXPECT_EQ(List(tree_.path()).size(), 2u);
  ASSERT_EQ(Unlink("a"), 0);
  EXPECT_THAT(List(tree_.path()), ElementsAre("b"));
}

// A 32-bit program lists only what has positions of 31 bits.
TEST_F(MountNamesTest, PositionsHave31BitsAndGrow) {
  constexpr int kFiles = 1000;
  for (int i = 0; i < kFiles; ++i) ASSERT_TRUE(WriteFile(tree_ / std::to_string(i), ""));
  UniqueFd dir = Open(tree_.path(), O_RDONLY | O_DIRECTORY);
  for (const char* from : {"the server", "the kernel's cache"}) {
    int64_t position = 0;
    int seen = 0;
    alignas(dirent64) char buffer[4096];
    ASSERT_EQ(lseek(dir.get(), 0, SEEK_SET), 0);
    for (ssize_t n; (n = getdents64(dir.get(), buffer, sizeof(buffer))) > 0;) {
      for (ssize_t at = 0; at < n; ++seen) {
        const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
        EXPECT_GT(entry->d_off, position) << from << ": " << entry->d_name;
        position = entry->d_off;
        at += entry->d_reclen;
      }
    }
    EXPECT_EQ(seen, 2 + kFiles) << from;
    EXPECT_LE(position, std::numeric_limits<int32_t>::max()) << from;
  }
}

TEST_F(MountNamesTest, ADirectoryOfAHundredThousand) {
  constexpr int kFiles = 100'000;
  ASSERT_EQ(Mkdir("d"), 0);
  UniqueFd dir = Open(tree_ / "d", O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < kFiles; ++i) {
    ASSERT_EQ(mknodat(dir.get(), std::to_string(i).c_str(), S_IFREG | 0644, 0), 0);
  }
  const std::multiset<std::string> names = List(tree_ / "d");
  EXPECT_EQ(names.size(), size_t{kFiles});
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), size_t{kFiles});
}

}  // namespace
}  // namespace stasis::fuse
