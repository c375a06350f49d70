// SPDX-License-Identifier: Apache-2.0

#include "state/codec/decoder.h"

namespace stasis::state {

bool Decoder::LongVarint(uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (cur_ == end_) return Fail("ends too early");
    const uint8_t byte = *cur_++;
    // The tenth byte holds the last bit; a zero last byte is not how any number is written.
    if ((shift == 63 && byte > 1) || (shift != 0 && byte == 0)) return Fail("malformed number");
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return Fail("malformed number");
}

bool Decoder::ChunkAt(uint64_t id, RefPtr<Chunk>& chunk) {
  chunk.reset();
  if (id == 0) return true;
  if (id > graph_.chunks().size()) return Fail(absl::StrCat("chunk ", id - 1, " does not exist"));
  chunk = graph_.chunks().Get(static_cast<uint32_t>(id - 1));
  return true;
}

}  // namespace stasis::state
