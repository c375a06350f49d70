// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#include "cmd/fuse/gen/fuse.state.h"

#include <type_traits>
#include <typeinfo>
#include <utility>

#include "state/load_batch.h"
#include "state/save_batch.h"
#include "cmd/fuse/gen/types.h"
#include "cmd/fuse/gen/fuse.state.capnp.h"

namespace stasis::state {

// fuse.FuseState

void Access::Type<::stasis::fuse::FuseState>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::fuse::schema::FuseStateColumns>();
  columns.setFieldCount(3);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c2 = batch.Column(0);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::fuse::FuseState&>(batch[i]);
    auto row = rows[i];
    row.setNodes(graph.ExactId(TargetOf(o.nodes_)));
    row.setHandles(graph.ExactId(TargetOf(o.handles_)));
    row.setNegotiated(SaveSlice(c2, o.negotiated_));
  }
  columns.setNegotiatedColumn(batch.Content(c2));
}

absl::Status Access::Type<::stasis::fuse::FuseState>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::fuse::schema::FuseStateColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 3);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column({});
  Decoder d1 = batch.Column({});
  Decoder d2 = batch.Column(columns.getNegotiatedColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::fuse::FuseState&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !SetExact(d0, o.nodes_, row.getNodes()))
      return batch.FieldError(i, "nodes", d0);
    if (batch.Has(1) && !SetExact(d1, o.handles_, row.getHandles()))
      return batch.FieldError(i, "handles", d1);
    if (batch.Has(2) && !LoadSlice(d2, row.getNegotiated(), o.negotiated_))
      return batch.FieldError(i, "negotiated", d2);
  }
  if (!d2.ColumnUsedUp()) return batch.ColumnError("negotiated", d2);
  return absl::OkStatus();
}

void Access::Type<::stasis::fuse::FuseState>::VisitOwn(GraphWriter& w, ::stasis::fuse::FuseState& o) {
  VisitField(w, o.nodes_);
  VisitField(w, o.handles_);
}

void Access::Type<::stasis::fuse::FuseState>::ClearOwn(::stasis::fuse::FuseState& o) {
  ClearField(o.nodes_);
  ClearField(o.handles_);
}

absl::Status Access::Type<::stasis::fuse::FuseState>::AfterLoadOwn(::stasis::fuse::FuseState& o, LoadContext& context) {
  return o.::stasis::fuse::FuseState::AfterLoad(context);
}

Object* Access::Type<::stasis::fuse::FuseState>::Create() { return new ::stasis::fuse::FuseState(); }

void Access::Type<::stasis::fuse::FuseState>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::fuse::FuseState&>(object);
  Access::Type<::stasis::fuse::FuseState>::VisitOwn(w, o);
}

void Access::Type<::stasis::fuse::FuseState>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::fuse::FuseState&>(object);
  Access::Type<::stasis::fuse::FuseState>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::fuse::FuseState>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::fuse::FuseState&>(object);
  if (absl::Status s = Access::Type<::stasis::fuse::FuseState>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::fuse::FuseState>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::fuse::FuseState>::kLevels[] = {
    &Access::Type<::stasis::fuse::FuseState>::kLevel,
};
constinit const LevelDescriptor* const Access::Type<::stasis::fuse::FuseState>::kWaits[] = {
    &Access::Type<::stasis::fuse::HandleTable>::kLevel,
    &Access::Type<::stasis::fuse::NodeTable>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::fuse::FuseState>::kType = {
    kName, &typeid(::stasis::fuse::FuseState), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, kWaits};

// fuse.Handle

void Access::Type<::stasis::fuse::Handle>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::fuse::schema::HandleColumns>();
  columns.setFieldCount(3);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::fuse::Handle&>(batch[i]);
    auto row = rows[i];
    row.setNumber(ScalarOf(o.number_));
    row.setFlags(ScalarOf(o.flags_));
    row.setFile(graph.AnyId(TargetOf(o.file_)));
  }
}

absl::Status Access::Type<::stasis::fuse::Handle>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::fuse::schema::HandleColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 3);
  if (!shape.ok()) return shape;
  Decoder d2 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::fuse::Handle&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) SetScalar(o.number_, row.getNumber());
    if (batch.Has(1)) SetScalar(o.flags_, row.getFlags());
    if (batch.Has(2) && !SetAny(d2, o.file_, row.getFile()))
      return batch.FieldError(i, "file", d2);
  }
  return absl::OkStatus();
}

void Access::Type<::stasis::fuse::Handle>::VisitOwn(GraphWriter& w, ::stasis::fuse::Handle& o) {
  VisitField(w, o.file_);
}

