// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#include "fsimpl/overlay/gen/overlay.state.h"

#include <type_traits>
#include <typeinfo>
#include <utility>

#include "state/load_batch.h"
#include "state/save_batch.h"
#include "fsimpl/overlay/gen/types.h"
#include "fsimpl/overlay/gen/overlay.state.capnp.h"

namespace stasis::state {

// overlay.OverlayRegular

void Access::Type<::stasis::overlay::OverlayRegular>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::overlay::schema::OverlayRegularColumns>();
  columns.setFieldCount(5);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  Encoder& c3 = batch.Column(1);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::overlay::OverlayRegular&>(batch[i]);
    auto row = rows[i];
    row.setHandles(SaveSlice(c0, o.handles_));
    row.setDataInUpper(ScalarOf(o.data_in_upper_));
    row.setLowerEnd(ScalarOf(o.lower_end_));
    row.setCopied(SaveSlice(c3, o.SaveCopied()));
    row.setDataBelow(graph.ExactId(TargetOf(o.data_below_)));
  }
  columns.setHandlesColumn(batch.Content(c0));
  columns.setCopiedColumn(batch.Content(c3));
}

absl::Status Access::Type<::stasis::overlay::OverlayRegular>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::overlay::schema::OverlayRegularColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 5);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getHandlesColumn());
  Decoder d4 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::overlay::OverlayRegular&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getHandles(), o.handles_))
      return batch.FieldError(i, "handles", d0);
    if (batch.Has(1)) SetScalar(o.data_in_upper_, row.getDataInUpper());
    if (batch.Has(2)) SetScalar(o.lower_end_, row.getLowerEnd());
    if (batch.Has(4) && !SetExact(d4, o.data_below_, row.getDataBelow()))
      return batch.FieldError(i, "data_below", d4);
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("handles", d0);
  return absl::OkStatus();
}

absl::Status Access::Type<::stasis::overlay::OverlayRegular>::LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::overlay::schema::OverlayRegularColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 5);
  if (!shape.ok()) return shape;
  Decoder d3 = batch.Column(columns.getCopiedColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::overlay::OverlayRegular&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(3)) {
      std::remove_cvref_t<decltype(o.SaveCopied())> value{};
      if (!LoadSlice(d3, row.getCopied(), value))
        return batch.FieldError(i, "copied", d3);
      absl::Status s = o.LoadCopied(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
  }
  if (!d3.ColumnUsedUp()) return batch.ColumnError("copied", d3);
  return absl::OkStatus();
}

void Access::Type<::stasis::overlay::OverlayRegular>::VisitOwn(GraphWriter& w, ::stasis::overlay::OverlayRegular& o) {
  VisitField(w, o.handles_);
  VisitField(w, o.data_below_);
}

void Access::Type<::stasis::overlay::OverlayRegular>::ClearOwn(::stasis::overlay::OverlayRegular& o) {
  ClearField(o.handles_);
  ClearField(o.data_below_);
}

absl::Status Access::Type<::stasis::overlay::OverlayRegular>::AfterLoadOwn(::stasis::overlay::OverlayRegular& o, LoadContext& context) {
  return o.::stasis::overlay::OverlayRegular::AfterLoad(context);
}

Object* Access::Type<::stasis::overlay::OverlayRegular>::Create() { return new ::stasis::overlay::OverlayRegular(); }

void Access::Type<::stasis::overlay::OverlayRegular>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlayRegular&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::overlay::OverlayInode>::VisitOwn(w, o);
  Access::Type<::stasis::overlay::OverlayRegular>::VisitOwn(w, o);
}

void Access::Type<::stasis::overlay::OverlayRegular>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlayRegular&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::overlay::OverlayInode>::ClearOwn(o);
  Access::Type<::stasis::overlay::OverlayRegular>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::overlay::OverlayRegular>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::overlay::OverlayRegular&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::overlay::OverlayInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::overlay::OverlayRegular>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::overlay::OverlayRegular>::kLevel = {kName, &Save, &Load, &LoadManual};
