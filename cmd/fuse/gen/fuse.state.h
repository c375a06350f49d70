// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#ifndef STASIS_CMD_FUSE_GEN_FUSE_STATE_H_
#define STASIS_CMD_FUSE_GEN_FUSE_STATE_H_

#include <absl/base/thread_annotations.h>

#include <cstdint>

#include "cmd/fuse/fuse_state.h"
#include "cmd/fuse/handle_table.h"
#include "cmd/fuse/init.h"
#include "cmd/fuse/node_table.h"
#include "state/codec/fields.h"
#include "state/registry.h"
#include "vfs/gen/vfs.state.h"

namespace stasis::state {

template <>
struct Access::Type<::stasis::fuse::Negotiated> {
  static constexpr const char* kName = "fuse.Negotiated";
  static constexpr uint32_t kFieldCount = 6;
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, const ::stasis::fuse::Negotiated& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::fuse::Negotiated& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::fuse::Negotiated& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::fuse::Negotiated& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::fuse::Negotiated& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::fuse::FuseState> {
  static constexpr const char* kName = "fuse.FuseState";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::fuse::FuseState& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::fuse::FuseState& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::fuse::FuseState& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static const LevelDescriptor* const kWaits[2];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::fuse::Handle> {
  static constexpr const char* kName = "fuse.Handle";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::fuse::Handle& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::fuse::Handle& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
};

template <>
struct Access::Type<::stasis::fuse::HandleTable> {
  static constexpr const char* kName = "fuse.HandleTable";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::fuse::HandleTable& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::fuse::HandleTable& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
};

template <>
struct Access::Type<::stasis::fuse::Node> {
  static constexpr const char* kName = "fuse.Node";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::fuse::Node& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::fuse::Node& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
};

template <>
struct Access::Type<::stasis::fuse::NodeTable> {
  static constexpr const char* kName = "fuse.NodeTable";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::fuse::NodeTable& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::fuse::NodeTable& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::fuse::NodeTable& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static const LevelDescriptor* const kWaits[2];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

}  // namespace stasis::state

#endif  // STASIS_CMD_FUSE_GEN_FUSE_STATE_H_
