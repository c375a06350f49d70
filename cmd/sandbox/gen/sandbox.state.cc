// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#include "cmd/sandbox/gen/sandbox.state.h"

#include <type_traits>
#include <typeinfo>
#include <utility>

#include "state/load_batch.h"
#include "state/save_batch.h"
#include "cmd/sandbox/gen/types.h"
#include "cmd/sandbox/gen/sandbox.state.capnp.h"

namespace stasis::state {

// sandbox.HeldLock

void Access::Type<::stasis::sandbox::HeldLock>::Encode(Encoder& e, const ::stasis::sandbox::HeldLock& o) {
  StructEncoder s(e);
  s.Field(0, o.kind);
  s.Field(1, o.type);
  s.Field(2, o.start);
  s.Field(3, o.last);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::sandbox::HeldLock>::Decode(Decoder& d, ::stasis::sandbox::HeldLock& o) {
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
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::sandbox::HeldLock>::Visit(GraphWriter& w, const ::stasis::sandbox::HeldLock& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::sandbox::HeldLock>::Visit(WaitList& w, const ::stasis::sandbox::HeldLock& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::sandbox::HeldLock>::ClearReferences(::stasis::sandbox::HeldLock& o) {
  (void)o;
}

// sandbox.KeptFile

void Access::Type<::stasis::sandbox::KeptFile>::Encode(Encoder& e, const ::stasis::sandbox::KeptFile& o) {
  StructEncoder s(e);
  s.Field(0, o.id);
  s.Field(1, o.at);
  s.Field(2, o.file);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::sandbox::KeptFile>::Decode(Decoder& d, ::stasis::sandbox::KeptFile& o) {
  StructDecoder s(d, kName, kFieldCount);
  (void)o;
  while (s.Next()) {
    switch (s.number()) {
      case 0:
        s.Field("id", o.id);
        break;
      case 1:
        s.Field("at", o.at);
        break;
      case 2:
        s.Field("file", o.file);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::sandbox::KeptFile>::Visit(GraphWriter& w, const ::stasis::sandbox::KeptFile& o) {
  VisitField(w, o.at);
  VisitField(w, o.file);
}

void Access::Type<::stasis::sandbox::KeptFile>::Visit(WaitList& w, const ::stasis::sandbox::KeptFile& o) {
  VisitField(w, o.at);
  VisitField(w, o.file);
}

void Access::Type<::stasis::sandbox::KeptFile>::ClearReferences(::stasis::sandbox::KeptFile& o) {
  ClearField(o.at);
  ClearField(o.file);
}

// sandbox.KeptFiles

void Access::Type<::stasis::sandbox::KeptFiles>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::sandbox::schema::KeptFilesColumns>();
  columns.setFieldCount(2);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::sandbox::KeptFiles&>(batch[i]);
    auto row = rows[i];
    row.setFiles(SaveSlice(c0, o.files_));
    row.setNextId(ScalarOf(o.next_id_));
  }
  columns.setFilesColumn(batch.Content(c0));
}

absl::Status Access::Type<::stasis::sandbox::KeptFiles>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::sandbox::schema::KeptFilesColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 2);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getFilesColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::sandbox::KeptFiles&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getFiles(), o.files_))
      return batch.FieldError(i, "files", d0);
    if (batch.Has(1)) SetScalar(o.next_id_, row.getNextId());
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("files", d0);
  return absl::OkStatus();
}

void Access::Type<::stasis::sandbox::KeptFiles>::VisitOwn(GraphWriter& w, ::stasis::sandbox::KeptFiles& o) {
  VisitField(w, o.files_);
}

void Access::Type<::stasis::sandbox::KeptFiles>::ClearOwn(::stasis::sandbox::KeptFiles& o) {
  ClearField(o.files_);
}

absl::Status Access::Type<::stasis::sandbox::KeptFiles>::AfterLoadOwn(::stasis::sandbox::KeptFiles& o, LoadContext& context) {
  return o.::stasis::sandbox::KeptFiles::AfterLoad(context);
}

Object* Access::Type<::stasis::sandbox::KeptFiles>::Create() { return new ::stasis::sandbox::KeptFiles(); }

void Access::Type<::stasis::sandbox::KeptFiles>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::sandbox::KeptFiles&>(object);
  Access::Type<::stasis::sandbox::KeptFiles>::VisitOwn(w, o);
}

void Access::Type<::stasis::sandbox::KeptFiles>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::sandbox::KeptFiles&>(object);
  Access::Type<::stasis::sandbox::KeptFiles>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::sandbox::KeptFiles>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::sandbox::KeptFiles&>(object);
  if (absl::Status s = Access::Type<::stasis::sandbox::KeptFiles>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::sandbox::KeptFiles>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::sandbox::KeptFiles>::kLevels[] = {
    &Access::Type<::stasis::sandbox::KeptFiles>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::sandbox::KeptFiles>::kType = {
    kName, &typeid(::stasis::sandbox::KeptFiles), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, {}};

// sandbox.OpenFile

void Access::Type<::stasis::sandbox::OpenFile>::Encode(Encoder& e, const ::stasis::sandbox::OpenFile& o) {
  StructEncoder s(e);
  s.Field(0, o.kind);
  s.Field(1, o.pid);
  s.Field(2, o.fd);
  s.Field(3, o.command);
  s.Field(4, o.path);
  s.Field(5, o.deleted);
  s.Field(6, o.dev);
  s.Field(7, o.ino);
  s.Field(8, o.flags);
  s.Field(9, o.offset);
  s.Field(10, o.access);
  s.Field(11, o.length);
  s.Field(12, o.shared);
  s.Field(13, o.locks);
  s.Field(14, o.watches);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::sandbox::OpenFile>::Decode(Decoder& d, ::stasis::sandbox::OpenFile& o) {
  StructDecoder s(d, kName, kFieldCount);
  (void)o;
  while (s.Next()) {
    switch (s.number()) {
      case 0:
        s.Field("kind", o.kind);
        break;
      case 1:
        s.Field("pid", o.pid);
        break;
      case 2:
        s.Field("fd", o.fd);
        break;
      case 3:
        s.Field("command", o.command);
        break;
      case 4:
        s.Field("path", o.path);
        break;
      case 5:
        s.Field("deleted", o.deleted);
        break;
      case 6:
        s.Field("dev", o.dev);
        break;
      case 7:
        s.Field("ino", o.ino);
        break;
      case 8:
        s.Field("flags", o.flags);
        break;
      case 9:
        s.Field("offset", o.offset);
        break;
      case 10:
        s.Field("access", o.access);
        break;
      case 11:
        s.Field("length", o.length);
        break;
      case 12:
        s.Field("shared", o.shared);
        break;
      case 13:
        s.Field("locks", o.locks);
        break;
      case 14:
        s.Field("watches", o.watches);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::sandbox::OpenFile>::Visit(GraphWriter& w, const ::stasis::sandbox::OpenFile& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::sandbox::OpenFile>::Visit(WaitList& w, const ::stasis::sandbox::OpenFile& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::sandbox::OpenFile>::ClearReferences(::stasis::sandbox::OpenFile& o) {
  (void)o;
}

// sandbox.OpenFiles

void Access::Type<::stasis::sandbox::OpenFiles>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::sandbox::schema::OpenFilesColumns>();
  columns.setFieldCount(2);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c0 = batch.Column(0);
  Encoder& c1 = batch.Column(1);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::sandbox::OpenFiles&>(batch[i]);
    auto row = rows[i];
    row.setFiles(SaveSlice(c0, o.files_));
    row.setIncomplete(SaveSlice(c1, o.incomplete_));
  }
  columns.setFilesColumn(batch.Content(c0));
  columns.setIncompleteColumn(batch.Content(c1));
}

absl::Status Access::Type<::stasis::sandbox::OpenFiles>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::sandbox::schema::OpenFilesColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 2);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column(columns.getFilesColumn());
  Decoder d1 = batch.Column(columns.getIncompleteColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::sandbox::OpenFiles&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !LoadSlice(d0, row.getFiles(), o.files_))
      return batch.FieldError(i, "files", d0);
    if (batch.Has(1) && !LoadSlice(d1, row.getIncomplete(), o.incomplete_))
      return batch.FieldError(i, "incomplete", d1);
  }
  if (!d0.ColumnUsedUp()) return batch.ColumnError("files", d0);
  if (!d1.ColumnUsedUp()) return batch.ColumnError("incomplete", d1);
  return absl::OkStatus();
}

void Access::Type<::stasis::sandbox::OpenFiles>::VisitOwn(GraphWriter& w, ::stasis::sandbox::OpenFiles& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::sandbox::OpenFiles>::ClearOwn(::stasis::sandbox::OpenFiles& o) {
  (void)o;
}

Object* Access::Type<::stasis::sandbox::OpenFiles>::Create() { return new ::stasis::sandbox::OpenFiles(); }

void Access::Type<::stasis::sandbox::OpenFiles>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::sandbox::OpenFiles&>(object);
  Access::Type<::stasis::sandbox::OpenFiles>::VisitOwn(w, o);
}

void Access::Type<::stasis::sandbox::OpenFiles>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::sandbox::OpenFiles&>(object);
  Access::Type<::stasis::sandbox::OpenFiles>::ClearOwn(o);
}

constinit const LevelDescriptor Access::Type<::stasis::sandbox::OpenFiles>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::sandbox::OpenFiles>::kLevels[] = {
    &Access::Type<::stasis::sandbox::OpenFiles>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::sandbox::OpenFiles>::kType = {
    kName, &typeid(::stasis::sandbox::OpenFiles), kLevels, &Create, &Visit, &ClearReferences,
    nullptr, nullptr, {}};

// sandbox.WatchedFile

void Access::Type<::stasis::sandbox::WatchedFile>::Encode(Encoder& e, const ::stasis::sandbox::WatchedFile& o) {
  StructEncoder s(e);
  s.Field(0, o.wd);
  s.Field(1, o.mask);
  s.Field(2, o.dev);
  s.Field(3, o.ino);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::sandbox::WatchedFile>::Decode(Decoder& d, ::stasis::sandbox::WatchedFile& o) {
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
        s.Field("dev", o.dev);
        break;
      case 3:
        s.Field("ino", o.ino);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::sandbox::WatchedFile>::Visit(GraphWriter& w, const ::stasis::sandbox::WatchedFile& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::sandbox::WatchedFile>::Visit(WaitList& w, const ::stasis::sandbox::WatchedFile& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::sandbox::WatchedFile>::ClearReferences(::stasis::sandbox::WatchedFile& o) {
  (void)o;
}

}  // namespace stasis::state

namespace stasis::sandbox::gen {
struct Layer;
}

template <>
struct stasis::state::Access::Type<stasis::sandbox::gen::Layer> {
  static void Register(Registry& registry) {
    (void)registry;
    registry.Add(Type<::stasis::sandbox::KeptFiles>::kType);
    registry.Add(Type<::stasis::sandbox::OpenFiles>::kType);
  }
};

namespace stasis::sandbox::gen {

void RegisterTypes(state::Registry& registry) {
  state::Access::Type<Layer>::Register(registry);
}

}  // namespace stasis::sandbox::gen
