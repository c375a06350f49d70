// SPDX-License-Identifier: Apache-2.0
//
// What the kernel relies on, saved and loaded.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "cmd/fuse/fuse_state.h"
#include "tests/cmd/fuse/fake_kernel.h"
#include "tests/cmd/fuse/saved_tree.h"

namespace stasis::fuse {
struct StateIntruder {};  // see Access::Type<StateIntruder>
}  // namespace stasis::fuse

namespace stasis::state {

// Comes in through the door of generated code, and leaves things as no operation would.
template <>
struct Access::Type<fuse::StateIntruder> {
  static void SetLookups(fuse::Node& node, uint64_t lookups) { node.lookups_ = lookups; }
  static void SetPlace(fuse::Node& node, vfs::VirtualDentry at) { node.at_ = std::move(at); }
  static void SetPlace(vfs::FileDescription& file, vfs::VirtualDentry at) {
    file.at_ = std::move(at);
  }
  static void SetNext(fuse::HandleTable& handles, uint64_t next) { handles.next_ = next; }
};

}  // namespace stasis::state

namespace stasis::fuse {
namespace {

using Intruder = state::Access::Type<StateIntruder>;

class StateTest : public testing::Test {
 protected:
  StateTest() {
    kernel_.Init();
    kernel_.tree().MakeFile("a");
    kernel_.tree().MakeFile("b");
    for (int i = 0; i < 3; ++i)
      node_ = kernel_.Lookup(FUSE_ROOT_ID, "a").As<fuse_entry_out>().nodeid;
    fuse_open_in open{};
    open.flags = O_RDWR | O_APPEND;
    fuse_write_in write{};
    write.fh = handle_ =
        kernel_.Call(FUSE_OPEN, node_, Payload().Struct(open)).As<fuse_open_out>().fh;
    write.size = 5;
    EXPECT_EQ(kernel_.Call(FUSE_WRITE, node_, Payload().Struct(write).Raw("hello", 5)).error, 0);
    EXPECT_EQ(kernel_.Call(FUSE_UNLINK, FUSE_ROOT_ID, Payload().Text("a")).error, 0);
  }
  ~StateTest() override {
    if (vfs_ != nullptr) {
      state_->DropKernelState();
      state_.reset();
      vfs_->Teardown();
    }
  }

  state::SavedGraph Save() {
    auto saved = saver_.Save(*kernel_.tree().vfs(), *kernel_.server().state());
    EXPECT_TRUE(saved.ok()) << saved.status();
    return *std::move(saved);
  }

  auto TryLoad(const state::SavedGraph& saved) { return saver_.Load(saved); }

  // The state as it is now.
  void ExpectRefused(const char* field) {
    auto loaded = TryLoad(Save());
    EXPECT_FALSE(loaded.ok());
    EXPECT_THAT(std::string(loaded.status().message()), testing::HasSubstr(field));
  }

  void Load(const state::SavedGraph& saved) {
    auto loaded = TryLoad(saved);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    auto vfs = loaded->Root<vfs::VirtualFilesystem>("vfs");
    auto state = loaded->Root<FuseState>("fuse");
    ASSERT_TRUE(vfs.ok()) << vfs.status();
    ASSERT_TRUE(state.ok()) << state.status();
    vfs_ = *vfs;
    state_ = *state;
  }