void Access::Type<::stasis::fuse::Handle>::ClearOwn(::stasis::fuse::Handle& o) {
  ClearField(o.file_);
}

Object* Access::Type<::stasis::fuse::Handle>::Create() { return new ::stasis::fuse::Handle(); }

void Access::Type<::stasis::fuse::Handle>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::fuse::Handle&>(object);
  Access::Type<::stasis::fuse::Handle>::VisitOwn(w, o);
}

void Access::Type<::stasis::fuse::Handle>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::fuse::Handle&>(object);
  Access::Type<::stasis::fuse::Handle>::ClearOwn(o);
}

constinit const LevelDescriptor Access::Type<::stasis::fuse::Handle>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::fuse::Handle>::kLevels[] = {
    &Access::Type<::stasis::fuse::Handle>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::fuse::Handle>::kType = {
    kName, &typeid(::stasis::fuse::Handle), kLevels, &Create, &Visit, &ClearReferences,
    nullptr, nullptr, {}};

// fuse.HandleTable

void Access::Type<::stasis::fuse::HandleTable>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::fuse::schema::HandleTableColumns>();
  columns.setFieldCount(2);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c1 = batch.Column(0);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::fuse::HandleTable&>(batch[i]);
    auto row = rows[i];
    row.setNext(ScalarOf(o.next_));
    row.setShards(SaveSlice(c1, o.SaveShards()));
  }
  columns.setShardsColumn(batch.Content(c1));
}

absl::Status Access::Type<::stasis::fuse::HandleTable>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::fuse::schema::HandleTableColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 2);
  if (!shape.ok()) return shape;
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::fuse::HandleTable&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) SetScalar(o.next_, row.getNext());
  }
  return absl::OkStatus();
}

absl::Status Access::Type<::stasis::fuse::HandleTable>::LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::fuse::schema::HandleTableColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 2);
  if (!shape.ok()) return shape;
  Decoder d1 = batch.Column(columns.getShardsColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::fuse::HandleTable&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(1)) {
      std::remove_cvref_t<decltype(o.SaveShards())> value{};
      if (!LoadSlice(d1, row.getShards(), value))
        return batch.FieldError(i, "shards", d1);
      absl::Status s = o.LoadShards(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
  }
  if (!d1.ColumnUsedUp()) return batch.ColumnError("shards", d1);
  return absl::OkStatus();
}

void Access::Type<::stasis::fuse::HandleTable>::VisitOwn(GraphWriter& w, ::stasis::fuse::HandleTable& o) {
  VisitField(w, o.SaveShards());
}

void Access::Type<::stasis::fuse::HandleTable>::ClearOwn(::stasis::fuse::HandleTable& o) {
  (void)o;
}

Object* Access::Type<::stasis::fuse::HandleTable>::Create() { return new ::stasis::fuse::HandleTable(); }

void Access::Type<::stasis::fuse::HandleTable>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::fuse::HandleTable&>(object);
  Access::Type<::stasis::fuse::HandleTable>::VisitOwn(w, o);
}

void Access::Type<::stasis::fuse::HandleTable>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::fuse::HandleTable&>(object);
  Access::Type<::stasis::fuse::HandleTable>::ClearOwn(o);
}

constinit const LevelDescriptor Access::Type<::stasis::fuse::HandleTable>::kLevel = {kName, &Save, &Load, &LoadManual};
constinit const LevelDescriptor* const Access::Type<::stasis::fuse::HandleTable>::kLevels[] = {
    &Access::Type<::stasis::fuse::HandleTable>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::fuse::HandleTable>::kType = {
    kName, &typeid(::stasis::fuse::HandleTable), kLevels, &Create, &Visit, &ClearReferences,
    nullptr, nullptr, {}};

// fuse.Negotiated

void Access::Type<::stasis::fuse::Negotiated>::Encode(Encoder& e, const ::stasis::fuse::Negotiated& o) {
  StructEncoder s(e);
  s.Field(0, o.major_);
  s.Field(1, o.minor_);
  s.Field(2, o.flags_);
  s.Field(3, o.max_write_);
  s.Field(4, o.max_readahead_);
  s.Field(5, o.max_pages_);
  (void)o;
  s.Finish();
}

bool Access::Type<::stasis::fuse::Negotiated>::Decode(Decoder& d, ::stasis::fuse::Negotiated& o) {
  StructDecoder s(d, kName, kFieldCount);
  (void)o;
  while (s.Next()) {
    switch (s.number()) {
      case 0:
        s.Field("major", o.major_);
        break;
      case 1:
        s.Field("minor", o.minor_);
        break;
      case 2:
        s.Field("flags", o.flags_);
        break;
      case 3:
        s.Field("max_write", o.max_write_);
        break;
      case 4:
        s.Field("max_readahead", o.max_readahead_);
        break;
      case 5:
        s.Field("max_pages", o.max_pages_);
        break;
      default:
        s.Skip();
    }
  }
  return s.Done();
}

void Access::Type<::stasis::fuse::Negotiated>::Visit(GraphWriter& w, const ::stasis::fuse::Negotiated& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::fuse::Negotiated>::Visit(WaitList& w, const ::stasis::fuse::Negotiated& o) {
  (void)w;
  (void)o;
}

void Access::Type<::stasis::fuse::Negotiated>::ClearReferences(::stasis::fuse::Negotiated& o) {
  (void)o;
}

// fuse.Node

void Access::Type<::stasis::fuse::Node>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::fuse::schema::NodeColumns>();
  columns.setFieldCount(4);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c2 = batch.Column(0);
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::fuse::Node&>(batch[i]);
    auto row = rows[i];
    row.setNumber(ScalarOf(o.number_));
    row.setGeneration(ScalarOf(o.generation_));
    row.setAt(SaveSlice(c2, o.at_));
    row.setLookups(ScalarOf(o.lookups_));
  }
  columns.setAtColumn(batch.Content(c2));
}

