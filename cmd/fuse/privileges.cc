// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/privileges.h"

#include "cmd/fuse/attributes.h"

namespace stasis::fuse {
namespace {

constexpr std::string_view kFileCapabilities = "security.capability";

}  // namespace

Result<void> DropFileCapabilities(Call& call, const vfs::VirtualDentry& file) {
  // Asking the inode is cheap, and nearly always enough.
  if (!file.inode().GetXattr(kFileCapabilities)) return {};
  auto removed =
      call.vfs().RemoveXattrAt(call.creds(), {call.state().root(), file, {}}, kFileCapabilities);
  if (!removed && removed.error() == Errno(ENODATA)) return {};
  return removed;
}

Result<bool> DropPrivileges(Call& call, const vfs::VirtualDentry& file, bool set_ids) {
  STASIS_RETURN_IF_ERROR(DropFileCapabilities(call, file));
  const uint32_t mode = file.inode().mode();
  if (!set_ids || WithoutSetIds(mode) == mode) return false;
  vfs::SetStat set;
  set.mode = WithoutSetIds(mode) & vfs::kPermissionBits;
  STASIS_RETURN_IF_ERROR(
      call.vfs().SetAttributesAt(call.creds(), {call.state().root(), file, {}}, set));
  return true;
}

}  // namespace stasis::fuse
