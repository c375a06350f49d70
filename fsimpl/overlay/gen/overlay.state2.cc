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
