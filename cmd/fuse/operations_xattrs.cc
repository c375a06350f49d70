// SPDX-License-Identifier: Apache-2.0

#include <linux/limits.h>

#include <string>
#include <vector>

#include "cmd/fuse/operations.h"
#include "vfs/acl.h"

namespace stasis::fuse {
namespace {

Result<std::string_view> TakeXattrName(Call& call) {
  STASIS_ASSIGN_OR_RETURN(std::string_view name, call.in().TakeText());
  if (name.empty() || name.size() > XATTR_NAME_MAX) return Err(ERANGE);
  return name;
}

// The answer to GETXATTR and LISTXATTR: the size if that was asked (`room` 0), else the value.
Result<void> ReplyValue(Call& call, std::string_view value, uint32_t room) {
  if (room == 0) {
    fuse_getxattr_out out{};
    out.size = static_cast<uint32_t>(value.size());
    return call.reply().AppendStruct(out);
  }
  if (value.size() > room) return Err(ERANGE);
  return call.reply().Append(value);
}

// For changes that take S_ISGID unless the caller is in the file's group.
vfs::Credentials WithoutFsetid(const Call& call) {
  vfs::Credentials creds = call.creds();
  creds.capabilities &= ~static_cast<uint32_t>(vfs::Capability::kFsetid);
  return creds;
}

// The long form has been negotiated, or the short one is all that the kernel knows.
Result<fuse_setxattr_in> TakeSetXattrIn(Call& call) {
  if (call.state().negotiated().Has(FUSE_SETXATTR_EXT)) return call.in().Take<fuse_setxattr_in>();
  struct ShortIn {
    uint32_t size;
    uint32_t flags;
  };
  static_assert(sizeof(ShortIn) == FUSE_COMPAT_SETXATTR_IN_SIZE);
  STASIS_ASSIGN_OR_RETURN(ShortIn in, call.in().Take<ShortIn>());
  return fuse_setxattr_in{in.size, in.flags, 0, 0};
}

}  // namespace

Result<void> SetXattr(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_setxattr_in in, TakeSetXattrIn(call));
  STASIS_ASSIGN_OR_RETURN(std::string_view name, TakeXattrName(call));
  STASIS_ASSIGN_OR_RETURN(auto bytes, call.in().TakeBytes(in.size));
  STASIS_RETURN_IF_ERROR(call.in().End());
  if (bytes.size() > XATTR_SIZE_MAX) return Err(E2BIG);
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode());
  const std::string_view value(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const bool kill_set_gid = (in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) != 0;
  STASIS_RETURN_IF_ERROR(call.vfs().SetXattrAt(kill_set_gid ? WithoutFsetid(call) : call.creds(),
                                               call.At(*node), name, value,
                                               static_cast<int>(in.flags)));
  call.ChangedUntold(*node);
  return {};
}

Result<void> GetXattr(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_getxattr_in in, call.in().Take<fuse_getxattr_in>());
  STASIS_ASSIGN_OR_RETURN(std::string_view name, TakeXattrName(call));
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode());
  STASIS_ASSIGN_OR_RETURN(std::string value,
                          call.vfs().GetXattrAt(call.creds(), call.At(*node), name));
  return ReplyValue(call, value, in.size);
}

Result<void> ListXattr(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_getxattr_in in, call.in().Take<fuse_getxattr_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode());
  // The kernel checks who may get an attribute, but not who may see its name.
  vfs::Credentials creds = call.creds();
  if (call.header().uid != 0)
    creds.capabilities &= ~static_cast<uint32_t>(vfs::Capability::kSysAdmin);
  STASIS_ASSIGN_OR_RETURN(std::vector<std::string> names,
                          call.vfs().ListXattrAt(creds, call.At(*node)));
  std::string list;
  for (const std::string& name : names) {
    list += name;
    list += '\0';
  }
  return ReplyValue(call, list, in.size);
}

Result<void> RemoveXattr(Call& call) {
  STASIS_ASSIGN_OR_RETURN(std::string_view name, TakeXattrName(call));
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode());
  // Removing an ACL may take S_ISGID too, but the kernel does not say so.
  const bool kill_set_gid = vfs::IsAclXattr(name) && call.header().uid != 0;
  STASIS_RETURN_IF_ERROR(call.vfs().RemoveXattrAt(kill_set_gid ? WithoutFsetid(call) : call.creds(),
                                                  call.At(*node), name));
  call.ChangedUntold(*node);
  return {};
}

}  // namespace stasis::fuse
