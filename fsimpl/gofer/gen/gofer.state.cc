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

// gofer.ContentDigest

void Access::Type<::stasis::gofer::ContentDigest>::Encode(Encoder& e, const ::stasis::gofer::ContentDigest& o) {
  StructEncoder s(e);
  s.Field(0, o.sha256);
  s.Field(1, o.ctime);
  s.Field(2, o.size);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::gofer::ContentDigest>::Decode(Decoder& d, ::stasis::gofer::ContentDigest& o) {
  StructDecoder s(d, kName, kFieldCount);
  (void)o;
  while (s.Next()) {
    switch (s.number()) {
      case 0:
        s.Field("sha256", o.sha256);
        break;
      case 1:
        s.Field("ctime", o.ctime);
        break;
      case 2:
        s.Field("size", o.size);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::gofer::ContentDigest>::Visit(GraphWriter& w, const ::stasis::gofer::ContentDigest& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::gofer::ContentDigest>::Visit(WaitList& w, const ::stasis::gofer::ContentDigest& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::gofer::ContentDigest>::ClearReferences(::stasis::gofer::ContentDigest& o) {
  (void)o;
}

// gofer.GoferFilesystem

void Access::Type<::stasis::gofer::GoferFilesystem>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::gofer::schema::GoferFilesystemColumns>();
  columns.setFieldCount(5);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  Encoder& c3 = batch.Column(1);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::gofer::GoferFilesystem&>(batch[i]);
    auto row = rows[i];
    row.setRootName(SaveSlice(c0, o.root_name_));
    row.setInterop(ScalarOf(o.interop_));
    row.setNextIno(ScalarOf(o.next_ino_));
    row.setDirectory(SaveSlice(c3, o.directory_));
    row.setSpecials(ScalarOf(o.specials_));
  }
  columns.setRootNameColumn(batch.Content(c0));
  columns.setDirectoryColumn(batch.Content(c3));
}

absl::Status Access::Type<::stasis::gofer::GoferFilesystem>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::gofer::schema::GoferFilesystemColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 5);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getRootNameColumn());
  Decoder d1 = batch.Column({});
  Decoder d3 = batch.Column(columns.getDirectoryColumn());
  Decoder d4 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::gofer::GoferFilesystem&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getRootName(), o.root_name_))
      return batch.FieldError(i, "root_name", d0);
    if (batch.Has(1) && !SetEnum(d1, o.interop_, row.getInterop()))
      return batch.FieldError(i, "interop", d1);
    if (batch.Has(2)) SetScalar(o.next_ino_, row.getNextIno());
    if (batch.Has(3) && !LoadSlice(d3, row.getDirectory(), o.directory_))
      return batch.FieldError(i, "directory", d3);
    if (batch.Has(4) && !SetEnum(d4, o.specials_, row.getSpecials()))
      return batch.FieldError(i, "specials", d4);
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("root_name", d0);
  if (!d3.ColumnUsedUp()) return batch.ColumnError("directory", d3);
  return absl::OkStatus();
}

