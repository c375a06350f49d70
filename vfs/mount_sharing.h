// SPDX-License-Identifier: Apache-2.0
//
// mount_sharing.h: how a mount propagates (mount_namespaces(7)).

#ifndef STASIS_VFS_MOUNT_SHARING_H_
#define STASIS_VFS_MOUNT_SHARING_H_

#include <cstdint>
#include <vector>

namespace stasis::vfs {

// Groups are numbered by the VirtualFilesystem.
struct MountSharing {
  uint32_t group = 0;             // of its peers; 0: it is not shared
  std::vector<uint32_t> masters;  // the group it gets mounts from, the one that gets them from, ...
  bool unbindable = false;

  bool propagates() const { return group != 0 || !masters.empty(); }
  friend bool operator==(const MountSharing&, const MountSharing&) = default;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_MOUNT_SHARING_H_
