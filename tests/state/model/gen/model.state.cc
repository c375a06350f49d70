// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#include "tests/state/model/gen/model.state.h"

#include <type_traits>
#include <typeinfo>
#include <utility>

#include "state/load_batch.h"
#include "state/save_batch.h"
#include "tests/state/model/gen/types.h"
#include "tests/state/model/gen/model.state.capnp.h"

namespace stasis::state {

// model.Circle

void Access::Type<::stasis::model::Circle>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::model::schema::CircleColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::model::Circle&>(batch[i]);
    auto row = rows[i];
    row.setRadius(ScalarOf(o.radius));
  }
}

absl::Status Access::Type<::stasis::model::Circle>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::model::schema::CircleColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::model::Circle&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) SetScalar(o.radius, row.getRadius());
  }
  return absl::OkStatus();
}

void Access::Type<::stasis::model::Circle>::VisitOwn(GraphWriter& w, ::stasis::model::Circle& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::model::Circle>::ClearOwn(::stasis::model::Circle& o) {
  (void)o;
}

Object* Access::Type<::stasis::model::Circle>::Create() { return new ::stasis::model::Circle(); }

void Access::Type<::stasis::model::Circle>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::model::Circle&>(object);
  Access::Type<::stasis::model::Shape>::VisitOwn(w, o);
  Access::Type<::stasis::model::Circle>::VisitOwn(w, o);
}

void Access::Type<::stasis::model::Circle>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::model::Circle&>(object);
  Access::Type<::stasis::model::Shape>::ClearOwn(o);
  Access::Type<::stasis::model::Circle>::ClearOwn(o);
}

constinit const LevelDescriptor Access::Type<::stasis::model::Circle>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::model::Circle>::kLevels[] = {
    &Access::Type<::stasis::model::Shape>::kLevel,
    &Access::Type<::stasis::model::Circle>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::model::Circle>::kType = {
    kName, &typeid(::stasis::model::Circle), kLevels, &Create, &Visit, &ClearReferences,
    nullptr, nullptr, {}};

// model.Columns

void Access::Type<::stasis::model::Columns>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::model::schema::ColumnsColumns>();
  columns.setFieldCount(20);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  Encoder& c1 = batch.Column(1);
  Encoder& c2 = batch.Column(2);
  Encoder& c3 = batch.Column(3);
  Encoder& c4 = batch.Column(4);
  Encoder& c5 = batch.Column(5);
  Encoder& c6 = batch.Column(6);
  Encoder& c7 = batch.Column(7);
  Encoder& c8 = batch.Column(8);
  Encoder& c9 = batch.Column(9);
  Encoder& c10 = batch.Column(10);
  Encoder& c11 = batch.Column(11);
  Encoder& c12 = batch.Column(12);
  Encoder& c13 = batch.Column(13);
  Encoder& c14 = batch.Column(14);
  Encoder& c15 = batch.Column(15);
  Encoder& c16 = batch.Column(16);
  Encoder& c17 = batch.Column(17);
  Encoder& c18 = batch.Column(18);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::model::Columns&>(batch[i]);
    auto row = rows[i];
    row.setText(SaveSlice(c0, o.text));
    row.setBytes(SaveSlice(c1, o.bytes));
    row.setOctets(SaveSlice(c2, o.octets));
    row.setNumbers(SaveSlice(c3, o.numbers));
    row.setSignedNumbers(SaveSlice(c4, o.signed_numbers));
    row.setBits(SaveSlice(c5, o.bits));
    row.setTexts(SaveSlice(c6, o.texts));
    row.setColors(SaveSlice(c7, o.colors));
    row.setFixed(SaveSlice(c8, o.fixed));
    row.setMaybe(SaveSlice(c9, o.maybe));
    row.setPoint(SaveSlice(c10, o.point));
    row.setChoice(SaveSlice(c11, o.choice));
    row.setBoth(SaveSlice(c12, o.both));
    row.setOrdered(SaveSlice(c13, o.ordered));
    row.setTree(SaveSlice(c14, o.tree));
    row.setHashed(SaveSlice(c15, o.hashed));
    row.setSet(SaveSlice(c16, o.set));
    row.setNested(SaveSlice(c17, o.nested));
    row.setFlags(SaveSlice(c18, o.flags));
    row.setRatio(ScalarOf(o.ratio));
  }
  columns.setTextColumn(batch.Content(c0));
  columns.setBytesColumn(batch.Content(c1));
  columns.setOctetsColumn(batch.Content(c2));
  columns.setNumbersColumn(batch.Content(c3));
  columns.setSignedNumbersColumn(batch.Content(c4));
  columns.setBitsColumn(batch.Content(c5));
  columns.setTextsColumn(batch.Content(c6));
  columns.setColorsColumn(batch.Content(c7));
  columns.setFixedColumn(batch.Content(c8));
  columns.setMaybeColumn(batch.Content(c9));
  columns.setPointColumn(batch.Content(c10));
  columns.setChoiceColumn(batch.Content(c11));
  columns.setBothColumn(batch.Content(c12));
  columns.setOrderedColumn(batch.Content(c13));
  columns.setTreeColumn(batch.Content(c14));
  columns.setHashedColumn(batch.Content(c15));
  columns.setSetColumn(batch.Content(c16));
  columns.setNestedColumn(batch.Content(c17));
  columns.setFlagsColumn(batch.Content(c18));
}

