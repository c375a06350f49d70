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

// vfs.Dentry

void Access::Type<::stasis::vfs::Dentry>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::vfs::schema::DentryColumns>();
  columns.setFieldCount(6);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c2 = batch.Column(0);
  Encoder& c3 = batch.Column(1);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::vfs::Dentry&>(batch[i]);
    auto row = rows[i];
    row.setParent(graph.ExactId(TargetOf(o.SaveParent())));
    row.setInode(graph.AnyId(TargetOf(o.inode_)));
    row.setDirectory(SaveSlice(c2, o.SaveDirectory()));
    row.setName(SaveSlice(c3, o.SaveName()));
    row.setPosition(ScalarOf(o.position_));
    row.setEnd(ScalarOf(o.SaveEnd()));
  }
  columns.setDirectoryColumn(batch.Content(c2));
  columns.setNameColumn(batch.Content(c3));
}

absl::Status Access::Type<::stasis::vfs::Dentry>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::DentryColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 6);
  if (!shape.ok()) return shape;
  Decoder d1 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::Dentry&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(1) && !SetAny(d1, o.inode_, row.getInode()))
      return batch.FieldError(i, "inode", d1);
    if (batch.Has(4)) SetScalar(o.position_, row.getPosition());
  }
  return absl::OkStatus();
}

absl::Status Access::Type<::stasis::vfs::Dentry>::LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::DentryColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 6);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column({});
  Decoder d2 = batch.Column(columns.getDirectoryColumn());
  Decoder d3 = batch.Column(columns.getNameColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::Dentry&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) {
      std::remove_cvref_t<decltype(o.SaveParent())> value{};
      if (!SetExact(d0, value, row.getParent()))
        return batch.FieldError(i, "parent", d0);
      absl::Status s = o.LoadParent(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
    if (batch.Has(2)) {
      std::remove_cvref_t<decltype(o.SaveDirectory())> value{};
      if (!LoadSlice(d2, row.getDirectory(), value))
        return batch.FieldError(i, "directory", d2);
      absl::Status s = o.LoadDirectory(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
    if (batch.Has(3)) {
      std::remove_cvref_t<decltype(o.SaveName())> value{};
      if (!LoadSlice(d3, row.getName(), value))
        return batch.FieldError(i, "name", d3);
      absl::Status s = o.LoadName(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
    if (batch.Has(5)) {
      std::remove_cvref_t<decltype(o.SaveEnd())> value{};
      SetScalar(value, row.getEnd());
      absl::Status s = o.LoadEnd(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
  }
  if (!d2.ColumnUsedUp()) return batch.ColumnError("directory", d2);
  if (!d3.ColumnUsedUp()) return batch.ColumnError("name", d3);
  return absl::OkStatus();
}

void Access::Type<::stasis::vfs::Dentry>::VisitOwn(GraphWriter& w, ::stasis::vfs::Dentry& o) {
  VisitField(w, o.SaveParent());
  VisitField(w, o.inode_);
  VisitField(w, o.SaveDirectory());
}

void Access::Type<::stasis::vfs::Dentry>::ClearOwn(::stasis::vfs::Dentry& o) {
  o.::stasis::vfs::Dentry::LoadFailed();
  ClearField(o.inode_);
}

absl::Status Access::Type<::stasis::vfs::Dentry>::AfterLoadOwn(::stasis::vfs::Dentry& o, LoadContext& context) {
  return o.::stasis::vfs::Dentry::AfterLoad(context);
}

Object* Access::Type<::stasis::vfs::Dentry>::Create() { return new ::stasis::vfs::Dentry(); }

void Access::Type<::stasis::vfs::Dentry>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::vfs::Dentry&>(object);
  Access::Type<::stasis::vfs::Dentry>::VisitOwn(w, o);
}

void Access::Type<::stasis::vfs::Dentry>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::vfs::Dentry&>(object);
  Access::Type<::stasis::vfs::Dentry>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::vfs::Dentry>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::vfs::Dentry&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Dentry>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::vfs::Dentry>::kLevel = {kName, &Save, &Load, &LoadManual};
constinit const LevelDescriptor* const Access::Type<::stasis::vfs::Dentry>::kLevels[] = {
    &Access::Type<::stasis::vfs::Dentry>::kLevel,
};
constinit const LevelDescriptor* const Access::Type<::stasis::vfs::Dentry>::kWaits[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::vfs::Dentry>::kType = {
    kName, &typeid(::stasis::vfs::Dentry), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, kWaits};

// vfs.FileDescription

void Access::Type<::stasis::vfs::FileDescription>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::vfs::schema::FileDescriptionColumns>();
  columns.setFieldCount(8);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  Encoder& c6 = batch.Column(1);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::vfs::FileDescription&>(batch[i]);
    auto row = rows[i];
    row.setAt(SaveSlice(c0, o.at_));
    row.setReadable(ScalarOf(o.readable_));
    row.setWritable(ScalarOf(o.writable_));
    row.setFlags(ScalarOf(o.flags_));
    row.setOffset(ScalarOf(o.offset_));
    row.setListingEnd(ScalarOf(o.listing_end_));
    row.setLocks(SaveSlice(c6, o.SaveLocks()));
    row.setExecuting(ScalarOf(o.executing_));
  }
  columns.setAtColumn(batch.Content(c0));
  columns.setLocksColumn(batch.Content(c6));
}

absl::Status Access::Type<::stasis::vfs::FileDescription>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::FileDescriptionColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 8);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getAtColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::FileDescription&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getAt(), o.at_))
      return batch.FieldError(i, "at", d0);
    if (batch.Has(1)) SetScalar(o.readable_, row.getReadable());
    if (batch.Has(2)) SetScalar(o.writable_, row.getWritable());
    if (batch.Has(3)) SetScalar(o.flags_, row.getFlags());
    if (batch.Has(4)) SetScalar(o.offset_, row.getOffset());
    if (batch.Has(5)) SetScalar(o.listing_end_, row.getListingEnd());
    if (batch.Has(7)) SetScalar(o.executing_, row.getExecuting());
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("at", d0);
  return absl::OkStatus();
}