void Access::Type<::stasis::gofer::GoferFilesystem>::VisitOwn(GraphWriter& w, ::stasis::gofer::GoferFilesystem& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::gofer::GoferFilesystem>::ClearOwn(::stasis::gofer::GoferFilesystem& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::gofer::GoferFilesystem>::AfterLoadOwn(::stasis::gofer::GoferFilesystem& o, LoadContext& context) {
  return o.::stasis::gofer::GoferFilesystem::AfterLoad(context);
}

Object* Access::Type<::stasis::gofer::GoferFilesystem>::Create() { return new ::stasis::gofer::GoferFilesystem(); }

void Access::Type<::stasis::gofer::GoferFilesystem>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::gofer::GoferFilesystem&>(object);
  Access::Type<::stasis::vfs::Filesystem>::VisitOwn(w, o);
  Access::Type<::stasis::vfs::TreeFilesystem>::VisitOwn(w, o);
  Access::Type<::stasis::gofer::GoferFilesystem>::VisitOwn(w, o);
}

void Access::Type<::stasis::gofer::GoferFilesystem>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::gofer::GoferFilesystem&>(object);
  Access::Type<::stasis::vfs::Filesystem>::ClearOwn(o);
  Access::Type<::stasis::vfs::TreeFilesystem>::ClearOwn(o);
  Access::Type<::stasis::gofer::GoferFilesystem>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::gofer::GoferFilesystem>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::gofer::GoferFilesystem&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Filesystem>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::gofer::GoferFilesystem>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::gofer::GoferFilesystem>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::gofer::GoferFilesystem>::kLevels[] = {
    &Access::Type<::stasis::vfs::Filesystem>::kLevel,
    &Access::Type<::stasis::vfs::TreeFilesystem>::kLevel,
    &Access::Type<::stasis::gofer::GoferFilesystem>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::gofer::GoferFilesystem>::kType = {
    kName, &typeid(::stasis::gofer::GoferFilesystem), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// gofer.HostDirectory

void Access::Type<::stasis::gofer::HostDirectory>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::gofer::schema::HostDirectoryColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::gofer::HostDirectory&>(batch[i]);
    auto row = rows[i];
    row.setComplete(ScalarOf(o.complete_));
  }
}

absl::Status Access::Type<::stasis::gofer::HostDirectory>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::gofer::schema::HostDirectoryColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::gofer::HostDirectory&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) SetScalar(o.complete_, row.getComplete());
  }
  return absl::OkStatus();
}

void Access::Type<::stasis::gofer::HostDirectory>::VisitOwn(GraphWriter& w, ::stasis::gofer::HostDirectory& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::gofer::HostDirectory>::ClearOwn(::stasis::gofer::HostDirectory& o) {
  (void)o;
}

Object* Access::Type<::stasis::gofer::HostDirectory>::Create() { return new ::stasis::gofer::HostDirectory(); }

void Access::Type<::stasis::gofer::HostDirectory>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::gofer::HostDirectory&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::gofer::HostInode>::VisitOwn(w, o);
  Access::Type<::stasis::gofer::HostDirectory>::VisitOwn(w, o);
}

void Access::Type<::stasis::gofer::HostDirectory>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::gofer::HostDirectory&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::gofer::HostInode>::ClearOwn(o);
  Access::Type<::stasis::gofer::HostDirectory>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::gofer::HostDirectory>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::gofer::HostDirectory&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::gofer::HostInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::gofer::HostDirectory>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::gofer::HostDirectory>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::gofer::HostInode>::kLevel,
    &Access::Type<::stasis::gofer::HostDirectory>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::gofer::HostDirectory>::kType = {
    kName, &typeid(::stasis::gofer::HostDirectory), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// gofer.HostFileDescription

void Access::Type<::stasis::gofer::HostFileDescription>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::gofer::schema::HostFileDescriptionColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
}

absl::Status Access::Type<::stasis::gofer::HostFileDescription>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::gofer::schema::HostFileDescriptionColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  return absl::OkStatus();
}

