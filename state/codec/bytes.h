// SPDX-License-Identifier: Apache-2.0
//
// bytes.h: codecs of strings and byte arrays: the length, then the bytes as they are.
//
// A std::string_view is only for what a SaveFoo returns and a LoadFoo takes: it then points into
// the object, and into the message.

#ifndef STASIS_STATE_CODEC_BYTES_H_
#define STASIS_STATE_CODEC_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "state/codec/codec.h"

namespace stasis::state {

template <typename T>
concept ByteString = std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<std::byte>> ||
    std::is_same_v<T, std::vector<uint8_t>> || std::is_same_v<T, std::string_view>;

template <ByteString T>
struct Codec<T> {
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, const T& value) {
    e.Varint(value.size());
    e.Raw(value.data(), value.size());
  }
  static bool Decode(Decoder& d, T& value) {
    uint64_t size;
    return d.Varint(size) && DecodeRaw(d, size, value);
  }
  // Without the length, which the caller knows.
  static bool DecodeRaw(Decoder& d, size_t size, T& value) {
    const uint8_t* data;
    if (!d.Raw(size, data)) return false;
    const auto* begin = reinterpret_cast<const typename T::value_type*>(data);
    value = T(begin, begin + size);
    return true;
  }
};

}  // namespace stasis::state

#endif  // STASIS_STATE_CODEC_BYTES_H_
