// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/state/engine_fixture.h"

namespace stasis::state {
namespace {

using model::Circle;
using model::Columns;
using model::Empty;
using model::Holder;
using model::LoadLog;
using model::Scalars;
using model::Shape;
using model::Square;
using model::TreeNode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GraphTest : public EngineTest {
 protected:
  // root -> a, b; a -> c. Whoever gets it takes it apart.
  static RefPtr<TreeNode> MakeTree() {
    auto root = MakeRef<TreeNode>();
    root->name = "root";
    auto a = Add(*root, "a");
    Add(*root, "b");
    Add(*a, "c");
    return root;
  }
  static RefPtr<TreeNode> Add(TreeNode& parent, const std::string& name) {
    auto node = MakeRef<TreeNode>();
    node->name = name;
    node->parent = RefPtr<TreeNode>(&parent);
    parent.children.push_back(node);
    return node;
  }
};

TEST_F(GraphTest, KeepsCycles) {
  auto tree = MakeTree();
  auto loaded = RoundTrip(tree.get());
  TakeApart(tree.get());
  ASSERT_NE(loaded.get(), nullptr);
  ASSERT_EQ(loaded->children.size(), 2u);
  EXPECT_EQ(loaded->children[0]->name, "a");
  EXPECT_EQ(loaded->children[0]->parent, loaded);
  EXPECT_EQ(loaded->children[0]->children[0]->depth, 2);
  TakeApart(loaded.get());
}

TEST_F(GraphTest, KeepsSharing) {
  auto holder = MakeRef<Holder>();
  auto circle = MakeRef<Circle>();
  circle->radius = 4;
  circle->name = "c";
  holder->circle = circle;
  holder->shape = circle.get();
  holder->anything = circle;
  holder->shapes = {circle, nullptr, circle};
  holder->link.shape = circle;
  holder->links.resize(2);
  holder->links[1].more = {circle};
  auto loaded = RoundTrip(holder.get());
  ASSERT_NE(loaded.get(), nullptr);
  EXPECT_EQ(loaded->circle->Area(), 48u);
  EXPECT_EQ(loaded->shape, loaded->circle.get());
  EXPECT_EQ(loaded->anything.get(), loaded->circle.get());
  EXPECT_EQ(loaded->shapes[0].get(), loaded->circle.get());
  EXPECT_EQ(loaded->shapes[1].get(), nullptr);
  EXPECT_EQ(loaded->link.shape.get(), loaded->circle.get());
  EXPECT_EQ(loaded->links[1].more[0].get(), loaded->circle.get());
  // circle, anything, two in shapes, link, links: borrowed ones do not count.
  EXPECT_EQ(loaded->circle->RefsRacy(), 6u);
}

TEST_F(GraphTest, KeepsDynamicTypes) {
  auto outer = MakeRef<Square>();
  auto inner = MakeRef<Circle>();
  outer->side = 3;
  outer->name = "outer";
  inner->radius = 1;
  inner->name = "inner";
  outer->inner = inner;
  auto loaded = RoundTrip(outer.get());
  ASSERT_NE(loaded.get(), nullptr);
  EXPECT_EQ(loaded->Area(), 9u);
  EXPECT_EQ(loaded->inner->Area(), 3u);
  EXPECT_EQ(loaded->inner->name, "inner");
}

TEST_F(GraphTest, KeepsBorrowedPointersAndMapsOfReferences) {
  auto tree = MakeTree();
  auto holder = MakeRef<Holder>();
  holder->tree = tree;
  holder->current = tree->children[1].get();
  holder->by_name = {{"x", tree->children[0]}, {"y", nullptr}};
  holder->nodes = {tree.get(), tree->children[1].get(), nullptr};
  tree->next = tree->children[0].get();
  auto loaded = RoundTrip(holder.get());
  TakeApart(tree.get());
  ASSERT_NE(loaded.get(), nullptr);
  TreeNode* copy = loaded->tree.get();
  EXPECT_EQ(loaded->current.load(), copy->children[1].get());
  EXPECT_EQ(loaded->by_name.at("x"), copy->children[0]);
  EXPECT_EQ(loaded->by_name.at("y"), nullptr);
  EXPECT_EQ(copy->next, copy->children[0].get());
  EXPECT_THAT(loaded->nodes, ElementsAre(copy, copy->children[1].get(), nullptr));
  TakeApart(copy);
}

TEST_F(GraphTest, KeepsChunksByIndexInTheOrderOfFirstReference) {
  auto holder = MakeRef<Holder>();
  auto first = MakeChunk("first");
  auto second = MakeChunk("second");
  holder->chunks = {first, nullptr, second, first};
  holder->chunk = second;
  SavedGraph saved = Save(holder.get());
  ASSERT_EQ(saved.chunks.size(), 2u);
  EXPECT_EQ(saved.chunks[0].get(), first.get());
  auto graph = Load(saved);
  ASSERT_TRUE(graph.ok()) << graph.status();
  auto loaded = *graph->Root<Holder>("root");
  EXPECT_THAT(loaded->chunks, ElementsAre(first, RefPtr<Chunk>(), second, first));
  EXPECT_EQ(loaded->chunk.get(), second.get());
}

TEST_F(GraphTest, ManualFieldsGoThroughTheirHooks) {
  auto holder = MakeRef<Holder>();
  holder->set_title("a title");
  holder->set_secret(99);
  auto loaded = RoundTrip(holder.get());
  ASSERT_NE(loaded.get(), nullptr);
  EXPECT_EQ(loaded->title(), "a title");
  EXPECT_EQ(loaded->secret(), 99u);
}

TEST_F(GraphTest, BeforeSaveRunsOncePerSave) {
  auto tree = MakeTree();
  Save(tree.get());
  EXPECT_EQ(tree->saves, 1);
  EXPECT_EQ(tree->children[0]->children[0]->saves, 1);
  Save(tree.get());
  EXPECT_EQ(tree->saves, 2);
  TakeApart(tree.get());
}

TEST_F(GraphTest, AfterLoadFollowsRows) {
  auto tree = MakeTree();
  LoadLog log;
  options_.Provide(&log);
  auto loaded = RoundTrip(tree.get());
  EXPECT_THAT(log.lines, ElementsAre("root", "a", "b", "c"));
  TakeApart(tree.get());
  TakeApart(loaded.get());
}

TEST_F(GraphTest, AfterLoadOfAParentRunsFirstWhateverTheRows) {
  auto tree = MakeTree();
  auto* deep = tree->children[0]->children[0].get();
  LoadLog log;
  options_.Provide(&log);
  auto loaded = RoundTrip(deep);  // rows: c, a, root, b
  EXPECT_THAT(log.lines, ElementsAre("root", "a", "c", "b"));
  EXPECT_EQ(loaded->depth, 2);
  TakeApart(tree.get());
  TakeApart(loaded->parent->parent.get());
}

TEST_F(GraphTest, LongWaitChainsNeedNoRecursion) {
  auto root = MakeRef<TreeNode>();
  RefPtr<TreeNode> node = root;
  for (int i = 0; i < 300'000; ++i) node = Add(*node, "n");
  auto loaded = RoundTrip(node.get());  // the deepest first: every AfterLoad waits
  ASSERT_NE(loaded.get(), nullptr);
  EXPECT_EQ(loaded->depth, 300'000);
  TreeNode* top = loaded.get();
  while (top->parent != nullptr) top = top->parent.get();
  TakeApart(RefPtr<TreeNode>(top).get());
  TakeApart(root.get());
}

TEST_F(GraphTest, EachRootIsWalkedBeforeTheNext) {
  auto tree = MakeTree();
  auto* c = tree->children[0]->children[0].get();
  SavedGraph saved = Save({{"tree", tree.get()}, {"deep", c}});
  ASSERT_EQ(saved.roots.size(), 2u);
  EXPECT_EQ(saved.roots[0].row, 0u);
  EXPECT_EQ(saved.roots[1].row, 3u);
  auto graph = Load(saved);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ((*graph->Root<TreeNode>("deep"))->name, "c");
  EXPECT_THAT(graph->Root<TreeNode>("other").status().message(), HasSubstr("no root other"));
  EXPECT_THAT(graph->Root<Shape>("deep").status().message(), HasSubstr("wrong type"));
  TakeApart(tree.get());
  TakeApart((*graph->Root<TreeNode>("tree")).get());
}

TEST_F(GraphTest, SameStateSameBytes) {
  auto tree = MakeTree();
  auto holder = MakeRef<Holder>();
  holder->tree = tree;
  auto columns = MakeRef<Columns>();
  for (uint32_t i = 0; i < 100; ++i) {
    columns->hashed["key" + std::to_string(i * 7919 % 100)] = {i};
    columns->set.insert(i * 104729 % 100);
  }
  holder->anything = columns;
  SavedGraph first = Save(holder.get());
  EXPECT_EQ(BytesOf(first), BytesOf(Save(holder.get())));
  auto graph = Load(first);
  ASSERT_TRUE(graph.ok()) << graph.status();
  auto loaded = *graph->Root<Holder>("root");
  EXPECT_EQ(BytesOf(first), BytesOf(Save(loaded.get())));
  TakeApart(tree.get());
  TakeApart(loaded->tree.get());
}

TEST_F(GraphTest, ManyMessagesPerTable) {
  auto root = MakeRef<TreeNode>();
  for (uint32_t i = 0; i < kRowsPerMessage * 2 + 10; ++i) Add(*root, std::to_string(i));
  SavedGraph saved = Save(root.get());
  const SavedTable* table = FindTable(saved, "model.TreeNode");
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->row_count, kRowsPerMessage * 2 + 11);
  EXPECT_EQ(table->messages.size(), 3u);
  auto graph = Load(saved);
  ASSERT_TRUE(graph.ok()) << graph.status();
  auto loaded = *graph->Root<TreeNode>("root");
  EXPECT_EQ(loaded->children.back()->name, std::to_string(kRowsPerMessage * 2 + 9));
  TakeApart(root.get());
  TakeApart(loaded.get());
}

TEST_F(GraphTest, MessagesLargerThanTheFirstGuess) {
  auto root = MakeRef<Columns>();
  root->text.assign(10'000'000, 'x');
  auto loaded = RoundTrip(root.get());
  ASSERT_NE(loaded.get(), nullptr);
  EXPECT_EQ(loaded->text, root->text);
}

TEST_F(GraphTest, ObjectsWithoutFields) {
  auto holder = MakeRef<Holder>();
  holder->anything = MakeRef<Empty>();
  auto loaded = RoundTrip(holder.get());
  ASSERT_NE(loaded.get(), nullptr);
  EXPECT_NE(dynamic_cast<Empty*>(loaded->anything.get()), nullptr);
}

TEST_F(GraphTest, UnregisteredTypeIsAnError) {
  class Stranger final : public Object {};
  auto holder = MakeRef<Holder>();
  holder->anything = MakeRef<Stranger>();
  GraphWriter writer(registry_, quiescence_);
  writer.AddRoot("root", holder.get());
  EXPECT_THAT(writer.Finish().status().message(), HasSubstr("Stranger"));
}

TEST_F(GraphTest, ClassThatIsVisitedLastLeadsToHigherRows) {
  auto holder = MakeRef<Holder>();
  auto square = MakeRef<Square>();
  const auto near = MakeRef<Circle>();
  square->inner = near;
  holder->shapes.push_back(square);
  holder->tree = MakeRef<TreeNode>();
  auto child = MakeRef<TreeNode>();
  const auto deep = MakeRef<Circle>();
  child->shape = deep;
  holder->tree->children.push_back(child);
  for (const bool last : {false, true}) {
    GraphWriter writer(registry_, quiescence_);
    if (last) writer.VisitLast(typeid(Square));
    writer.AddRoot("root", holder.get());
    writer.AddRoot("near", near.get());
    const auto saved = writer.Finish();
    ASSERT_TRUE(saved.ok()) << saved.status();
    EXPECT_EQ(saved->roots[1].row, last ? 1u : 0u);
  }
}

using GraphDeathTest = GraphTest;

TEST_F(GraphDeathTest, SavingWithoutQuiescenceStopsTheProgram) {
  auto circle = MakeRef<Circle>();
  GraphWriter writer(registry_, quiescence_);
  quiescence_.quiesced = false;
  EXPECT_DEATH(writer.AddRoot("root", circle.get()), "nothing can change it");
}

}  // namespace
}  // namespace stasis::state
