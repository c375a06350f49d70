// SPDX-License-Identifier: Apache-2.0
//
// connection.h: what a server knows of its connection besides the saved state.
//
// Numbers of backings are the connection's. A server that takes over a running mount gets them from
// the one before it; a mount made anew has none.

#ifndef STASIS_CMD_FUSE_CONNECTION_H_
#define STASIS_CMD_FUSE_CONNECTION_H_

#include <cstdint>
#include <vector>

namespace stasis::fuse {

struct Connection {
  // Of a node, see BackingTable.
  struct Backing {
    uint64_t node = 0;
    uint32_t opens = 0;
    int32_t number = 0;  // 0: none
    bool mapped = false;
    bool begun = false;  // the inode was told
  };
  // A handle that was counted as an open of its node.
  struct Counted {
    uint64_t handle = 0;
    uint64_t node = 0;
  };

  bool passthrough = false;       // there may be backings
  bool refused = false;           // the kernel wants none
  std::vector<uint32_t> stacked;  // filesystems of whose files it wants none
  // The highest number so far: the kernel gives the next one after it.
  int32_t last = 0;
  std::vector<Backing> backings;
  std::vector<Counted> counted;
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_CONNECTION_H_
