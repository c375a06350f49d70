// SPDX-License-Identifier: Apache-2.0
//
// sequences.h: codecs of vectors, deques and arrays.
//
// A vector is the number of its elements and the elements. Integers, exact references and chunks
// are written as the difference to the one before: rows in a row cost one and the same byte each,
// which the compression of the image then removes.

#ifndef STASIS_STATE_CODEC_SEQUENCES_H_
#define STASIS_STATE_CODEC_SEQUENCES_H_

#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <type_traits>
#include <utility>
#include <vector>

#include "state/codec/bytes.h"
#include "state/codec/codec.h"

namespace stasis::state {
namespace internal {

// One element after another, each of which may be written relative to the one before.
template <typename T>
class ElementCoder {
 public:
  void Encode(Encoder& e, const T& value) {
    if constexpr (DeltaCoded<T>) {
      const uint64_t now = Codec<T>::ToDelta(e, value);
      e.Signed(static_cast<int64_t>(now - last_));
      last_ = now;
    } else {
      Codec<T>::Encode(e, value);
    }
  }
  bool Decode(Decoder& d, T& value) {
    if constexpr (DeltaCoded<T>) {
      int64_t difference;
      if (!d.Signed(difference)) return false;
      last_ += static_cast<uint64_t>(difference);
      return Codec<T>::FromDelta(d, last_, value);
    } else {
      return Codec<T>::Decode(d, value);
    }
  }

 private:
  uint64_t last_ = 0;
};

// Elements allocated before any of them was read: a hostile count must not cost memory.
inline constexpr uint64_t kTrustedCount = 256;

template <typename C>
struct SequenceCodec {
  using T = typename C::value_type;
  static constexpr bool kHasRefs = Codec<T>::kHasRefs;

  static void Encode(Encoder& e, const C& values) {
    e.Varint(values.size());
    ElementCoder<T> coder;
    for (const auto& value : values) coder.Encode(e, value);
  }
  static bool Decode(Decoder& d, C& values) {
    uint64_t count;
    if (!d.Count(count)) return false;
    values.clear();
    if constexpr (requires { values.reserve(count); })
      values.reserve(std::min(count, kTrustedCount));
    ElementCoder<T> coder;
    for (uint64_t i = 0; i < count; ++i) {
      T value{};
      if (!coder.Decode(d, value)) return false;
      values.push_back(std::move(value));
    }
    return true;
  }
  template <typename W>
  static void Visit(W& w, const C& values) {
    for (const auto& value : values) Codec<T>::Visit(w, value);
  }
  static void ClearReferences(C& values) { values.clear(); }
};

}  // namespace internal

template <typename T, typename A>
requires(!ByteString<std::vector<T, A>>) struct Codec<std::vector<T, A>>
    : internal::SequenceCodec<std::vector<T, A>> {
};
template <typename T, typename A>
struct Codec<std::deque<T, A>> : internal::SequenceCodec<std::deque<T, A>> {};
template <typename T, size_t N, typename A>
struct Codec<absl::InlinedVector<T, N, A>> : internal::SequenceCodec<absl::InlinedVector<T, N, A>> {
};

// The number of elements is part of the type and not written.
template <typename T, size_t N>
requires(N > 0) struct Codec<std::array<T, N>> {
  static constexpr bool kHasRefs = Codec<T>::kHasRefs;
  static void Encode(Encoder& e, const std::array<T, N>& values) {
    internal::ElementCoder<T> coder;
    for (const T& value : values) coder.Encode(e, value);
  }
  static bool Decode(Decoder& d, std::array<T, N>& values) {
    internal::ElementCoder<T> coder;
    for (T& value : values)
      if (!coder.Decode(d, value)) return false;
    return true;
  }
  template <typename W>
  static void Visit(W& w, const std::array<T, N>& values) {
    for (const T& value : values) Codec<T>::Visit(w, value);
  }
  static void ClearReferences(std::array<T, N>& values) {
    for (T& value : values) Codec<T>::ClearReferences(value);
  }
};

}  // namespace stasis::state

#endif  // STASIS_STATE_CODEC_SEQUENCES_H_
