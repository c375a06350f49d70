// SPDX-License-Identifier: Apache-2.0
//
// mount_groups.h: which mounts of a namespace share what is mounted on them.

#ifndef STASIS_CMD_SANDBOX_MOUNT_GROUPS_H_
#define STASIS_CMD_SANDBOX_MOUNT_GROUPS_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "vfs/virtual_filesystem.h"

namespace stasis::sandbox {

// How a mount propagates (mount_namespaces(7)). Groups are numbered by the VirtualFilesystem.
struct MountSharing {
  uint32_t group = 0;             // of its peers; 0: it is not shared
  std::vector<uint32_t> masters;  // the group it gets mounts from, the one that gets them from, ...
  bool unbindable = false;

  bool propagates() const { return group != 0 || !masters.empty(); }
  bool is_private() const { return !propagates() && !unbindable; }
  nlohmann::json ToJson() const;
  static MountSharing FromJson(const nlohmann::json& json);
  friend bool operator==(const MountSharing&, const MountSharing&) = default;
};

// By the number of the mount. Those that are private are left out.
using MountGroups = std::map<uint64_t, MountSharing>;

// Of text as the kernel prints it in /proc/PID/mountinfo.
MountGroups ParseMountGroups(std::string_view mount_info);
// Of those that are seen from the root of `ns`.
MountGroups GroupsOf(vfs::VirtualFilesystem& vfs, const vfs::MountNamespace& ns);
// Of one of them.
MountSharing SharingOf(const vfs::Mount& mount, const MountGroups& groups);

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_MOUNT_GROUPS_H_
