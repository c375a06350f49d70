// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#include "fsimpl/gofer/gen/gofer.state.h"

#include <type_traits>
#include <typeinfo>
#include <utility>

#include "state/load_batch.h"
#include "state/save_batch.h"
#include "fsimpl/gofer/gen/types.h"
#include "fsimpl/gofer/gen/gofer.state.capnp.h"

namespace stasis::state {

// gofer.HostSymlink

void Access::Type<::stasis::gofer::HostSymlink>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::gofer::schema::HostSymlinkColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::gofer::HostSymlink&>(batch[i]);
    auto row = rows[i];
    row.setTarget(SaveSlice(c0, o.target_));
  }
  columns.setTargetColumn(batch.Content(c0));
}

absl::Status Access::Type<::stasis::gofer::HostSymlink>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::gofer::schema::HostSymlinkColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getTargetColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::gofer::HostSymlink&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getTarget(), o.target_))
      return batch.FieldError(i, "target", d0);
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("target", d0);
  return absl::OkStatus();
}

void Access::Type<::stasis::gofer::HostSymlink>::VisitOwn(GraphWriter& w, ::stasis::gofer::HostSymlink& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::gofer::HostSymlink>::ClearOwn(::stasis::gofer::HostSymlink& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::gofer::HostSymlink>::AfterLoadOwn(::stasis::gofer::HostSymlink& o, LoadContext& context) {
  return o.::stasis::gofer::HostSymlink::AfterLoad(context);
}

Object* Access::Type<::stasis::gofer::HostSymlink>::Create() { return new ::stasis::gofer::HostSymlink(); }

void Access::Type<::stasis::gofer::HostSymlink>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::gofer::HostSymlink&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::gofer::HostInode>::VisitOwn(w, o);
  Access::Type<::stasis::gofer::HostSymlink>::VisitOwn(w, o);
}

void Access::Type<::stasis::gofer::HostSymlink>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::gofer::HostSymlink&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::gofer::HostInode>::ClearOwn(o);
  Access::Type<::stasis::gofer::HostSymlink>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::gofer::HostSymlink>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::gofer::HostSymlink&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::gofer::HostInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::gofer::HostSymlink>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::gofer::HostSymlink>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::gofer::HostSymlink>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::gofer::HostInode>::kLevel,
    &Access::Type<::stasis::gofer::HostSymlink>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::gofer::HostSymlink>::kType = {
    kName, &typeid(::stasis::gofer::HostSymlink), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

}  // namespace stasis::state

namespace stasis::gofer::gen {
struct Layer;
}

template <>
struct stasis::state::Access::Type<stasis::gofer::gen::Layer> {
  static void Register(Registry& registry) {
    (void)registry;
    registry.Add(Type<::stasis::gofer::GoferFilesystem>::kType);
    registry.Add(Type<::stasis::gofer::HostDirectory>::kType);
    registry.Add(Type<::stasis::gofer::HostFileDescription>::kType);
    registry.Add(Type<::stasis::gofer::HostInode>::kType);
    registry.Add(Type<::stasis::gofer::HostRegular>::kType);
    registry.Add(Type<::stasis::gofer::HostSpecial>::kType);
    registry.Add(Type<::stasis::gofer::HostSymlink>::kType);
  }
};

namespace stasis::gofer::gen {

void RegisterTypes(state::Registry& registry) {
  state::Access::Type<Layer>::Register(registry);
}

}  // namespace stasis::gofer::gen
