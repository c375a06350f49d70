// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/backing_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "cmd/fuse/channel.h"
#include "tests/cmd/fuse/host_files.h"
#include "tests/testing/scratch_dir.h"

namespace stasis::fuse {
namespace {

// Over a socket, which refuses. Mounts are in mount_passthrough_test.cc.
class BackingTableTest : public ::testing::Test {
 protected:
  BackingTableTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    peer_ = UniqueFd(ends[1]);
    auto channel = Channel::Create(UniqueFd(ends[0]), {stop_.get()});
    EXPECT_TRUE(channel.ok());
    channel_ = *std::move(channel);
    fs_ = MountHostFiles(tree_, {.directory = scratch_.path()});
    tree_.MakeFile("host/a");
  }

  RefPtr<vfs::FileDescription> Open(int flags) {
    const vfs::VirtualDentry root = tree_.root();
    return *tree_.vfs()->OpenAt(tree_.creds(), {root, root, "host/a"}, {.flags = flags});
  }

  stasis::testing::ScratchDir scratch_;
  TestTree tree_;
  RefPtr<HostFiles> fs_;
  UniqueFd stop_{eventfd(0, EFD_CLOEXEC)};
  UniqueFd peer_;
  std::unique_ptr<Channel> channel_;
  BackingTable table_;
};

TEST_F(BackingTableTest, IsNotAvailableWithoutADevice) {
  EXPECT_FALSE(table_.available());
  table_.SetChannel(channel_.get(), /*died=*/false);
  EXPECT_FALSE(table_.available());
}

TEST_F(BackingTableTest, WhatIsRefusedGoesThroughThePageCache) {
  table_.SetChannel(channel_.get(), /*died=*/false);
  const RefPtr<vfs::FileDescription> file = Open(O_RDWR);
  for (int i = 0; i < 2; ++i) {
    const BackingTable::Opened opened = table_.Open(128, *file);
    EXPECT_EQ(opened.backing, 0);
    EXPECT_FALSE(opened.mappable);
  }
  EXPECT_EQ(fs_->passthrough, 0);
  EXPECT_EQ(table_.size(), 1u);
  table_.Close(128);
  EXPECT_EQ(table_.size(), 1u) << "open once more";
  table_.Close(128);
  EXPECT_EQ(table_.size(), 0u);
}

// What another server has got is done again without the kernel.
TEST_F(BackingTableTest, BeforeItHasAConnectionNumbersAreGiven) {
  EXPECT_FALSE(table_.available());
  table_.Give(1);
  EXPECT_TRUE(table_.available());
  const RefPtr<vfs::FileDescription> file = Open(O_RDWR);
  table_.Give(7);
  EXPECT_EQ(table_.Open(128, *file).backing, 7);
  table_.Give(0);
  EXPECT_EQ(table_.Open(128, *file).backing, 7) << "one for all opens of a node";
  EXPECT_EQ(table_.Open(129, *file).backing, 0);
  EXPECT_EQ(fs_->passthrough, 1);
  table_.Close(128);
  Connection connection;
  table_.Export(connection);
  EXPECT_EQ(connection.last, 7);
  ASSERT_EQ(connection.backings.size(), 2u);
  table_.Close(128);
  table_.Forget(128);
  EXPECT_EQ(fs_->passthrough, 0);
  table_.SetChannel(channel_.get(), /*died=*/true);
  EXPECT_EQ(table_.Open(128, *file).backing, 0) << "a socket has none";
}

TEST_F(BackingTableTest, ANodeForgottenWhileOpenGoesWithItsLastOpen) {
  table_.SetChannel(channel_.get(), /*died=*/false);
  const RefPtr<vfs::FileDescription> file = Open(O_RDWR);
  table_.Open(128, *file);
  table_.Forget(128);
  EXPECT_EQ(table_.size(), 1u);
  table_.Close(128);
  EXPECT_EQ(table_.size(), 0u);
  table_.Close(128);
  table_.Forget(128);
}

}  // namespace
}  // namespace stasis::fuse
