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

// model.Link

void Access::Type<::stasis::model::Link>::Encode(Encoder& e, const ::stasis::model::Link& o) {
  StructEncoder s(e);
  s.Field(0, o.shape);
  s.Field(1, o.more);
  s.Field(2, o.color);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::model::Link>::Decode(Decoder& d, ::stasis::model::Link& o) {
  StructDecoder s(d, kName, kFieldCount);
  (void)o;
  while (s.Next()) {
    switch (s.number()) {
      case 0:
        s.Field("shape", o.shape);
        break;
      case 1:
        s.Field("more", o.more);
        break;
      case 2:
        s.Field("color", o.color);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::model::Link>::Visit(GraphWriter& w, const ::stasis::model::Link& o) {
  VisitField(w, o.shape);
  VisitField(w, o.more);
}

void Access::Type<::stasis::model::Link>::Visit(WaitList& w, const ::stasis::model::Link& o) {
  VisitField(w, o.shape);
  VisitField(w, o.more);
}

void Access::Type<::stasis::model::Link>::ClearReferences(::stasis::model::Link& o) {
  ClearField(o.shape);
  ClearField(o.more);
}

// model.Point

void Access::Type<::stasis::model::Point>::Encode(Encoder& e, const ::stasis::model::Point& o) {
  StructEncoder s(e);
  s.Field(0, o.x);
  s.Field(1, o.y);
  s.Field(2, o.label);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::model::Point>::Decode(Decoder& d, ::stasis::model::Point& o) {
  StructDecoder s(d, kName, kFieldCount);
  (void)o;
  while (s.Next()) {
    switch (s.number()) {
      case 0:
        s.Field("x", o.x);
        break;
      case 1:
        s.Field("y", o.y);
        break;
      case 2:
        s.Field("label", o.label);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::model::Point>::Visit(GraphWriter& w, const ::stasis::model::Point& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::model::Point>::Visit(WaitList& w, const ::stasis::model::Point& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::model::Point>::ClearReferences(::stasis::model::Point& o) {
  (void)o;
}

// model.Record

void Access::Type<::stasis::model::Record>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::model::schema::RecordColumns>();
  columns.setFieldCount(10);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::model::Record&>(batch[i]);
    auto row = rows[i];
    row.setMode(ScalarOf(o.mode));
    row.setUid(ScalarOf(o.uid));
    row.setGid(ScalarOf(o.gid));
    row.setNlink(ScalarOf(o.nlink));
    row.setIno(ScalarOf(o.ino));
    row.setSize(ScalarOf(o.size));
    row.setAtime(ScalarOf(o.atime));
    row.setMtime(ScalarOf(o.mtime));
    row.setCtime(ScalarOf(o.ctime));
    row.setBtime(ScalarOf(o.btime));
  }
}

absl::Status Access::Type<::stasis::model::Record>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::model::schema::RecordColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 10);
  if (!shape.ok()) return shape;
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::model::Record&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) SetScalar(o.mode, row.getMode());
    if (batch.Has(1)) SetScalar(o.uid, row.getUid());
    if (batch.Has(2)) SetScalar(o.gid, row.getGid());
    if (batch.Has(3)) SetScalar(o.nlink, row.getNlink());
    if (batch.Has(4)) SetScalar(o.ino, row.getIno());
    if (batch.Has(5)) SetScalar(o.size, row.getSize());
    if (batch.Has(6)) SetScalar(o.atime, row.getAtime());
    if (batch.Has(7)) SetScalar(o.mtime, row.getMtime());
    if (batch.Has(8)) SetScalar(o.ctime, row.getCtime());
    if (batch.Has(9)) SetScalar(o.btime, row.getBtime());
  }
  return absl::OkStatus();
}

void Access::Type<::stasis::model::Record>::VisitOwn(GraphWriter& w, ::stasis::model::Record& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::model::Record>::ClearOwn(::stasis::model::Record& o) {
  (void)o;
}

Object* Access::Type<::stasis::model::Record>::Create() { return new ::stasis::model::Record(); }

void Access::Type<::stasis::model::Record>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::model::Record&>(object);
  Access::Type<::stasis::model::Record>::VisitOwn(w, o);
}

void Access::Type<::stasis::model::Record>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::model::Record&>(object);
  Access::Type<::stasis::model::Record>::ClearOwn(o);
}

constinit const LevelDescriptor Access::Type<::stasis::model::Record>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::model::Record>::kLevels[] = {
    &Access::Type<::stasis::model::Record>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::model::Record>::kType = {
    kName, &typeid(::stasis::model::Record), kLevels, &Create, &Visit, &ClearReferences,
    nullptr, nullptr, {}};

// model.Scalars

void Access::Type<::stasis::model::Scalars>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::model::schema::ScalarsColumns>();
  columns.setFieldCount(18);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::model::Scalars&>(batch[i]);
    auto row = rows[i];
    row.setFlag(ScalarOf(o.flag));
    row.setI8(ScalarOf(o.i8));
    row.setI16(ScalarOf(o.i16));
    row.setI32(ScalarOf(o.i32));
    row.setI64(ScalarOf(o.i64));
    row.setU8(ScalarOf(o.u8));
    row.setU16(ScalarOf(o.u16));
    row.setU32(ScalarOf(o.u32));
    row.setU64(ScalarOf(o.u64));
    row.setF32(ScalarOf(o.f32));
    row.setF64(ScalarOf(o.f64));
    row.setColor(ScalarOf(o.color));
    row.setNumber(ScalarOf(o.number));
    row.setFlags(ScalarOf(o.flags));
    row.setByte(ScalarOf(o.byte));
    row.setAtomicU64(ScalarOf(o.atomic_u64));
    row.setAtomicFlag(ScalarOf(o.atomic_flag));
    row.setAtomicColor(ScalarOf(o.atomic_color));
  }
}

absl::Status Access::Type<::stasis::model::Scalars>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::model::schema::ScalarsColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 18);
  if (!shape.ok()) return shape;
  Decoder d11 = batch.Column({});
  Decoder d12 = batch.Column({});
  Decoder d13 = batch.Column({});
  Decoder d17 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::model::Scalars&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) SetScalar(o.flag, row.getFlag());
    if (batch.Has(1)) SetScalar(o.i8, row.getI8());
    if (batch.Has(2)) SetScalar(o.i16, row.getI16());
    if (batch.Has(3)) SetScalar(o.i32, row.getI32());
    if (batch.Has(4)) SetScalar(o.i64, row.getI64());
    if (batch.Has(5)) SetScalar(o.u8, row.getU8());
    if (batch.Has(6)) SetScalar(o.u16, row.getU16());
    if (batch.Has(7)) SetScalar(o.u32, row.getU32());
    if (batch.Has(8)) SetScalar(o.u64, row.getU64());
    if (batch.Has(9)) SetScalar(o.f32, row.getF32());
    if (batch.Has(10)) SetScalar(o.f64, row.getF64());
    if (batch.Has(11) && !SetEnum(d11, o.color, row.getColor()))
      return batch.FieldError(i, "color", d11);
    if (batch.Has(12) && !SetEnum(d12, o.number, row.getNumber()))
      return batch.FieldError(i, "number", d12);
    if (batch.Has(13) && !SetEnum(d13, o.flags, row.getFlags()))
      return batch.FieldError(i, "flags", d13);
    if (batch.Has(14)) SetScalar(o.byte, row.getByte());
    if (batch.Has(15)) SetScalar(o.atomic_u64, row.getAtomicU64());
    if (batch.Has(16)) SetScalar(o.atomic_flag, row.getAtomicFlag());
    if (batch.Has(17) && !SetEnum(d17, o.atomic_color, row.getAtomicColor()))
      return batch.FieldError(i, "atomic_color", d17);
  }
  return absl::OkStatus();
}

