// SPDX-License-Identifier: Apache-2.0
//
// Tables that no save makes: each is refused by name, and nothing of a refused load stays.

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <utility>

#include "state/table.capnp.h"
#include "tests/state/engine_fixture.h"
#include "tests/state/model/gen/model.state.capnp.h"

namespace stasis::state {
namespace {

using model::Circle;
using model::Holder;
using model::TreeNode;
using ::testing::AllOf;
using ::testing::HasSubstr;
namespace rows = model::schema;

class HostileGraphTest : public EngineTest {
 protected:
  HostileGraphTest() {
    root_ = MakeRef<TreeNode>();
    root_->name = "root";
    for (const char* name : {"a", "b"}) {
      auto child = MakeRef<TreeNode>();
      child->name = name;
      child->parent = root_;
      root_->children.push_back(child);
    }
    holder_ = MakeRef<Holder>();
    holder_->tree = root_;
    holder_->circle = MakeRef<Circle>();
    holder_->shapes = {RefPtr<model::Shape>(const_cast<Circle*>(holder_->circle.get()))};
    holder_->chunks = {MakeChunk("chunk")};
    holder_->links.resize(1);
    holder_->links[0].color = model::Color::kBlue;
    auto scalars = MakeRef<model::Scalars>();
    scalars->color = model::Color::kGreen;
    holder_->anything = scalars;
    saved_ = Save(holder_.get());
  }
  ~HostileGraphTest() override { TakeApart(root_.get()); }

  SavedTable& Table(std::string_view type) {
    return *const_cast<SavedTable*>(FindTable(saved_, type));
  }

  // Rewrites the first message of a table.
  void Edit(std::string_view type, const std::function<void(schema::TableMessage::Builder)>& edit) {
    kj::Array<capnp::word>& message = Table(type).messages[0];
    capnp::FlatArrayMessageReader reader(message);
    capnp::MallocMessageBuilder builder;
    builder.setRoot(reader.getRoot<schema::TableMessage>());
    edit(builder.getRoot<schema::TableMessage>());
    message = capnp::messageToFlatArray(builder);
  }
  template <typename ColumnsType>
  void EditPart(std::string_view type, uint32_t part,
                const std::function<void(typename ColumnsType::Builder)>& edit) {
    Edit(type, [&](schema::TableMessage::Builder m) {
      edit(m.getParts()[part].getColumns().getAs<ColumnsType>());
    });
  }
  using TreeColumns = rows::TreeNodeColumns;
  void EditTree(const std::function<void(TreeColumns::Builder)>& edit) {
    EditPart<TreeColumns>("model.TreeNode", 0, edit);
  }
  void EditHolder(const std::function<void(rows::HolderColumns::Builder)>& edit) {
    EditPart<rows::HolderColumns>("model.Holder", 0, edit);
  }

  std::string Error() {
    auto graph = Load(saved_);
    if (graph.ok()) {
      graph->Discard();
      return "";
    }
    EXPECT_TRUE(IsCorrupt(graph.status()) || IsNewer(graph.status())) << graph.status();
    return std::string(graph.status().message());
  }

