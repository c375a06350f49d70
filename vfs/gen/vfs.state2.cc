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

// vfs.Inotify.Watch

void Access::Type<::stasis::vfs::Inotify::Watch>::Encode(Encoder& e, const ::stasis::vfs::Inotify::Watch& o) {
  StructEncoder s(e);
  s.Field(0, o.inode);
  s.Field(1, o.mask);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::vfs::Inotify::Watch>::Decode(Decoder& d, ::stasis::vfs::Inotify::Watch& o) {
  StructDecoder s(d, kName, kFieldCount);
  (void)o;
  while (s.Next()) {
    switch (s.number()) {
      case 0:
        s.Field("inode", o.inode);
        break;
      case 1:
        s.Field("mask", o.mask);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::vfs::Inotify::Watch>::Visit(GraphWriter& w, const ::stasis::vfs::Inotify::Watch& o) {
  VisitField(w, o.inode);
}

void Access::Type<::stasis::vfs::Inotify::Watch>::Visit(WaitList& w, const ::stasis::vfs::Inotify::Watch& o) {
  VisitField(w, o.inode);
}

void Access::Type<::stasis::vfs::Inotify::Watch>::ClearReferences(::stasis::vfs::Inotify::Watch& o) {
  ClearField(o.inode);
}

// vfs.InotifyEvent

void Access::Type<::stasis::vfs::InotifyEvent>::Encode(Encoder& e, const ::stasis::vfs::InotifyEvent& o) {
  StructEncoder s(e);
  s.Field(0, o.wd);
  s.Field(1, o.mask);
  s.Field(2, o.cookie);
  s.Field(3, o.name);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::vfs::InotifyEvent>::Decode(Decoder& d, ::stasis::vfs::InotifyEvent& o) {
  StructDecoder s(d, kName, kFieldCount);
  (void)o;
  while (s.Next()) {
    switch (s.number()) {
      case 0:
        s.Field("wd", o.wd);
        break;
      case 1:
        s.Field("mask", o.mask);
        break;
      case 2:
        s.Field("cookie", o.cookie);
        break;
      case 3:
        s.Field("name", o.name);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::vfs::InotifyEvent>::Visit(GraphWriter& w, const ::stasis::vfs::InotifyEvent& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::vfs::InotifyEvent>::Visit(WaitList& w, const ::stasis::vfs::InotifyEvent& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::vfs::InotifyEvent>::ClearReferences(::stasis::vfs::InotifyEvent& o) {
  (void)o;
}

// vfs.InotifyLimits

void Access::Type<::stasis::vfs::InotifyLimits>::Encode(Encoder& e, const ::stasis::vfs::InotifyLimits& o) {
  StructEncoder s(e);
  s.Field(0, o.max_queued_events);
  s.Field(1, o.max_user_watches);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::vfs::InotifyLimits>::Decode(Decoder& d, ::stasis::vfs::InotifyLimits& o) {
  StructDecoder s(d, kName, kFieldCount);
  (void)o;
  while (s.Next()) {
    switch (s.number()) {
      case 0:
        s.Field("max_queued_events", o.max_queued_events);
        break;
      case 1:
        s.Field("max_user_watches", o.max_user_watches);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::vfs::InotifyLimits>::Visit(GraphWriter& w, const ::stasis::vfs::InotifyLimits& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::vfs::InotifyLimits>::Visit(WaitList& w, const ::stasis::vfs::InotifyLimits& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::vfs::InotifyLimits>::ClearReferences(::stasis::vfs::InotifyLimits& o) {
  (void)o;
}

// vfs.Mount

void Access::Type<::stasis::vfs::Mount>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::vfs::schema::MountColumns>();
  columns.setFieldCount(21);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c15 = batch.Column(0);
  Encoder& c20 = batch.Column(1);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::vfs::Mount&>(batch[i]);
    auto row = rows[i];
    row.setFilesystem(graph.AnyId(TargetOf(o.filesystem_)));
    row.setRoot(graph.ExactId(TargetOf(o.root_)));
    row.setId(ScalarOf(o.id_));
    row.setNoExec(ScalarOf(o.no_exec_));
    row.setNoSuid(ScalarOf(o.no_suid_));
    row.setNoDev(ScalarOf(o.no_dev_));
    row.setNoAtime(ScalarOf(o.no_atime_));
    row.setWriters(ScalarOf(o.SaveWriters()));
    row.setParent(graph.ExactId(TargetOf(o.SaveParent())));
    row.setPoint(graph.ExactId(TargetOf(o.SavePoint())));
    row.setNoDirAtime(ScalarOf(o.no_dir_atime_));
    row.setStrictAtime(ScalarOf(o.strict_atime_));
    row.setNoSymFollow(ScalarOf(o.no_sym_follow_));
    row.setExpired(ScalarOf(o.expired_));
    row.setLocks(ScalarOf(o.locks_));
    row.setKeptChildren(SaveSlice(c15, o.kept_children_));
    row.setUnbindable(ScalarOf(o.unbindable_));
    row.setPeerGroup(ScalarOf(o.peer_group_));
    row.setNextPeer(graph.ExactId(TargetOf(o.SaveNextPeer())));
    row.setMaster(graph.ExactId(TargetOf(o.master_)));
    row.setSlaves(SaveSlice(c20, o.SaveSlaves()));
  }
  columns.setKeptChildrenColumn(batch.Content(c15));
  columns.setSlavesColumn(batch.Content(c20));
}

absl::Status Access::Type<::stasis::vfs::Mount>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::MountColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 21);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column({});
  Decoder d1 = batch.Column({});
  Decoder d15 = batch.Column(columns.getKeptChildrenColumn());
  Decoder d19 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::Mount&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !SetAny(d0, o.filesystem_, row.getFilesystem()))
      return batch.FieldError(i, "filesystem", d0);
    if (batch.Has(1) && !SetExact(d1, o.root_, row.getRoot()))
      return batch.FieldError(i, "root", d1);
    if (batch.Has(2)) SetScalar(o.id_, row.getId());
    if (batch.Has(3)) SetScalar(o.no_exec_, row.getNoExec());
    if (batch.Has(4)) SetScalar(o.no_suid_, row.getNoSuid());
    if (batch.Has(5)) SetScalar(o.no_dev_, row.getNoDev());
    if (batch.Has(6)) SetScalar(o.no_atime_, row.getNoAtime());
    if (batch.Has(10)) SetScalar(o.no_dir_atime_, row.getNoDirAtime());
    if (batch.Has(11)) SetScalar(o.strict_atime_, row.getStrictAtime());
    if (batch.Has(12)) SetScalar(o.no_sym_follow_, row.getNoSymFollow());
    if (batch.Has(13)) SetScalar(o.expired_, row.getExpired());
    if (batch.Has(14)) SetScalar(o.locks_, row.getLocks());
    if (batch.Has(15) && !LoadSlice(d15, row.getKeptChildren(), o.kept_children_))
      return batch.FieldError(i, "kept_children", d15);
    if (batch.Has(16)) SetScalar(o.unbindable_, row.getUnbindable());
    if (batch.Has(17)) SetScalar(o.peer_group_, row.getPeerGroup());
    if (batch.Has(19) && !SetExact(d19, o.master_, row.getMaster()))
      return batch.FieldError(i, "master", d19);
  }
  if (!d15.ColumnUsedUp()) return batch.ColumnError("kept_children", d15);
  return absl::OkStatus();
}

absl::Status Access::Type<::stasis::vfs::Mount>::LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::MountColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 21);
  if (!shape.ok()) return shape;
  Decoder d8 = batch.Column({});
  Decoder d9 = batch.Column({});
  Decoder d18 = batch.Column({});
  Decoder d20 = batch.Column(columns.getSlavesColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::Mount&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(7)) {
      std::remove_cvref_t<decltype(o.SaveWriters())> value{};
      SetScalar(value, row.getWriters());
      absl::Status s = o.LoadWriters(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
    if (batch.Has(8)) {
      std::remove_cvref_t<decltype(o.SaveParent())> value{};
      if (!SetExact(d8, value, row.getParent()))
        return batch.FieldError(i, "parent", d8);
      absl::Status s = o.LoadParent(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
    if (batch.Has(9)) {
      std::remove_cvref_t<decltype(o.SavePoint())> value{};
      if (!SetExact(d9, value, row.getPoint()))
        return batch.FieldError(i, "point", d9);
      absl::Status s = o.LoadPoint(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
    if (batch.Has(18)) {
      std::remove_cvref_t<decltype(o.SaveNextPeer())> value{};
      if (!SetExact(d18, value, row.getNextPeer()))
        return batch.FieldError(i, "next_peer", d18);
      absl::Status s = o.LoadNextPeer(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
    if (batch.Has(20)) {
      std::remove_cvref_t<decltype(o.SaveSlaves())> value{};
      if (!LoadSlice(d20, row.getSlaves(), value))
        return batch.FieldError(i, "slaves", d20);
      absl::Status s = o.LoadSlaves(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
  }
  if (!d20.ColumnUsedUp()) return batch.ColumnError("slaves", d20);
  return absl::OkStatus();
}

void Access::Type<::stasis::vfs::Mount>::VisitOwn(GraphWriter& w, ::stasis::vfs::Mount& o) {
  VisitField(w, o.filesystem_);
  VisitField(w, o.root_);
  VisitField(w, o.SaveParent());
  VisitField(w, o.SavePoint());
  VisitField(w, o.kept_children_);
  VisitField(w, o.SaveNextPeer());
  VisitField(w, o.master_);
  VisitField(w, o.SaveSlaves());
}

void Access::Type<::stasis::vfs::Mount>::ClearOwn(::stasis::vfs::Mount& o) {
  o.::stasis::vfs::Mount::LoadFailed();
  ClearField(o.filesystem_);
  ClearField(o.root_);
  ClearField(o.kept_children_);
  ClearField(o.master_);
}

absl::Status Access::Type<::stasis::vfs::Mount>::AfterLoadOwn(::stasis::vfs::Mount& o, LoadContext& context) {
  return o.::stasis::vfs::Mount::AfterLoad(context);
}

Object* Access::Type<::stasis::vfs::Mount>::Create() { return new ::stasis::vfs::Mount(); }

void Access::Type<::stasis::vfs::Mount>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::vfs::Mount&>(object);
  Access::Type<::stasis::vfs::Mount>::VisitOwn(w, o);
}

void Access::Type<::stasis::vfs::Mount>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::vfs::Mount&>(object);
  Access::Type<::stasis::vfs::Mount>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::vfs::Mount>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::vfs::Mount&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Mount>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::vfs::Mount>::kLevel = {kName, &Save, &Load, &LoadManual};
constinit const LevelDescriptor* const Access::Type<::stasis::vfs::Mount>::kLevels[] = {
    &Access::Type<::stasis::vfs::Mount>::kLevel,
};
constinit const LevelDescriptor* const Access::Type<::stasis::vfs::Mount>::kWaits[] = {
    &Access::Type<::stasis::vfs::Dentry>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::vfs::Mount>::kType = {
    kName, &typeid(::stasis::vfs::Mount), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, kWaits};

// vfs.MountNamespace

void Access::Type<::stasis::vfs::MountNamespace>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::vfs::schema::MountNamespaceColumns>();
  columns.setFieldCount(3);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c1 = batch.Column(0);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::vfs::MountNamespace&>(batch[i]);
    auto row = rows[i];
    row.setRoot(graph.ExactId(TargetOf(o.root_)));
    row.setMounts(SaveSlice(c1, o.SaveMounts()));
    row.setOwner(ScalarOf(o.owner_));
  }
  columns.setMountsColumn(batch.Content(c1));
}

absl::Status Access::Type<::stasis::vfs::MountNamespace>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::MountNamespaceColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 3);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::MountNamespace&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !SetExact(d0, o.root_, row.getRoot()))
      return batch.FieldError(i, "root", d0);
    if (batch.Has(2)) SetScalar(o.owner_, row.getOwner());
  }
  return absl::OkStatus();
}

absl::Status Access::Type<::stasis::vfs::MountNamespace>::LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::MountNamespaceColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 3);
  if (!shape.ok()) return shape;
  Decoder d1 = batch.Column(columns.getMountsColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::MountNamespace&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(1)) {
      std::remove_cvref_t<decltype(o.SaveMounts())> value{};
      if (!LoadSlice(d1, row.getMounts(), value))
        return batch.FieldError(i, "mounts", d1);
      absl::Status s = o.LoadMounts(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
  }
  if (!d1.ColumnUsedUp()) return batch.ColumnError("mounts", d1);
  return absl::OkStatus();
}

void Access::Type<::stasis::vfs::MountNamespace>::VisitOwn(GraphWriter& w, ::stasis::vfs::MountNamespace& o) {
  VisitField(w, o.root_);
  VisitField(w, o.SaveMounts());
}

void Access::Type<::stasis::vfs::MountNamespace>::ClearOwn(::stasis::vfs::MountNamespace& o) {
  ClearField(o.root_);
}

absl::Status Access::Type<::stasis::vfs::MountNamespace>::AfterLoadOwn(::stasis::vfs::MountNamespace& o, LoadContext& context) {
  return o.::stasis::vfs::MountNamespace::AfterLoad(context);
}

Object* Access::Type<::stasis::vfs::MountNamespace>::Create() { return new ::stasis::vfs::MountNamespace(); }

void Access::Type<::stasis::vfs::MountNamespace>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::vfs::MountNamespace&>(object);
  Access::Type<::stasis::vfs::MountNamespace>::VisitOwn(w, o);
}

void Access::Type<::stasis::vfs::MountNamespace>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::vfs::MountNamespace&>(object);
  Access::Type<::stasis::vfs::MountNamespace>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::vfs::MountNamespace>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::vfs::MountNamespace&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::MountNamespace>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::vfs::MountNamespace>::kLevel = {kName, &Save, &Load, &LoadManual};
constinit const LevelDescriptor* const Access::Type<::stasis::vfs::MountNamespace>::kLevels[] = {
    &Access::Type<::stasis::vfs::MountNamespace>::kLevel,
};
constinit const LevelDescriptor* const Access::Type<::stasis::vfs::MountNamespace>::kWaits[] = {
    &Access::Type<::stasis::vfs::Mount>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::vfs::MountNamespace>::kType = {
    kName, &typeid(::stasis::vfs::MountNamespace), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, kWaits};

// vfs.TreeFilesystem

void Access::Type<::stasis::vfs::TreeFilesystem>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::vfs::schema::TreeFilesystemColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::vfs::TreeFilesystem&>(batch[i]);
    auto row = rows[i];
    row.setRoot(graph.ExactId(TargetOf(o.root_)));
  }
}

absl::Status Access::Type<::stasis::vfs::TreeFilesystem>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::TreeFilesystemColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::TreeFilesystem&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !SetExact(d0, o.root_, row.getRoot()))
      return batch.FieldError(i, "root", d0);
  }
  return absl::OkStatus();
}

void Access::Type<::stasis::vfs::TreeFilesystem>::VisitOwn(GraphWriter& w, ::stasis::vfs::TreeFilesystem& o) {
  VisitField(w, o.root_);
}

void Access::Type<::stasis::vfs::TreeFilesystem>::ClearOwn(::stasis::vfs::TreeFilesystem& o) {
  ClearField(o.root_);
}

constinit const LevelDescriptor Access::Type<::stasis::vfs::TreeFilesystem>::kLevel = {kName, &Save, &Load, nullptr};

// vfs.VirtualDentry

void Access::Type<::stasis::vfs::VirtualDentry>::Encode(Encoder& e, const ::stasis::vfs::VirtualDentry& o) {
  StructEncoder s(e);
  s.Field(0, o.mount_);
  s.Field(1, o.dentry_);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::vfs::VirtualDentry>::Decode(Decoder& d, ::stasis::vfs::VirtualDentry& o) {
  StructDecoder s(d, kName, kFieldCount);
  (void)o;
  while (s.Next()) {
    switch (s.number()) {
      case 0:
        s.Field("mount", o.mount_);
        break;
      case 1:
        s.Field("dentry", o.dentry_);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::vfs::VirtualDentry>::Visit(GraphWriter& w, const ::stasis::vfs::VirtualDentry& o) {
  VisitField(w, o.mount_);
  VisitField(w, o.dentry_);
}

void Access::Type<::stasis::vfs::VirtualDentry>::Visit(WaitList& w, const ::stasis::vfs::VirtualDentry& o) {
  VisitField(w, o.mount_);
  VisitField(w, o.dentry_);
}

void Access::Type<::stasis::vfs::VirtualDentry>::ClearReferences(::stasis::vfs::VirtualDentry& o) {
  ClearField(o.mount_);
  ClearField(o.dentry_);
}

}  // namespace stasis::state