void Access::Type<::stasis::model::Scalars>::VisitOwn(GraphWriter& w, ::stasis::model::Scalars& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::model::Scalars>::ClearOwn(::stasis::model::Scalars& o) {
  (void)o;
}

Object* Access::Type<::stasis::model::Scalars>::Create() { return new ::stasis::model::Scalars(); }

void Access::Type<::stasis::model::Scalars>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::model::Scalars&>(object);
  Access::Type<::stasis::model::Scalars>::VisitOwn(w, o);
}

void Access::Type<::stasis::model::Scalars>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::model::Scalars&>(object);
  Access::Type<::stasis::model::Scalars>::ClearOwn(o);
}

constinit const LevelDescriptor Access::Type<::stasis::model::Scalars>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::model::Scalars>::kLevels[] = {
    &Access::Type<::stasis::model::Scalars>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::model::Scalars>::kType = {
    kName, &typeid(::stasis::model::Scalars), kLevels, &Create, &Visit, &ClearReferences,
    nullptr, nullptr, {}};

// model.Shape

void Access::Type<::stasis::model::Shape>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::model::schema::ShapeColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::model::Shape&>(batch[i]);
    auto row = rows[i];
    row.setName(SaveSlice(c0, o.name));
  }
  columns.setNameColumn(batch.Content(c0));
}