absl::Status Access::Type<::stasis::fuse::Node>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::fuse::schema::NodeColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 4);
  if (!shape.ok()) return shape;
  Decoder d2 = batch.Column(columns.getAtColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::fuse::Node&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0)) SetScalar(o.number_, row.getNumber());
    if (batch.Has(1)) SetScalar(o.generation_, row.getGeneration());
    if (batch.Has(2) && !LoadSlice(d2, row.getAt(), o.at_))
      return batch.FieldError(i, "at", d2);
    if (batch.Has(3)) SetScalar(o.lookups_, row.getLookups());
  }
  if (!d2.ColumnUsedUp()) return batch.ColumnError("at", d2);
  return absl::OkStatus();
}

void Access::Type<::stasis::fuse::Node>::VisitOwn(GraphWriter& w, ::stasis::fuse::Node& o) {
  VisitField(w, o.at_);
}

void Access::Type<::stasis::fuse::Node>::ClearOwn(::stasis::fuse::Node& o) {
  ClearField(o.at_);
}

Object* Access::Type<::stasis::fuse::Node>::Create() { return new ::stasis::fuse::Node(); }

void Access::Type<::stasis::fuse::Node>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::fuse::Node&>(object);
  Access::Type<::stasis::fuse::Node>::VisitOwn(w, o);
}

void Access::Type<::stasis::fuse::Node>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::fuse::Node&>(object);
  Access::Type<::stasis::fuse::Node>::ClearOwn(o);
}

constinit const LevelDescriptor Access::Type<::stasis::fuse::Node>::kLevel = {kName, &Save, &Load, nullptr};
constinit const LevelDescriptor* const Access::Type<::stasis::fuse::Node>::kLevels[] = {
    &Access::Type<::stasis::fuse::Node>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::fuse::Node>::kType = {
    kName, &typeid(::stasis::fuse::Node), kLevels, &Create, &Visit, &ClearReferences,
    nullptr, nullptr, {}};

// fuse.NodeTable

void Access::Type<::stasis::fuse::NodeTable>::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {
  auto columns = part.initAs<::stasis::fuse::schema::NodeTableColumns>();
  columns.setFieldCount(5);
  const uint32_t n = batch.size();
  [[maybe_unused]] auto rows = columns.initRows(n);
  Encoder& c3 = batch.Column(0);
  const GraphWriter& graph = batch.graph();
  for (uint32_t i = 0; i < n; ++i) {
    const auto& o = static_cast<const ::stasis::fuse::NodeTable&>(batch[i]);
    auto row = rows[i];
    row.setRoot(graph.ExactId(TargetOf(o.root_)));
    row.setNext(ScalarOf(o.next_));
    row.setGeneration(ScalarOf(o.generation_));
    row.setShards(SaveSlice(c3, o.SaveShards()));
    row.setVfs(graph.ExactId(TargetOf(o.vfs_)));
  }
  columns.setShardsColumn(batch.Content(c3));
}

absl::Status Access::Type<::stasis::fuse::NodeTable>::Load(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::fuse::schema::NodeTableColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 5);
  if (!shape.ok()) return shape;
  Decoder d0 = batch.Column({});
  Decoder d4 = batch.Column({});
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::fuse::NodeTable&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(0) && !SetExact(d0, o.root_, row.getRoot()))
      return batch.FieldError(i, "root", d0);
    if (batch.Has(1)) SetScalar(o.next_, row.getNext());
    if (batch.Has(2)) SetScalar(o.generation_, row.getGeneration());
    if (batch.Has(4) && !SetExact(d4, o.vfs_, row.getVfs()))
      return batch.FieldError(i, "vfs", d4);
  }
  return absl::OkStatus();
}

