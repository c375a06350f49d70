// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/import.h"

#include <sys/fsuid.h>
#include <sys/mount.h>

#include "tests/restore/transfer/host_tree_fixture.h"

namespace stasis::restore {
namespace {

using stasis::testing::WriteHostFile;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using ImportTest = HostTreeTest;

TEST_F(ImportTest, KeepsEveryAttribute) {
  FillRich();
  const TransferReport report = Import();
  EXPECT_THAT(report.warnings, IsEmpty()) << report.ToText();
  CompareOptions options = Strict();
  options.ctime = true;
  options.btime = true;
  const auto compared = CompareWithVfs(tree_, t_.vfs(), t_.root(), options);
  ASSERT_TRUE(compared.ok()) << compared.status();
  EXPECT_TRUE(compared->equal()) << compared->ToText();
  EXPECT_EQ(report.hard_links, 2u);
  EXPECT_EQ(report.files, compared->files);
}

TEST_F(ImportTest, ReadingDoesNotTouchAccessTimes) {
  WriteHostFile(In("f"), "x");
  SetTimes("f", {100, 5}, {200, 6});
  Import();
  struct stat st = {};
  ASSERT_EQ(::stat(In("f").c_str(), &st), 0);
  EXPECT_EQ(st.st_atim.tv_sec, 100);
}

TEST_F(ImportTest, SymlinksAreCopiedNotFollowed) {
  ASSERT_EQ(::symlink("/etc", In("etc").c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd", In("passwd").c_str()), 0);
  Import();
  EXPECT_EQ(t_.ReadLink("/etc"), "/etc");
  EXPECT_EQ(t_.ReadLink("/passwd"), "/etc/passwd");
}

TEST_F(ImportTest, OwnersAreMapped) {
  WriteHostFile(In("mine"), "");
  WriteHostFile(In("other"), "");
  ASSERT_EQ(::chown(In("mine").c_str(), 1000, 1000), 0);
  ASSERT_EQ(::chown(In("other").c_str(), 1001, 5), 0);
  ImportOptions options;
  options.owners = OwnerMap::ToRoot(1000, 1000);
  Import(options);
  EXPECT_EQ(t_.Stat("/mine").uid, 0u);
  EXPECT_EQ(t_.Stat("/mine").gid, 0u);
  EXPECT_EQ(t_.Stat("/other").uid, 1001u);
}

TEST_F(ImportTest, OneFileSystemLeavesMountPointsEmpty) {
  ASSERT_EQ(::mkdir(In("mnt").c_str(), 0755), 0);
  ASSERT_EQ(::mount("none", In("mnt").c_str(), "tmpfs", 0, ""), 0) << std::strerror(errno);
  WriteHostFile(In("mnt/inside"), "");
  ImportOptions options;
  options.one_file_system = true;
  Import(options);
  EXPECT_THAT(t_.List("/mnt"), IsEmpty());
  ::umount2(In("mnt").c_str(), MNT_DETACH);
}

TEST_F(ImportTest, MissingDirectoryIsNotFound) {
  const auto report = ImportDirectory(scratch_ / "nowhere", t_.vfs(), t_.root());
  EXPECT_EQ(report.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(report.status().message()), HasSubstr("nowhere"));
}

TEST_F(ImportTest, FullFilesystemStopsWithTheNameOfTheFile) {
  WriteHostFile(In("big"), std::string(100'000, 'b'));
  memfs::MemfsOptions options;
  options.size_limit = 50'000;
  stasis::testing::TestVfs small(options);
  const auto report = ImportDirectory(tree_, small.vfs(), small.root());
  EXPECT_EQ(report.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(report.status().message()), HasSubstr("big"));
}

TEST_F(ImportTest, UnreadableFilesAreListedOrLeftOut) {
  WriteHostFile(In("good"), "g");
  WriteHostFile(In("secret"), "s");
  ASSERT_EQ(::mkdir(In("closed").c_str(), 0), 0);
  ASSERT_EQ(::chmod(In("secret").c_str(), 0), 0);
  ASSERT_EQ(::chmod(tree_.c_str(), 0755), 0);
  ASSERT_EQ(::chmod(scratch_.path().c_str(), 0755), 0);
  // As somebody who may not read everything.
  ::setfsuid(65534);
  const auto failed = ImportDirectory(tree_, t_.vfs(), t_.root());
  stasis::testing::TestVfs again;
  ImportOptions options;
  options.ignore_errors = true;
  const auto partial = ImportDirectory(tree_, again.vfs(), again.root(), options);
  ::setfsuid(0);
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(std::string(failed.status().message()),
              AllOf(HasSubstr("2 of "), HasSubstr("secret: cannot open: Permission denied"),
                    HasSubstr("closed: ")));
  ASSERT_TRUE(partial.ok()) << partial.status();
  EXPECT_EQ(partial->errors.size(), 2u);
  EXPECT_EQ(again.Read("/good"), "g");
  EXPECT_FALSE(again.Exists("/secret"));
}

TEST_F(ImportTest, TreeDeeperThanPathMax) {
  int dir = ::open(tree_.c_str(), O_PATH);
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(::mkdirat(dir, "deep", 0755), 0);
    const int next = ::openat(dir, "deep", O_PATH);
    ::close(dir);
    dir = next;
  }
  ::close(dir);
  const TransferReport report = Import();
  EXPECT_EQ(report.directories, 3001u);
  Export(scratch_ / "out");
  const auto compared = CompareDirectories(tree_, scratch_ / "out");
  ASSERT_TRUE(compared.ok()) << compared.status();
  EXPECT_TRUE(compared->equal()) << compared->ToText();
  EXPECT_EQ(compared->files, 3001u);
}

TEST_F(ImportTest, CancelStops) {
  WriteHostFile(In("f"), "x");
  std::atomic<bool> cancel = true;
  ImportOptions options;
  options.cancel = &cancel;
  const auto report = ImportDirectory(tree_, t_.vfs(), t_.root(), options);
  EXPECT_EQ(report.status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace stasis::restore
