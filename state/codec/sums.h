// SPDX-License-Identifier: Apache-2.0
//
// sums.h: codecs of values made of few others: optional, unique_ptr, variant, pair, tuple.

#ifndef STASIS_STATE_CODEC_SUMS_H_
#define STASIS_STATE_CODEC_SUMS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>

#include "state/codec/codec.h"

namespace stasis::state {

// 0, or 1 and the value.
template <typename T>
struct Codec<std::optional<T>> {
  static constexpr bool kHasRefs = Codec<T>::kHasRefs;
  static void Encode(Encoder& e, const std::optional<T>& value) {
    e.Byte(value.has_value() ? 1 : 0);
    if (value.has_value()) Codec<T>::Encode(e, *value);
  }
  static bool Decode(Decoder& d, std::optional<T>& value) {
    bool present;
    value.reset();
    if (!Codec<bool>::Decode(d, present)) return false;
    return !present || Codec<T>::Decode(d, value.emplace());
  }
  template <typename W>
  static void Visit(W& w, const std::optional<T>& value) {
    if (value.has_value()) Codec<T>::Visit(w, *value);
  }
  static void ClearReferences(std::optional<T>& value) { value.reset(); }
};

// The same form: a value that is there or not.
template <typename T>
struct Codec<std::unique_ptr<T>> {
  static constexpr bool kHasRefs = Codec<T>::kHasRefs;
  static void Encode(Encoder& e, const std::unique_ptr<T>& value) {
    e.Byte(value != nullptr ? 1 : 0);
    if (value != nullptr) Codec<T>::Encode(e, *value);
  }
  static bool Decode(Decoder& d, std::unique_ptr<T>& value) {
    bool present;
    value.reset();
    if (!Codec<bool>::Decode(d, present)) return false;
    if (!present) return true;
    value = std::make_unique<T>();
    return Codec<T>::Decode(d, *value);
  }
  template <typename W>
  static void Visit(W& w, const std::unique_ptr<T>& value) {
    if (value != nullptr) Codec<T>::Visit(w, *value);
  }
  static void ClearReferences(std::unique_ptr<T>& value) { value.reset(); }
};

template <>
struct Codec<std::monostate> {
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, std::monostate) { e.Byte(0); }
  static bool Decode(Decoder& d, std::monostate&) {
    uint8_t zero;
    return d.Byte(zero) && (zero == 0 || d.Fail("not the empty alternative"));
  }
};

// The number of the alternative, then its value.
template <typename... Ts>
struct Codec<std::variant<Ts...>> {
  using Variant = std::variant<Ts...>;
  static constexpr bool kHasRefs = (Codec<Ts>::kHasRefs || ...);

  static void Encode(Encoder& e, const Variant& value) {
    e.Varint(value.index());
    std::visit([&](const auto& v) { Codec<std::decay_t<decltype(v)>>::Encode(e, v); }, value);
  }
  static bool Decode(Decoder& d, Variant& value) {
    uint64_t index;
    if (!d.Varint(index)) return false;
    return DecodeAlternative(d, index, value, std::index_sequence_for<Ts...>());
  }
  template <typename W>
  static void Visit(W& w, const Variant& value) {
    std::visit(
        [&](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          if constexpr (Codec<T>::kHasRefs) Codec<T>::Visit(w, v);
        },
        value);
  }
  static void ClearReferences(Variant& value) {
    std::visit(
        [](auto& v) {
          using T = std::decay_t<decltype(v)>;
          if constexpr (Codec<T>::kHasRefs) Codec<T>::ClearReferences(v);
        },
        value);
  }

 private:
  template <size_t... I>
  static bool DecodeAlternative(Decoder& d, uint64_t index, Variant& value,
                                std::index_sequence<I...>) {
    bool ok = false;
    const bool known =
        ((index == I && (ok = Codec<Ts>::Decode(d, value.template emplace<I>()), true)) || ...);
    return known ? ok : d.Fail(absl::StrCat("unknown alternative ", index));
  }
};

// One after the other.
template <typename A, typename B>
struct Codec<std::pair<A, B>> {
  static constexpr bool kHasRefs = Codec<A>::kHasRefs || Codec<B>::kHasRefs;
  static void Encode(Encoder& e, const std::pair<A, B>& value) {
    Codec<A>::Encode(e, value.first);
    Codec<B>::Encode(e, value.second);
  }
  static bool Decode(Decoder& d, std::pair<A, B>& value) {
    return Codec<A>::Decode(d, value.first) && Codec<B>::Decode(d, value.second);
  }
  template <typename W>
  static void Visit(W& w, const std::pair<A, B>& value) {
    if constexpr (Codec<A>::kHasRefs) Codec<A>::Visit(w, value.first);
    if constexpr (Codec<B>::kHasRefs) Codec<B>::Visit(w, value.second);
  }
  static void ClearReferences(std::pair<A, B>& value) {
    if constexpr (Codec<A>::kHasRefs) Codec<A>::ClearReferences(value.first);
    if constexpr (Codec<B>::kHasRefs) Codec<B>::ClearReferences(value.second);
  }
};

template <typename... Ts>
requires(sizeof...(Ts) > 0) struct Codec<std::tuple<Ts...>> {
  using Tuple = std::tuple<Ts...>;
  static constexpr bool kHasRefs = (Codec<Ts>::kHasRefs || ...);
  static void Encode(Encoder& e, const Tuple& value) {
    std::apply([&](const Ts&... v) { (Codec<Ts>::Encode(e, v), ...); }, value);
  }
  static bool Decode(Decoder& d, Tuple& value) {
    return std::apply([&](Ts&... v) { return (Codec<Ts>::Decode(d, v) && ...); }, value);
  }
  template <typename W>
  static void Visit(W& w, const Tuple& value) {
    std::apply([&](const Ts&... v) { (VisitOne(w, v), ...); }, value);
  }
  static void ClearReferences(Tuple& value) {
    std::apply([](Ts&... v) { (ClearOne(v), ...); }, value);
  }

 private:
  template <typename W, typename T>
  static void VisitOne(W& w, const T& v) {
    if constexpr (Codec<T>::kHasRefs) Codec<T>::Visit(w, v);
  }
  template <typename T>
  static void ClearOne(T& v) {
    if constexpr (Codec<T>::kHasRefs) Codec<T>::ClearReferences(v);
  }
};

}  // namespace stasis::state

#endif  // STASIS_STATE_CODEC_SUMS_H_