absl::Status Access::Type<::stasis::model::Columns>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::model::schema::ColumnsColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 20);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getTextColumn());
  Decoder d1 = batch.Column(columns.getBytesColumn());
  Decoder d2 = batch.Column(columns.getOctetsColumn());
  Decoder d3 = batch.Column(columns.getNumbersColumn());
  Decoder d4 = batch.Column(columns.getSignedNumbersColumn());
  Decoder d5 = batch.Column(columns.getBitsColumn());
  Decoder d6 = batch.Column(columns.getTextsColumn());
  Decoder d7 = batch.Column(columns.getColorsColumn());
  Decoder d8 = batch.Column(columns.getFixedColumn());
  Decoder d9 = batch.Column(columns.getMaybeColumn());
  Decoder d10 = batch.Column(columns.getPointColumn());
  Decoder d11 = batch.Column(columns.getChoiceColumn());
  Decoder d12 = batch.Column(columns.getBothColumn());
  Decoder d13 = batch.Column(columns.getOrderedColumn());
  Decoder d14 = batch.Column(columns.getTreeColumn());
  Decoder d15 = batch.Column(columns.getHashedColumn());
  Decoder d16 = batch.Column(columns.getSetColumn());
  Decoder d17 = batch.Column(columns.getNestedColumn());
  Decoder d18 = batch.Column(columns.getFlagsColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::model::Columns&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getText(), o.text))
      return batch.FieldError(i, "text", d0);
    if (batch.Has(1) && !LoadSlice(d1, row.getBytes(), o.bytes))
      return batch.FieldError(i, "bytes", d1);
    if (batch.Has(2) && !LoadSlice(d2, row.getOctets(), o.octets))
      return batch.FieldError(i, "octets", d2);
    if (batch.Has(3) && !LoadSlice(d3, row.getNumbers(), o.numbers))
      return batch.FieldError(i, "numbers", d3);
    if (batch.Has(4) && !LoadSlice(d4, row.getSignedNumbers(), o.signed_numbers))
      return batch.FieldError(i, "signed_numbers", d4);
    if (batch.Has(5) && !LoadSlice(d5, row.getBits(), o.bits))
      return batch.FieldError(i, "bits", d5);
    if (batch.Has(6) && !LoadSlice(d6, row.getTexts(), o.texts))
      return batch.FieldError(i, "texts", d6);
    if (batch.Has(7) && !LoadSlice(d7, row.getColors(), o.colors))
      return batch.FieldError(i, "colors", d7);
    if (batch.Has(8) && !LoadSlice(d8, row.getFixed(), o.fixed))
      return batch.FieldError(i, "fixed", d8);
    if (batch.Has(9) && !LoadSlice(d9, row.getMaybe(), o.maybe))
      return batch.FieldError(i, "maybe", d9);
    if (batch.Has(10) && !LoadSlice(d10, row.getPoint(), o.point))
      return batch.FieldError(i, "point", d10);
    if (batch.Has(11) && !LoadSlice(d11, row.getChoice(), o.choice))
      return batch.FieldError(i, "choice", d11);
    if (batch.Has(12) && !LoadSlice(d12, row.getBoth(), o.both))
      return batch.FieldError(i, "both", d12);
    if (batch.Has(13) && !LoadSlice(d13, row.getOrdered(), o.ordered))
      return batch.FieldError(i, "ordered", d13);
    if (batch.Has(14) && !LoadSlice(d14, row.getTree(), o.tree))
      return batch.FieldError(i, "tree", d14);
    if (batch.Has(15) && !LoadSlice(d15, row.getHashed(), o.hashed))
      return batch.FieldError(i, "hashed", d15);
    if (batch.Has(16) && !LoadSlice(d16, row.getSet(), o.set))
      return batch.FieldError(i, "set", d16);
    if (batch.Has(17) && !LoadSlice(d17, row.getNested(), o.nested))
      return batch.FieldError(i, "nested", d17);
    if (batch.Has(18) && !LoadSlice(d18, row.getFlags(), o.flags))
      return batch.FieldError(i, "flags", d18);
    if (batch.Has(19)) SetScalar(o.ratio, row.getRatio());
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("text", d0);
  if (!d1.ColumnUsedUp()) return batch.ColumnError("bytes", d1);
  if (!d2.ColumnUsedUp()) return batch.ColumnError("octets", d2);
  if (!d3.ColumnUsedUp()) return batch.ColumnError("numbers", d3);
  if (!d4.ColumnUsedUp()) return batch.ColumnError("signed_numbers", d4);
  if (!d5.ColumnUsedUp()) return batch.ColumnError("bits", d5);
  if (!d6.ColumnUsedUp()) return batch.ColumnError("texts", d6);
  if (!d7.ColumnUsedUp()) return batch.ColumnError("colors", d7);
  if (!d8.ColumnUsedUp()) return batch.ColumnError("fixed", d8);
  if (!d9.ColumnUsedUp()) return batch.ColumnError("maybe", d9);
  if (!d10.ColumnUsedUp()) return batch.ColumnError("point", d10);
  if (!d11.ColumnUsedUp()) return batch.ColumnError("choice", d11);
  if (!d12.ColumnUsedUp()) return batch.ColumnError("both", d12);
  if (!d13.ColumnUsedUp()) return batch.ColumnError("ordered", d13);
  if (!d14.ColumnUsedUp()) return batch.ColumnError("tree", d14);
  if (!d15.ColumnUsedUp()) return batch.ColumnError("hashed", d15);
  if (!d16.ColumnUsedUp()) return batch.ColumnError("set", d16);
  if (!d17.ColumnUsedUp()) return batch.ColumnError("nested", d17);
  if (!d18.ColumnUsedUp()) return batch.ColumnError("flags", d18);
  return absl::OkStatus();
}

