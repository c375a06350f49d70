// SPDX-License-Identifier: Apache-2.0
//
// tar_entry.h: an entry of a layer's tar file, checked.

#ifndef STASIS_RESTORE_OCI_INTERNAL_TAR_ENTRY_H_
#define STASIS_RESTORE_OCI_INTERNAL_TAR_ENTRY_H_

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "restore/transfer/internal/tree_copy.h"

struct archive_entry;

namespace stasis::oci {

struct TarEntry {
  enum class Kind { kFile, kWhiteout, kOpaque, kIgnored };

  Kind kind = Kind::kFile;
  // With a path that is relative, without "." and "..", and does not end in a slash; empty for the
  // root. Of a whiteout: what it takes away. Of an opaque marker: the directory.
  restore::TreeNode node;
  bool is_hard_link = false;
  std::string hard_link;  // the first name, as clean as the path
  std::vector<std::string> warnings;
};

// Errors: kDataLoss if a name is absolute or leads out, or a number is none; without the entry's
// name, which ShownName() gives.
absl::StatusOr<TarEntry> ReadTarEntry(struct archive_entry* entry);

// For messages: "entry \"NAME\"".
std::string ShownName(struct archive_entry* entry);

// Everything but the last component; empty for one in the root.
std::string_view ParentOf(std::string_view path);

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_INTERNAL_TAR_ENTRY_H_
