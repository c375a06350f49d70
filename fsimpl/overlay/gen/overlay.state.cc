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

// overlay.DataBelow

void Access::Type<::stasis::overlay::DataBelow>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::overlay::schema::DataBelowColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::overlay::DataBelow&>(batch[i]);
    auto row = rows[i];
    row.setFile(SaveSlice(c0, o.file));
  }
  columns.setFileColumn(batch.Content(c0));
}

absl::Status Access::Type<::stasis::overlay::DataBelow>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::overlay::schema::DataBelowColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getFileColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::overlay::DataBelow&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getFile(), o.file))
      return batch.FieldError(i, "file", d0);
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("file", d0);
  return absl::OkStatus();
}

void Access::Type<::stasis::overlay::DataBelow>::VisitOwn(GraphWriter& w, ::stasis::overlay::DataBelow& o) {
  VisitField(w, o.file);
}

void Access::Type<::stasis::overlay::DataBelow>::ClearOwn(::stasis::overlay::DataBelow& o) {
  ClearField(o.file);
}

Object* Access::Type<::stasis::overlay::DataBelow>::Create() { return new ::stasis::overlay::DataBelow(); }

void Access::Type<::stasis::overlay::DataBelow>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::overlay::DataBelow&>(object);
  Access::Type<::stasis::overlay::DataBelow>::VisitOwn(w, o);
}

void Access::Type<::stasis::overlay::DataBelow>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::overlay::DataBelow&>(object);
  Access::Type<::stasis::overlay::DataBelow>::ClearOwn(o);
}

constinit const LevelDescriptor Access::Type<::stasis::overlay::DataBelow>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::overlay::DataBelow>::kLevels[] = {
    &Access::Type<::stasis::overlay::DataBelow>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::overlay::DataBelow>::kType = {
    kName, &typeid(::stasis::overlay::DataBelow), kLevels, &Create, &Visit, &ClearReferences,
    nullptr, nullptr, {}};

// overlay.LowerFile

void Access::Type<::stasis::overlay::LowerFile>::Encode(Encoder& e, const ::stasis::overlay::LowerFile& o) {
  StructEncoder s(e);
  s.Field(0, o.dentry);
  s.Field(1, o.layer);
  s.Field(2, o.xattr_whiteouts);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::overlay::LowerFile>::Decode(Decoder& d, ::stasis::overlay::LowerFile& o) {
  StructDecoder s(d, kName, kFieldCount);
  (void)o;
  while (s.Next()) {
    switch (s.number()) {
      case 0:
        s.Field("dentry", o.dentry);
        break;
      case 1:
        s.Field("layer", o.layer);
        break;
      case 2:
        s.Field("xattr_whiteouts", o.xattr_whiteouts);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::overlay::LowerFile>::Visit(GraphWriter& w, const ::stasis::overlay::LowerFile& o) {
  VisitField(w, o.dentry);
}

void Access::Type<::stasis::overlay::LowerFile>::Visit(WaitList& w, const ::stasis::overlay::LowerFile& o) {
  VisitField(w, o.dentry);
}

void Access::Type<::stasis::overlay::LowerFile>::ClearReferences(::stasis::overlay::LowerFile& o) {
  ClearField(o.dentry);
}

// overlay.OverlayDirectory

void Access::Type<::stasis::overlay::OverlayDirectory>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::overlay::schema::OverlayDirectoryColumns>();
  columns.setFieldCount(4);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  Encoder& c2 = batch.Column(1);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::overlay::OverlayDirectory&>(batch[i]);
    auto row = rows[i];
    row.setLowers(SaveSlice(c0, o.lowers_));
    row.setUpperXattrWhiteouts(ScalarOf(o.upper_xattr_whiteouts_));
    row.setRedirect(SaveSlice(c2, o.redirect_));
    row.setComplete(ScalarOf(o.complete_));
  }
  columns.setLowersColumn(batch.Content(c0));
  columns.setRedirectColumn(batch.Content(c2));
}

absl::Status Access::Type<::stasis::overlay::OverlayDirectory>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::overlay::schema::OverlayDirectoryColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 4);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getLowersColumn());
  Decoder d2 = batch.Column(columns.getRedirectColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::overlay::OverlayDirectory&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getLowers(), o.lowers_))
      return batch.FieldError(i, "lowers", d0);
    if (batch.Has(1)) SetScalar(o.upper_xattr_whiteouts_, row.getUpperXattrWhiteouts());
    if (batch.Has(2) && !LoadSlice(d2, row.getRedirect(), o.redirect_))
      return batch.FieldError(i, "redirect", d2);
    if (batch.Has(3)) SetScalar(o.complete_, row.getComplete());
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("lowers", d0);
  if (!d2.ColumnUsedUp()) return batch.ColumnError("redirect", d2);
  return absl::OkStatus();
}