absl::Status Access::Type<::stasis::vfs::FileDescription>::LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::FileDescriptionColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 8);
  if (!shape.ok()) return shape;
  Decoder d6 = batch.Column(columns.getLocksColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::FileDescription&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(6)) {
      std::remove_cvref_t<decltype(o.SaveLocks())> value{};
      if (!LoadSlice(d6, row.getLocks(), value))
        return batch.FieldError(i, "locks", d6);
      absl::Status s = o.LoadLocks(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
  }
  if (!d6.ColumnUsedUp()) return batch.ColumnError("locks", d6);
  return absl::OkStatus();
}

void Access::Type<::stasis::vfs::FileDescription>::VisitOwn(GraphWriter& w, ::stasis::vfs::FileDescription& o) {
  VisitField(w, o.at_);
}

void Access::Type<::stasis::vfs::FileDescription>::ClearOwn(::stasis::vfs::FileDescription& o) {
  o.::stasis::vfs::FileDescription::LoadFailed();
  ClearField(o.at_);
}

absl::Status Access::Type<::stasis::vfs::FileDescription>::AfterLoadOwn(::stasis::vfs::FileDescription& o, LoadContext& context) {
  return o.::stasis::vfs::FileDescription::AfterLoad(context);
}

Object* Access::Type<::stasis::vfs::FileDescription>::Create() { return new ::stasis::vfs::FileDescription(); }

void Access::Type<::stasis::vfs::FileDescription>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::vfs::FileDescription&>(object);
  Access::Type<::stasis::vfs::FileDescription>::VisitOwn(w, o);
}