absl::Status Access::Type<::stasis::model::Shape>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::model::schema::ShapeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getNameColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::model::Shape&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getName(), o.name))
      return batch.FieldError(i, "name", d0);
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("name", d0);
  return absl::OkStatus();
}

void Access::Type<::stasis::model::Shape>::VisitOwn(GraphWriter& w, ::stasis::model::Shape& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::model::Shape>::ClearOwn(::stasis::model::Shape& o) {
  (void)o;
}

constinit const LevelDescriptor Access::Type<::stasis::model::Shape>::kLevel = {kName, &Save, &Load, nullptr};

// model.Square

void Access::Type<::stasis::model::Square>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::model::schema::SquareColumns>();
  columns.setFieldCount(2);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::model::Square&>(batch[i]);
    auto row = rows[i];
    row.setSide(ScalarOf(o.side));
    row.setInner(graph.AnyId(TargetOf(o.inner)));
  }
}

absl::Status Access::Type<::stasis::model::Square>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::model::schema::SquareColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 2);
  if (!shape.ok()) return shape;
  Decoder d1 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::model::Square&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) SetScalar(o.side, row.getSide());
    if (batch.Has(1) && !SetAny(d1, o.inner, row.getInner()))
      return batch.FieldError(i, "inner", d1);
  }
  return absl::OkStatus();
}

void Access::Type<::stasis::model::Square>::VisitOwn(GraphWriter& w, ::stasis::model::Square& o) {
  VisitField(w, o.inner);
}

void Access::Type<::stasis::model::Square>::ClearOwn(::stasis::model::Square& o) {
  ClearField(o.inner);
}

Object* Access::Type<::stasis::model::Square>::Create() { return new ::stasis::model::Square(); }

void Access::Type<::stasis::model::Square>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::model::Square&>(object);
  Access::Type<::stasis::model::Shape>::VisitOwn(w, o);
  Access::Type<::stasis::model::Square>::VisitOwn(w, o);
}

void Access::Type<::stasis::model::Square>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::model::Square&>(object);
  Access::Type<::stasis::model::Shape>::ClearOwn(o);
  Access::Type<::stasis::model::Square>::ClearOwn(o);
}

constinit const LevelDescriptor Access::Type<::stasis::model::Square>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::model::Square>::kLevels[] = {
    &Access::Type<::stasis::model::Shape>::kLevel,
    &Access::Type<::stasis::model::Square>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::model::Square>::kType = {
    kName, &typeid(::stasis::model::Square), kLevels, &Create, &Visit, &ClearReferences,
    nullptr, nullptr, {}};

// model.TreeNode

void Access::Type<::stasis::model::TreeNode>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::model::schema::TreeNodeColumns>();
  columns.setFieldCount(5);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  Encoder& c2 = batch.Column(1);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::model::TreeNode&>(batch[i]);
    auto row = rows[i];
    row.setName(SaveSlice(c0, o.name));
    row.setParent(graph.ExactId(TargetOf(o.parent)));
    row.setChildren(SaveSlice(c2, o.children));
    row.setNext(graph.ExactId(TargetOf(o.next)));
    row.setShape(graph.AnyId(TargetOf(o.shape)));
  }
  columns.setNameColumn(batch.Content(c0));
  columns.setChildrenColumn(batch.Content(c2));
}