void Access::Type<::stasis::overlay::OverlayDirectory>::VisitOwn(GraphWriter& w, ::stasis::overlay::OverlayDirectory& o) {
  VisitField(w, o.lowers_);
}

void Access::Type<::stasis::overlay::OverlayDirectory>::ClearOwn(::stasis::overlay::OverlayDirectory& o) {
  ClearField(o.lowers_);
}

absl::Status Access::Type<::stasis::overlay::OverlayDirectory>::AfterLoadOwn(::stasis::overlay::OverlayDirectory& o, LoadContext& context) {
  return o.::stasis::overlay::OverlayDirectory::AfterLoad(context);
}

Object* Access::Type<::stasis::overlay::OverlayDirectory>::Create() { return new ::stasis::overlay::OverlayDirectory(); }

void Access::Type<::stasis::overlay::OverlayDirectory>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlayDirectory&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::overlay::OverlayInode>::VisitOwn(w, o);
  Access::Type<::stasis::overlay::OverlayDirectory>::VisitOwn(w, o);
}

void Access::Type<::stasis::overlay::OverlayDirectory>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlayDirectory&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::overlay::OverlayInode>::ClearOwn(o);
  Access::Type<::stasis::overlay::OverlayDirectory>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::overlay::OverlayDirectory>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::overlay::OverlayDirectory&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::overlay::OverlayInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::overlay::OverlayDirectory>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::overlay::OverlayDirectory>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::overlay::OverlayDirectory>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::overlay::OverlayInode>::kLevel,
    &Access::Type<::stasis::overlay::OverlayDirectory>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::overlay::OverlayDirectory>::kType = {
    kName, &typeid(::stasis::overlay::OverlayDirectory), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// overlay.OverlayFileDescription

void Access::Type<::stasis::overlay::OverlayFileDescription>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::overlay::schema::OverlayFileDescriptionColumns>();
  columns.setFieldCount(1);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
}

absl::Status Access::Type<::stasis::overlay::OverlayFileDescription>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::overlay::schema::OverlayFileDescriptionColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 1);
  if (!shape.ok()) return shape;
  return absl::OkStatus();
}

void Access::Type<::stasis::overlay::OverlayFileDescription>::VisitOwn(GraphWriter& w, ::stasis::overlay::OverlayFileDescription& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::overlay::OverlayFileDescription>::ClearOwn(::stasis::overlay::OverlayFileDescription& o) {
  (void)o;
}

absl::Status Access::Type<::stasis::overlay::OverlayFileDescription>::AfterLoadOwn(::stasis::overlay::OverlayFileDescription& o, LoadContext& context) {
  return o.::stasis::overlay::OverlayFileDescription::AfterLoad(context);
}

Object* Access::Type<::stasis::overlay::OverlayFileDescription>::Create() { return new ::stasis::overlay::OverlayFileDescription(); }

void Access::Type<::stasis::overlay::OverlayFileDescription>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlayFileDescription&>(object);
  Access::Type<::stasis::vfs::FileDescription>::VisitOwn(w, o);
  Access::Type<::stasis::overlay::OverlayFileDescription>::VisitOwn(w, o);
}