  RefPtr<TreeNode> root_;
  RefPtr<Holder> holder_;
  SavedGraph saved_;
};

TEST_F(HostileGraphTest, TheUnchangedGraphLoads) { EXPECT_EQ(Error(), ""); }

TEST_F(HostileGraphTest, RowCounts) {
  Table("model.TreeNode").row_count = uint64_t{1} << 60;
  EXPECT_THAT(Error(), HasSubstr("table model.TreeNode: 1152921504606846976 rows promised"));
}

TEST_F(HostileGraphTest, RowCountOfAMessage) {
  for (const uint32_t count : {0u, 2u, 4u, 16385u, ~0u}) {
    Edit("model.TreeNode", [count](auto m) { m.setRowCount(count); });
    EXPECT_THAT(Error(), HasSubstr("table model.TreeNode"));
  }
  // Also if table and message agree.
  Edit("model.TreeNode", [](auto m) { m.setRowCount(4); });
  Table("model.TreeNode").row_count = 4;
  EXPECT_THAT(Error(), HasSubstr("class model.TreeNode: 3 rows instead of 4"));
}

TEST_F(HostileGraphTest, RowsWithoutContent) {
  // A list of 1,000 structs of size zero takes no bytes at all.
  capnp::MallocMessageBuilder builder;
  auto message = builder.initRoot<schema::TableMessage>();
  message.setRowCount(20);
  auto columns = message.initParts(1)[0].getColumns().initAs<TreeColumns>();
  columns.setFieldCount(1);
  capnp::toAny(columns).getPointerSection()[0].initAsListOfAnyStruct(0, 0, 20);
  Table("model.TreeNode").messages[0] = capnp::messageToFlatArray(builder);
  Table("model.TreeNode").row_count = 20;
  EXPECT_THAT(Error(), HasSubstr("table model.TreeNode"));
}

TEST_F(HostileGraphTest, UnknownAndRepeatedTables) {
  Table("model.TreeNode").type = "model.Unheard";
  EXPECT_THAT(Error(), HasSubstr("model.Unheard"));
}

TEST_F(HostileGraphTest, TablesOutOfOrder) {
  std::swap(saved_.tables[0], saved_.tables[1]);
  EXPECT_THAT(Error(), HasSubstr("is out of order"));
}

TEST_F(HostileGraphTest, PartsMissing) {
  Edit("model.Circle", [](auto m) { m.initParts(1); });
  EXPECT_THAT(Error(), HasSubstr("table model.Circle rows from 0: 1 parts instead of 2"));
}

TEST_F(HostileGraphTest, MoreFieldsThanKnownIsANewerImage) {
  EditTree([](auto c) { c.setFieldCount(200); });
  auto graph = Load(saved_);
  EXPECT_TRUE(IsNewer(graph.status())) << graph.status();
  EXPECT_THAT(graph.status().message(),
              AllOf(HasSubstr("model.TreeNode"), HasSubstr("200 fields")));
}

TEST_F(HostileGraphTest, FewerFieldsKeepDefaults) {
  EditPart<rows::ScalarsColumns>("model.Scalars", 0, [](auto c) { c.setFieldCount(4); });
  auto graph = Load(saved_);
  ASSERT_TRUE(graph.ok()) << graph.status();
  auto holder = *graph->Root<Holder>("root");
  const auto& scalars = dynamic_cast<model::Scalars&>(*holder->anything);
  EXPECT_EQ(scalars.u64, 5u);
  EXPECT_EQ(scalars.color, model::Color::kRed);
  graph->Discard();
}

TEST_F(HostileGraphTest, ReferenceOutOfRange) {
  EditTree([](auto c) { c.getRows()[1].setParent(4); });
  EXPECT_EQ(
      Error(),
      "table model.TreeNode row 1 field parent: row 3 of table model.TreeNode does not exist");
}

TEST_F(HostileGraphTest, AnyReferenceOutOfRange) {
  EditTree([](auto c) { c.getRows()[2].setShape(uint64_t{77} << 32); });
  EXPECT_EQ(Error(),
            "table model.TreeNode row 2 field shape: row 0 of table number 76 does not exist");
}

TEST_F(HostileGraphTest, ReferenceToTheWrongType) {
  EditTree([](auto c) { c.getRows()[0].setShape((uint64_t{4} << 32) | 1); });
  EXPECT_THAT(Error(), HasSubstr("table model.TreeNode row 0 field shape: model.TreeNode row 1 is "
                                 "of the wrong type"));
}

TEST_F(HostileGraphTest, LengthBeyondItsColumn) {
  EditTree([](auto c) { c.getRows()[2].setName(1000); });
  EXPECT_EQ(Error(),
            "table model.TreeNode row 2 field name: length 1000 is more than the 1 bytes left in "
            "the column");
}

TEST_F(HostileGraphTest, BytesLeftInAColumn) {
  EditTree([](auto c) { c.getRows()[2].setName(0); });
  EXPECT_EQ(Error(), "table model.TreeNode rows 0 to 2 field name: 1 bytes left over");
}

TEST_F(HostileGraphTest, CountBeyondItsSlice) {
  EditTree([](auto c) {
    auto column = c.getChildrenColumn();
    column[0] = 0x7f;
  });
  EXPECT_EQ(Error(), "table model.TreeNode row 0 field children: count 127 is out of range");
}

TEST_F(HostileGraphTest, UnknownEnumValue) {
  EditPart<rows::ScalarsColumns>("model.Scalars", 0, [](auto c) { c.getRows()[0].setColor(3); });
  EXPECT_EQ(Error(), "table model.Scalars row 0 field color: unknown value 3");
}

TEST_F(HostileGraphTest, ChunkThatIsNotThere) {
  EditHolder([](auto c) { c.getRows()[0].setChunk(9); });
  EXPECT_EQ(Error(), "table model.Holder row 0 field chunk: chunk 8 does not exist");
}

TEST_F(HostileGraphTest, WhatHooksRefuse) {
  EditTree([](auto c) { c.getNameColumn()[0] = '/'; });
  EXPECT_EQ(Error(), "table model.TreeNode row 0 field name: contains a slash");
}

TEST_F(HostileGraphTest, WhatManualHooksRefuse) {
  holder_->set_title("refused");
  saved_ = Save(holder_.get());
  EXPECT_EQ(Error(), "table model.Holder row 0 field title: is refused");
}

TEST_F(HostileGraphTest, WaitingForOneself) {
  EditTree([](auto c) {
    c.getRows()[0].setParent(2);
    c.getRows()[1].setParent(1);
  });
  EXPECT_THAT(Error(), HasSubstr("waits for itself"));
}

TEST_F(HostileGraphTest, BorrowedPointerToWhatNothingHolds) {
  // Node 2 leaves the list of children but stays `next` of node 1.
  EditTree([](auto c) {
    c.getRows()[1].setNext(3);
    c.getRows()[0].setChildren(2);
    const kj::byte one_child[] = {1, 4, 0, 0};
    c.setChildrenColumn(kj::arrayPtr(one_child, 4));
  });
  EXPECT_EQ(Error(), "table model.TreeNode row 2: is pointed to, but nothing holds it");
}

TEST_F(HostileGraphTest, Roots) {
  saved_.roots[0].row = 5;
  EXPECT_THAT(Error(), HasSubstr("root root: row 5 of table model.Holder does not exist"));
  saved_.roots[0] = {"root", "model.Nothing", 0};
  EXPECT_THAT(Error(), HasSubstr("root root"));
  saved_.roots = {{"x", "model.Holder", 0}, {"x", "model.Holder", 0}};
  EXPECT_EQ(Error(), "root x appears twice");
}

TEST_F(HostileGraphTest, EveryCutIsRefused) {
  for (SavedTable& table : saved_.tables) {
    kj::Array<capnp::word> whole = std::move(table.messages[0]);
    for (size_t size = 0; size < whole.size(); ++size) {
      auto cut = kj::heapArray<capnp::word>(size);
      std::memcpy(cut.begin(), whole.begin(), size * sizeof(capnp::word));
      table.messages[0] = std::move(cut);
      EXPECT_THAT(Error(), HasSubstr(table.type)) << size;
    }
    table.messages[0] = std::move(whole);
  }
}

TEST_F(HostileGraphTest, NoFlippedBitDoesHarm) {
  int refused = 0;
  int accepted = 0;
  for (SavedTable& table : saved_.tables) {
    auto& message = table.messages[0];
    auto* bytes = reinterpret_cast<uint8_t*>(message.begin());
    for (size_t i = 0; i < message.size() * sizeof(capnp::word); ++i) {
      for (const uint8_t mask : {0x01, 0x80, 0xff}) {
        bytes[i] ^= mask;
        ++(Error().empty() ? accepted : refused);
        bytes[i] ^= mask;
      }
    }
  }
  // Values within their range cannot be told from the right ones here: digests are the image's.
  EXPECT_GT(refused, accepted / 4);
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace stasis::state