void Access::Type<::stasis::model::Columns>::VisitOwn(GraphWriter& w, ::stasis::model::Columns& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::model::Columns>::ClearOwn(::stasis::model::Columns& o) {
  (void)o;
}

Object* Access::Type<::stasis::model::Columns>::Create() { return new ::stasis::model::Columns(); }

void Access::Type<::stasis::model::Columns>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::model::Columns&>(object);
  Access::Type<::stasis::model::Columns>::VisitOwn(w, o);
}

void Access::Type<::stasis::model::Columns>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::model::Columns&>(object);
  Access::Type<::stasis::model::Columns>::ClearOwn(o);
}

constinit const LevelDescriptor Access::Type<::stasis::model::Columns>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::model::Columns>::kLevels[] = {
    &Access::Type<::stasis::model::Columns>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::model::Columns>::kType = {
    kName, &typeid(::stasis::model::Columns), kLevels, &Create, &Visit, &ClearReferences,
    nullptr, nullptr, {}};

// model.Empty

void Access::Type<::stasis::model::Empty>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::model::schema::EmptyColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
}

absl::Status Access::Type<::stasis::model::Empty>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::model::schema::EmptyColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  return absl::OkStatus();
}

void Access::Type<::stasis::model::Empty>::VisitOwn(GraphWriter& w, ::stasis::model::Empty& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::model::Empty>::ClearOwn(::stasis::model::Empty& o) {
  (void)o;
}

Object* Access::Type<::stasis::model::Empty>::Create() { return new ::stasis::model::Empty(); }

void Access::Type<::stasis::model::Empty>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::model::Empty&>(object);
  Access::Type<::stasis::model::Empty>::VisitOwn(w, o);
}

