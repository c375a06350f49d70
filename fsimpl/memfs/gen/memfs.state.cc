// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#include "fsimpl/memfs/gen/memfs.state.h"

#include <type_traits>
#include <typeinfo>
#include <utility>

#include "state/load_batch.h"
#include "state/save_batch.h"
#include "fsimpl/memfs/gen/types.h"
#include "fsimpl/memfs/gen/memfs.state.capnp.h"

namespace stasis::state {

// memfs.DirectoryInode

void Access::Type<::stasis::memfs::DirectoryInode>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::memfs::schema::DirectoryInodeColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
}

absl::Status Access::Type<::stasis::memfs::DirectoryInode>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::memfs::schema::DirectoryInodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  return absl::OkStatus();
}

void Access::Type<::stasis::memfs::DirectoryInode>::VisitOwn(GraphWriter& w, ::stasis::memfs::DirectoryInode& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::memfs::DirectoryInode>::ClearOwn(::stasis::memfs::DirectoryInode& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::memfs::DirectoryInode>::AfterLoadOwn(::stasis::memfs::DirectoryInode& o, LoadContext& context) {
  return o.::stasis::memfs::DirectoryInode::AfterLoad(context);
}

Object* Access::Type<::stasis::memfs::DirectoryInode>::Create() { return new ::stasis::memfs::DirectoryInode(); }

void Access::Type<::stasis::memfs::DirectoryInode>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::memfs::DirectoryInode&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::memfs::MemInode>::VisitOwn(w, o);
  Access::Type<::stasis::memfs::DirectoryInode>::VisitOwn(w, o);
}

void Access::Type<::stasis::memfs::DirectoryInode>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::memfs::DirectoryInode&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::memfs::MemInode>::ClearOwn(o);
  Access::Type<::stasis::memfs::DirectoryInode>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::memfs::DirectoryInode>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::memfs::DirectoryInode&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::memfs::MemInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::memfs::DirectoryInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::memfs::DirectoryInode>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::memfs::DirectoryInode>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::memfs::MemInode>::kLevel,
    &Access::Type<::stasis::memfs::DirectoryInode>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::memfs::DirectoryInode>::kType = {
    kName, &typeid(::stasis::memfs::DirectoryInode), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// memfs.MemFilesystem

void Access::Type<::stasis::memfs::MemFilesystem>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::memfs::schema::MemFilesystemColumns>();
  columns.setFieldCount(3);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::memfs::MemFilesystem&>(batch[i]);
    auto row = rows[i];
    row.setSizeLimit(ScalarOf(o.size_limit_));
    row.setInodeLimit(ScalarOf(o.inode_limit_));
    row.setNextIno(ScalarOf(o.next_ino_));
  }
}

absl::Status Access::Type<::stasis::memfs::MemFilesystem>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::memfs::schema::MemFilesystemColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 3);
  if (!shape.ok()) return shape;
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::memfs::MemFilesystem&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) SetScalar(o.size_limit_, row.getSizeLimit());
    if (batch.Has(1)) SetScalar(o.inode_limit_, row.getInodeLimit());
    if (batch.Has(2)) SetScalar(o.next_ino_, row.getNextIno());
  }
  return absl::OkStatus();
}

void Access::Type<::stasis::memfs::MemFilesystem>::VisitOwn(GraphWriter& w, ::stasis::memfs::MemFilesystem& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::memfs::MemFilesystem>::ClearOwn(::stasis::memfs::MemFilesystem& o) {
  (void)o;
}

Object* Access::Type<::stasis::memfs::MemFilesystem>::Create() { return new ::stasis::memfs::MemFilesystem(); }

void Access::Type<::stasis::memfs::MemFilesystem>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::memfs::MemFilesystem&>(object);
  Access::Type<::stasis::vfs::Filesystem>::VisitOwn(w, o);
  Access::Type<::stasis::vfs::TreeFilesystem>::VisitOwn(w, o);
  Access::Type<::stasis::memfs::MemFilesystem>::VisitOwn(w, o);
}

void Access::Type<::stasis::memfs::MemFilesystem>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::memfs::MemFilesystem&>(object);
  Access::Type<::stasis::vfs::Filesystem>::ClearOwn(o);
  Access::Type<::stasis::vfs::TreeFilesystem>::ClearOwn(o);
  Access::Type<::stasis::memfs::MemFilesystem>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::memfs::MemFilesystem>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::memfs::MemFilesystem&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Filesystem>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::memfs::MemFilesystem>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::memfs::MemFilesystem>::kLevels[] = {
    &Access::Type<::stasis::vfs::Filesystem>::kLevel,
    &Access::Type<::stasis::vfs::TreeFilesystem>::kLevel,
    &Access::Type<::stasis::memfs::MemFilesystem>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::memfs::MemFilesystem>::kType = {
    kName, &typeid(::stasis::memfs::MemFilesystem), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// memfs.MemInode

void Access::Type<::stasis::memfs::MemInode>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::memfs::schema::MemInodeColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
}

absl::Status Access::Type<::stasis::memfs::MemInode>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::memfs::schema::MemInodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  return absl::OkStatus();
}

