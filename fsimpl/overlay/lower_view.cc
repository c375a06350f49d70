// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/overlay/lower_view.h"

#include "vfs/operation_gate.h"

namespace stasis::overlay {

Result<std::unique_ptr<LowerView>> LowerView::Of(OverlayFilesystem& overlay) {
  vfs::VirtualFilesystem& vfs = overlay.vfs();
  const vfs::Operation operation(vfs.gate());
  OverlayOptions options;
  options.lowers = overlay.lowers();
  options.user_xattrs = overlay.user_xattrs_;
  auto fs = RefPtr<OverlayFilesystem>::Adopt(new OverlayFilesystem(vfs, options));
  STASIS_RETURN_IF_ERROR(fs->MakeRoot({}));
  return std::unique_ptr<LowerView>(new LowerView(std::move(fs)));
}

LowerView::~LowerView() { filesystem_->Teardown(); }

vfs::VirtualDentry LowerView::root() const {
  return {filesystem_->vfs().MakePrivateMount(*filesystem_, {.read_only = true, .no_atime = true}),
          RefPtr<vfs::Dentry>(&filesystem_->root())};
}

}  // namespace stasis::overlay
