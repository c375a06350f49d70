// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#ifndef STASIS_CMD_SANDBOX_GEN_SANDBOX_STATE_H_
#define STASIS_CMD_SANDBOX_GEN_SANDBOX_STATE_H_

#include <absl/base/thread_annotations.h>

#include <cstdint>

#include "cmd/sandbox/kept_files.h"
#include "cmd/sandbox/open_files.h"
#include "state/codec/fields.h"
#include "state/registry.h"
#include "vfs/gen/vfs.state.h"

namespace stasis::state {

template <>
struct Access::Enum<::stasis::sandbox::OpenKind> {
  static constexpr bool Valid(uint8_t number) {
    switch (number) {
      case 0u:  // kDescriptor
      case 1u:  // kWorkingDirectory
      case 2u:  // kRootDirectory
      case 3u:  // kMapping
      case 4u:  // kInotify
        return true;
      default:
        return false;
    }
  }
};

template <>
struct Access::Type<::stasis::sandbox::HeldLock> {
  static constexpr const char* kName = "sandbox.HeldLock";
  static constexpr uint32_t kFieldCount = 4;
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, const ::stasis::sandbox::HeldLock& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::sandbox::HeldLock& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::sandbox::HeldLock& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::sandbox::HeldLock& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::sandbox::HeldLock& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::sandbox::KeptFile> {
  static constexpr const char* kName = "sandbox.KeptFile";
  static constexpr uint32_t kFieldCount = 3;
  static constexpr bool kHasRefs = true;
  static void Encode(Encoder& e, const ::stasis::sandbox::KeptFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::sandbox::KeptFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::sandbox::KeptFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::sandbox::KeptFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::sandbox::KeptFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::sandbox::OpenFile> {
  static constexpr const char* kName = "sandbox.OpenFile";
  static constexpr uint32_t kFieldCount = 15;
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, const ::stasis::sandbox::OpenFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::sandbox::OpenFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::sandbox::OpenFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::sandbox::OpenFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::sandbox::OpenFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::sandbox::WatchedFile> {
  static constexpr const char* kName = "sandbox.WatchedFile";
  static constexpr uint32_t kFieldCount = 4;
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, const ::stasis::sandbox::WatchedFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::sandbox::WatchedFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::sandbox::WatchedFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::sandbox::WatchedFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::sandbox::WatchedFile& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::sandbox::KeptFiles> {
  static constexpr const char* kName = "sandbox.KeptFiles";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::sandbox::KeptFiles& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::sandbox::KeptFiles& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::sandbox::KeptFiles& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::sandbox::OpenFiles> {
  static constexpr const char* kName = "sandbox.OpenFiles";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::sandbox::OpenFiles& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::sandbox::OpenFiles& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
};

}  // namespace stasis::state

#endif  // STASIS_CMD_SANDBOX_GEN_SANDBOX_STATE_H_
