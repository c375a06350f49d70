// SPDX-License-Identifier: Apache-2.0
//
// references.h: codecs of references to objects and chunks.
//
// A reference to a final class needs only a row; any other also says which table.

#ifndef STASIS_STATE_CODEC_REFERENCES_H_
#define STASIS_STATE_CODEC_REFERENCES_H_

#include <type_traits>

#include "state/base/ref_ptr.h"
#include "state/chunk.h"
#include "state/codec/codec.h"
#include "state/object.h"

namespace stasis::state {

template <typename T>
concept ChunkType = std::is_same_v<std::remove_const_t<T>, Chunk>;

namespace internal {

// The codec of T*; `kBorrowed` if nothing else may be said to hold the object.
template <typename T, bool kBorrowed>
struct PointerCodec {
  static constexpr bool kExact = std::is_final_v<T>;

  static void Encode(Encoder& e, const T* object) {
    if constexpr (kExact) {
      e.Varint(e.graph().ExactId(object));
    } else {
      const uint64_t id = e.graph().AnyId(object);
      e.Varint(id >> 32);
      if (id != 0) e.Varint(static_cast<uint32_t>(id));
    }
  }
  static bool Decode(Decoder& d, T*& object) {
    uint64_t id;
    if (!d.Varint(id)) return false;
    if constexpr (kExact) {
      return d.Exact(id, object, kBorrowed);
    } else {
      uint64_t row = 0;
      if (id != 0 && !d.Varint(row)) return false;
      if (id > ~uint32_t{0} || row > ~uint32_t{0}) return d.Fail("reference out of range");
      return d.Any(id << 32 | row, object, kBorrowed);
    }
  }
};

}  // namespace internal

template <typename T>
struct Codec<T*> {
  using Pointer = internal::PointerCodec<T, true>;
  static constexpr bool kHasRefs = true;
  static void Encode(Encoder& e, const T* object) { Pointer::Encode(e, object); }
  static bool Decode(Decoder& d, T*& object) { return Pointer::Decode(d, object); }
  template <typename W>
  static void Visit(W& w, const T* object) {
    w.Reach(object);
  }
  static void ClearReferences(T*& object) { object = nullptr; }
  static uint64_t ToDelta(const Encoder& e, const T* object) requires std::is_final_v<T> {
    return e.graph().ExactId(object);
  }
  static bool FromDelta(Decoder& d, uint64_t id, T*& object) { return d.Exact(id, object, true); }
};

template <typename T>
struct Codec<RefPtr<T>> {
  using Pointer = internal::PointerCodec<T, false>;
  static constexpr bool kHasRefs = true;
  static void Encode(Encoder& e, const RefPtr<T>& ref) { Pointer::Encode(e, ref.get()); }
  static bool Decode(Decoder& d, RefPtr<T>& ref) {
    T* object;
    if (!Pointer::Decode(d, object)) return false;
    ref = RefPtr<T>(object);
    return true;
  }
  template <typename W>
  static void Visit(W& w, const RefPtr<T>& ref) {
    w.Reach(ref.get());
  }
  static void ClearReferences(RefPtr<T>& ref) { ref.reset(); }
  static uint64_t ToDelta(const Encoder& e, const RefPtr<T>& ref) requires std::is_final_v<T> {
    return e.graph().ExactId(ref.get());
  }
  static bool FromDelta(Decoder& d, uint64_t id, RefPtr<T>& ref) {
    T* object;
    if (!d.Exact(id, object, false)) return false;
    ref = RefPtr<T>(object);
    return true;
  }
};

template <ChunkType T>
struct Codec<RefPtr<T>> {
  static constexpr bool kHasRefs = true;
  static void Encode(Encoder& e, const RefPtr<T>& chunk) { e.Varint(ToDelta(e, chunk)); }
  static bool Decode(Decoder& d, RefPtr<T>& chunk) {
    uint64_t id;
    return d.Varint(id) && FromDelta(d, id, chunk);
  }
  template <typename W>
  static void Visit(W& w, const RefPtr<T>& chunk) {
    w.Reach(static_cast<const Chunk*>(chunk.get()));
  }
  static void ClearReferences(RefPtr<T>& chunk) { chunk.reset(); }
  static uint64_t ToDelta(const Encoder& e, const RefPtr<T>& chunk) {
    return e.graph().ChunkId(chunk.get());
  }
  static bool FromDelta(Decoder& d, uint64_t id, RefPtr<T>& chunk) {
    RefPtr<Chunk> found;
    if (!d.ChunkAt(id, found)) return false;
    chunk = std::move(found);
    return true;
  }
};

}  // namespace stasis::state

#endif  // STASIS_STATE_CODEC_REFERENCES_H_
