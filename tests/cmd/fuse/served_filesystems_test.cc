// SPDX-License-Identifier: Apache-2.0
//
// What a server does otherwise for the filesystems that its tree has.

#include <fcntl.h>
#include <gtest/gtest.h>

#include "tests/cmd/fuse/fake_kernel.h"
#include "tests/cmd/fuse/host_files.h"
#include "tests/testing/scratch_dir.h"

namespace stasis::fuse {
namespace {

class ServedFilesystemsTest : public ::testing::Test {
 protected:
  // Says INIT to a server for the tree as it is now. The kernel offers all there is.
  FakeKernel& Serve() {
    kernel_.emplace(tree_.vfs(), MakeRef<FuseState>(tree_.root()));
    EXPECT_EQ(kernel_->Init(~0u).error, 0);
    return *kernel_;
  }
  Negotiated ServedAs() { return Serve().server().state()->negotiated(); }
  void Mount(bool exclusive) {
    fs_ = MountHostFiles(tree_, {.directory = scratch_.path(), .exclusive = exclusive});
  }

  stasis::testing::ScratchDir scratch_;
  TestTree tree_;
  RefPtr<HostFiles> fs_;
  std::optional<FakeKernel> kernel_;
};

TEST_F(ServedFilesystemsTest, InMemoryOnlyNothingIsAskedAtOpen) {
  const Negotiated negotiated = ServedAs();
  EXPECT_TRUE(negotiated.opens_unasked());
  EXPECT_TRUE(negotiated.opens_directories_unasked());
  EXPECT_FALSE(negotiated.Has(FUSE_AUTO_INVAL_DATA));
}

TEST_F(ServedFilesystemsTest, AReadOnlyMountMakesOpensMatter) {
  tree_.MakeDirectory("ro");
  const vfs::VirtualDentry root = tree_.root();
  ASSERT_TRUE(tree_.vfs()->BindAt(tree_.creds(), tree_.mounts(), {root, root, "/"},
                                  {root, root, "ro"},
                                  {.flags = vfs::MountFlags{.read_only = true}}));
  EXPECT_FALSE(ServedAs().opens_unasked());
}

TEST_F(ServedFilesystemsTest, AFilesystemMayMakeOpensMatter) {
  Mount(/*exclusive=*/true);
  const Negotiated negotiated = ServedAs();
  EXPECT_FALSE(negotiated.opens_unasked());
  EXPECT_TRUE(negotiated.opens_directories_unasked());
  EXPECT_FALSE(negotiated.Has(FUSE_AUTO_INVAL_DATA));
}

TEST_F(ServedFilesystemsTest, WhatOthersChangeIsAskedForEachTime) {
  Mount(/*exclusive=*/false);
  const Negotiated negotiated = ServedAs();
  EXPECT_FALSE(negotiated.opens_unasked());
  EXPECT_FALSE(negotiated.opens_directories_unasked());
  EXPECT_TRUE(negotiated.Has(FUSE_AUTO_INVAL_DATA));
}

TEST_F(ServedFilesystemsTest, OneAloneIsServedByItsOwnRules) {
  Mount(/*exclusive=*/false);
  tree_.MakeFile("host/a");
  const RefPtr<vfs::Mount> own =
      tree_.vfs()->MakePrivateMount(tree_.root().mount().filesystem(), {});
  kernel_.emplace(tree_.vfs(),
                  MakeRef<FuseState>(vfs::VirtualDentry(own, RefPtr<vfs::Dentry>(&own->root()))),
                  ServerOptions{.one_filesystem = true});
  ASSERT_EQ(kernel_->Init(~0u).error, 0);
  EXPECT_TRUE(kernel_->server().state()->negotiated().opens_unasked());
  const auto place = kernel_->Lookup(FUSE_ROOT_ID, "host").As<fuse_entry_out>();
  EXPECT_EQ(kernel_->Lookup(place.nodeid, "a").As<fuse_entry_out>().nodeid, 0u)
      << "what is mounted there is not seen";
  ASSERT_EQ(kernel_->Call(FUSE_SYNCFS, FUSE_ROOT_ID, Payload().Struct(fuse_syncfs_in{})).error, 0);
  EXPECT_EQ(fs_->syncs, 0);
}

TEST_F(ServedFilesystemsTest, TimesToKeepAreThoseOfEachFilesystem) {
  tree_.MakeFile("mine");
  Mount(/*exclusive=*/false);
  tree_.MakeFile("host/a");
  FakeKernel& kernel = Serve();
  const uint64_t ever = ServerOptions().cache_seconds;
  const auto mine = kernel.Lookup(FUSE_ROOT_ID, "mine").As<fuse_entry_out>();
  EXPECT_EQ(mine.entry_valid, ever);
  EXPECT_EQ(mine.attr_valid, ever);
  const auto host = kernel.Lookup(FUSE_ROOT_ID, "host").As<fuse_entry_out>();
  EXPECT_EQ(host.entry_valid, ever) << "the name is of the filesystem that it is mounted in";
  EXPECT_EQ(host.attr_valid, 0u);
  const auto file = kernel.Lookup(host.nodeid, "a").As<fuse_entry_out>();
  EXPECT_EQ(file.entry_valid, 0u);
  EXPECT_EQ(file.attr_valid, 0u);
  const auto missing = kernel.Lookup(host.nodeid, "b").As<fuse_entry_out>();
  EXPECT_EQ(missing.nodeid, 0u);
  EXPECT_EQ(missing.entry_valid, 0u);
  const FakeReply attributes =
      kernel.Call(FUSE_GETATTR, file.nodeid, Payload().Struct(fuse_getattr_in{}));
  EXPECT_EQ(attributes.As<fuse_attr_out>().attr_valid, 0u);
}

TEST_F(ServedFilesystemsTest, WhatToKeepOfOpenFiles) {
  tree_.MakeFile("mine");
  Mount(/*exclusive=*/false);
  tree_.MakeFile("host/a");
  FakeKernel& kernel = Serve();
  const auto flags = [&](uint32_t opcode, uint64_t node) {
    const FakeReply reply = kernel.Call(opcode, node, Payload().Struct(fuse_open_in{}));
    EXPECT_EQ(reply.error, 0);
    return reply.As<OpenOut>().open_flags;
  };
  const uint64_t host = kernel.Lookup(FUSE_ROOT_ID, "host").As<fuse_entry_out>().nodeid;
  const uint64_t mine = kernel.Lookup(FUSE_ROOT_ID, "mine").As<fuse_entry_out>().nodeid;
  const uint64_t file = kernel.Lookup(host, "a").As<fuse_entry_out>().nodeid;
  EXPECT_EQ(flags(FUSE_OPEN, mine), uint32_t{FOPEN_KEEP_CACHE | FOPEN_NOFLUSH});
  EXPECT_EQ(flags(FUSE_OPEN, file), uint32_t{FOPEN_NOFLUSH}) << "a socket has no passthrough";
  EXPECT_EQ(flags(FUSE_OPENDIR, FUSE_ROOT_ID), uint32_t{FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR});
  EXPECT_EQ(flags(FUSE_OPENDIR, host), 0u);
}

TEST_F(ServedFilesystemsTest, SyncReachesAllFilesystems) {
  Mount(/*exclusive=*/true);
  FakeKernel& kernel = Serve();
  ASSERT_EQ(kernel.Call(FUSE_SYNCFS, FUSE_ROOT_ID, Payload().Struct(fuse_syncfs_in{})).error, 0);
  EXPECT_EQ(fs_->syncs, 1);
}

}  // namespace
}  // namespace stasis::fuse
