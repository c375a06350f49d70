// SPDX-License-Identifier: Apache-2.0

#include "vfs/internal/page_ranges.h"

#include <iterator>

namespace stasis::vfs {

void PageRanges::Add(uint64_t first, uint64_t end) {
  auto it = map_.upper_bound(first);
  if (it != map_.begin() && std::prev(it)->second >= first) {
    --it;
    first = it->first;
  }
  while (it != map_.end() && it->first <= end) {
    end = std::max(end, it->second);
    it = map_.erase(it);
  }
  map_.emplace_hint(it, first, end);
}

void PageRanges::Remove(uint64_t first, uint64_t end) {
  auto it = map_.upper_bound(first);
  if (it != map_.begin() && std::prev(it)->second > first) --it;
  while (it != map_.end() && it->first < end) {
    const uint64_t to = it->second;
    if (it->first >= first) {
      it = map_.erase(it);
    } else {
      it->second = first;
      ++it;
    }
    if (to > end) {
      map_.emplace_hint(it, end, to);
      return;
    }
  }
}

uint64_t PageRanges::Count(uint64_t first, uint64_t end) const {
  uint64_t pages = 0;
  ForEachIn(first, end, [&](uint64_t from, uint64_t to) { pages += to - from; });
  return pages;
}

}  // namespace stasis::vfs