void Access::Type<::stasis::model::Empty>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::model::Empty&>(object);
  Access::Type<::stasis::model::Empty>::ClearOwn(o);
}

constinit const LevelDescriptor Access::Type<::stasis::model::Empty>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::model::Empty>::kLevels[] = {
    &Access::Type<::stasis::model::Empty>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::model::Empty>::kType = {
    kName, &typeid(::stasis::model::Empty), kLevels, &Create, &Visit, &ClearReferences,
    nullptr, nullptr, {}};

// model.Entry

void Access::Type<::stasis::model::Entry>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::model::schema::EntryColumns>();
  columns.setFieldCount(5);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  Encoder& c3 = batch.Column(1);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::model::Entry&>(batch[i]);
    auto row = rows[i];
    row.setName(SaveSlice(c0, o.name));
    row.setParent(graph.ExactId(TargetOf(o.parent)));
    row.setRecord(graph.ExactId(TargetOf(o.record)));
    row.setChildren(SaveSlice(c3, o.children));
    row.setPosition(ScalarOf(o.position));
  }
  columns.setNameColumn(batch.Content(c0));
  columns.setChildrenColumn(batch.Content(c3));
}

absl::Status Access::Type<::stasis::model::Entry>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::model::schema::EntryColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 5);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getNameColumn());
  Decoder d1 = batch.Column({});
  Decoder d2 = batch.Column({});
  Decoder d3 = batch.Column(columns.getChildrenColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::model::Entry&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getName(), o.name))
      return batch.FieldError(i, "name", d0);
    if (batch.Has(1) && !SetExact(d1, o.parent, row.getParent()))
      return batch.FieldError(i, "parent", d1);
    if (batch.Has(2) && !SetExact(d2, o.record, row.getRecord()))
      return batch.FieldError(i, "record", d2);
    if (batch.Has(3) && !LoadSlice(d3, row.getChildren(), o.children))
      return batch.FieldError(i, "children", d3);
    if (batch.Has(4)) SetScalar(o.position, row.getPosition());
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("name", d0);
  if (!d3.ColumnUsedUp()) return batch.ColumnError("children", d3);
  return absl::OkStatus();
}

void Access::Type<::stasis::model::Entry>::VisitOwn(GraphWriter& w, ::stasis::model::Entry& o) {
  VisitField(w, o.parent);
  VisitField(w, o.record);
  VisitField(w, o.children);
}

void Access::Type<::stasis::model::Entry>::ClearOwn(::stasis::model::Entry& o) {
  ClearField(o.parent);
  ClearField(o.record);
  ClearField(o.children);
}

Object* Access::Type<::stasis::model::Entry>::Create() { return new ::stasis::model::Entry(); }

void Access::Type<::stasis::model::Entry>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::model::Entry&>(object);
  Access::Type<::stasis::model::Entry>::VisitOwn(w, o);
}

void Access::Type<::stasis::model::Entry>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::model::Entry&>(object);
  Access::Type<::stasis::model::Entry>::ClearOwn(o);
}

