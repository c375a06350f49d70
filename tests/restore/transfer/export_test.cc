// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/export.h"

#include <filesystem>

#include "tests/restore/transfer/host_tree_fixture.h"

namespace stasis::restore {
namespace {

using stasis::testing::WriteHostFile;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ExportTest : public HostTreeTest {
 protected:
  int Shell(const std::string& command) { return std::system(command.c_str()); }  // NOLINT

  // Unpacks with the host's tar.
  std::string Unpack(const std::string& archive) {
    const std::string out = scratch_ / "unpacked";
    EXPECT_EQ(::mkdir(out.c_str(), 0755), 0);
    EXPECT_EQ(Shell("tar -C " + out + " --xattrs --xattrs-include='*' -xpf " + archive), 0);
    return out;
  }
};

TEST_F(ExportTest, RoundTripKeepsEverything) {
  FillRich();
  Import();
  const TransferReport report = Export(scratch_ / "out");
  EXPECT_THAT(report.warnings, IsEmpty()) << report.ToText();
  const auto compared = CompareDirectories(tree_, scratch_ / "out", Strict());
  ASSERT_TRUE(compared.ok()) << compared.status();
  EXPECT_TRUE(compared->equal()) << compared->ToText();
}

TEST_F(ExportTest, EmptyDirectoryIsTakenFullOneIsNot) {
  t_.Write("/f", "x");
  const std::string out = scratch_ / "out";
  ASSERT_EQ(::mkdir(out.c_str(), 0700), 0);
  Export(out);
  const auto again = ExportDirectory(t_.vfs(), t_.root(), out);
  EXPECT_EQ(again.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(again.status().message()), HasSubstr("not empty"));
}

TEST_F(ExportTest, DirectoryWithoutParentIsNotFound) {
  const auto report = ExportDirectory(t_.vfs(), t_.root(), scratch_ / "no/such");
  EXPECT_EQ(report.status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ExportTest, DirectoriesThatForbidEverythingAreFilled) {
  t_.Mkdir("/locked", 0755);
  t_.Write("/locked/f", "x");
  vfs::SetStat set;
  set.mode = 0;
  t_.Set("/locked", set);
  Export(scratch_ / "out");
  struct stat st = {};
  ASSERT_EQ(::stat((scratch_ / "out/locked").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0u);
}

TEST_F(ExportTest, FilesOfAMountedFilesystemAreExportedWhereTheyAreSeen) {
  t_.Mkdir("/mnt");
  const auto other = memfs::MemFilesystem::Create(t_.vfs(), {});
  ASSERT_TRUE(t_.vfs().MountAt(t_.creds(), t_.ns(), t_.At("/mnt"), other, {}));
  t_.Write("/mnt/f", "mounted");
  Export(scratch_ / "out");
  EXPECT_EQ(stasis::testing::ReadHostFile(scratch_ / "out/mnt/f"), "mounted");
}

TEST_F(ExportTest, TarRoundTripKeepsEverythingButSockets) {
  FillRich();
  Import();
  const std::string archive = scratch_ / "tree.tar";
  const auto report = ExportTar(t_.vfs(), t_.root(), archive);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_THAT(report->warnings, SizeIs(1)) << report->ToText();
  EXPECT_EQ(report->warnings[0].path, "socket");
  EXPECT_LT(std::filesystem::file_size(archive), 10'000'000u);  // holes are not in it
  ASSERT_EQ(::unlink(In("socket").c_str()), 0);
  struct stat st = {};
  ASSERT_EQ(::stat(tree_.c_str(), &st), 0);
  CompareOptions options;
  options.holes = true;
  const std::string out = Unpack(archive);
  const auto compared = CompareDirectories(tree_, out, options);
  ASSERT_TRUE(compared.ok()) << compared.status();
  for (const Difference& difference : compared->differences) {
    // The root's time changed with the unlink above.
    EXPECT_EQ(difference.path, ".") << difference.ToText();
  }
}

TEST_F(ExportTest, TarIsCompleteOrNotThere) {
  t_.Write("/f", std::string(100'000, 'x'));
  const std::string missing = scratch_ / "no/dir.tar";
  EXPECT_FALSE(ExportTar(t_.vfs(), t_.root(), missing).ok());
  std::atomic<bool> cancel = true;
  ExportOptions options;
  options.cancel = &cancel;
  const std::string archive = scratch_ / "f.tar";
  EXPECT_FALSE(ExportTar(t_.vfs(), t_.root(), archive, options).ok());
  EXPECT_FALSE(std::filesystem::exists(archive));
  int left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scratch_.path()))
    left += entry.path().filename() == "tree" ? 0 : 1;
  EXPECT_EQ(left, 0);
}

TEST_F(ExportTest, TarListsNamesAsTheyAre) {
  t_.Mkdir("/d");
  t_.Write("/d/\xc3\xa4", "x");
  const std::string archive = scratch_ / "f.tar";
  ASSERT_TRUE(ExportTar(t_.vfs(), t_.root(), archive).ok());
  const std::string listing = scratch_ / "listing";
  ASSERT_EQ(Shell("tar --quoting-style=literal -tf " + archive + " > " + listing), 0);
  EXPECT_EQ(stasis::testing::ReadHostFile(listing), "./\nd/\nd/\xc3\xa4\n");
}

}  // namespace
}  // namespace stasis::restore