void Access::Type<::stasis::memfs::MemInode>::VisitOwn(GraphWriter& w, ::stasis::memfs::MemInode& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::memfs::MemInode>::ClearOwn(::stasis::memfs::MemInode& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::memfs::MemInode>::AfterLoadOwn(::stasis::memfs::MemInode& o, LoadContext& context) {
  return o.::stasis::memfs::MemInode::AfterLoad(context);
}

Object* Access::Type<::stasis::memfs::MemInode>::Create() { return new ::stasis::memfs::MemInode(); }

void Access::Type<::stasis::memfs::MemInode>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::memfs::MemInode&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::memfs::MemInode>::VisitOwn(w, o);
}

void Access::Type<::stasis::memfs::MemInode>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::memfs::MemInode&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::memfs::MemInode>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::memfs::MemInode>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::memfs::MemInode&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::memfs::MemInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::memfs::MemInode>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::memfs::MemInode>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::memfs::MemInode>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::memfs::MemInode>::kType = {
    kName, &typeid(::stasis::memfs::MemInode), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// memfs.RegularInode

void Access::Type<::stasis::memfs::RegularInode>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::memfs::schema::RegularInodeColumns>();
  columns.setFieldCount(4);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  Encoder& c2 = batch.Column(1);
  Encoder& c3 = batch.Column(2);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::memfs::RegularInode&>(batch[i]);
    auto row = rows[i];
    row.setData(SaveSlice(c0, o.SaveData()));
    row.setWritten(SaveSlice(c2, o.SaveWritten()));
    row.setReserved(SaveSlice(c3, o.SaveReserved()));
  }
  columns.setDataColumn(batch.Content(c0));
  columns.setWrittenColumn(batch.Content(c2));
  columns.setReservedColumn(batch.Content(c3));
}

absl::Status Access::Type<::stasis::memfs::RegularInode>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::memfs::schema::RegularInodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 4);
  if (!shape.ok()) return shape;
  return absl::OkStatus();
}

absl::Status Access::Type<::stasis::memfs::RegularInode>::LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::memfs::schema::RegularInodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 4);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getDataColumn());
  Decoder d2 = batch.Column(columns.getWrittenColumn());
  Decoder d3 = batch.Column(columns.getReservedColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::memfs::RegularInode&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) {
      std::remove_cvref_t<decltype(o.SaveData())> value{};
      if (!LoadSlice(d0, row.getData(), value))
        return batch.FieldError(i, "data", d0);
      absl::Status s = o.LoadData(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
    if (batch.Has(2)) {
      std::remove_cvref_t<decltype(o.SaveWritten())> value{};
      if (!LoadSlice(d2, row.getWritten(), value))
        return batch.FieldError(i, "written", d2);
      absl::Status s = o.LoadWritten(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
    if (batch.Has(3)) {
      std::remove_cvref_t<decltype(o.SaveReserved())> value{};
      if (!LoadSlice(d3, row.getReserved(), value))
        return batch.FieldError(i, "reserved", d3);
      absl::Status s = o.LoadReserved(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("data", d0);
  if (!d2.ColumnUsedUp()) return batch.ColumnError("written", d2);
  if (!d3.ColumnUsedUp()) return batch.ColumnError("reserved", d3);
  return absl::OkStatus();
}

void Access::Type<::stasis::memfs::RegularInode>::VisitOwn(GraphWriter& w, ::stasis::memfs::RegularInode& o) {
  VisitField(w, o.SaveData());
}

void Access::Type<::stasis::memfs::RegularInode>::ClearOwn(::stasis::memfs::RegularInode& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::memfs::RegularInode>::AfterLoadOwn(::stasis::memfs::RegularInode& o, LoadContext& context) {
  return o.::stasis::memfs::RegularInode::AfterLoad(context);
}

Object* Access::Type<::stasis::memfs::RegularInode>::Create() { return new ::stasis::memfs::RegularInode(); }

void Access::Type<::stasis::memfs::RegularInode>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::memfs::RegularInode&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::memfs::MemInode>::VisitOwn(w, o);
  Access::Type<::stasis::memfs::RegularInode>::VisitOwn(w, o);
}

void Access::Type<::stasis::memfs::RegularInode>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::memfs::RegularInode&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::memfs::MemInode>::ClearOwn(o);
  Access::Type<::stasis::memfs::RegularInode>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::memfs::RegularInode>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::memfs::RegularInode&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::memfs::MemInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::memfs::RegularInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::memfs::RegularInode>::kLevel = {kName, &Save, &Load, &LoadManual};
constinit const LevelDescriptor* const Access::Type<::stasis::memfs::RegularInode>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::memfs::MemInode>::kLevel,
    &Access::Type<::stasis::memfs::RegularInode>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::memfs::RegularInode>::kType = {
    kName, &typeid(::stasis::memfs::RegularInode), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// memfs.SpecialInode

void Access::Type<::stasis::memfs::SpecialInode>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::memfs::schema::SpecialInodeColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::memfs::SpecialInode&>(batch[i]);
    auto row = rows[i];
    row.setRdev(ScalarOf(o.rdev_));
  }
}

absl::Status Access::Type<::stasis::memfs::SpecialInode>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::memfs::schema::SpecialInodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::memfs::SpecialInode&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) SetScalar(o.rdev_, row.getRdev());
  }
  return absl::OkStatus();
}

void Access::Type<::stasis::memfs::SpecialInode>::VisitOwn(GraphWriter& w, ::stasis::memfs::SpecialInode& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::memfs::SpecialInode>::ClearOwn(::stasis::memfs::SpecialInode& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::memfs::SpecialInode>::AfterLoadOwn(::stasis::memfs::SpecialInode& o, LoadContext& context) {
  return o.::stasis::memfs::SpecialInode::AfterLoad(context);
}

Object* Access::Type<::stasis::memfs::SpecialInode>::Create() { return new ::stasis::memfs::SpecialInode(); }

void Access::Type<::stasis::memfs::SpecialInode>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::memfs::SpecialInode&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::memfs::MemInode>::VisitOwn(w, o);
  Access::Type<::stasis::memfs::SpecialInode>::VisitOwn(w, o);
}

void Access::Type<::stasis::memfs::SpecialInode>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::memfs::SpecialInode&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::memfs::MemInode>::ClearOwn(o);
  Access::Type<::stasis::memfs::SpecialInode>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::memfs::SpecialInode>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::memfs::SpecialInode&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::memfs::MemInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::memfs::SpecialInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::memfs::SpecialInode>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::memfs::SpecialInode>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::memfs::MemInode>::kLevel,
    &Access::Type<::stasis::memfs::SpecialInode>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::memfs::SpecialInode>::kType = {
    kName, &typeid(::stasis::memfs::SpecialInode), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// memfs.SymlinkInode

void Access::Type<::stasis::memfs::SymlinkInode>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::memfs::schema::SymlinkInodeColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::memfs::SymlinkInode&>(batch[i]);
    auto row = rows[i];
    row.setTarget(SaveSlice(c0, o.target_));
  }
  columns.setTargetColumn(batch.Content(c0));
}

absl::Status Access::Type<::stasis::memfs::SymlinkInode>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::memfs::schema::SymlinkInodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getTargetColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::memfs::SymlinkInode&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getTarget(), o.target_))
      return batch.FieldError(i, "target", d0);
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("target", d0);
  return absl::OkStatus();
}

