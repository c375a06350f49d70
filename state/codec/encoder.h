// SPDX-License-Identifier: Apache-2.0
//
// encoder.h: bytes of one column, written.
//
// Integers are LEB128 varints, signed ones zigzag first; see docs/saved_state.md.

#ifndef STASIS_STATE_CODEC_ENCODER_H_
#define STASIS_STATE_CODEC_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "state/graph_writer.h"

namespace stasis::state {

class Encoder {
 public:
  explicit Encoder(const GraphWriter& graph) : graph_(graph) {}

  const GraphWriter& graph() const { return graph_; }
  size_t size() const { return size_; }
  const uint8_t* data() const { return bytes_.data(); }
  void Clear() { size_ = 0; }

  void Byte(uint8_t value) {
    Grow(1);
    bytes_[size_++] = value;
  }
  void Varint(uint64_t value) {
    Grow(10);
    while (value >= 0x80) {
      bytes_[size_++] = static_cast<uint8_t>(value) | 0x80;
      value >>= 7;
    }
    bytes_[size_++] = static_cast<uint8_t>(value);
  }
  void Signed(int64_t value) {
    Varint((static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63));
  }
  void Raw(const void* data, size_t size) {
    if (size == 0) return;
    Grow(size);
    std::memcpy(bytes_.data() + size_, data, size);
    size_ += size;
  }

  // Leaves room for the length of what follows; EndLength fills it in.
  size_t BeginLength() {
    Byte(0);
    return size_;
  }
  void EndLength(size_t begin) {
    const size_t length = size_ - begin;
    if (length < 0x80) {
      bytes_[begin - 1] = static_cast<uint8_t>(length);
      return;
    }
    // Rare: move what was written to make room for a longer length.
    uint8_t encoded[10];
    size_t n = 0;
    for (uint64_t rest = length;; rest >>= 7) {
      encoded[n++] = static_cast<uint8_t>(rest & 0x7f) | (rest >= 0x80 ? 0x80 : 0);
      if (rest < 0x80) break;
    }
    Grow(n);
    std::memmove(bytes_.data() + begin - 1 + n, bytes_.data() + begin, length);
    std::memcpy(bytes_.data() + begin - 1, encoded, n);
    size_ += n - 1;
  }

 private:
  void Grow(size_t more) {
    if (bytes_.size() - size_ < more) [[unlikely]]
      bytes_.resize((size_ + more) * 2 + 256);
  }

  const GraphWriter& graph_;
  std::vector<uint8_t> bytes_;
  size_t size_ = 0;
};

}  // namespace stasis::state

#endif  // STASIS_STATE_CODEC_ENCODER_H_
