// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#include "vfs/gen/vfs.state.h"

#include <type_traits>
#include <typeinfo>
#include <utility>

#include "state/load_batch.h"
#include "state/save_batch.h"
#include "vfs/gen/types.h"
#include "vfs/gen/vfs.state.capnp.h"

namespace stasis::state {

// vfs.VirtualFilesystem

void Access::Type<::stasis::vfs::VirtualFilesystem>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::vfs::schema::VirtualFilesystemColumns>();
  columns.setFieldCount(8);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  Encoder& c1 = batch.Column(1);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::vfs::VirtualFilesystem&>(batch[i]);
    auto row = rows[i];
    row.setFilesystems(SaveSlice(c0, o.filesystems_));
    row.setNamespaces(SaveSlice(c1, o.namespaces_));
    row.setNextMountId(ScalarOf(o.next_mount_id_));
    row.setNextDev(ScalarOf(o.next_dev_));
    row.setLastCookie(ScalarOf(o.last_cookie_));
    row.setNextPeerGroup(ScalarOf(o.next_peer_group_));
    row.setNextOwner(ScalarOf(o.next_owner_));
    row.setMountLimit(ScalarOf(o.mount_limit_));
  }
  columns.setFilesystemsColumn(batch.Content(c0));
  columns.setNamespacesColumn(batch.Content(c1));
}

absl::Status Access::Type<::stasis::vfs::VirtualFilesystem>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::VirtualFilesystemColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 8);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getFilesystemsColumn());
  Decoder d1 = batch.Column(columns.getNamespacesColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::VirtualFilesystem&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getFilesystems(), o.filesystems_))
      return batch.FieldError(i, "filesystems", d0);
    if (batch.Has(1) && !LoadSlice(d1, row.getNamespaces(), o.namespaces_))
      return batch.FieldError(i, "namespaces", d1);
    if (batch.Has(2)) SetScalar(o.next_mount_id_, row.getNextMountId());
    if (batch.Has(3)) SetScalar(o.next_dev_, row.getNextDev());
    if (batch.Has(4)) SetScalar(o.last_cookie_, row.getLastCookie());
    if (batch.Has(5)) SetScalar(o.next_peer_group_, row.getNextPeerGroup());
    if (batch.Has(6)) SetScalar(o.next_owner_, row.getNextOwner());
    if (batch.Has(7)) SetScalar(o.mount_limit_, row.getMountLimit());
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("filesystems", d0);
  if (!d1.ColumnUsedUp()) return batch.ColumnError("namespaces", d1);
  return absl::OkStatus();
}

void Access::Type<::stasis::vfs::VirtualFilesystem>::VisitOwn(GraphWriter& w, ::stasis::vfs::VirtualFilesystem& o) {
  VisitField(w, o.filesystems_);
  VisitField(w, o.namespaces_);
}

void Access::Type<::stasis::vfs::VirtualFilesystem>::ClearOwn(::stasis::vfs::VirtualFilesystem& o) {
  ClearField(o.filesystems_);
  ClearField(o.namespaces_);
}

absl::Status Access::Type<::stasis::vfs::VirtualFilesystem>::AfterLoadOwn(::stasis::vfs::VirtualFilesystem& o, LoadContext& context) {
  return o.::stasis::vfs::VirtualFilesystem::AfterLoad(context);
}

Object* Access::Type<::stasis::vfs::VirtualFilesystem>::Create() { return new ::stasis::vfs::VirtualFilesystem(); }

void Access::Type<::stasis::vfs::VirtualFilesystem>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::vfs::VirtualFilesystem&>(object);
  Access::Type<::stasis::vfs::VirtualFilesystem>::VisitOwn(w, o);
}

void Access::Type<::stasis::vfs::VirtualFilesystem>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::vfs::VirtualFilesystem&>(object);
  Access::Type<::stasis::vfs::VirtualFilesystem>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::vfs::VirtualFilesystem>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::vfs::VirtualFilesystem&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::VirtualFilesystem>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::vfs::VirtualFilesystem>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::vfs::VirtualFilesystem>::kLevels[] = {
    &Access::Type<::stasis::vfs::VirtualFilesystem>::kLevel,
};
constinit const LevelDescriptor* const Access::Type<::stasis::vfs::VirtualFilesystem>::kWaits[] = {
    &Access::Type<::stasis::vfs::Filesystem>::kLevel,
    &Access::Type<::stasis::vfs::MountNamespace>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::vfs::VirtualFilesystem>::kType = {
    kName, &typeid(::stasis::vfs::VirtualFilesystem), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, kWaits};

}  // namespace stasis::state

namespace stasis::vfs::gen {
struct Layer;
}

template <>
struct stasis::state::Access::Type<stasis::vfs::gen::Layer> {
  static void Register(Registry& registry) {
    (void)registry;
    registry.Add(Type<::stasis::vfs::Dentry>::kType);
    registry.Add(Type<::stasis::vfs::FileDescription>::kType);
    registry.Add(Type<::stasis::vfs::Inode>::kType);
    registry.Add(Type<::stasis::vfs::Inotify>::kType);
    registry.Add(Type<::stasis::vfs::Mount>::kType);
    registry.Add(Type<::stasis::vfs::MountNamespace>::kType);
    registry.Add(Type<::stasis::vfs::VirtualFilesystem>::kType);
  }
};

namespace stasis::vfs::gen {

void RegisterTypes(state::Registry& registry) {
  state::Access::Type<Layer>::Register(registry);
}

}  // namespace stasis::vfs::gen