void Access::Type<::stasis::vfs::FileDescription>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::vfs::FileDescription&>(object);
  Access::Type<::stasis::vfs::FileDescription>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::vfs::FileDescription>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::vfs::FileDescription&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::FileDescription>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::vfs::FileDescription>::kLevel = {kName, &Save, &Load, &LoadManual};
constinit const LevelDescriptor* const Access::Type<::stasis::vfs::FileDescription>::kLevels[] = {
    &Access::Type<::stasis::vfs::FileDescription>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::vfs::FileDescription>::kType = {
    kName, &typeid(::stasis::vfs::FileDescription), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// vfs.FileLock

void Access::Type<::stasis::vfs::FileLock>::Encode(Encoder& e, const ::stasis::vfs::FileLock& o) {
  StructEncoder s(e);
  s.Field(0, o.kind);
  s.Field(1, o.type);
  s.Field(2, o.start);
  s.Field(3, o.last);
  s.Field(4, o.owner);
  s.Field(5, o.pid);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::vfs::FileLock>::Decode(Decoder& d, ::stasis::vfs::FileLock& o) {
  StructDecoder s(d, kName, kFieldCount);
  (void)o;
  while (s.Next()) {
    switch (s.number()) {
      case 0:
        s.Field("kind", o.kind);
        break;
      case 1:
        s.Field("type", o.type);
        break;
      case 2:
        s.Field("start", o.start);
        break;
      case 3:
        s.Field("last", o.last);
        break;
      case 4:
        s.Field("owner", o.owner);
        break;
      case 5:
        s.Field("pid", o.pid);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::vfs::FileLock>::Visit(GraphWriter& w, const ::stasis::vfs::FileLock& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::vfs::FileLock>::Visit(WaitList& w, const ::stasis::vfs::FileLock& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::vfs::FileLock>::ClearReferences(::stasis::vfs::FileLock& o) {
  (void)o;
}

// vfs.Filesystem

void Access::Type<::stasis::vfs::Filesystem>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::vfs::schema::FilesystemColumns>();
  columns.setFieldCount(2);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::vfs::Filesystem&>(batch[i]);
    auto row = rows[i];
    row.setVfs(graph.ExactId(TargetOf(o.vfs_)));
    row.setDev(ScalarOf(o.dev_));
  }
}

absl::Status Access::Type<::stasis::vfs::Filesystem>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::FilesystemColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 2);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::Filesystem&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !SetExact(d0, o.vfs_, row.getVfs()))
      return batch.FieldError(i, "vfs", d0);
    if (batch.Has(1)) SetScalar(o.dev_, row.getDev());
  }
  return absl::OkStatus();
}

void Access::Type<::stasis::vfs::Filesystem>::VisitOwn(GraphWriter& w, ::stasis::vfs::Filesystem& o) {
  VisitField(w, o.vfs_);
}

void Access::Type<::stasis::vfs::Filesystem>::ClearOwn(::stasis::vfs::Filesystem& o) {
  ClearField(o.vfs_);
}

absl::Status Access::Type<::stasis::vfs::Filesystem>::AfterLoadOwn(::stasis::vfs::Filesystem& o, LoadContext& context) {
  return o.::stasis::vfs::Filesystem::AfterLoad(context);
}

constinit const LevelDescriptor Access::Type<::stasis::vfs::Filesystem>::kLevel = {kName, &Save, &Load, nullptr};

// vfs.Inode

void Access::Type<::stasis::vfs::Inode>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::vfs::schema::InodeColumns>();
  columns.setFieldCount(14);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c11 = batch.Column(0);
  Encoder& c13 = batch.Column(1);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::vfs::Inode&>(batch[i]);
    auto row = rows[i];
    row.setMode(ScalarOf(o.SaveMode()));
    row.setUid(ScalarOf(o.uid_));
    row.setGid(ScalarOf(o.gid_));
    row.setNlink(ScalarOf(o.nlink_));
    row.setIno(ScalarOf(o.ino_));
    row.setFilesystem(graph.AnyId(TargetOf(o.filesystem_)));
    row.setSize(ScalarOf(o.size_));
    row.setAtime(ScalarOf(o.atime_));
    row.setMtime(ScalarOf(o.mtime_));
    row.setCtime(ScalarOf(o.ctime_));
    row.setBtime(ScalarOf(o.btime_));
    row.setXattrs(SaveSlice(c11, o.SaveXattrs()));
    row.setLinkable(ScalarOf(o.linkable_));
    row.setLocks(SaveSlice(c13, o.SaveLocks()));
  }
  columns.setXattrsColumn(batch.Content(c11));
  columns.setLocksColumn(batch.Content(c13));
}