absl::Status Access::Type<::stasis::model::TreeNode>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::model::schema::TreeNodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 5);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getNameColumn());
  Decoder d1 = batch.Column({});
  Decoder d2 = batch.Column(columns.getChildrenColumn());
  Decoder d3 = batch.Column({});
  Decoder d4 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::model::TreeNode&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getName(), o.name))
      return batch.FieldError(i, "name", d0);
    if (batch.Has(1) && !SetExact(d1, o.parent, row.getParent()))
      return batch.FieldError(i, "parent", d1);
    if (batch.Has(2) && !LoadSlice(d2, row.getChildren(), o.children))
      return batch.FieldError(i, "children", d2);
    if (batch.Has(3) && !SetExact(d3, o.next, row.getNext()))
      return batch.FieldError(i, "next", d3);
    if (batch.Has(4) && !SetAny(d4, o.shape, row.getShape()))
      return batch.FieldError(i, "shape", d4);
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("name", d0);
  if (!d2.ColumnUsedUp()) return batch.ColumnError("children", d2);
  return absl::OkStatus();
}

void Access::Type<::stasis::model::TreeNode>::VisitOwn(GraphWriter& w, ::stasis::model::TreeNode& o) {
  VisitField(w, o.parent);
  VisitField(w, o.children);
  VisitField(w, o.next);
  VisitField(w, o.shape);
}

void Access::Type<::stasis::model::TreeNode>::ClearOwn(::stasis::model::TreeNode& o) {
  ClearField(o.parent);
  ClearField(o.children);
  ClearField(o.next);
  ClearField(o.shape);
}

void Access::Type<::stasis::model::TreeNode>::BeforeSaveOwn(::stasis::model::TreeNode& o) {
  o.::stasis::model::TreeNode::BeforeSave();
}

absl::Status Access::Type<::stasis::model::TreeNode>::AfterLoadOwn(::stasis::model::TreeNode& o, LoadContext& context) {
  return o.::stasis::model::TreeNode::AfterLoad(context);
}

void Access::Type<::stasis::model::TreeNode>::WaitsOwn(WaitList& w, const ::stasis::model::TreeNode& o) {
  VisitField(w, o.parent);
}

Object* Access::Type<::stasis::model::TreeNode>::Create() { return new ::stasis::model::TreeNode(); }

void Access::Type<::stasis::model::TreeNode>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::model::TreeNode&>(object);
  Access::Type<::stasis::model::TreeNode>::BeforeSaveOwn(o);
  Access::Type<::stasis::model::TreeNode>::VisitOwn(w, o);
}

void Access::Type<::stasis::model::TreeNode>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::model::TreeNode&>(object);
  Access::Type<::stasis::model::TreeNode>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::model::TreeNode>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::model::TreeNode&>(object);
  if (absl::Status s = Access::Type<::stasis::model::TreeNode>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

void Access::Type<::stasis::model::TreeNode>::Waits(const Object& object, WaitList& w) {
  const auto& o = static_cast<const ::stasis::model::TreeNode&>(object);
  Access::Type<::stasis::model::TreeNode>::WaitsOwn(w, o);
}

constinit const LevelDescriptor Access::Type<::stasis::model::TreeNode>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::model::TreeNode>::kLevels[] = {
    &Access::Type<::stasis::model::TreeNode>::kLevel,
};
constinit const LevelDescriptor* const Access::Type<::stasis::model::TreeNode>::kWaits[] = {
    &Access::Type<::stasis::model::Shape>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::model::TreeNode>::kType = {
    kName, &typeid(::stasis::model::TreeNode), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, &Waits, kWaits};

}  // namespace stasis::state

namespace stasis::model::gen {
struct Layer;
}

template <>
struct stasis::state::Access::Type<stasis::model::gen::Layer> {
  static void Register(Registry& registry) {
    (void)registry;
    registry.Add(Type<::stasis::model::Circle>::kType);
    registry.Add(Type<::stasis::model::Columns>::kType);
    registry.Add(Type<::stasis::model::Empty>::kType);
    registry.Add(Type<::stasis::model::Entry>::kType);
    registry.Add(Type<::stasis::model::Holder>::kType);
    registry.Add(Type<::stasis::model::Record>::kType);
    registry.Add(Type<::stasis::model::Scalars>::kType);
    registry.Add(Type<::stasis::model::Square>::kType);
    registry.Add(Type<::stasis::model::TreeNode>::kType);
  }
};

namespace stasis::model::gen {

void RegisterTypes(state::Registry& registry) {
  state::Access::Type<Layer>::Register(registry);
}

}  // namespace stasis::model::gen
