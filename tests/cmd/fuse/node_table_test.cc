// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/node_table.h"

#include <gtest/gtest.h>
#include <linux/fuse.h>

#include <set>
#include <thread>

#include "cmd/fuse/fuse_state.h"
#include "tests/cmd/fuse/fake_kernel.h"

namespace stasis::fuse {
namespace {

class NodeTableTest : public testing::Test {
 protected:
  void Link(std::string_view from, std::string_view to) {
    const vfs::VirtualDentry root = tree_.root();
    ASSERT_TRUE(tree_.vfs()->LinkAt(tree_.creds(), {root, root, from}, {root, root, to}));
  }
  void Unlink(std::string_view path) {
    const vfs::VirtualDentry root = tree_.root();
    ASSERT_TRUE(tree_.vfs()->UnlinkAt(tree_.creds(), {root, root, path}));
  }

  TestTree tree_;
  RefPtr<NodeTable> nodes_ = MakeRef<NodeTable>(tree_.root());
};

TEST_F(NodeTableTest, RootIsAlwaysThere) {
  ASSERT_NE(nodes_->Find(FUSE_ROOT_ID), nullptr);
  EXPECT_EQ(nodes_->Remember(tree_.root())->number(), uint64_t{FUSE_ROOT_ID});
  nodes_->Forget(FUSE_ROOT_ID, 1000);
  EXPECT_NE(nodes_->Find(FUSE_ROOT_ID), nullptr);
  EXPECT_EQ(nodes_->size(), 0u);
}

TEST_F(NodeTableTest, LookupsAreCounted) {
  tree_.MakeFile("a");
  const uint64_t number = nodes_->Remember(tree_.Find("a"))->number();
  EXPECT_EQ(nodes_->Remember(tree_.Find("a"))->number(), number);
  EXPECT_EQ(nodes_->Find(number)->lookups(), 2u);
  nodes_->Forget(number, 1);
  ASSERT_NE(nodes_->Find(number), nullptr);
  nodes_->Forget(number, 1);
  EXPECT_EQ(nodes_->Find(number), nullptr);
  EXPECT_EQ(nodes_->size(), 0u);
}

TEST_F(NodeTableTest, ForgettingTooMuchIsHarmless) {
  tree_.MakeFile("a");
  const uint64_t number = nodes_->Remember(tree_.Find("a"))->number();
  nodes_->Forget(number, ~uint64_t{0});
  nodes_->Forget(number, 1);
  nodes_->Forget(0, 1);
  EXPECT_EQ(nodes_->size(), 0u);
}

TEST_F(NodeTableTest, NumbersAreNotUsedTwice) {
  tree_.MakeFile("a");
  std::set<uint64_t> numbers;
  for (int i = 0; i < 100; ++i) {
    const uint64_t number = nodes_->Remember(tree_.Find("a"))->number();
    EXPECT_TRUE(numbers.insert(number).second);
    nodes_->Forget(number, 1);
  }
}

TEST_F(NodeTableTest, HardLinksShareANode) {
  tree_.MakeFile("a");
  Link("a", "b");
  const uint64_t number = nodes_->Remember(tree_.Find("a"))->number();
  EXPECT_EQ(nodes_->Remember(tree_.Find("b"))->number(), number);
}

TEST_F(NodeTableTest, TwoMountsOfATreeAreTwoNodes) {
  tree_.MakeDirectory("d");
  tree_.MakeDirectory("m");
  tree_.MakeFile("d/f");
  const vfs::VirtualDentry root = tree_.root();
  ASSERT_TRUE(tree_.vfs()->BindAt(tree_.creds(), tree_.mounts(), {root, root, "d"},
                                  {root, root, "m"},
                                  {.flags = vfs::MountFlags{.read_only = true}}));
  for (const auto& [one, other] : {std::pair("d", "m"), std::pair("d/f", "m/f")}) {
    const RefPtr<Node> here = nodes_->Remember(tree_.Find(one));
    const RefPtr<Node> there = nodes_->Remember(tree_.Find(other));
    EXPECT_NE(here->number(), there->number());
    EXPECT_EQ(&here->at().inode(), &there->at().inode());
    EXPECT_FALSE(here->at().mount().read_only());
    EXPECT_TRUE(there->at().mount().read_only());
    nodes_->Forget(here->number(), 1);
    EXPECT_NE(nodes_->Find(there->number()), nullptr);
  }
}

TEST_F(NodeTableTest, NodeMovesToANameThatIsLeft) {
  tree_.MakeFile("a");
  Link("a", "b");
  const uint64_t number = nodes_->Remember(tree_.Find("a"))->number();
  Unlink("a");
  EXPECT_TRUE(nodes_->Find(number)->at().dentry().disconnected());
  nodes_->Remember(tree_.Find("b"));
  EXPECT_EQ(nodes_->Find(number)->at().dentry().name(), "b");
  EXPECT_EQ(nodes_->Find(number)->lookups(), 2u);
  nodes_->Forget(number, 2);
  EXPECT_EQ(nodes_->size(), 0u);
}

TEST_F(NodeTableTest, HoldsDeletedFiles) {
  tree_.MakeFile("a");
  const uint64_t number = nodes_->Remember(tree_.Find("a"))->number();
  Unlink("a");
  EXPECT_EQ(nodes_->Find(number)->at().inode().nlink(), 0u);
}

TEST_F(NodeTableTest, ClearForgetsAll) {
  for (int i = 0; i < 200; ++i) tree_.MakeFile(std::to_string(i));
  uint64_t number = 0;
  for (int i = 0; i < 200; ++i) number = nodes_->Remember(tree_.Find(std::to_string(i)))->number();
  EXPECT_EQ(nodes_->size(), 200u);
  const uint64_t generation = nodes_->Find(number)->generation();
  nodes_->Clear();
  EXPECT_EQ(nodes_->size(), 0u);
  EXPECT_EQ(nodes_->Find(number), nullptr);
  EXPECT_NE(nodes_->Remember(tree_.Find("7"))->generation(), generation);
}

TEST_F(NodeTableTest, ManyThreads) {
  for (int i = 0; i < 16; ++i) tree_.MakeFile(std::to_string(i));
  const auto run = [this] {
    for (int i = 0; i < 20'000; ++i) {
      const RefPtr<Node> node = nodes_->Remember(tree_.Find(std::to_string(i % 16)));
      EXPECT_NE(nodes_->Find(node->number()), nullptr);
      nodes_->Forget(node->number(), 1);
    }
  };
  std::thread other(run);
  run();
  other.join();
  EXPECT_EQ(nodes_->size(), 0u);
}

class HandleTableTest : public NodeTableTest {
 protected:
  RefPtr<vfs::FileDescription> Open(std::string_view path) {
    const vfs::VirtualDentry root = tree_.root();
    vfs::OpenOptions options;
    options.flags = O_RDWR;
    return tree_.vfs()->OpenAt(tree_.creds(), {root, root, path}, options).value();
  }