absl::Status Access::Type<::stasis::vfs::Inode>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::InodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 14);
  if (!shape.ok()) return shape;
  Decoder d5 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::Inode&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(1)) SetScalar(o.uid_, row.getUid());
    if (batch.Has(2)) SetScalar(o.gid_, row.getGid());
    if (batch.Has(3)) SetScalar(o.nlink_, row.getNlink());
    if (batch.Has(4)) SetScalar(o.ino_, row.getIno());
    if (batch.Has(5) && !SetAny(d5, o.filesystem_, row.getFilesystem()))
      return batch.FieldError(i, "filesystem", d5);
    if (batch.Has(6)) SetScalar(o.size_, row.getSize());
    if (batch.Has(7)) SetScalar(o.atime_, row.getAtime());
    if (batch.Has(8)) SetScalar(o.mtime_, row.getMtime());
    if (batch.Has(9)) SetScalar(o.ctime_, row.getCtime());
    if (batch.Has(10)) SetScalar(o.btime_, row.getBtime());
    if (batch.Has(12)) SetScalar(o.linkable_, row.getLinkable());
  }
  return absl::OkStatus();
}

absl::Status Access::Type<::stasis::vfs::Inode>::LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::InodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 14);
  if (!shape.ok()) return shape;
  Decoder d11 = batch.Column(columns.getXattrsColumn());
  Decoder d13 = batch.Column(columns.getLocksColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::Inode&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) {
      std::remove_cvref_t<decltype(o.SaveMode())> value{};
      SetScalar(value, row.getMode());
      absl::Status s = o.LoadMode(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
    if (batch.Has(11)) {
      std::remove_cvref_t<decltype(o.SaveXattrs())> value{};
      if (!LoadSlice(d11, row.getXattrs(), value))
        return batch.FieldError(i, "xattrs", d11);
      absl::Status s = o.LoadXattrs(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
    if (batch.Has(13)) {
      std::remove_cvref_t<decltype(o.SaveLocks())> value{};
      if (!LoadSlice(d13, row.getLocks(), value))
        return batch.FieldError(i, "locks", d13);
      absl::Status s = o.LoadLocks(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
  }
  if (!d11.ColumnUsedUp()) return batch.ColumnError("xattrs", d11);
  if (!d13.ColumnUsedUp()) return batch.ColumnError("locks", d13);
  return absl::OkStatus();
}

void Access::Type<::stasis::vfs::Inode>::VisitOwn(GraphWriter& w, ::stasis::vfs::Inode& o) {
  VisitField(w, o.filesystem_);
}

void Access::Type<::stasis::vfs::Inode>::ClearOwn(::stasis::vfs::Inode& o) {
  o.::stasis::vfs::Inode::LoadFailed();
  ClearField(o.filesystem_);
}

absl::Status Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(::stasis::vfs::Inode& o, LoadContext& context) {
  return o.::stasis::vfs::Inode::AfterLoad(context);
}

Object* Access::Type<::stasis::vfs::Inode>::Create() { return new ::stasis::vfs::Inode(); }

void Access::Type<::stasis::vfs::Inode>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::vfs::Inode&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
}

void Access::Type<::stasis::vfs::Inode>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::vfs::Inode&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::vfs::Inode>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::vfs::Inode&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::vfs::Inode>::kLevel = {kName, &Save, &Load, &LoadManual};
constinit const LevelDescriptor* const Access::Type<::stasis::vfs::Inode>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::vfs::Inode>::kType = {
    kName, &typeid(::stasis::vfs::Inode), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// vfs.Inotify

void Access::Type<::stasis::vfs::Inotify>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::vfs::schema::InotifyColumns>();
  columns.setFieldCount(5);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c1 = batch.Column(0);
  Encoder& c2 = batch.Column(1);
  Encoder& c3 = batch.Column(2);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::vfs::Inotify&>(batch[i]);
    auto row = rows[i];
    row.setVfs(graph.ExactId(TargetOf(o.vfs_)));
    row.setLimits(SaveSlice(c1, o.limits_));
    row.setWatches(SaveSlice(c2, o.watches_));
    row.setEvents(SaveSlice(c3, o.events_));
    row.setLastWd(ScalarOf(o.last_wd_));
  }
  columns.setLimitsColumn(batch.Content(c1));
  columns.setWatchesColumn(batch.Content(c2));
  columns.setEventsColumn(batch.Content(c3));
}

absl::Status Access::Type<::stasis::vfs::Inotify>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::vfs::schema::InotifyColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 5);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column({});
  Decoder d1 = batch.Column(columns.getLimitsColumn());
  Decoder d2 = batch.Column(columns.getWatchesColumn());
  Decoder d3 = batch.Column(columns.getEventsColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::vfs::Inotify&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !SetExact(d0, o.vfs_, row.getVfs()))
      return batch.FieldError(i, "vfs", d0);
    if (batch.Has(1) && !LoadSlice(d1, row.getLimits(), o.limits_))
      return batch.FieldError(i, "limits", d1);
    if (batch.Has(2) && !LoadSlice(d2, row.getWatches(), o.watches_))
      return batch.FieldError(i, "watches", d2);
    if (batch.Has(3) && !LoadSlice(d3, row.getEvents(), o.events_))
      return batch.FieldError(i, "events", d3);
    if (batch.Has(4)) SetScalar(o.last_wd_, row.getLastWd());
  }
  if (!d1.ColumnUsedUp()) return batch.ColumnError("limits", d1);
  if (!d2.ColumnUsedUp()) return batch.ColumnError("watches", d2);
  if (!d3.ColumnUsedUp()) return batch.ColumnError("events", d3);
  return absl::OkStatus();
}