void Access::Type<::stasis::gofer::HostFileDescription>::VisitOwn(GraphWriter& w, ::stasis::gofer::HostFileDescription& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::gofer::HostFileDescription>::ClearOwn(::stasis::gofer::HostFileDescription& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::gofer::HostFileDescription>::AfterLoadOwn(::stasis::gofer::HostFileDescription& o, LoadContext& context) {
  return o.::stasis::gofer::HostFileDescription::AfterLoad(context);
}

Object* Access::Type<::stasis::gofer::HostFileDescription>::Create() { return new ::stasis::gofer::HostFileDescription(); }

void Access::Type<::stasis::gofer::HostFileDescription>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::gofer::HostFileDescription&>(object);
  Access::Type<::stasis::vfs::FileDescription>::VisitOwn(w, o);
  Access::Type<::stasis::gofer::HostFileDescription>::VisitOwn(w, o);
}

void Access::Type<::stasis::gofer::HostFileDescription>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::gofer::HostFileDescription&>(object);
  Access::Type<::stasis::vfs::FileDescription>::ClearOwn(o);
  Access::Type<::stasis::gofer::HostFileDescription>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::gofer::HostFileDescription>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::gofer::HostFileDescription&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::FileDescription>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::gofer::HostFileDescription>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::gofer::HostFileDescription>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::gofer::HostFileDescription>::kLevels[] = {
    &Access::Type<::stasis::vfs::FileDescription>::kLevel,
    &Access::Type<::stasis::gofer::HostFileDescription>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::gofer::HostFileDescription>::kType = {
    kName, &typeid(::stasis::gofer::HostFileDescription), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// gofer.HostInode

void Access::Type<::stasis::gofer::HostInode>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::gofer::schema::HostInodeColumns>();
  columns.setFieldCount(7);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::gofer::HostInode&>(batch[i]);
    auto row = rows[i];
    row.setHostDev(ScalarOf(o.host_dev_));
    row.setHostIno(ScalarOf(o.host_ino_));
    row.setRdev(ScalarOf(o.rdev_));
    row.setBlocks(ScalarOf(o.blocks_));
    row.setBlksize(ScalarOf(o.blksize_));
    row.setLoaded(ScalarOf(o.loaded_));
    row.setDetached(ScalarOf(o.SaveDetached()));
  }
}

absl::Status Access::Type<::stasis::gofer::HostInode>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::gofer::schema::HostInodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 7);
  if (!shape.ok()) return shape;
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::gofer::HostInode&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) SetScalar(o.host_dev_, row.getHostDev());
    if (batch.Has(1)) SetScalar(o.host_ino_, row.getHostIno());
    if (batch.Has(2)) SetScalar(o.rdev_, row.getRdev());
    if (batch.Has(3)) SetScalar(o.blocks_, row.getBlocks());
    if (batch.Has(4)) SetScalar(o.blksize_, row.getBlksize());
    if (batch.Has(5)) SetScalar(o.loaded_, row.getLoaded());
  }
  return absl::OkStatus();
}

absl::Status Access::Type<::stasis::gofer::HostInode>::LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::gofer::schema::HostInodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 7);
  if (!shape.ok()) return shape;
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::gofer::HostInode&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(6)) {
      std::remove_cvref_t<decltype(o.SaveDetached())> value{};
      SetScalar(value, row.getDetached());
      absl::Status s = o.LoadDetached(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
  }
  return absl::OkStatus();
}

void Access::Type<::stasis::gofer::HostInode>::VisitOwn(GraphWriter& w, ::stasis::gofer::HostInode& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::gofer::HostInode>::ClearOwn(::stasis::gofer::HostInode& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::gofer::HostInode>::AfterLoadOwn(::stasis::gofer::HostInode& o, LoadContext& context) {
  return o.::stasis::gofer::HostInode::AfterLoad(context);
}

Object* Access::Type<::stasis::gofer::HostInode>::Create() { return new ::stasis::gofer::HostInode(); }

void Access::Type<::stasis::gofer::HostInode>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::gofer::HostInode&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::gofer::HostInode>::VisitOwn(w, o);
}

void Access::Type<::stasis::gofer::HostInode>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::gofer::HostInode&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::gofer::HostInode>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::gofer::HostInode>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::gofer::HostInode&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::gofer::HostInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::gofer::HostInode>::kLevel = {kName, &Save, &Load, &LoadManual};
constinit const LevelDescriptor* const Access::Type<::stasis::gofer::HostInode>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::gofer::HostInode>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::gofer::HostInode>::kType = {
    kName, &typeid(::stasis::gofer::HostInode), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// gofer.HostRegular

void Access::Type<::stasis::gofer::HostRegular>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::gofer::schema::HostRegularColumns>();
  columns.setFieldCount(4);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  Encoder& c1 = batch.Column(1);
  Encoder& c2 = batch.Column(2);
  Encoder& c3 = batch.Column(3);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::gofer::HostRegular&>(batch[i]);
    auto row = rows[i];
    row.setData(SaveSlice(c0, o.SaveData()));
    row.setDigest(SaveSlice(c1, o.digest_));
    row.setWritten(SaveSlice(c2, o.SaveWritten()));
    row.setReserved(SaveSlice(c3, o.SaveReserved()));
  }
  columns.setDataColumn(batch.Content(c0));
  columns.setDigestColumn(batch.Content(c1));
  columns.setWrittenColumn(batch.Content(c2));
  columns.setReservedColumn(batch.Content(c3));
}

