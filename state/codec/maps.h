// SPDX-License-Identifier: Apache-2.0
//
// maps.h: codecs of maps and sets, ordered and hashed.
//
// The number of entries, then the entries in the order of their keys. Hashed ones are sorted when
// they are saved. A key must not be or contain a reference: objects have no order before they have
// rows, and they get rows from the walk through these very containers.

#ifndef STASIS_STATE_CODEC_MAPS_H_
#define STASIS_STATE_CODEC_MAPS_H_

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "state/codec/codec.h"
#include "state/codec/sequences.h"

namespace stasis::state {
namespace internal {

template <typename C>
concept MapLike = requires {
  typename C::mapped_type;
};

template <typename C>
const auto& KeyOf(const typename C::value_type& entry) {
  if constexpr (MapLike<C>) {
    return entry.first;
  } else {
    return entry;
  }
}

template <typename C>
inline constexpr bool kInOrder = requires {
  typename C::key_compare;
};

template <typename C>
struct AssociativeCodec {
  using Key = typename C::key_type;
  static constexpr bool kHasMapped = MapLike<C>;
  static_assert(!Codec<Key>::kHasRefs, "keys must not lead to objects: use STATE(manual)");

  static constexpr bool ComputeHasRefs() {
    if constexpr (kHasMapped) {
      return Codec<typename C::mapped_type>::kHasRefs;
    } else {
      return false;
    }
  }
  static constexpr bool kHasRefs = ComputeHasRefs();

  static void Encode(Encoder& e, const C& entries) {
    e.Varint(entries.size());
    ElementCoder<Key> keys;
    auto encode = [&](const typename C::value_type& entry) {
      keys.Encode(e, KeyOf<C>(entry));
      if constexpr (kHasMapped) Codec<typename C::mapped_type>::Encode(e, entry.second);
    };
    if constexpr (kInOrder<C>) {
      for (const auto& entry : entries) encode(entry);
    } else {
      for (const auto* entry : Sorted(entries)) encode(*entry);
    }
  }

  static bool Decode(Decoder& d, C& entries) {
    uint64_t count;
    if (!d.Count(count)) return false;
    entries.clear();
    ElementCoder<Key> keys;
    for (uint64_t i = 0; i < count; ++i) {
      Key key{};
      if (!keys.Decode(d, key)) return false;
      if (!DecodeRest(d, entries, std::move(key))) return false;
    }
    return true;
  }

  template <typename W>
  static void Visit(W& w, const C& entries) {
    if constexpr (kInOrder<C>) {
      for (const auto& entry : entries) VisitEntry(w, entry);
    } else {
      for (const auto* entry : Sorted(entries)) VisitEntry(w, *entry);
    }
  }
  static void ClearReferences(C& entries) { entries.clear(); }

 private:
  static std::vector<const typename C::value_type*> Sorted(const C& entries) {
    std::vector<const typename C::value_type*> sorted;
    sorted.reserve(entries.size());
    for (const auto& entry : entries) sorted.push_back(&entry);
    std::sort(sorted.begin(), sorted.end(),
              [](const auto* a, const auto* b) { return KeyOf<C>(*a) < KeyOf<C>(*b); });
    return sorted;
  }

  static bool DecodeRest(Decoder& d, C& entries, Key key) {
    if constexpr (kHasMapped) {
      typename C::mapped_type value{};
      if (!Codec<typename C::mapped_type>::Decode(d, value)) return false;
      return entries.emplace(std::move(key), std::move(value)).second || d.Fail("duplicate key");
    } else {
      return entries.insert(std::move(key)).second || d.Fail("duplicate element");
    }
  }

  template <typename W>
  static void VisitEntry(W& w, const typename C::value_type& entry) {
    Codec<typename C::mapped_type>::Visit(w, entry.second);
  }
};

}  // namespace internal

template <typename K, typename V, typename C, typename A>
struct Codec<std::map<K, V, C, A>> : internal::AssociativeCodec<std::map<K, V, C, A>> {};
template <typename K, typename C, typename A>
struct Codec<std::set<K, C, A>> : internal::AssociativeCodec<std::set<K, C, A>> {};
template <typename K, typename V, typename C, typename A>
struct Codec<absl::btree_map<K, V, C, A>>
    : internal::AssociativeCodec<absl::btree_map<K, V, C, A>> {};
template <typename K, typename C, typename A>
struct Codec<absl::btree_set<K, C, A>> : internal::AssociativeCodec<absl::btree_set<K, C, A>> {};
template <typename K, typename V, typename H, typename E, typename A>
struct Codec<std::unordered_map<K, V, H, E, A>>
    : internal::AssociativeCodec<std::unordered_map<K, V, H, E, A>> {};
template <typename K, typename H, typename E, typename A>
struct Codec<std::unordered_set<K, H, E, A>>
    : internal::AssociativeCodec<std::unordered_set<K, H, E, A>> {};
template <typename K, typename V, typename H, typename E, typename A>
struct Codec<absl::flat_hash_map<K, V, H, E, A>>
    : internal::AssociativeCodec<absl::flat_hash_map<K, V, H, E, A>> {};
template <typename K, typename H, typename E, typename A>
struct Codec<absl::flat_hash_set<K, H, E, A>>
    : internal::AssociativeCodec<absl::flat_hash_set<K, H, E, A>> {};

}  // namespace stasis::state

#endif  // STASIS_STATE_CODEC_MAPS_H_
