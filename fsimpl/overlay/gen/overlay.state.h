// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#ifndef STASIS_FSIMPL_OVERLAY_GEN_OVERLAY_STATE_H_
#define STASIS_FSIMPL_OVERLAY_GEN_OVERLAY_STATE_H_

#include <absl/base/thread_annotations.h>

#include <cstdint>

#include "fsimpl/overlay/filesystem.h"
#include "fsimpl/overlay/inode.h"
#include "fsimpl/overlay/lookup.h"
#include "state/codec/fields.h"
#include "state/registry.h"
#include "vfs/gen/vfs.state.h"

namespace stasis::state {

template <>
struct Access::Type<::stasis::overlay::LowerFile> {
  static constexpr const char* kName = "overlay.LowerFile";
  static constexpr uint32_t kFieldCount = 3;
  static constexpr bool kHasRefs = true;
  static void Encode(Encoder& e, const ::stasis::overlay::LowerFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::overlay::LowerFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::overlay::LowerFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::overlay::LowerFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::overlay::LowerFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::overlay::OverlayRegular::Handles> {
  static constexpr const char* kName = "overlay.OverlayRegular.Handles";
  static constexpr uint32_t kFieldCount = 2;
  static constexpr bool kHasRefs = true;
  static void Encode(Encoder& e, const ::stasis::overlay::OverlayRegular::Handles& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::overlay::OverlayRegular::Handles& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::overlay::OverlayRegular::Handles& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::overlay::OverlayRegular::Handles& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::overlay::OverlayRegular::Handles& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::overlay::DataBelow> {
  static constexpr const char* kName = "overlay.DataBelow";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::overlay::DataBelow& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::overlay::DataBelow& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
};

template <>
struct Access::Type<::stasis::overlay::OverlayDirectory> {
  static constexpr const char* kName = "overlay.OverlayDirectory";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::overlay::OverlayDirectory& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::overlay::OverlayDirectory& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::overlay::OverlayDirectory& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[3];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::overlay::OverlayFileDescription> {
  static constexpr const char* kName = "overlay.OverlayFileDescription";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::overlay::OverlayFileDescription& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::overlay::OverlayFileDescription& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::overlay::OverlayFileDescription& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[2];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::overlay::OverlayFilesystem> {
  static constexpr const char* kName = "overlay.OverlayFilesystem";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::overlay::OverlayFilesystem& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::overlay::OverlayFilesystem& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::overlay::OverlayFilesystem& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[3];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::overlay::OverlayInode> {
  static constexpr const char* kName = "overlay.OverlayInode";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::overlay::OverlayInode& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::overlay::OverlayInode& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::overlay::OverlayInode& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[2];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::overlay::OverlayRegular> {
  static constexpr const char* kName = "overlay.OverlayRegular";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::overlay::OverlayRegular& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::overlay::OverlayRegular& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::overlay::OverlayRegular& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[3];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::overlay::OverlaySpecial> {
  static constexpr const char* kName = "overlay.OverlaySpecial";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::overlay::OverlaySpecial& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::overlay::OverlaySpecial& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::overlay::OverlaySpecial& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[3];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::overlay::OverlaySymlink> {
  static constexpr const char* kName = "overlay.OverlaySymlink";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::overlay::OverlaySymlink& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::overlay::OverlaySymlink& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::overlay::OverlaySymlink& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[3];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

}  // namespace stasis::state

#endif  // STASIS_FSIMPL_OVERLAY_GEN_OVERLAY_STATE_H_
