// SPDX-License-Identifier: Apache-2.0
//
// States that exist only as long as somebody holds them, and shapes of files that are easily lost;
// beside open_files_test.cc and locks_and_watches_test.cc. docs/testing.md has the whole list.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>

#include <map>

#include "tests/testing/errno_matchers.h"
#include "tests/testing/mount_tree.h"
#include "tests/testing/record_lock.h"
#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::AsBytes;
using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MountTreeTest;
using stasis::testing::ReadAll;
using stasis::testing::RecordLock;
using stasis::testing::TestVfs;
using vfs::FileDescription;

class HeldStatesTest : public ::testing::Test {
 protected:
  RefPtr<FileDescription> File(const std::string& name) { return t_.Held<FileDescription>(name); }

  TestVfs t_;
};

TEST_F(HeldStatesTest, UnlinkedNameOfAFileThatHasAnother) {
  t_.Write("/a", "one file");
  t_.Link("/a", "/b");
  t_.Hold("file", t_.Open("/a", O_RDWR));
  t_.Unlink("/a");
  t_.SaveAndRestore();
  EXPECT_FALSE(t_.Exists("/a"));
  EXPECT_EQ(File("file")->GetStat()->nlink, 1u);
  EXPECT_EQ(File("file")->GetStat()->ino, t_.Stat("/b").ino);
  ASSERT_TRUE(File("file")->PWrite(0, AsBytes("ONE")));
  EXPECT_EQ(t_.Read("/b"), "ONE file");
  // Its last name goes later, with the file still open.
  t_.Unlink("/b");
  t_.SaveAndRestore();
  EXPECT_EQ(File("file")->GetStat()->nlink, 0u);
  EXPECT_EQ(ReadAll(*File("file")), "ONE file");
}

// A lock is the description's, whoever has it: a program and the child that inherited it.
TEST_F(HeldStatesTest, LocksOfAnInheritedDescriptionGoWithItsLastHolder) {
  t_.Write("/f", "0123456789");
  t_.Hold("parent", t_.Open("/f", O_RDWR));
  t_.Hold("child", File("parent"));
  t_.Hold("other", t_.Open("/f", O_RDWR));
  ASSERT_THAT(File("parent")->Flock(LOCK_EX), IsOk());
  ASSERT_THAT(File("child")->SetOpenFileLock(RecordLock(F_WRLCK, 2, 3)), IsOk());
  t_.SaveAndRestore();
  EXPECT_EQ(File("parent"), File("child"));
  t_.Release("parent");
  EXPECT_THAT(File("other")->Flock(LOCK_SH), IsErrno(EAGAIN));
  EXPECT_THAT(File("other")->SetOpenFileLock(RecordLock(F_RDLCK, 4, 1)), IsErrno(EAGAIN));
  t_.SaveAndRestore();
  t_.Release("child");
  EXPECT_THAT(File("other")->Flock(LOCK_EX), IsOk());
  EXPECT_THAT(File("other")->SetOpenFileLock(RecordLock(F_WRLCK, 0, 0)), IsOk());
}

TEST_F(HeldStatesTest, ManyHolesStayHoles) {
  constexpr uint64_t kPage = 4096;
  constexpr int kPieces = 2000;
  for (int i = 0; i < kPieces; ++i)
    t_.WriteAt("/f", static_cast<uint64_t>(i) * 3 * kPage, std::to_string(i));
  const uint64_t size = uint64_t{3} * kPage * kPieces + 17;
  t_.Truncate("/f", size);
  t_.Hold("file", t_.Open("/f", O_RDONLY));
  t_.Unlink("/f");
  const auto before = File("file")->GetStat();
  t_.SaveAndRestore();
  const RefPtr<FileDescription> file = File("file");
  EXPECT_EQ(file->GetStat()->blocks, before->blocks);
  EXPECT_EQ(file->GetStat()->size, size);
  for (int i = 0; i < kPieces; ++i) {
    const uint64_t at = static_cast<uint64_t>(i) * 3 * kPage;
    ASSERT_EQ(file->Seek(static_cast<int64_t>(at), SEEK_DATA).value(), at);
    ASSERT_EQ(file->Seek(static_cast<int64_t>(at), SEEK_HOLE).value(), at + kPage);
  }
  const std::string last = std::to_string(kPieces - 1);
  EXPECT_EQ(ReadAll(*file, uint64_t{3} * kPage * (kPieces - 1)).substr(0, last.size()), last);
}

class HeldMountsTest : public MountTreeTest {};

TEST_F(HeldMountsTest, BindOfADirectoryThatWasRemoved) {
  MakeDirectories({"/d", "/m"});
  ASSERT_THAT(MakeFile("/d/f"), IsOk());
  ASSERT_THAT(Bind("/d", "/m"), IsOk());
  ASSERT_THAT(Unlink("/d/f"), IsOk());
  ASSERT_THAT(Rmdir("/d"), IsOk());
  SaveAndRestore();
  EXPECT_FALSE(Exists("/d"));
  ASSERT_THAT(Stat("/m"), IsOk());
  EXPECT_EQ(Stat("/m")->nlink, 0u);
  EXPECT_THAT(MakeFile("/m/new"), IsErrno(ENOENT));
  ASSERT_THAT(Umount("/m"), IsOk());
  EXPECT_THAT(MakeFile("/m/new"), IsOk());
}

TEST_F(HeldMountsTest, BindOfAFileThatWasRemoved) {
  ASSERT_THAT(MakeFile("/f"), IsOk());
  ASSERT_THAT(MakeFile("/m"), IsOk());
  ASSERT_THAT((*Open("/f", O_WRONLY))->PWrite(0, AsBytes("gone")), IsOk());
  ASSERT_THAT(Bind("/f", "/m"), IsOk());
  ASSERT_THAT(Unlink("/f"), IsOk());
  SaveAndRestore();
  EXPECT_EQ(ReadAll(**Open("/m", O_RDONLY)), "gone");
  ASSERT_THAT(Umount("/m"), IsOk());
  EXPECT_EQ(ReadAll(**Open("/m", O_RDONLY)), "");
}

}  // namespace
}  // namespace stasis::restore
