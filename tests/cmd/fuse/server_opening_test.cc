// SPDX-License-Identifier: Apache-2.0
//
// Files that are open, with a handle or unasked.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>

#include "tests/cmd/fuse/server_fixture.h"
#include "vfs/inotify.h"

namespace stasis::fuse {
namespace {

TEST_F(ServerTest, DeletedOpenFileLivesUntilRelease) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  fuse_write_in write{};
  write.fh = OpenFile(node);
  write.size = 5;
  ASSERT_EQ(kernel_.Call(FUSE_UNLINK, FUSE_ROOT_ID, Payload().Text("a")).error, 0);
  ASSERT_EQ(kernel_.Call(FUSE_WRITE, node, Payload().Struct(write).Raw("hello", 5)).error, 0);
  fuse_read_in read{};
  read.fh = write.fh;
  read.size = 100;
  EXPECT_EQ(kernel_.Call(FUSE_READ, node, Payload().Struct(read)).payload.size(), 5u);
  fuse_release_in release{};
  release.fh = write.fh;
  EXPECT_EQ(kernel_.Call(FUSE_RELEASE, node, Payload().Struct(release)).error, 0);
  EXPECT_EQ(kernel_.server().state()->handles().size(), 0u);
}

TEST_F(ServerTest, AKernelThatOpensUnaskedNeedsNoHandle) {
  kernel_.Init(~0u);
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  EXPECT_EQ(kernel_.Call(FUSE_OPEN, node, Payload().Struct(fuse_open_in{})).error, ENOSYS);
  fuse_write_in write{};
  write.size = 5;
  EXPECT_EQ(kernel_.Call(FUSE_WRITE, node, Payload().Struct(write).Raw("hello", 5)).error, 0);
  ASSERT_EQ(kernel_.Call(FUSE_UNLINK, FUSE_ROOT_ID, Payload().Text("a")).error, 0);
  fuse_read_in read{};
  read.size = 100;
  EXPECT_EQ(kernel_.Call(FUSE_READ, node, Payload().Struct(read)).payload.size(), 5u);
  EXPECT_EQ(kernel_.Call(FUSE_READ, FUSE_ROOT_ID, Payload().Struct(read)).error, EISDIR);
  EXPECT_EQ(kernel_.Call(FUSE_READ, 12345, Payload().Struct(read)).error, ESTALE);
  EXPECT_EQ(kernel_.Call(FUSE_FSYNC, node, Payload().Struct(fuse_fsync_in{})).error, ENOSYS)
      << "there is nothing to write";

  // Created before the kernel has learnt not to ask, and released then.
  const FakeReply created =
      kernel_.Call(FUSE_CREATE, FUSE_ROOT_ID, Payload().Struct(fuse_create_in{}).Text("b"));
  EXPECT_EQ(created.error, 0);
  EXPECT_EQ(kernel_.Call(FUSE_RELEASE, node, Payload().Struct(fuse_release_in{})).error, 0);
  EXPECT_EQ(kernel_.server().state()->handles().size(), 0u);
}

TEST_F(ServerTest, WhatIsReadUnaskedIsNotSeenToBeOpened) {
  kernel_.Init(~0u);
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  const vfs::VirtualDentry root = kernel_.tree().root();
  auto inotify = MakeRef<vfs::Inotify>(kernel_.tree().vfs());
  ASSERT_TRUE(inotify->AddWatch(kernel_.tree().creds(), {root, root, "a"}, IN_ALL_EVENTS));
  fuse_write_in write{};
  write.size = 5;
  EXPECT_EQ(kernel_.Call(FUSE_WRITE, node, Payload().Struct(write).Raw("hello", 5)).error, 0);
  fuse_read_in read{};
  read.size = 100;
  EXPECT_EQ(kernel_.Call(FUSE_READ, node, Payload().Struct(read)).payload.size(), 5u);
  std::vector<uint32_t> seen;
  const auto events = inotify->Read(4096);
  for (const vfs::InotifyEvent& event : *events) seen.push_back(event.mask);
  EXPECT_THAT(seen, testing::ElementsAre(IN_MODIFY, IN_ACCESS));
}

TEST_F(ServerTest, ReadingWithoutAccessTimesLeavesThem) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  const vfs::VirtualDentry root = kernel_.tree().root();
  const auto atime = [&] {
    return kernel_.tree().vfs()->StatAt(kernel_.tree().creds(), {root, root, "a"})->atime;
  };
  const TimeNs before = atime();
  fuse_open_in open{};
  open.flags = O_RDONLY | O_NOATIME;
  fuse_read_in read{};
  read.fh = kernel_.Call(FUSE_OPEN, node, Payload().Struct(open)).As<fuse_open_out>().fh;
  read.size = 1;
  EXPECT_EQ(kernel_.Call(FUSE_READ, node, Payload().Struct(read)).error, 0);
  EXPECT_EQ(atime(), before);
}

TEST_F(ServerTest, AKernelThatAsksNeedsAHandle) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  fuse_read_in read{};
  read.size = 100;
  EXPECT_EQ(kernel_.Call(FUSE_READ, node, Payload().Struct(read)).error, EBADF);
  EXPECT_EQ(kernel_.Call(FUSE_RELEASE, node, Payload().Struct(fuse_release_in{})).error, EBADF);
}

}  // namespace
}  // namespace stasis::fuse