void Access::Type<::stasis::overlay::OverlayFileDescription>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlayFileDescription&>(object);
  Access::Type<::stasis::vfs::FileDescription>::ClearOwn(o);
  Access::Type<::stasis::overlay::OverlayFileDescription>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::overlay::OverlayFileDescription>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::overlay::OverlayFileDescription&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::FileDescription>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::overlay::OverlayFileDescription>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::overlay::OverlayFileDescription>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::overlay::OverlayFileDescription>::kLevels[] = {
    &Access::Type<::stasis::vfs::FileDescription>::kLevel,
    &Access::Type<::stasis::overlay::OverlayFileDescription>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::overlay::OverlayFileDescription>::kType = {
    kName, &typeid(::stasis::overlay::OverlayFileDescription), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// overlay.OverlayFilesystem

void Access::Type<::stasis::overlay::OverlayFilesystem>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::overlay::schema::OverlayFilesystemColumns>();
  columns.setFieldCount(9);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  Encoder& c1 = batch.Column(1);
  Encoder& c2 = batch.Column(2);
  Encoder& c8 = batch.Column(3);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::overlay::OverlayFilesystem&>(batch[i]);
    auto row = rows[i];
    row.setUpper(SaveSlice(c0, o.upper_));
    row.setWork(SaveSlice(c1, o.work_));
    row.setLowers(SaveSlice(c2, o.lowers_));
    row.setUserXattrs(ScalarOf(o.user_xattrs_));
    row.setMetacopy(ScalarOf(o.metacopy_));
    row.setLazyData(ScalarOf(o.lazy_data_));
    row.setNextIno(ScalarOf(o.next_ino_));
    row.setNextWorkName(ScalarOf(o.next_work_name_));
    row.setPinned(SaveSlice(c8, o.pinned_));
  }
  columns.setUpperColumn(batch.Content(c0));
  columns.setWorkColumn(batch.Content(c1));
  columns.setLowersColumn(batch.Content(c2));
  columns.setPinnedColumn(batch.Content(c8));
}

absl::Status Access::Type<::stasis::overlay::OverlayFilesystem>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::overlay::schema::OverlayFilesystemColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 9);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getUpperColumn());
  Decoder d1 = batch.Column(columns.getWorkColumn());
  Decoder d2 = batch.Column(columns.getLowersColumn());
  Decoder d8 = batch.Column(columns.getPinnedColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::overlay::OverlayFilesystem&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getUpper(), o.upper_))
      return batch.FieldError(i, "upper", d0);
    if (batch.Has(1) && !LoadSlice(d1, row.getWork(), o.work_))
      return batch.FieldError(i, "work", d1);
    if (batch.Has(2) && !LoadSlice(d2, row.getLowers(), o.lowers_))
      return batch.FieldError(i, "lowers", d2);
    if (batch.Has(3)) SetScalar(o.user_xattrs_, row.getUserXattrs());
    if (batch.Has(4)) SetScalar(o.metacopy_, row.getMetacopy());
    if (batch.Has(5)) SetScalar(o.lazy_data_, row.getLazyData());
    if (batch.Has(6)) SetScalar(o.next_ino_, row.getNextIno());
    if (batch.Has(7)) SetScalar(o.next_work_name_, row.getNextWorkName());
    if (batch.Has(8) && !LoadSlice(d8, row.getPinned(), o.pinned_))
      return batch.FieldError(i, "pinned", d8);
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("upper", d0);
  if (!d1.ColumnUsedUp()) return batch.ColumnError("work", d1);
  if (!d2.ColumnUsedUp()) return batch.ColumnError("lowers", d2);
  if (!d8.ColumnUsedUp()) return batch.ColumnError("pinned", d8);
  return absl::OkStatus();
}

void Access::Type<::stasis::overlay::OverlayFilesystem>::VisitOwn(GraphWriter& w, ::stasis::overlay::OverlayFilesystem& o) {
  VisitField(w, o.upper_);
  VisitField(w, o.work_);
  VisitField(w, o.lowers_);
  VisitField(w, o.pinned_);
}

void Access::Type<::stasis::overlay::OverlayFilesystem>::ClearOwn(::stasis::overlay::OverlayFilesystem& o) {
  ClearField(o.upper_);
  ClearField(o.work_);
  ClearField(o.lowers_);
  ClearField(o.pinned_);
}

absl::Status Access::Type<::stasis::overlay::OverlayFilesystem>::AfterLoadOwn(::stasis::overlay::OverlayFilesystem& o, LoadContext& context) {
  return o.::stasis::overlay::OverlayFilesystem::AfterLoad(context);
}

Object* Access::Type<::stasis::overlay::OverlayFilesystem>::Create() { return new ::stasis::overlay::OverlayFilesystem(); }

void Access::Type<::stasis::overlay::OverlayFilesystem>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlayFilesystem&>(object);
  Access::Type<::stasis::vfs::Filesystem>::VisitOwn(w, o);
  Access::Type<::stasis::vfs::TreeFilesystem>::VisitOwn(w, o);
  Access::Type<::stasis::overlay::OverlayFilesystem>::VisitOwn(w, o);
}

