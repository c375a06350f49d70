// SPDX-License-Identifier: Apache-2.0
//
// Open and deleted files across a save and restore.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::AsBytes;
using stasis::testing::ReadAll;
using stasis::testing::TestVfs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using vfs::FileDescription;

class OpenFilesTest : public ::testing::Test {
 protected:
  // Opens `path`, saves, restores, and returns what became of the open file.
  RefPtr<FileDescription> Through(RefPtr<FileDescription> file) {
    t_.Hold("file", std::move(file));
    t_.SaveAndRestore();
    return t_.Held<FileDescription>("file");
  }
  std::string ReadSome(FileDescription& file, size_t size) {
    std::string out(size, '\0');
    const auto n = file.Read(std::as_writable_bytes(std::span(out)));
    EXPECT_TRUE(n) << ErrnoName(n.error());
    out.resize(n ? *n : 0);
    return out;
  }

  TestVfs t_;
};

TEST_F(OpenFilesTest, HalfReadFileGoesOnWhereItWas) {
  t_.Write("/f", "hello world");
  auto file = t_.Open("/f", O_RDONLY);
  EXPECT_EQ(ReadSome(*file, 6), "hello ");
  file = Through(std::move(file));
  ASSERT_TRUE(file);
  EXPECT_EQ(ReadSome(*file, 100), "world");
  EXPECT_EQ(file->PWrite(0, AsBytes("x")).error(), Errno(EBADF));
}

TEST_F(OpenFilesTest, HalfWrittenFileGoesOnWhereItWas) {
  auto file = t_.Open("/f", O_RDWR | O_CREAT);
  ASSERT_TRUE(file->Write(AsBytes("one ")));
  file = Through(std::move(file));
  ASSERT_TRUE(file->Write(AsBytes("two")));
  EXPECT_EQ(t_.Read("/f"), "one two");
}

TEST_F(OpenFilesTest, ProgramThatRunsIsNotWritten) {
  t_.Write("/f", "#!");
  t_.Set("/f", {.mode = 0755});
  const auto open = [this](const vfs::OpenOptions& options) {
    return t_.vfs().OpenAt(t_.creds(), t_.At("/f"), options);
  };
  auto program = Through(*open({.execute = true}));
  EXPECT_TRUE(program->executing());
  EXPECT_EQ(open({.flags = O_WRONLY}).error(), Errno(ETXTBSY));
  t_.Release("file");
  program.reset();
  program = Through(*open({.flags = O_WRONLY}));
  EXPECT_EQ(open({.execute = true}).error(), Errno(ETXTBSY));
}

TEST_F(OpenFilesTest, AppendStaysAppend) {
  t_.Write("/f", "start");
  auto file = Through(t_.Open("/f", O_WRONLY | O_APPEND));
  t_.WriteAt("/f", 5, "-middle");
  ASSERT_TRUE(file->Write(AsBytes("-end")));
  EXPECT_EQ(t_.Read("/f"), "start-middle-end");
  EXPECT_NE(file->status_flags() & O_APPEND, 0);
}

TEST_F(OpenFilesTest, UnlinkedFileKeepsItsDataAndGoesWithItsLastHolder) {
  t_.Write("/f", "gone but open");
  auto file = t_.Open("/f", O_RDWR);
  t_.Unlink("/f");
  file = Through(std::move(file));
  EXPECT_FALSE(t_.Exists("/f"));
  EXPECT_EQ(ReadAll(*file), "gone but open");
  EXPECT_EQ(file->GetStat()->nlink, 0u);
  ASSERT_TRUE(file->PWrite(0, AsBytes("back")));
  EXPECT_EQ(ReadAll(*file), "back but open");
}

TEST_F(OpenFilesTest, NewFileOfAnUnlinkedNameIsAnother) {
  t_.Write("/f", "old");
  auto file = t_.Open("/f", O_RDONLY);
  t_.Unlink("/f");
  t_.Write("/f", "new");
  file = Through(std::move(file));
  EXPECT_EQ(ReadAll(*file), "old");
  EXPECT_EQ(t_.Read("/f"), "new");
}