constinit const LevelDescriptor* const Access::Type<::stasis::overlay::OverlayRegular>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::overlay::OverlayInode>::kLevel,
    &Access::Type<::stasis::overlay::OverlayRegular>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::overlay::OverlayRegular>::kType = {
    kName, &typeid(::stasis::overlay::OverlayRegular), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// overlay.OverlayRegular.Handles

void Access::Type<::stasis::overlay::OverlayRegular::Handles>::Encode(Encoder& e, const ::stasis::overlay::OverlayRegular::Handles& o) {
  StructEncoder s(e);
  s.Field(0, o.lower);
  s.Field(1, o.upper);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::overlay::OverlayRegular::Handles>::Decode(Decoder& d, ::stasis::overlay::OverlayRegular::Handles& o) {
  StructDecoder s(d, kName, kFieldCount);
  (void)o;
  while (s.Next()) {
    switch (s.number()) {
      case 0:
        s.Field("lower", o.lower);
        break;
      case 1:
        s.Field("upper", o.upper);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::overlay::OverlayRegular::Handles>::Visit(GraphWriter& w, const ::stasis::overlay::OverlayRegular::Handles& o) {
  VisitField(w, o.lower);
  VisitField(w, o.upper);
}

void Access::Type<::stasis::overlay::OverlayRegular::Handles>::Visit(WaitList& w, const ::stasis::overlay::OverlayRegular::Handles& o) {
  VisitField(w, o.lower);
  VisitField(w, o.upper);
}

void Access::Type<::stasis::overlay::OverlayRegular::Handles>::ClearReferences(::stasis::overlay::OverlayRegular::Handles& o) {
  ClearField(o.lower);
  ClearField(o.upper);
}

// overlay.OverlaySpecial

void Access::Type<::stasis::overlay::OverlaySpecial>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::overlay::schema::OverlaySpecialColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
}

absl::Status Access::Type<::stasis::overlay::OverlaySpecial>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::overlay::schema::OverlaySpecialColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  return absl::OkStatus();
}

void Access::Type<::stasis::overlay::OverlaySpecial>::VisitOwn(GraphWriter& w, ::stasis::overlay::OverlaySpecial& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::overlay::OverlaySpecial>::ClearOwn(::stasis::overlay::OverlaySpecial& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::overlay::OverlaySpecial>::AfterLoadOwn(::stasis::overlay::OverlaySpecial& o, LoadContext& context) {
  return o.::stasis::overlay::OverlaySpecial::AfterLoad(context);
}

Object* Access::Type<::stasis::overlay::OverlaySpecial>::Create() { return new ::stasis::overlay::OverlaySpecial(); }

void Access::Type<::stasis::overlay::OverlaySpecial>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlaySpecial&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::overlay::OverlayInode>::VisitOwn(w, o);
  Access::Type<::stasis::overlay::OverlaySpecial>::VisitOwn(w, o);
}

void Access::Type<::stasis::overlay::OverlaySpecial>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlaySpecial&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::overlay::OverlayInode>::ClearOwn(o);
  Access::Type<::stasis::overlay::OverlaySpecial>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::overlay::OverlaySpecial>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::overlay::OverlaySpecial&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::overlay::OverlayInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::overlay::OverlaySpecial>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::overlay::OverlaySpecial>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::overlay::OverlaySpecial>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::overlay::OverlayInode>::kLevel,
    &Access::Type<::stasis::overlay::OverlaySpecial>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::overlay::OverlaySpecial>::kType = {
    kName, &typeid(::stasis::overlay::OverlaySpecial), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// overlay.OverlaySymlink

void Access::Type<::stasis::overlay::OverlaySymlink>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::overlay::schema::OverlaySymlinkColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
}

absl::Status Access::Type<::stasis::overlay::OverlaySymlink>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::overlay::schema::OverlaySymlinkColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  return absl::OkStatus();
}

void Access::Type<::stasis::overlay::OverlaySymlink>::VisitOwn(GraphWriter& w, ::stasis::overlay::OverlaySymlink& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::overlay::OverlaySymlink>::ClearOwn(::stasis::overlay::OverlaySymlink& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::overlay::OverlaySymlink>::AfterLoadOwn(::stasis::overlay::OverlaySymlink& o, LoadContext& context) {
  return o.::stasis::overlay::OverlaySymlink::AfterLoad(context);
}

Object* Access::Type<::stasis::overlay::OverlaySymlink>::Create() { return new ::stasis::overlay::OverlaySymlink(); }

void Access::Type<::stasis::overlay::OverlaySymlink>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlaySymlink&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::overlay::OverlayInode>::VisitOwn(w, o);
  Access::Type<::stasis::overlay::OverlaySymlink>::VisitOwn(w, o);
}

void Access::Type<::stasis::overlay::OverlaySymlink>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlaySymlink&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::overlay::OverlayInode>::ClearOwn(o);
  Access::Type<::stasis::overlay::OverlaySymlink>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::overlay::OverlaySymlink>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::overlay::OverlaySymlink&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::overlay::OverlayInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::overlay::OverlaySymlink>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::overlay::OverlaySymlink>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::overlay::OverlaySymlink>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::overlay::OverlayInode>::kLevel,
    &Access::Type<::stasis::overlay::OverlaySymlink>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::overlay::OverlaySymlink>::kType = {
    kName, &typeid(::stasis::overlay::OverlaySymlink), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

}  // namespace stasis::state

namespace stasis::overlay::gen {
struct Layer;
}

template <>
struct stasis::state::Access::Type<stasis::overlay::gen::Layer> {
  static void Register(Registry& registry) {
    (void)registry;
    registry.Add(Type<::stasis::overlay::DataBelow>::kType);
    registry.Add(Type<::stasis::overlay::OverlayDirectory>::kType);
    registry.Add(Type<::stasis::overlay::OverlayFileDescription>::kType);
    registry.Add(Type<::stasis::overlay::OverlayFilesystem>::kType);
    registry.Add(Type<::stasis::overlay::OverlayInode>::kType);
    registry.Add(Type<::stasis::overlay::OverlayRegular>::kType);
    registry.Add(Type<::stasis::overlay::OverlaySpecial>::kType);
    registry.Add(Type<::stasis::overlay::OverlaySymlink>::kType);
  }
};

namespace stasis::overlay::gen {

void RegisterTypes(state::Registry& registry) {
  state::Access::Type<Layer>::Register(registry);
}

}  // namespace stasis::overlay::gen
