// SPDX-License-Identifier: Apache-2.0
//
// overlay_parts.h: the layers of a tree whose root is an overlay: what changed in it, and an image
// of it.

#ifndef STASIS_CMD_STASIS_OVERLAY_PARTS_H_
#define STASIS_CMD_STASIS_OVERLAY_PARTS_H_

#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "cmd/sandbox/sandbox.h"
#include "cmd/stasis/types.h"
#include "fsimpl/overlay/filesystem.h"
#include "fsimpl/overlay/lower_view.h"
#include "restore/freezer.h"
#include "restore/oci/commit.h"
#include "restore/transfer/diff.h"
#include "restore/transfer/tree_source.h"

namespace stasis::cli {

// Borrows the tree.
struct OverlayParts {
  RefPtr<overlay::OverlayFilesystem> filesystem;
  std::unique_ptr<overlay::LowerView> below;
  std::unique_ptr<restore::TreeSource> upper;   // the layer as it is
  std::unique_ptr<restore::TreeSource> merged;  // what is seen, without what is mounted in it
  std::unique_ptr<restore::TreeSource> lower;   // what would be seen without the upper layer
};
// `name` is what the tree is called in errors. Errors: kInvalidArgument if its root is no
// overlay, or one without an upper layer.
absl::StatusOr<OverlayParts> OpenOverlay(const sandbox::Tree& tree, const std::string& name);

absl::StatusOr<restore::DiffReport> DiffOverlay(const sandbox::Tree& tree, const std::string& name,
                                                const restore::DiffOptions& options);

// The upper layer on top of `base`: the image that the lower ones are of, "DIR@DIGEST", or empty if
// they are a directory, which then becomes the first layer.
struct OverlayCommit {
  std::string base;
  std::string directory;
  std::string tag;
  oci::CommitOptions options;
  // Borrowed; the freezer may be null.
  const Types* types = nullptr;
  restore::Freezer* freezer = nullptr;
};
// The tree of one moment. If the upper layer is in memory, that is copied as a checkpoint does it;
// programs wait for a directory's as long as it is read.
absl::StatusOr<oci::CommitReport> CommitOverlay(const sandbox::Tree& tree, const std::string& name,
                                                const OverlayCommit& commit);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_OVERLAY_PARTS_H_