TEST_F(OpenFilesTest, TwoLinksBothUnlinkedStayOneFile) {
  t_.Write("/a", "x");
  t_.Link("/a", "/b");
  auto a = t_.Open("/a", O_RDWR);
  t_.Hold("b", t_.Open("/b", O_RDWR));
  t_.Unlink("/a");
  t_.Unlink("/b");
  a = Through(std::move(a));
  const auto b = t_.Held<FileDescription>("b");
  ASSERT_TRUE(a->PWrite(0, AsBytes("shared")));
  EXPECT_EQ(ReadAll(*b), "shared");
}

TEST_F(OpenFilesTest, UnlinkedFileInAnUnlinkedDirectory) {
  t_.Mkdir("/d");
  t_.Mkdir("/d/e");
  t_.Write("/d/e/f", "deep");
  auto file = t_.Open("/d/e/f", O_RDONLY);
  t_.Unlink("/d/e/f");
  t_.Rmdir("/d/e");
  t_.Rmdir("/d");
  file = Through(std::move(file));
  EXPECT_EQ(ReadAll(*file), "deep");
  EXPECT_THAT(t_.List("/"), IsEmpty());
}

TEST_F(OpenFilesTest, UnlinkedDirectoryStaysDead) {
  t_.Mkdir("/d");
  auto dir = t_.Open("/d", O_RDONLY | O_DIRECTORY);
  t_.Rmdir("/d");
  dir = Through(std::move(dir));
  EXPECT_EQ(dir->GetStat()->nlink, 0u);
  const vfs::VirtualDentry at = dir->at();
  EXPECT_EQ(t_.vfs().MkdirAt(t_.creds(), {t_.root(), at, "x"}, 0755).error(), Errno(ENOENT));
}

TEST_F(OpenFilesTest, UnlinkedFifoSocketAndSymlinkStay) {
  t_.Mknod("/p", S_IFIFO | 0600);
  t_.Mknod("/s", S_IFSOCK | 0600);
  t_.Symlink("/l", "target");
  t_.Hold("s", t_.Open("/s", O_PATH));
  t_.Hold("l", t_.Open("/l", O_PATH | O_NOFOLLOW));
  auto fifo = t_.Open("/p", O_PATH);
  for (const char* name : {"/p", "/s", "/l"}) t_.Unlink(name);
  fifo = Through(std::move(fifo));
  EXPECT_TRUE(S_ISFIFO(fifo->GetStat()->mode));
  EXPECT_TRUE(S_ISSOCK(t_.Held<FileDescription>("s")->GetStat()->mode));
  const auto link = t_.Held<FileDescription>("l");
  EXPECT_EQ(link->inode().ReadLink().value(), "target");
  EXPECT_NE(link->status_flags() & O_PATH, 0);
}

TEST_F(OpenFilesTest, FileWhoseModeForbidsTheReopenStaysOpen) {
  auto file = t_.Open("/f", O_WRONLY | O_CREAT, 0444);
  file = Through(std::move(file));
  ASSERT_TRUE(file->Write(AsBytes("still")));
  EXPECT_EQ(t_.Read("/f"), "still");
}

TEST_F(OpenFilesTest, SharedDescriptionHasOneOffset) {
  t_.Write("/f", "abcdef");
  auto file = t_.Open("/f", O_RDONLY);
  t_.Hold("duplicate", file);
  file = Through(std::move(file));
  const auto duplicate = t_.Held<FileDescription>("duplicate");
  EXPECT_EQ(file, duplicate);
  EXPECT_EQ(ReadSome(*file, 3), "abc");
  EXPECT_EQ(ReadSome(*duplicate, 3), "def");
}

TEST_F(OpenFilesTest, HalfReadDirectoryGoesOn) {
  for (const char* name : {"/a", "/b", "/c", "/d"}) t_.Write(name, "");
  auto dir = t_.Open("/", O_RDONLY | O_DIRECTORY);
  std::vector<std::string> names;
  const auto some = [&](size_t limit) {
    ASSERT_TRUE(dir->ReadDirectory([&](const vfs::DirectoryEntry& entry) {
      if (names.size() >= limit) return false;
      names.emplace_back(entry.name);
      return true;
    }));
  };
  some(4);
  dir = Through(std::move(dir));
  t_.Unlink("/c");
  some(100);
  EXPECT_THAT(names, ElementsAre(".", "..", "a", "b", "d"));
}

}  // namespace
}  // namespace stasis::restore