absl::Status Access::Type<::stasis::gofer::HostRegular>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::gofer::schema::HostRegularColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 4);
  if (!shape.ok()) return shape;
  Decoder d1 = batch.Column(columns.getDigestColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::gofer::HostRegular&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(1) && !LoadSlice(d1, row.getDigest(), o.digest_))
      return batch.FieldError(i, "digest", d1);
  }
  if (!d1.ColumnUsedUp()) return batch.ColumnError("digest", d1);
  return absl::OkStatus();
}

absl::Status Access::Type<::stasis::gofer::HostRegular>::LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::gofer::schema::HostRegularColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 4);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getDataColumn());
  Decoder d2 = batch.Column(columns.getWrittenColumn());
  Decoder d3 = batch.Column(columns.getReservedColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::gofer::HostRegular&>(batch[i]);
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

void Access::Type<::stasis::gofer::HostRegular>::VisitOwn(GraphWriter& w, ::stasis::gofer::HostRegular& o) {
  VisitField(w, o.SaveData());
}

void Access::Type<::stasis::gofer::HostRegular>::ClearOwn(::stasis::gofer::HostRegular& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::gofer::HostRegular>::AfterLoadOwn(::stasis::gofer::HostRegular& o, LoadContext& context) {
  return o.::stasis::gofer::HostRegular::AfterLoad(context);
}

Object* Access::Type<::stasis::gofer::HostRegular>::Create() { return new ::stasis::gofer::HostRegular(); }

void Access::Type<::stasis::gofer::HostRegular>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::gofer::HostRegular&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::gofer::HostInode>::VisitOwn(w, o);
  Access::Type<::stasis::gofer::HostRegular>::VisitOwn(w, o);
}

void Access::Type<::stasis::gofer::HostRegular>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::gofer::HostRegular&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::gofer::HostInode>::ClearOwn(o);
  Access::Type<::stasis::gofer::HostRegular>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::gofer::HostRegular>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::gofer::HostRegular&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::gofer::HostInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::gofer::HostRegular>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::gofer::HostRegular>::kLevel = {kName, &Save, &Load, &LoadManual};
constinit const LevelDescriptor* const Access::Type<::stasis::gofer::HostRegular>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::gofer::HostInode>::kLevel,
    &Access::Type<::stasis::gofer::HostRegular>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::gofer::HostRegular>::kType = {
    kName, &typeid(::stasis::gofer::HostRegular), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// gofer.HostSpecial

void Access::Type<::stasis::gofer::HostSpecial>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::gofer::schema::HostSpecialColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
}

absl::Status Access::Type<::stasis::gofer::HostSpecial>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::gofer::schema::HostSpecialColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  return absl::OkStatus();
}

void Access::Type<::stasis::gofer::HostSpecial>::VisitOwn(GraphWriter& w, ::stasis::gofer::HostSpecial& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::gofer::HostSpecial>::ClearOwn(::stasis::gofer::HostSpecial& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::gofer::HostSpecial>::AfterLoadOwn(::stasis::gofer::HostSpecial& o, LoadContext& context) {
  return o.::stasis::gofer::HostSpecial::AfterLoad(context);
}

Object* Access::Type<::stasis::gofer::HostSpecial>::Create() { return new ::stasis::gofer::HostSpecial(); }

void Access::Type<::stasis::gofer::HostSpecial>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::gofer::HostSpecial&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::gofer::HostInode>::VisitOwn(w, o);
  Access::Type<::stasis::gofer::HostSpecial>::VisitOwn(w, o);
}

void Access::Type<::stasis::gofer::HostSpecial>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::gofer::HostSpecial&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::gofer::HostInode>::ClearOwn(o);
  Access::Type<::stasis::gofer::HostSpecial>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::gofer::HostSpecial>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::gofer::HostSpecial&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::gofer::HostInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::gofer::HostSpecial>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::gofer::HostSpecial>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::gofer::HostSpecial>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::gofer::HostInode>::kLevel,
    &Access::Type<::stasis::gofer::HostSpecial>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::gofer::HostSpecial>::kType = {
    kName, &typeid(::stasis::gofer::HostSpecial), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

}  // namespace stasis::state
