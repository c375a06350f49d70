// SPDX-License-Identifier: Apache-2.0
//
// name.h: hashing and comparing file names, inline because a path walk does little else.

#ifndef STASIS_VFS_INTERNAL_NAME_H_
#define STASIS_VFS_INTERNAL_NAME_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace stasis::vfs::internal {

// Its address differs from process to process, so that nobody can prepare names that collide.
extern const char hash_seed;

template <typename Word>
inline uint64_t LoadWord(const char* p) {
  Word word;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

inline uint64_t Mix(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Multiply and fold, eight bytes at a time, the last ones overlapping (as wyhash and absl::Hash
// do).
inline uint32_t HashName(std::string_view name) {
  constexpr uint64_t kOdd1 = 0xa0761d6478bd642f;
  constexpr uint64_t kOdd2 = 0xe7037ed1a0b428db;
  const char* p = name.data();
  size_t left = name.size();
  uint64_t state = (reinterpret_cast<uintptr_t>(&hash_seed) * kOdd1) ^ (left * kOdd2);
  for (; left > 16; left -= 8, p += 8) state = Mix(state ^ LoadWord<uint64_t>(p), kOdd1);
  uint64_t a = 0;
  uint64_t b = 0;
  if (left >= 8) {
    a = LoadWord<uint64_t>(p);
    b = LoadWord<uint64_t>(p + left - 8);
  } else if (left >= 4) {
    a = LoadWord<uint32_t>(p);
    b = LoadWord<uint32_t>(p + left - 4);
  } else if (left > 0) {
    a = static_cast<uint64_t>(static_cast<unsigned char>(p[0])) |
        static_cast<uint64_t>(static_cast<unsigned char>(p[left / 2])) << 8 |
        static_cast<uint64_t>(static_cast<unsigned char>(p[left - 1])) << 16;
  }
  // Both factors are unknown to whoever chooses the name: a known one could be made zero, and with
  // it every hash.
  const uint64_t hash = Mix(a ^ state, b ^ kOdd2 ^ ((state << 32) | (state >> 32)));
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

// Requires: n > 0.
inline bool EqualBytes(const char* a, const char* b, size_t n) {
  if (n > 16) return std::memcmp(a, b, n) == 0;
  if (n >= 8) {
    return LoadWord<uint64_t>(a) == LoadWord<uint64_t>(b) &&
           LoadWord<uint64_t>(a + n - 8) == LoadWord<uint64_t>(b + n - 8);
  }
  if (n >= 4) {
    return LoadWord<uint32_t>(a) == LoadWord<uint32_t>(b) &&
           LoadWord<uint32_t>(a + n - 4) == LoadWord<uint32_t>(b + n - 4);
  }
  return a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1];
}

}  // namespace stasis::vfs::internal

#endif  // STASIS_VFS_INTERNAL_NAME_H_
