// SPDX-License-Identifier: Apache-2.0
//
// name.h: finding, hashing and comparing file names, inline because a path walk does little else.

#ifndef STASIS_VFS_INTERNAL_NAME_H_
#define STASIS_VFS_INTERNAL_NAME_H_

#include <bit>
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

// The first eight bytes of a name in one word, zeros behind a shorter one. Names have no NUL, so
// two of up to eight bytes are the same if their words are.
inline uint64_t FirstWord(const char* p, size_t size) {
  if (size >= 8) return LoadWord<uint64_t>(p);
  if (size >= 4) {
    return LoadWord<uint32_t>(p) | LoadWord<uint32_t>(p + size - 4) << (8 * (size - 4));
  }
  if (size == 0) return 0;
  return static_cast<uint64_t>(static_cast<unsigned char>(p[0])) |
         static_cast<uint64_t>(static_cast<unsigned char>(p[size / 2])) << (8 * (size / 2)) |
         static_cast<uint64_t>(static_cast<unsigned char>(p[size - 1])) << (8 * (size - 1));
}

// A name as a walk looks it up.
struct NameKey {
  NameKey() = default;
  explicit NameKey(std::string_view name) : text(name), word(FirstWord(name.data(), name.size())) {}
  NameKey(std::string_view name, uint64_t first_word) : text(name), word(first_word) {}

  std::string_view text;
  uint64_t word = 0;  // FirstWord()
};

// Multiply and fold, eight bytes at a time, the last ones overlapping (as wyhash and absl::Hash
// do). All bits are equally good.
inline uint64_t HashName(const NameKey& name) {
  constexpr uint64_t kOdd1 = 0xa0761d6478bd642f;
  constexpr uint64_t kOdd2 = 0xe7037ed1a0b428db;
  uint64_t state = reinterpret_cast<uintptr_t>(&hash_seed) * kOdd1;
  if (name.text.size() <= 8) [[likely]]
    return Mix(name.word ^ state, kOdd2);
  const char* const last = name.text.data() + name.text.size() - 8;
  state = Mix(state ^ name.word, kOdd1 ^ name.text.size());
  for (const char* p = name.text.data() + 8; p < last; p += 8)
    state = Mix(state ^ LoadWord<uint64_t>(p), kOdd1);
  // No factor that whoever chooses the name could make zero: it would make every hash zero.
  return Mix(LoadWord<uint64_t>(last) ^ state, kOdd2);
}

// Whether two names of more than eight bytes, `n` each, are the same behind their first words.
inline bool EqualTails(const char* a, const char* b, size_t n) {
  if (n > 16) return std::memcmp(a + 8, b + 8, n - 8) == 0;
  return LoadWord<uint64_t>(a + n - 8) == LoadWord<uint64_t>(b + n - 8);
}

// The component that [begin, end) starts with: up to the first slash. Names are short: the first
// word mostly has it. Requires: begin != end.
inline NameKey FirstComponent(const char* begin, const char* end) {
  const auto left = static_cast<size_t>(end - begin);
  const uint64_t word = left >= 8 ? LoadWord<uint64_t>(begin) : FirstWord(begin, left);
  const uint64_t x = word ^ 0x2f2f2f2f2f2f2f2f;
  uint64_t slashes = (x - 0x0101010101010101) & ~x & 0x8080808080808080;
  // As if there were a slash at the end.
  if (left < 8) slashes |= uint64_t{0x80} << (8 * left);
  if (slashes == 0) {
    const void* slash = std::memchr(begin + 8, '/', left - 8);
    return {{begin, slash == nullptr ? end : static_cast<const char*>(slash)}, word};
  }
  // The lowest bit of `slashes` is right, and all bits below its byte are the name's.
  const size_t size = static_cast<size_t>(std::countr_zero(slashes)) / 8;
  return {{begin, size}, word & ((slashes ^ (slashes - 1)) >> 8)};
}

inline std::string_view SkipSlashes(std::string_view path) {
  const char* at = path.data();
  const char* const end = at + path.size();
  while (at != end && *at == '/') ++at;
  return {at, end};
}

}  // namespace stasis::vfs::internal

#endif  // STASIS_VFS_INTERNAL_NAME_H_