void Access::Type<::stasis::memfs::SymlinkInode>::VisitOwn(GraphWriter& w, ::stasis::memfs::SymlinkInode& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::memfs::SymlinkInode>::ClearOwn(::stasis::memfs::SymlinkInode& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::memfs::SymlinkInode>::AfterLoadOwn(::stasis::memfs::SymlinkInode& o, LoadContext& context) {
  return o.::stasis::memfs::SymlinkInode::AfterLoad(context);
}

Object* Access::Type<::stasis::memfs::SymlinkInode>::Create() { return new ::stasis::memfs::SymlinkInode(); }

void Access::Type<::stasis::memfs::SymlinkInode>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::memfs::SymlinkInode&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::memfs::MemInode>::VisitOwn(w, o);
  Access::Type<::stasis::memfs::SymlinkInode>::VisitOwn(w, o);
}

void Access::Type<::stasis::memfs::SymlinkInode>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::memfs::SymlinkInode&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::memfs::MemInode>::ClearOwn(o);
  Access::Type<::stasis::memfs::SymlinkInode>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::memfs::SymlinkInode>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::memfs::SymlinkInode&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::memfs::MemInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::memfs::SymlinkInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::memfs::SymlinkInode>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::memfs::SymlinkInode>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::memfs::MemInode>::kLevel,
    &Access::Type<::stasis::memfs::SymlinkInode>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::memfs::SymlinkInode>::kType = {
    kName, &typeid(::stasis::memfs::SymlinkInode), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

}  // namespace stasis::state

namespace stasis::memfs::gen {
struct Layer;
}

template <>
struct stasis::state::Access::Type<stasis::memfs::gen::Layer> {
  static void Register(Registry& registry) {
    (void)registry;
    registry.Add(Type<::stasis::memfs::DirectoryInode>::kType);
    registry.Add(Type<::stasis::memfs::MemFilesystem>::kType);
    registry.Add(Type<::stasis::memfs::MemInode>::kType);
    registry.Add(Type<::stasis::memfs::RegularInode>::kType);
    registry.Add(Type<::stasis::memfs::SpecialInode>::kType);
    registry.Add(Type<::stasis::memfs::SymlinkInode>::kType);
  }
};

namespace stasis::memfs::gen {

void RegisterTypes(state::Registry& registry) {
  state::Access::Type<Layer>::Register(registry);
}

}  // namespace stasis::memfs::gen
