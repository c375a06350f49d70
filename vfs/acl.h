// SPDX-License-Identifier: Apache-2.0
//
// acl.h: POSIX access control lists, as acl(5) and the kernel have them.
//
// An inode keeps its lists among its extended attributes, in the kernel's form: a version (2) of 32
// bits, then entries of a tag and permissions of 16 bits each and an id of 32, all little-endian.
// The file's mode always says the same: its owner and other bits are those of the entries, its
// group bits those of the mask (or of the owning group without one). A list that says no more than
// a mode is not kept.

#ifndef STASIS_VFS_ACL_H_
#define STASIS_VFS_ACL_H_

#include <absl/container/inlined_vector.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "state/base/result.h"
#include "vfs/credentials.h"
#include "vfs/permissions.h"

namespace stasis::vfs {

inline constexpr std::string_view kAclAccessXattr = "system.posix_acl_access";
inline constexpr std::string_view kAclDefaultXattr = "system.posix_acl_default";

inline bool IsAclXattr(std::string_view name) {
  return name == kAclAccessXattr || name == kAclDefaultXattr;
}

// A value. All but Parse, Format, empty and IsValid require a valid list.
class Acl {
 public:
  // Looks at the form only. Errors: EINVAL, EOPNOTSUPP for another version.
  static Result<Acl> Parse(std::string_view xattr);
  // Owner, named users, owning group, named groups, mask, others, in this order; a mask if there is
  // a named entry.
  bool IsValid() const;
  std::string Format() const;

  bool empty() const { return entries_.empty(); }
  // Whether it says more than permission bits can.
  bool extended() const { return entries_.size() > 3; }
  // The permission bits (0777) that go with it.
  uint32_t Mode() const;
  // As chmod(2) does: owner, mask (or owning group) and others become what `mode` says.
  void SetMode(uint32_t mode);
  // What a file made with `mode` gets from its directory's default list: no more than `mode`
  // allows. Returns the file's permission bits.
  uint32_t LimitTo(uint32_t mode);

  // Whether `creds`, which does not own the file, has all of `want` on a file of the group `gid`.
  bool Grants(const Credentials& creds, Access want, uint32_t gid) const;

 private:
  enum Tag : uint16_t {
    kUserObj = 0x01,
    kUser = 0x02,
    kGroupObj = 0x04,
    kGroup = 0x08,
    kMask = 0x10,
    kOther = 0x20,
  };
  struct Entry {
    uint16_t tag;
    uint16_t perm;
    uint32_t id;
  };

  Entry* Find(Tag tag);
  const Entry* Find(Tag tag) const;

  absl::InlinedVector<Entry, 8> entries_;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_ACL_H_
