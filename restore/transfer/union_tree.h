// SPDX-License-Identifier: Apache-2.0
//
// union_tree.h: layers in the format of overlayfs, seen as one tree.
//
// For reading what is below an overlay without one. Whiteouts, opaque directories and names that
// hide others are understood; redirected directories and files without data (metacopy) are not,
// which layers made from OCI images never have.

#ifndef STASIS_RESTORE_TRANSFER_UNION_TREE_H_
#define STASIS_RESTORE_TRANSFER_UNION_TREE_H_

#include <memory>
#include <vector>

#include "restore/transfer/tree_source.h"

namespace stasis::restore {

// `layers` topmost first, at least one, each at its root. Extended attributes of overlayfs are left
// out. Calls give EOPNOTSUPP where a layer has a redirected directory or a file without data.
std::unique_ptr<TreeSource> OpenUnionTree(std::vector<std::unique_ptr<TreeSource>> layers);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_UNION_TREE_H_