  TreeSaver saver_;
  FakeKernel kernel_;
  uint64_t node_ = 0;
  uint64_t handle_ = 0;
  RefPtr<vfs::VirtualFilesystem> vfs_;
  RefPtr<FuseState> state_;
};

TEST_F(StateTest, KernelFindsEverythingAgain) {
  Load(Save());
  ASSERT_NE(state_, nullptr);
  EXPECT_TRUE(state_->initialized());
  EXPECT_EQ(state_->negotiated().max_write(), 1u << 20);
  const RefPtr<Node> node = state_->nodes().Find(node_);
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->lookups(), 3u);
  EXPECT_EQ(node->at().inode().nlink(), 0u);
  EXPECT_EQ(state_->nodes().Remember(node->at())->number(), node_) << "found by inode as well";
  const RefPtr<Handle> handle = state_->handles().Find(handle_);
  ASSERT_NE(handle, nullptr);
  EXPECT_EQ(handle->flags(), uint32_t{O_RDWR | O_APPEND});
  std::byte buffer[10];
  EXPECT_EQ(handle->file().PRead(0, buffer).value(), 5u) << "deleted, but open";
}

TEST_F(StateTest, NumbersGoOnWhereTheyWere) {
  Load(Save());
  ASSERT_NE(state_, nullptr);
  state_->DropKernelState();
  EXPECT_EQ(state_->nodes().size(), 0u);
  EXPECT_EQ(state_->handles().size(), 0u);
  const vfs::VirtualDentry root = state_->root();
  auto file = vfs_->GetDentryAt(vfs::Credentials::Root(), {root, root, "b"});
  ASSERT_TRUE(file.has_value());
  const RefPtr<Node> node = state_->nodes().Remember(*file);
  EXPECT_GT(node->number() / 64, node_ / 64);
  EXPECT_EQ(node->generation(), 2u);
}

TEST_F(StateTest, ARestoredServerServes) {
  Load(Save());
  ASSERT_NE(state_, nullptr);
  FakeKernel other(vfs_, state_);
  EXPECT_TRUE(other.Alive()) << "without another INIT";
  fuse_read_in read{};
  read.fh = handle_;
  read.size = 100;
  EXPECT_EQ(other.Call(FUSE_READ, node_, Payload().Struct(read)).payload.size(), 5u);
  fuse_release_in release{};
  release.fh = handle_;
  EXPECT_EQ(other.Call(FUSE_RELEASE, node_, Payload().Struct(release)).error, 0);
}

// Another server may have been told to take less.
TEST_F(StateTest, ARestoredServerTakesWhatWasNegotiated) {
  Load(Save());
  ASSERT_NE(state_, nullptr);
  FakeKernel other(vfs_, state_, {.max_pages = 1});
  fuse_write_in write{};
  write.fh = handle_;
  write.size = state_->negotiated().max_write();
  const Bytes bytes(write.size, std::byte{'x'});
  const FakeReply reply =
      other.Call(FUSE_WRITE, node_, Payload().Struct(write).Raw(bytes.data(), bytes.size()));
  EXPECT_EQ(reply.error, 0);
  EXPECT_EQ(reply.As<fuse_write_out>().size, write.size);
}

class HostileStateTest : public StateTest {
 protected:
  HostileStateTest() {
    kernel_.tree().MakeDirectory("m");
    const vfs::VirtualDentry root = kernel_.tree().root();
    EXPECT_TRUE(kernel_.tree().vfs()->MountAt(
        kernel_.tree().creds(), kernel_.tree().mounts(), {root, root, "m"},
        memfs::MemFilesystem::Create(*kernel_.tree().vfs(), {}), {}));
  }
  ~HostileStateTest() override {
    // Nothing was loaded: the places are put right for the end.
    Intruder::SetPlace(NodeOfA(), node_place_);
    Intruder::SetPlace(OpenA(), node_place_);
  }

  Node& NodeOfA() { return *kernel_.server().state()->nodes().Find(node_); }
  vfs::FileDescription& OpenA() {
    return kernel_.server().state()->handles().Find(handle_)->file();
  }
  // The mount of one filesystem with a dentry of another.
  vfs::VirtualDentry Nowhere() {
    return {RefPtr<vfs::Mount>(&kernel_.tree().Find("m").mount()),
            RefPtr<vfs::Dentry>(&node_place_.dentry())};
  }

  const vfs::VirtualDentry node_place_ = NodeOfA().at();
};

TEST_F(HostileStateTest, LookupsThatWouldRunOver) {
  Intruder::SetLookups(NodeOfA(), ~uint64_t{0});
  ExpectRefused("lookups");
}

TEST_F(HostileStateTest, HandleNumbersThatWouldRunOver) {
  Intruder::SetNext(kernel_.server().state()->handles(), ~uint64_t{0});
  ExpectRefused("next");
}

TEST_F(HostileStateTest, ANodeWhoseMountIsOfAnotherFilesystem) {
  Intruder::SetPlace(NodeOfA(), Nowhere());
  ExpectRefused("at");
}

TEST_F(HostileStateTest, ANodeWithoutPlace) {
  Intruder::SetPlace(NodeOfA(), {});
  ExpectRefused("at");
}

TEST_F(HostileStateTest, AHandleWhoseMountIsOfAnotherFilesystem) {
  Intruder::SetPlace(OpenA(), Nowhere());
  ExpectRefused("mount's filesystem");
}

TEST_F(StateTest, SameStateSameBytes) {
  const state::SavedGraph first = Save();
  const state::SavedGraph second = Save();
  ASSERT_EQ(first.tables.size(), second.tables.size());
  for (size_t i = 0; i < first.tables.size(); ++i) {
    const auto& a = first.tables[i].messages;
    const auto& b = second.tables[i].messages;
    ASSERT_EQ(a.size(), b.size());
    for (size_t m = 0; m < a.size(); ++m) {
      EXPECT_TRUE(std::ranges::equal(a[m].asBytes(), b[m].asBytes())) << first.tables[i].type;
    }
  }
}

}  // namespace
}  // namespace stasis::fuse
