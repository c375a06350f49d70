// SPDX-License-Identifier: Apache-2.0
//
// host_tree_fixture.h: a host directory with one of everything in it.

#ifndef STASIS_TESTS_RESTORE_TRANSFER_HOST_TREE_FIXTURE_H_
#define STASIS_TESTS_RESTORE_TRANSFER_HOST_TREE_FIXTURE_H_

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "restore/transfer/compare.h"
#include "restore/transfer/export.h"
#include "restore/transfer/import.h"
#include "tests/testing/scratch_dir.h"
#include "tests/testing/test_vfs.h"

namespace stasis::restore {

// These tests make device nodes and give files away: they need root, and fail without it.
class HostTreeTest : public ::testing::Test {
 protected:
  HostTreeTest() : tree_(scratch_ / "tree") {
    EXPECT_EQ(::geteuid(), 0u) << "run this test as root";
    ::umask(022);
    EXPECT_EQ(::mkdir(tree_.c_str(), 0750), 0);
  }

  std::string In(const std::string& name) const { return tree_ + "/" + name; }

  void SetTimes(const std::string& name, struct timespec atime, struct timespec mtime) {
    const struct timespec times[2] = {atime, mtime};
    EXPECT_EQ(::utimensat(AT_FDCWD, In(name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << name;
  }

  // All kinds of files, names, attributes.
  void FillRich() {
    using stasis::testing::WriteHostFile;
    ASSERT_EQ(::mkdir(In("dir").c_str(), 0700), 0);
    ASSERT_EQ(::mkdir(In("dir/setgid").c_str(), 0755), 0);
    ASSERT_EQ(::chmod(In("dir/setgid").c_str(), 03775), 0);
    WriteHostFile(In("file"), "content");
    WriteHostFile(In("empty"), "");
    WriteHostFile(In("dir/large"), std::string(3'000'000, 'L'));
    WriteHostFile(In("dir/\xff\xfe not utf8\n"), "bytes");
    WriteHostFile(In(std::string(255, 'n')), "long");
    WriteHostFile(In("\xc3\xa4\xe2\x82\xac"), "utf8");
    ASSERT_EQ(::chmod(In("file").c_str(), 04751), 0);
    ASSERT_EQ(::symlink("../outside", In("link").c_str()), 0);
    ASSERT_EQ(::symlink(std::string(1000, 't').c_str(), In("dir/long").c_str()), 0);
    ASSERT_EQ(::link(In("dir/large").c_str(), In("second").c_str()), 0);
    ASSERT_EQ(::link(In("link").c_str(), In("dir/link2").c_str()), 0);
    ASSERT_EQ(::mkfifo(In("fifo").c_str(), 0620), 0);
    ASSERT_EQ(::mknod(In("null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
    ASSERT_EQ(::mknod(In("disk").c_str(), S_IFBLK | 0640, makedev(259, 70000)), 0);
    ASSERT_EQ(::mknod(In("socket").c_str(), S_IFSOCK | 0755, 0), 0);
    MakeSparse("sparse", uint64_t{1} << 30);
    MakeSparse("only_hole", 0);
    ASSERT_EQ(::truncate(In("only_hole").c_str(), 1 << 20), 0);
    SetXattrs();
    SetOwnersAndTimes();
  }

  void MakeSparse(const std::string& name, uint64_t size) {
    const int fd = ::open(In(name).c_str(), O_WRONLY | O_CREAT, 0644);
    ASSERT_GE(fd, 0);
    if (size > 0) {
      ASSERT_EQ(::pwrite(fd, "head", 4, 0), 4);
      ASSERT_EQ(::pwrite(fd, "middle", 6, 512 << 20), 6);
      ASSERT_EQ(::ftruncate(fd, static_cast<off_t>(size)), 0);
    }
    ::close(fd);
  }

  void SetXattrs() {
    const std::string binary("\0\x01\xff\n", 4);
    ASSERT_EQ(::setxattr(In("file").c_str(), "user.binary", binary.data(), binary.size(), 0), 0);
    ASSERT_EQ(::setxattr(In("file").c_str(), "user.empty", "", 0, 0), 0);
    ASSERT_EQ(::setxattr(In("dir").c_str(), "trusted.note", "dir", 3, 0), 0);
    ASSERT_EQ(::lsetxattr(In("link").c_str(), "trusted.link", "sym", 3, 0), 0);
  }

  void SetOwnersAndTimes() {
    ASSERT_EQ(::chown(In("empty").c_str(), 1234, 56789), 0);
    ASSERT_EQ(::lchown(In("link").c_str(), 7, 8), 0);
    SetTimes("file", {1, 999'999'999}, {1'234'567'890, 123'456'789});
    SetTimes("link", {2, 1}, {3, 4});
    SetTimes("fifo", {5, 0}, {-6, 7});
    SetTimes("dir", {8, 9}, {10, 11});
    SetTimes("null", {12, 1}, {13, 2});
  }

  TransferReport Import(const ImportOptions& options = {}) {
    const auto report = ImportDirectory(tree_, t_.vfs(), t_.root(), options);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : TransferReport();
  }
  TransferReport Export(const std::string& directory) {
    const auto report = ExportDirectory(t_.vfs(), t_.root(), directory);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : TransferReport();
  }

  static CompareOptions Strict() {
    CompareOptions options;
    options.atime = true;
    options.holes = true;
    return options;
  }

  stasis::testing::ScratchDir scratch_;
  const std::string tree_;
  stasis::testing::TestVfs t_;
};

}  // namespace stasis::restore

#endif  // STASIS_TESTS_RESTORE_TRANSFER_HOST_TREE_FIXTURE_H_