absl::Status Access::Type<::stasis::fuse::NodeTable>::LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part) {
  auto columns = part.getAs<::stasis::fuse::schema::NodeTableColumns>();
  auto rows = columns.getRows();
  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), 5);
  if (!shape.ok()) return shape;
  Decoder d3 = batch.Column(columns.getShardsColumn());
  for (uint32_t i = 0; i < batch.size(); ++i) {
    auto& o = static_cast<::stasis::fuse::NodeTable&>(batch[i]);
    auto row = rows[i];
    if (batch.Has(3)) {
      std::remove_cvref_t<decltype(o.SaveShards())> value{};
      if (!LoadSlice(d3, row.getShards(), value))
        return batch.FieldError(i, "shards", d3);
      absl::Status s = o.LoadShards(std::move(value), batch.context());
      if (!s.ok()) return s;
    }
  }
  if (!d3.ColumnUsedUp()) return batch.ColumnError("shards", d3);
  return absl::OkStatus();
}

void Access::Type<::stasis::fuse::NodeTable>::VisitOwn(GraphWriter& w, ::stasis::fuse::NodeTable& o) {
  VisitField(w, o.root_);
  VisitField(w, o.SaveShards());
  VisitField(w, o.vfs_);
}

void Access::Type<::stasis::fuse::NodeTable>::ClearOwn(::stasis::fuse::NodeTable& o) {
  ClearField(o.root_);
  ClearField(o.vfs_);
}

absl::Status Access::Type<::stasis::fuse::NodeTable>::AfterLoadOwn(::stasis::fuse::NodeTable& o, LoadContext& context) {
  return o.::stasis::fuse::NodeTable::AfterLoad(context);
}

Object* Access::Type<::stasis::fuse::NodeTable>::Create() { return new ::stasis::fuse::NodeTable(); }

void Access::Type<::stasis::fuse::NodeTable>::Visit(GraphWriter& w, Object& object) {
  auto& o = static_cast<::stasis::fuse::NodeTable&>(object);
  Access::Type<::stasis::fuse::NodeTable>::VisitOwn(w, o);
}

void Access::Type<::stasis::fuse::NodeTable>::ClearReferences(Object& object) {
  auto& o = static_cast<::stasis::fuse::NodeTable&>(object);
  Access::Type<::stasis::fuse::NodeTable>::ClearOwn(o);
}

absl::Status Access::Type<::stasis::fuse::NodeTable>::AfterLoad(Object& object, LoadContext& context) {
  auto& o = static_cast<::stasis::fuse::NodeTable&>(object);
  if (absl::Status s = Access::Type<::stasis::fuse::NodeTable>::AfterLoadOwn(o, context); !s.ok()) return s;
  return absl::OkStatus();
}

constinit const LevelDescriptor Access::Type<::stasis::fuse::NodeTable>::kLevel = {kName, &Save, &Load, &LoadManual};
constinit const LevelDescriptor* const Access::Type<::stasis::fuse::NodeTable>::kLevels[] = {
    &Access::Type<::stasis::fuse::NodeTable>::kLevel,
};
constinit const LevelDescriptor* const Access::Type<::stasis::fuse::NodeTable>::kWaits[] = {
    &Access::Type<::stasis::fuse::Node>::kLevel,
    &Access::Type<::stasis::vfs::VirtualFilesystem>::kLevel,
};
constinit const TypeDescriptor Access::Type<::stasis::fuse::NodeTable>::kType = {
    kName, &typeid(::stasis::fuse::NodeTable), kLevels, &Create, &Visit, &ClearReferences,
    &AfterLoad, nullptr, kWaits};

}  // namespace stasis::state

namespace stasis::fuse::gen {
struct Layer;
}

template <>
struct stasis::state::Access::Type<stasis::fuse::gen::Layer> {
  static void Register(Registry& registry) {
    (void)registry;
    registry.Add(Type<::stasis::fuse::FuseState>::kType);
    registry.Add(Type<::stasis::fuse::Handle>::kType);
    registry.Add(Type<::stasis::fuse::HandleTable>::kType);
    registry.Add(Type<::stasis::fuse::Node>::kType);
    registry.Add(Type<::stasis::fuse::NodeTable>::kType);
  }
};

namespace stasis::fuse::gen {

void RegisterTypes(state::Registry& registry) {
  state::Access::Type<Layer>::Register(registry);
}

}  // namespace stasis::fuse::gen
