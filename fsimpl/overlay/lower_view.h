// SPDX-License-Identifier: Apache-2.0
//
// lower_view.h: what an overlay would show without its upper layer.

#ifndef STASIS_FSIMPL_OVERLAY_LOWER_VIEW_H_
#define STASIS_FSIMPL_OVERLAY_LOWER_VIEW_H_

#include <memory>
#include <utility>

#include "fsimpl/overlay/filesystem.h"

namespace stasis::overlay {

// A read-only overlay of the same lowers, by the same rules. The VirtualFilesystem does not list
// it: it is in no image, and ends with this.
class LowerView {
 public:
  // Requires: called outside of the gate. Errors: those of the layers.
  static Result<std::unique_ptr<LowerView>> Of(OverlayFilesystem& overlay);
  // Requires: nobody uses a file of it.
  ~LowerView();
  LowerView(const LowerView&) = delete;
  LowerView& operator=(const LowerView&) = delete;

  // In a mount that is in no namespace.
  vfs::VirtualDentry root() const;

 private:
  explicit LowerView(RefPtr<OverlayFilesystem> filesystem) : filesystem_(std::move(filesystem)) {}

  const RefPtr<OverlayFilesystem> filesystem_;
};

}  // namespace stasis::overlay

#endif  // STASIS_FSIMPL_OVERLAY_LOWER_VIEW_H_
