// SPDX-License-Identifier: Apache-2.0
//
// layer_tree.h: the entries of a layer into a directory, in the format of overlayfs.
//
// Whatever names and links the entries have, nothing outside of the directory is touched: every
// parent is opened with openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), and what is made is made in
// it by its last component.

#ifndef STASIS_RESTORE_OCI_INTERNAL_LAYER_TREE_H_
#define STASIS_RESTORE_OCI_INTERNAL_LAYER_TREE_H_

#include <absl/container/flat_hash_set.h>
#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "restore/oci/internal/layer_stream.h"
#include "restore/oci/internal/lower_directories.h"
#include "restore/oci/internal/tar_entry.h"
#include "restore/transfer/internal/host_attributes.h"
#include "restore/transfer/report.h"
#include "state/base/unique_fd.h"

namespace stasis::oci {

struct LayerTreeLimits {
  uint64_t max_entries = UINT64_MAX;
  uint64_t max_file_size = UINT64_MAX;       // with holes
  uint64_t max_apparent_bytes = UINT64_MAX;  // of all files, with holes
};

// Not thread-safe.
class LayerTree {
 public:
  // `root` is an empty directory. Borrows `lowers` and `report`.
  LayerTree(UniqueFd root, const LayerTreeLimits& limits, const LowerDirectories& lowers,
            restore::TransferReport& report);

  // Errors: kDataLoss for what an entry must not be, kResourceExhausted for a limit or a full disk;
  // all without the entry's name.
  absl::Status Add(TarEntry entry, LayerStream& stream);
  // Gives directories their attributes. To be called once, last.
  absl::Status Finish();

  uint64_t entries() const { return entries_; }
  uint64_t apparent_bytes() const { return apparent_bytes_; }
  // Directories that had no entry of their own; known after Finish().
  const std::vector<std::string>& implied() const { return implied_; }

 private:
  struct Directory {
    restore::TreeNode node;
    bool implied = false;
  };

  absl::Status AddFile(TarEntry& entry, LayerStream& stream);
  absl::Status AddDirectory(TarEntry& entry);
  absl::Status AddRegular(const restore::TreeNode& node, LayerStream& stream);
  absl::Status AddHardLink(const TarEntry& entry);
  absl::Status AddSymlink(const restore::TreeNode& node);
  absl::Status AddSpecial(const restore::TreeNode& node);
  absl::Status AddWhiteout(const restore::TreeNode& node);
  absl::Status MakeOpaque(const std::string& path);
  absl::Status CopyData(const restore::TreeNode& node, int fd, LayerStream& stream);

  // The directory of `path`, made with those above it if it is not there. Borrowed, until the next
  // call.
  absl::StatusOr<int> ParentFor(const restore::TreeNode& node);
  absl::Status MakeImplied(std::string_view path, TimeNs mtime);
  // Calls `make`, which returns 0 or sets errno, for a name that is new or only a whiteout.
  absl::Status MakeNew(const restore::TreeNode& node, int parent, absl::FunctionRef<int()> make);
  // A directory that is there, for reading.
  absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path) const;
  void DescribeImplied(const std::string& path, restore::TreeNode& node);

  const UniqueFd root_;
  const LayerTreeLimits limits_;
  const LowerDirectories& lowers_;
  restore::TransferReport& report_;
  restore::HostAttributes attributes_;

  std::map<std::string, Directory> directories_;  // by path; with the root
  absl::flat_hash_set<std::string> whiteouts_;    // that are there now
  std::vector<std::string> implied_;
  std::string parent_path_;  // of parent_
  UniqueFd parent_;          // not valid: none is remembered
  uint64_t entries_ = 0;
  uint64_t apparent_bytes_ = 0;
};

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_INTERNAL_LAYER_TREE_H_