constinit const LevelDescriptor Access::Type<::stasis::model::Entry>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::model::Entry>::kLevels[] = {
    &Access::Type<::stasis::model::Entry>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::model::Entry>::kType = {
    kName, &typeid(::stasis::model::Entry), kLevels, &Create, &Visit, &ClearReferences,
    nullptr, nullptr, {}};

// model.Holder

void Access::Type<::stasis::model::Holder>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::model::schema::HolderColumns>();
  columns.setFieldCount(14);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c5 = batch.Column(0);
  Encoder& c6 = batch.Column(1);
  Encoder& c7 = batch.Column(2);
  Encoder& c8 = batch.Column(3);
  Encoder& c9 = batch.Column(4);
  Encoder& c10 = batch.Column(5);
  Encoder& c12 = batch.Column(6);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::model::Holder&>(batch[i]);
    auto row = rows[i];
    row.setTree(graph.ExactId(TargetOf(o.tree)));
    row.setCurrent(graph.ExactId(TargetOf(o.current)));
    row.setAnything(graph.AnyId(TargetOf(o.anything)));
    row.setShape(graph.AnyId(TargetOf(o.shape)));
    row.setCircle(graph.ExactId(TargetOf(o.circle)));
    row.setShapes(SaveSlice(c5, o.shapes));
    row.setByName(SaveSlice(c6, o.by_name));
    row.setNodes(SaveSlice(c7, o.nodes));
    row.setLink(SaveSlice(c8, o.link));
    row.setLinks(SaveSlice(c9, o.links));
    row.setChunks(SaveSlice(c10, o.chunks));
    row.setChunk(graph.ChunkId(TargetOf(o.chunk)));
    row.setTitle(SaveSlice(c12, o.SaveTitle()));
    row.setSecret(ScalarOf(o.SaveSecret()));
  }
  columns.setShapesColumn(batch.Content(c5));
  columns.setByNameColumn(batch.Content(c6));
  columns.setNodesColumn(batch.Content(c7));
  columns.setLinkColumn(batch.Content(c8));
  columns.setLinksColumn(batch.Content(c9));
  columns.setChunksColumn(batch.Content(c10));
  columns.setTitleColumn(batch.Content(c12));
}

absl::Status Access::Type<::stasis::model::Holder>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::model::schema::HolderColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 14);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column({});
  Decoder d1 = batch.Column({});
  Decoder d2 = batch.Column({});
  Decoder d3 = batch.Column({});
  Decoder d4 = batch.Column({});
  Decoder d5 = batch.Column(columns.getShapesColumn());
  Decoder d6 = batch.Column(columns.getByNameColumn());
  Decoder d7 = batch.Column(columns.getNodesColumn());
  Decoder d8 = batch.Column(columns.getLinkColumn());
  Decoder d9 = batch.Column(columns.getLinksColumn());
  Decoder d10 = batch.Column(columns.getChunksColumn());
  Decoder d11 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::model::Holder&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !SetExact(d0, o.tree, row.getTree()))
      return batch.FieldError(i, "tree", d0);
    if (batch.Has(1) && !SetExact(d1, o.current, row.getCurrent()))
      return batch.FieldError(i, "current", d1);
    if (batch.Has(2) && !SetAny(d2, o.anything, row.getAnything()))
      return batch.FieldError(i, "anything", d2);
    if (batch.Has(3) && !SetAny(d3, o.shape, row.getShape()))
      return batch.FieldError(i, "shape", d3);
    if (batch.Has(4) && !SetExact(d4, o.circle, row.getCircle()))
      return batch.FieldError(i, "circle", d4);
    if (batch.Has(5) && !LoadSlice(d5, row.getShapes(), o.shapes))
      return batch.FieldError(i, "shapes", d5);
    if (batch.Has(6) && !LoadSlice(d6, row.getByName(), o.by_name))
      return batch.FieldError(i, "by_name", d6);
    if (batch.Has(7) && !LoadSlice(d7, row.getNodes(), o.nodes))
      return batch.FieldError(i, "nodes", d7);
    if (batch.Has(8) && !LoadSlice(d8, row.getLink(), o.link))
      return batch.FieldError(i, "link", d8);
    if (batch.Has(9) && !LoadSlice(d9, row.getLinks(), o.links))
      return batch.FieldError(i, "links", d9);
    if (batch.Has(10) && !LoadSlice(d10, row.getChunks(), o.chunks))
      return batch.FieldError(i, "chunks", d10);
    if (batch.Has(11) && !SetChunk(d11, o.chunk, row.getChunk()))
      return batch.FieldError(i, "chunk", d11);
  }
  if (!d5.ColumnUsedUp()) return batch.ColumnError("shapes", d5);
  if (!d6.ColumnUsedUp()) return batch.ColumnError("by_name", d6);
  if (!d7.ColumnUsedUp()) return batch.ColumnError("nodes", d7);
  if (!d8.ColumnUsedUp()) return batch.ColumnError("link", d8);
  if (!d9.ColumnUsedUp()) return batch.ColumnError("links", d9);
  if (!d10.ColumnUsedUp()) return batch.ColumnError("chunks", d10);
  return absl::OkStatus();
}

