// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#ifndef STASIS_TESTS_STATE_MODEL_GEN_MODEL_STATE_H_
#define STASIS_TESTS_STATE_MODEL_GEN_MODEL_STATE_H_

#include <absl/base/thread_annotations.h>

#include <cstdint>

#include "state/codec/fields.h"
#include "state/registry.h"
#include "tests/state/model/files.h"
#include "tests/state/model/model.h"

namespace stasis::state {

template <>
struct Access::Enum<::stasis::model::Color> {
  static constexpr bool Valid(uint8_t number) {
    switch (number) {
      case 1u:  // kRed
      case 2u:  // kGreen
      case 7u:  // kBlue
        return true;
      default:
        return false;
    }
  }
};

template <>
struct Access::Enum<::stasis::model::Flags> {
  static constexpr bool Valid(uint16_t number) {
    return (number & ~uint16_t{11u}) == 0;
  }
};

template <>
struct Access::Enum<::stasis::model::Signed> {
  static constexpr bool Valid(int32_t number) {
    switch (number) {
      case static_cast<int32_t>(-1999999999 - 1):  // kLow
      case 0:  // kZero
      case 2000000000:  // kHigh
        return true;
      default:
        return false;
    }
  }
};

template <>
struct Access::Type<::stasis::model::Link> {
  static constexpr const char* kName = "model.Link";
  static constexpr uint32_t kFieldCount = 3;
  static constexpr bool kHasRefs = true;
  static void Encode(Encoder& e, const ::stasis::model::Link& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::model::Link& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::model::Link& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::model::Link& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::model::Link& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::model::Point> {
  static constexpr const char* kName = "model.Point";
  static constexpr uint32_t kFieldCount = 3;
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, const ::stasis::model::Point& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::model::Point& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::model::Point& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::model::Point& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::model::Point& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::model::Circle> {
  static constexpr const char* kName = "model.Circle";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::model::Circle& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::model::Circle& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[2];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
};

template <>
struct Access::Type<::stasis::model::Columns> {
  static constexpr const char* kName = "model.Columns";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::model::Columns& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::model::Columns& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
};

template <>
struct Access::Type<::stasis::model::Empty> {
  static constexpr const char* kName = "model.Empty";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::model::Empty& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::model::Empty& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
};

template <>
struct Access::Type<::stasis::model::Entry> {
  static constexpr const char* kName = "model.Entry";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::model::Entry& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::model::Entry& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
};

template <>
struct Access::Type<::stasis::model::Holder> {
  static constexpr const char* kName = "model.Holder";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::model::Holder& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::model::Holder& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
};

template <>
struct Access::Type<::stasis::model::Record> {
  static constexpr const char* kName = "model.Record";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::model::Record& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::model::Record& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
};

template <>
struct Access::Type<::stasis::model::Scalars> {
  static constexpr const char* kName = "model.Scalars";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::model::Scalars& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::model::Scalars& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
};

template <>
struct Access::Type<::stasis::model::Shape> {
  static constexpr const char* kName = "model.Shape";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::model::Shape& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::model::Shape& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::model::Square> {
  static constexpr const char* kName = "model.Square";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::model::Square& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::model::Square& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[2];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
};

template <>
struct Access::Type<::stasis::model::TreeNode> {
  static constexpr const char* kName = "model.TreeNode";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::model::TreeNode& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::model::TreeNode& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void BeforeSaveOwn(::stasis::model::TreeNode& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::model::TreeNode& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void WaitsOwn(WaitList& w, const ::stasis::model::TreeNode& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static const LevelDescriptor* const kWaits[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
  static void Waits(const Object& object, WaitList& w);
};

}  // namespace stasis::state

#endif  // STASIS_TESTS_STATE_MODEL_GEN_MODEL_STATE_H_
