// SPDX-License-Identifier: Apache-2.0
//
// credentials.h: who is asking.

#ifndef STASIS_VFS_CREDENTIALS_H_
#define STASIS_VFS_CREDENTIALS_H_

#include <cstdint>
#include <vector>

namespace stasis::vfs {

// The capabilities(7) that filesystem rules look at.
enum class Capability : uint32_t {
  kChown = 1 << 0,
  kDacOverride = 1 << 1,
  kDacReadSearch = 1 << 2,
  kFowner = 1 << 3,
  kFsetid = 1 << 4,
  kMknod = 1 << 5,
  kSysAdmin = 1 << 6,
};

inline constexpr uint32_t kAllCapabilities = (1 << 7) - 1;

// The filesystem identity of a caller. A value.
struct Credentials {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  // supplementary
  uint32_t capabilities = 0;     // set of Capability
  // Permissions that new files do not get, unless their directory has a default ACL (umask(2)).
  uint32_t umask = 0;

  bool Has(Capability capability) const {
    return (capabilities & static_cast<uint32_t>(capability)) != 0;
  }
  bool InGroup(uint32_t group) const;

  // uid 0 with every capability.
  static Credentials Root() { return {0, 0, {}, kAllCapabilities, 0}; }
  // A user without capabilities.
  static Credentials User(uint32_t uid, uint32_t gid) { return {uid, gid, {}, 0, 0}; }
  // A caller whose permissions somebody else (the kernel) has checked: it owns what it creates, and
  // nothing is refused to it.
  static Credentials Trusted(uint32_t uid, uint32_t gid) {
    return {uid, gid, {}, kAllCapabilities, 0};
  }
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_CREDENTIALS_H_