void Access::Type<::stasis::overlay::OverlayFilesystem>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlayFilesystem&>(object);
  Access::Type<::stasis::vfs::Filesystem>::ClearOwn(o);
  Access::Type<::stasis::vfs::TreeFilesystem>::ClearOwn(o);
  Access::Type<::stasis::overlay::OverlayFilesystem>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::overlay::OverlayFilesystem>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::overlay::OverlayFilesystem&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Filesystem>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::overlay::OverlayFilesystem>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::overlay::OverlayFilesystem>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::overlay::OverlayFilesystem>::kLevels[] = {
    &Access::Type<::stasis::vfs::Filesystem>::kLevel,
    &Access::Type<::stasis::vfs::TreeFilesystem>::kLevel,
    &Access::Type<::stasis::overlay::OverlayFilesystem>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::overlay::OverlayFilesystem>::kType = {
    kName, &typeid(::stasis::overlay::OverlayFilesystem), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// overlay.OverlayInode

void Access::Type<::stasis::overlay::OverlayInode>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::overlay::schema::OverlayInodeColumns>();
  columns.setFieldCount(4);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::overlay::OverlayInode&>(batch[i]);
    auto row = rows[i];
    row.setUpper(graph.ExactId(TargetOf(o.SaveUpper())));
    row.setLower(graph.ExactId(TargetOf(o.SaveLower())));
    row.setLowerLayer(ScalarOf(o.lower_layer_));
    row.setLoaded(ScalarOf(o.loaded_));
  }
}

absl::Status Access::Type<::stasis::overlay::OverlayInode>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::overlay::schema::OverlayInodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 4);
  if (!shape.ok()) return shape;
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::overlay::OverlayInode&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(2)) SetScalar(o.lower_layer_, row.getLowerLayer());
    if (batch.Has(3)) SetScalar(o.loaded_, row.getLoaded());
  }
  return absl::OkStatus();
}

absl::Status Access::Type<::stasis::overlay::OverlayInode>::LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::overlay::schema::OverlayInodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 4);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column({});
  Decoder d1 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::overlay::OverlayInode&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) {
      std::remove_cvref_t<decltype(o.SaveUpper())> value{};
      if (!SetExact(d0, value, row.getUpper()))
        return batch.FieldError(i, "upper", d0);
      absl::Status s = o.LoadUpper(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
    if (batch.Has(1)) {
      std::remove_cvref_t<decltype(o.SaveLower())> value{};
      if (!SetExact(d1, value, row.getLower()))
        return batch.FieldError(i, "lower", d1);
      absl::Status s = o.LoadLower(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
  }
  return absl::OkStatus();
}

void Access::Type<::stasis::overlay::OverlayInode>::VisitOwn(GraphWriter& w, ::stasis::overlay::OverlayInode& o) {
  VisitField(w, o.SaveUpper());
  VisitField(w, o.SaveLower());
}

void Access::Type<::stasis::overlay::OverlayInode>::ClearOwn(::stasis::overlay::OverlayInode& o) {
  o.::stasis::overlay::OverlayInode::LoadFailed();
}

absl::Status Access::Type<::stasis::overlay::OverlayInode>::AfterLoadOwn(::stasis::overlay::OverlayInode& o, LoadContext& context) {
  return o.::stasis::overlay::OverlayInode::AfterLoad(context);
}

Object* Access::Type<::stasis::overlay::OverlayInode>::Create() { return new ::stasis::overlay::OverlayInode(); }

void Access::Type<::stasis::overlay::OverlayInode>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlayInode&>(object);
  Access::Type<::stasis::vfs::Inode>::VisitOwn(w, o);
  Access::Type<::stasis::overlay::OverlayInode>::VisitOwn(w, o);
}

void Access::Type<::stasis::overlay::OverlayInode>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::overlay::OverlayInode&>(object);
  Access::Type<::stasis::vfs::Inode>::ClearOwn(o);
  Access::Type<::stasis::overlay::OverlayInode>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::overlay::OverlayInode>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::overlay::OverlayInode&>(object);
  if (absl::Status s = Access::Type<::stasis::vfs::Inode>::AfterLoadOwn(o, context); !s.ok()) return s;
  if (absl::Status s = Access::Type<::stasis::overlay::OverlayInode>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::overlay::OverlayInode>::kLevel = {kName, &Save, &Load, &LoadManual};
constinit const LevelDescriptor* const Access::Type<::stasis::overlay::OverlayInode>::kLevels[] = {
    &Access::Type<::stasis::vfs::Inode>::kLevel,
    &Access::Type<::stasis::overlay::OverlayInode>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::overlay::OverlayInode>::kType = {
    kName, &typeid(::stasis::overlay::OverlayInode), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

}  // namespace stasis::state
