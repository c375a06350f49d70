// SPDX-License-Identifier: Apache-2.0
//
// remove_tree.h: a directory of the host with all that is in it.

#ifndef STASIS_RESTORE_OCI_INTERNAL_REMOVE_TREE_H_
#define STASIS_RESTORE_OCI_INTERNAL_REMOVE_TREE_H_

#include <string>

#include "state/base/result.h"

namespace stasis::oci {

// Removes `name` in the directory `dir`, following no symbolic links, however deep it is and
// whatever modes its owner gave to directories. What is not there is removed.
Result<void> RemoveTree(int dir, const std::string& name);

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_INTERNAL_REMOVE_TREE_H_
