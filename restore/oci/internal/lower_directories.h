// SPDX-License-Identifier: Apache-2.0
//
// lower_directories.h: what the layers below say about a directory.
//
// A layer may hold "a/b/c" without "a" and "a/b". In an overlay the upper directory's attributes
// count, so those that had to be made take theirs from below.

#ifndef STASIS_RESTORE_OCI_INTERNAL_LOWER_DIRECTORIES_H_
#define STASIS_RESTORE_OCI_INTERNAL_LOWER_DIRECTORIES_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "restore/transfer/internal/tree_copy.h"

namespace stasis::oci {

// Not thread-safe.
class LowerDirectories {
 public:
  // Trees in overlay format, topmost first.
  explicit LowerDirectories(std::vector<std::string> trees) : trees_(std::move(trees)) {}

  // Attributes and extended attributes of the directory that is seen at `path`, relative to the
  // root; nothing if there is none. Cheapest if directories are asked for before those in them.
  std::optional<restore::TreeNode> Find(const std::string& path) const;

 private:
  std::vector<std::string> trees_;
  mutable std::optional<std::string> missing_;  // the last path of which there was none
};

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_INTERNAL_LOWER_DIRECTORIES_H_
