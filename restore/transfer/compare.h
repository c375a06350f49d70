// SPDX-License-Identifier: Apache-2.0
//
// compare.h: two trees, attribute for attribute and byte for byte.

#ifndef STASIS_RESTORE_TRANSFER_COMPARE_H_
#define STASIS_RESTORE_TRANSFER_COMPARE_H_

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "restore/transfer/tree_source.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::restore {

struct CompareOptions {
  bool content = true;
  bool owners = true;
  bool xattrs = true;
  bool mtime = true;
  bool atime = false;  // reading may change it; never of symbolic links
  bool ctime = false;  // a host's cannot be set
  bool btime = false;
  bool hard_links = true;  // which names are the same file; nlink
  bool holes = false;      // where data is
  size_t max_differences = 1000;
};

struct Difference {
  std::string path;
  std::string kind;  // missing, extra, type, mode, owner, size, mtime, content, ...
  std::string left;
  std::string right;

  std::string ToText() const;
};

struct CompareReport {
  uint64_t files = 0;                   // names on the left
  uint64_t bytes = 0;                   // compared
  std::vector<Difference> differences;  // in the order of paths
  uint64_t dropped = 0;                 // differences past max_differences

  bool equal() const { return differences.empty(); }
  std::string ToText() const;
  std::string ToJson() const;
};

// Errors: what could not be read.
absl::StatusOr<CompareReport> CompareTrees(TreeSource& left, TreeSource& right,
                                           const CompareOptions& options = {});

// Two host directories; a host directory and a VFS.
absl::StatusOr<CompareReport> CompareDirectories(const std::string& left, const std::string& right,
                                                 const CompareOptions& options = {});
absl::StatusOr<CompareReport> CompareWithVfs(const std::string& left, vfs::VirtualFilesystem& vfs,
                                             const vfs::VirtualDentry& right,
                                             const CompareOptions& options = {});

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_COMPARE_H_