  RefPtr<FuseState> state_ = MakeRef<FuseState>(tree_.root());
};

TEST_F(HandleTableTest, AddFindRemove) {
  tree_.MakeFile("a");
  HandleTable& handles = state_->handles();
  const uint64_t first = handles.Add(Open("a"), O_RDWR | O_APPEND);
  const uint64_t second = handles.Add(Open("a"), O_RDONLY);
  EXPECT_NE(first, second);
  EXPECT_NE(first, 0u);
  EXPECT_EQ(handles.Find(first)->flags(), uint32_t{O_RDWR | O_APPEND});
  EXPECT_EQ(handles.List().size(), 2u);
  EXPECT_NE(handles.Remove(first), nullptr);
  EXPECT_EQ(handles.Remove(first), nullptr);
  EXPECT_EQ(handles.Find(first), nullptr);
  EXPECT_EQ(handles.size(), 1u);
}

TEST_F(HandleTableTest, FreshMountKnowsNothing) {
  tree_.MakeFile("a");
  const uint64_t handle = state_->handles().Add(Open("a"), O_RDONLY);
  const uint64_t node = state_->nodes().Remember(tree_.Find("a"))->number();
  state_->DropKernelState();
  EXPECT_EQ(state_->handles().Find(handle), nullptr);
  EXPECT_EQ(state_->nodes().Find(node), nullptr);
  EXPECT_FALSE(state_->initialized());
}

}  // namespace
}  // namespace stasis::fuse
