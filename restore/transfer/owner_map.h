// SPDX-License-Identifier: Apache-2.0
//
// owner_map.h: user and group numbers of one side as those of the other.

#ifndef STASIS_RESTORE_TRANSFER_OWNER_MAP_H_
#define STASIS_RESTORE_TRANSFER_OWNER_MAP_H_

#include <cstdint>
#include <vector>

namespace stasis::restore {

// A value. Numbers in no range stay what they are.
struct OwnerMap {
  struct Range {
    uint32_t from = 0;
    uint32_t to = 0;
    uint32_t count = 1;
  };
  std::vector<Range> uids;
  std::vector<Range> gids;

  uint32_t Uid(uint32_t uid) const { return Map(uids, uid); }
  uint32_t Gid(uint32_t gid) const { return Map(gids, gid); }

  // For a user without privileges, whose files are to be root's.
  static OwnerMap ToRoot(uint32_t uid, uint32_t gid) { return {{{uid, 0, 1}}, {{gid, 0, 1}}}; }

  static uint32_t Map(const std::vector<Range>& ranges, uint32_t id) {
    for (const Range& range : ranges)
      if (id >= range.from && id - range.from < range.count) return range.to + (id - range.from);
    return id;
  }
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_OWNER_MAP_H_
