// SPDX-License-Identifier: Apache-2.0
//
// diff.h: what has changed between two trees, or in the upper layer of an overlay.
//
// Unlike compare.h, which proves two trees the same, this is for people and programs that want to
// know what happened: names that were added, removed, or changed, and how. See docs/diff.md.

#ifndef STASIS_RESTORE_TRANSFER_DIFF_H_
#define STASIS_RESTORE_TRANSFER_DIFF_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "restore/transfer/report.h"
#include "restore/transfer/tree_source.h"

namespace stasis::restore {

struct DiffOptions {
  bool content = true;  // read files of the same size
  bool times = false;   // a modification time alone is a change
  std::function<void(const TransferProgress&)> on_progress;
  const std::atomic<bool>* cancel = nullptr;  // borrowed
};

// A file on one side.
struct FileState {
  vfs::Stat stat;
  std::string target;  // of a symbolic link
  Xattrs xattrs;       // but for those that are the same on both sides
  std::string link;    // an earlier name of the same file that both sides have; empty: none
};

enum class ChangeKind : uint8_t { kAdded, kModified, kRemoved };

struct Change {
  std::string path;  // absolute in the tree; any bytes
  ChangeKind kind = ChangeKind::kAdded;
  std::optional<FileState> before;
  std::optional<FileState> after;
  // Names of what differs, in a fixed order: type, size, content, target, device, mode, owner,
  // xattrs, link, mtime. Only of kModified.
  std::vector<std::string> changed;

  // "M /path (size 3 -> 5, mode 644 -> 755)".
  std::string ToText() const;
};

struct DiffReport {
  std::vector<Change> changes;  // in the order of paths, component by component
  uint64_t files = 0;           // names that were looked at
  uint64_t bytes = 0;           // that were compared

  uint64_t Count(ChangeKind kind) const;
  std::string ToText() const;  // a line for each change
  std::string ToJson() const;
};

// From `before` to `after`. Of a removed directory only the directory itself is named; of a new one
// all that is in it. Errors: what could not be read.
absl::StatusOr<DiffReport> DiffTrees(TreeSource& before, TreeSource& after,
                                     const DiffOptions& options = {});

// What the upper layer of an overlay has changed. `upper` is the layer as it is (with whiteouts and
// overlayfs's extended attributes), `merged` what is seen, `lower` what would be seen without the
// upper layer (overlay::LowerView). The cost follows the upper layer: only its names are looked at,
// and all that is in directories that it has moved or replaced. What was copied up but is as it was
// is no change.
absl::StatusOr<DiffReport> DiffLayers(TreeSource& upper, TreeSource& merged, TreeSource& lower,
                                      const DiffOptions& options = {});

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_DIFF_H_
