// SPDX-License-Identifier: Apache-2.0
//
// fields.h: what generated code calls for the fields of a row.

#ifndef STASIS_STATE_CODEC_FIELDS_H_
#define STASIS_STATE_CODEC_FIELDS_H_

#include <absl/strings/str_cat.h>

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "state/codec/bytes.h"
#include "state/codec/codec.h"
#include "state/codec/maps.h"
#include "state/codec/references.h"
#include "state/codec/sequences.h"
#include "state/codec/structs.h"
#include "state/codec/sums.h"

namespace stasis::state {

// The value to be stored for a scalar, enum or atomic of one.
template <typename T>
auto ScalarOf(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return static_cast<std::underlying_type_t<T>>(value);
  } else {
    return value;
  }
}
template <typename T>
auto ScalarOf(const std::atomic<T>& value) {
  return ScalarOf(value.load(std::memory_order_relaxed));
}

// The object or chunk that a reference leads to.
template <typename T>
T* TargetOf(const RefPtr<T>& ref) {
  return ref.get();
}
template <typename T>
T* TargetOf(T* object) {
  return object;
}
template <typename T>
T* TargetOf(const std::atomic<T*>& object) {
  return object.load(std::memory_order_relaxed);
}

template <typename T, typename Value>
void SetScalar(T& field, Value value) {
  static_assert(sizeof(T) == sizeof(Value));
  field = static_cast<T>(value);
}
template <typename T, typename Value>
void SetScalar(std::atomic<T>& field, Value value) {
  static_assert(sizeof(T) == sizeof(Value));
  field.store(static_cast<T>(value), std::memory_order_relaxed);
}

template <typename E, typename Number>
bool SetEnum(Decoder& d, E& field, Number number) {
  return EnumFromNumber<E>(d, number, field);
}
template <typename E, typename Number>
bool SetEnum(Decoder& d, std::atomic<E>& field, Number number) {
  E value{};
  if (!EnumFromNumber<E>(d, number, value)) return false;
  field.store(value, std::memory_order_relaxed);
  return true;
}

template <typename T>
bool SetExact(Decoder& d, RefPtr<T>& field, uint32_t id) {
  T* object;
  if (!d.Exact(id, object, false)) return false;
  field = RefPtr<T>(object);
  return true;
}
template <typename T>
bool SetExact(Decoder& d, T*& field, uint32_t id) {
  return d.Exact(id, field, true);
}
template <typename T>
bool SetExact(Decoder& d, std::atomic<T*>& field, uint32_t id) {
  T* object;
  if (!d.Exact(id, object, true)) return false;
  field.store(object, std::memory_order_relaxed);
  return true;
}

template <typename T>
bool SetAny(Decoder& d, RefPtr<T>& field, uint64_t id) {
  T* object;
  if (!d.Any(id, object, false)) return false;
  field = RefPtr<T>(object);
  return true;
}
template <typename T>
bool SetAny(Decoder& d, T*& field, uint64_t id) {
  return d.Any(id, field, true);
}
template <typename T>
bool SetAny(Decoder& d, std::atomic<T*>& field, uint64_t id) {
  T* object;
  if (!d.Any(id, object, true)) return false;
  field.store(object, std::memory_order_relaxed);
  return true;
}

template <typename T>
bool SetChunk(Decoder& d, RefPtr<T>& field, uint32_t id) {
  return Codec<RefPtr<T>>::FromDelta(d, id, field);
}

// Appends a field of variable size to its column; returns its length for the row.
template <typename T>
uint32_t SaveSlice(Encoder& column, const T& value) {
  const size_t begin = column.size();
  if constexpr (ByteString<T>) {
    column.Raw(value.data(), value.size());
  } else {
    Codec<T>::Encode(column, value);
  }
  return static_cast<uint32_t>(column.size() - begin);
}

template <typename T>
bool LoadSlice(Decoder& column, uint32_t length, T& value) {
  if (!column.BeginSlice(length)) return false;
  if constexpr (ByteString<T>) {
    return Codec<T>::DecodeRaw(column, length, value);
  } else {
    return Codec<T>::Decode(column, value) && column.SliceUsedUp();
  }
}

template <typename W, typename T>
void VisitField(W& w, const T& value) {
  if constexpr (Codec<T>::kHasRefs) Codec<T>::Visit(w, value);
}
template <typename T>
void ClearField(T& value) {
  if constexpr (Codec<T>::kHasRefs) Codec<T>::ClearReferences(value);
}

}  // namespace stasis::state

#endif  // STASIS_STATE_CODEC_FIELDS_H_
