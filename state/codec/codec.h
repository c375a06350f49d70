// SPDX-License-Identifier: Apache-2.0
//
// codec.h: how values are written into a column, and the codecs of the simple ones.
//
// Codec<T> is specialised for every type that a saved field may have. It has
//   kHasRefs                       whether a T leads to objects or chunks
//   Encode(Encoder&, const T&)     appends a self-delimiting form of at least one byte
//   Decode(Decoder&, T&)           false if the bytes are not one; see Decoder
//   Visit(W&, const T&)            if kHasRefs: calls W::Reach (of GraphWriter, WaitList) for each
//   ClearReferences(T&)            if kHasRefs: makes the T refer to nothing
// and optionally, for values that tend to be close to the one before them in a sequence,
//   ToDelta(const Encoder&, const T&), FromDelta(Decoder&, uint64_t, T&)
// The generator (state/stateify/type_names.cc) knows the same list.

#ifndef STASIS_STATE_CODEC_CODEC_H_
#define STASIS_STATE_CODEC_CODEC_H_

#include <absl/strings/str_cat.h>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "state/access.h"
#include "state/codec/decoder.h"
#include "state/codec/encoder.h"

namespace stasis::state {

template <typename T, typename = void>
struct Codec;

template <typename T>
inline constexpr bool kHasRefs = Codec<std::remove_const_t<T>>::kHasRefs;

template <typename T>
concept DeltaCoded = requires(const Encoder& e, const T& t) {
  Codec<T>::ToDelta(e, t);
};

// Integers. One byte wide: as it is. Wider: a varint.
template <typename T>
struct Codec<T, std::enable_if_t<std::is_integral_v<T> && sizeof(T) != 1>> {
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, T value) {
    if constexpr (std::is_signed_v<T>) {
      e.Signed(value);
    } else {
      e.Varint(value);
    }
  }
  static bool Decode(Decoder& d, T& value) {
    if constexpr (std::is_signed_v<T>) {
      int64_t wide;
      return d.Signed(wide) && FromDelta(d, static_cast<uint64_t>(wide), value);
    } else {
      uint64_t wide;
      return d.Varint(wide) && FromDelta(d, wide, value);
    }
  }
  static uint64_t ToDelta(const Encoder&, T value) { return static_cast<uint64_t>(value); }
  static bool FromDelta(Decoder& d, uint64_t wide, T& value) {
    value = static_cast<T>(wide);
    return static_cast<uint64_t>(value) == wide || d.Fail("number out of range");
  }
};

template <typename T>
struct Codec<
    T, std::enable_if_t<(std::is_integral_v<T> && sizeof(T) == 1 && !std::is_same_v<T, bool>) ||
                        std::is_same_v<T, std::byte>>> {
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, T value) { e.Byte(static_cast<uint8_t>(value)); }
  static bool Decode(Decoder& d, T& value) {
    uint8_t byte;
    if (!d.Byte(byte)) return false;
    value = static_cast<T>(byte);
    return true;
  }
};

template <>
struct Codec<bool> {
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, bool value) { e.Byte(value ? 1 : 0); }
  static bool Decode(Decoder& d, bool& value) {
    uint8_t byte;
    if (!d.Byte(byte)) return false;
    if (byte > 1) return d.Fail(absl::StrCat("boolean of value ", byte));
    value = byte == 1;
    return true;
  }
};

// Floating point: the bits, little-endian.
template <typename T>
struct Codec<T, std::enable_if_t<std::is_floating_point_v<T>>> {
  static_assert(sizeof(T) <= 8 && std::endian::native == std::endian::little);
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, T value) { e.Raw(&value, sizeof(value)); }
  static bool Decode(Decoder& d, T& value) {
    const uint8_t* data;
    if (!d.Raw(sizeof(value), data)) return false;
    std::memcpy(&value, data, sizeof(value));
    return true;
  }
};

// Enums: their number, which must be one that the program knows.
template <typename E>
bool EnumFromNumber(Decoder& d, std::underlying_type_t<E> number, E& value) {
  if (!Access::Enum<E>::Valid(number)) return d.Fail(absl::StrCat("unknown value ", +number));
  value = static_cast<E>(number);
  return true;
}

template <typename E>
struct Codec<E, std::enable_if_t<std::is_enum_v<E> && !std::is_same_v<E, std::byte>>> {
  using Number = std::underlying_type_t<E>;
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, E value) { Codec<Number>::Encode(e, static_cast<Number>(value)); }
  static bool Decode(Decoder& d, E& value) {
    Number number;
    return Codec<Number>::Decode(d, number) && EnumFromNumber(d, number, value);
  }
};

// Atomics: their value. Nothing else runs while they are saved or loaded.
template <typename T>
struct Codec<std::atomic<T>> {
  static constexpr bool kHasRefs = Codec<T>::kHasRefs;
  static void Encode(Encoder& e, const std::atomic<T>& value) {
    Codec<T>::Encode(e, value.load(std::memory_order_relaxed));
  }
  static bool Decode(Decoder& d, std::atomic<T>& value) {
    T plain{};
    if (!Codec<T>::Decode(d, plain)) return false;
    value.store(plain, std::memory_order_relaxed);
    return true;
  }
  template <typename W>
  static void Visit(W& w, const std::atomic<T>& value) {
    Codec<T>::Visit(w, value.load(std::memory_order_relaxed));
  }
  static void ClearReferences(std::atomic<T>& value) {
    value.store(T{}, std::memory_order_relaxed);
  }
};

}  // namespace stasis::state

#endif  // STASIS_STATE_CODEC_CODEC_H_