void Access::Type<::stasis::vfs::Inotify>::VisitOwn(GraphWriter& w, ::stasis::vfs::Inotify& o) {
  VisitField(w, o.vfs_);
  VisitField(w, o.watches_);
}

void Access::Type<::stasis::vfs::Inotify>::ClearOwn(::stasis::vfs::Inotify& o) {
  o.::stasis::vfs::Inotify::LoadFailed();
  ClearField(o.vfs_);
  ClearField(o.watches_);
}

absl::Status Access::Type<::stasis::vfs::Inotify>::AfterLoadOwn(::stasis::vfs::Inotify& o, LoadContext& context) {
  return o.::stasis::vfs::Inotify::AfterLoad(context);
}

Object* Access::Type<::stasis::vfs::Inotify>::Create() { return new ::stasis::vfs::Inotify(); }

void Access::Type<::stasis::vfs::Inotify>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::vfs::Inotify&>(object);
  Access::Type<::stasis::vfs::Inotify>::VisitOwn(w, o);
}

void Access::Type<::stasis::vfs::Inotify>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::vfs::Inotify&>(object);
  Access::Type<::stasis::vfs::Inotify>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::vfs::Inotify>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::vfs::Inotify&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inotify>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::vfs::Inotify>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::vfs::Inotify>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inotify>::kLevel,
};
constinit const LevelDescriptor* const Access::Type<::stasis::vfs::Inotify>::kWaits[] = {
    &Access::Type<::stasis::vfs::VirtualFilesystem>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::vfs::Inotify>::kType = {
    kName, &typeid(::stasis::vfs::Inotify), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, kWaits};

}  // namespace stasis::state