absl::Status Access::Type<::stasis::model::Holder>::LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::model::schema::HolderColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 14);
  if (!shape.ok()) return shape;
  Decoder d12 = batch.Column(columns.getTitleColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::model::Holder&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(12)) {
      std::remove_cvref_t<decltype(o.SaveTitle())> value{};
      if (!LoadSlice(d12, row.getTitle(), value))
        return batch.FieldError(i, "title", d12);
      absl::Status s = o.LoadTitle(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
    if (batch.Has(13)) {
      std::remove_cvref_t<decltype(o.SaveSecret())> value{};
      SetScalar(value, row.getSecret());
      absl::Status s = o.LoadSecret(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
  }
  if (!d12.ColumnUsedUp()) return batch.ColumnError("title", d12);
  return absl::OkStatus();
}

void Access::Type<::stasis::model::Holder>::VisitOwn(GraphWriter& w, ::stasis::model::Holder& o) {
  VisitField(w, o.tree);
  VisitField(w, o.current);
  VisitField(w, o.anything);
  VisitField(w, o.shape);
  VisitField(w, o.circle);
  VisitField(w, o.shapes);
  VisitField(w, o.by_name);
  VisitField(w, o.nodes);
  VisitField(w, o.link);
  VisitField(w, o.links);
  VisitField(w, o.chunks);
  VisitField(w, o.chunk);
}

void Access::Type<::stasis::model::Holder>::ClearOwn(::stasis::model::Holder& o) {
  o.::stasis::model::Holder::LoadFailed();
  ClearField(o.tree);
  ClearField(o.current);
  ClearField(o.anything);
  ClearField(o.shape);
  ClearField(o.circle);
  ClearField(o.shapes);
  ClearField(o.by_name);
  ClearField(o.nodes);
  ClearField(o.link);
  ClearField(o.links);
  ClearField(o.chunks);
  ClearField(o.chunk);
}

Object* Access::Type<::stasis::model::Holder>::Create() { return new ::stasis::model::Holder(); }

void Access::Type<::stasis::model::Holder>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::model::Holder&>(object);
  Access::Type<::stasis::model::Holder>::VisitOwn(w, o);
}

void Access::Type<::stasis::model::Holder>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::model::Holder&>(object);
  Access::Type<::stasis::model::Holder>::ClearOwn(o);
}

constinit const LevelDescriptor Access::Type<::stasis::model::Holder>::kLevel = {kName, &Save, &Load, &LoadManual};
constinit const LevelDescriptor* const Access::Type<::stasis::model::Holder>::kLevels[] = {
    &Access::Type<::stasis::model::Holder>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::model::Holder>::kType = {
    kName, &typeid(::stasis::model::Holder), kLevels, &Create, &Visit, &ClearReferences,
    nullptr, nullptr, {}};

}  // namespace stasis::state
