// SPDX-License-Identifier: Apache-2.0
//
// page_ranges.h: a set of page numbers, as ranges.

#ifndef STASIS_VFS_INTERNAL_PAGE_RANGES_H_
#define STASIS_VFS_INTERNAL_PAGE_RANGES_H_

#include <absl/container/btree_map.h>

#include <algorithm>
#include <cstdint>

namespace stasis::vfs {

// By its first page, where each range ends (the page after its last).
using PageRangeMap = absl::btree_map<uint64_t, uint64_t>;

// Not thread-safe. Ranges are [first, end), and not empty.
class PageRanges {
 public:
  bool empty() const { return map_.empty(); }
  void Add(uint64_t first, uint64_t end);
  void Remove(uint64_t first, uint64_t end);
  // How many pages of [first, end) are in the set.
  uint64_t Count(uint64_t first, uint64_t end) const;

  // Calls `visit(from, to)` for each part of [first, end) that is in the set.
  template <typename Visit>
  void ForEachIn(uint64_t first, uint64_t end, Visit visit) const {
    auto it = map_.upper_bound(first);
    if (it != map_.begin()) --it;
    for (; it != map_.end() && it->first < end; ++it) {
      if (it->second > first) visit(std::max(it->first, first), std::min(it->second, end));
    }
  }

  // Between any two ranges is a page that is in neither.
  const PageRangeMap& map() const { return map_; }

 private:
  PageRangeMap map_;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_INTERNAL_PAGE_RANGES_H_
