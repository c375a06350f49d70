// SPDX-License-Identifier: Apache-2.0
//
// special_inodes.cc: symbolic links; FIFOs, sockets and devices.

#include <absl/strings/str_cat.h>

#include "fsimpl/gofer/inode.h"
#include "state/load_context.h"

namespace stasis::gofer {

HostSymlink::HostSymlink(GoferFilesystem& fs, const vfs::NewFile& file, TimeNs now)
    : HostInode(fs, file, 1, now), target_(file.symlink_target) {
  absl::MutexLock lock(&mu());
  set_size(target_.size());
}

Result<std::string_view> HostSymlink::ReadLink() const {
  absl::MutexLock lock(&mu());
  if (target_.empty()) {
    auto& self = const_cast<HostSymlink&>(*this);
    STASIS_ASSIGN_OR_RETURN(const FdCache::Pin pin, fs().Control(self));
    STASIS_ASSIGN_OR_RETURN(target_, fs().ops().ReadLink(pin.fd(), ""));
  }
  return std::string_view(target_);
}

void HostSymlink::TakeTarget(std::string target) {
  absl::MutexLock lock(&mu());
  if (target_.empty()) target_ = std::move(target);
}

// A deleted one comes back from the image, which needs the target.
absl::Status HostSymlink::PrepareSave() {
  if (!is_captured()) return absl::OkStatus();
  if (auto target = ReadLink(); !target)
    return absl::ErrnoToStatus(target.error().value(),
                               absl::StrCat("cannot read a deleted link of the host directory ",
                                            fs().root_name(), " (inode ", ino(), ")"));
  return absl::OkStatus();
}

absl::Status HostSymlink::AfterLoad(state::LoadContext& context) {
  if (!is_symlink()) return context.Invalid(*this, "mode", "is not that of a symbolic link");
  if (target_.find('\0') != target_.npos || target_.size() > 4095)
    return context.Invalid(*this, "target", "has a NUL or is too long");
  if (target_.empty() && detached())
    return context.Invalid(*this, "target", "is missing, and the link is not on the host");
  return absl::OkStatus();
}

absl::Status HostSpecial::AfterLoad(state::LoadContext& context) { return CheckIsSpecial(context); }

}  // namespace stasis::gofer
