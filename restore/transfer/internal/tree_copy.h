// SPDX-License-Identifier: Apache-2.0
//
// tree_copy.h: any tree into any other.
//
// TreeCopy walks a TreeSource, in the order of its directories and without recursion, and hands
// every name to a TreeSink. It finds hard links and holes, notices files that change meanwhile,
// collects what could not be read, and stops at what could not be written.

#ifndef STASIS_RESTORE_TRANSFER_INTERNAL_TREE_COPY_H_
#define STASIS_RESTORE_TRANSFER_INTERNAL_TREE_COPY_H_

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "restore/internal/stopwatch.h"
#include "restore/transfer/owner_map.h"
#include "restore/transfer/report.h"
#include "restore/transfer/tree_source.h"

namespace stasis::restore {

// One name of the source.
struct TreeNode {
  std::string name;           // in its directory; empty for the root
  std::string path;           // from the root, "a/b"; empty for the root
  FileAttributes attributes;  // the owner is mapped already
  Xattrs xattrs;
  std::string symlink_target;
  std::vector<Extent> data;  // of a regular file, in order

  uint32_t mode() const { return attributes.stat.mode; }
};

// Where a tree goes. Every call is about the directory entered last. An error ends the copy.
class TreeSink {
 public:
  virtual ~TreeSink() = default;

  // Makes a directory and goes into it; the root (empty name) is there already.
  virtual Result<void> EnterDirectory(const TreeNode& node) = 0;
  // Sets the attributes of the current directory and goes back.
  virtual Result<void> LeaveDirectory(const TreeNode& node) = 0;

  // A regular file: made, filled in the order of node.data, and given its attributes. `complete` is
  // false if it could not be read to its end and is not wanted.
  virtual Result<void> BeginFile(const TreeNode& node) = 0;
  virtual Result<void> WriteData(uint64_t offset, std::span<const std::byte> data) = 0;
  virtual Result<void> EndFile(const TreeNode& node, bool complete) = 0;

  // Anything else. False if the sink cannot have it, and has said so in the report.
  virtual Result<bool> MakeNode(const TreeNode& node) = 0;
  // Another name of the file at `existing`.
  virtual Result<void> MakeLink(const TreeNode& node, const std::string& existing) = 0;
};

struct TreeCopyOptions {
  bool one_file_system = false;
  bool ignore_errors = false;
  OwnerMap owners;
  TransferProgressCallback on_progress;
  const std::atomic<bool>* cancel = nullptr;
  // What an unreadable file of the source means.
  absl::StatusCode read_error = absl::StatusCode::kInternal;
};

class TreeCopy {
 public:
  // Borrows all; `report` is shared with the sink.
  TreeCopy(TreeSource& source, TreeSink& sink, const TreeCopyOptions& options,
           TransferReport& report)
      : source_(source), sink_(sink), options_(options), report_(report) {}

  // Errors: what was written wrong, at once; what could not be read, at the end.
  absl::Status Run();

 private:
  // A directory that is being copied.
  struct Level {
    TreeNode node;
    std::vector<std::string> names;
    size_t next = 0;
  };

  absl::Status EnterRoot();
  absl::Status Enter(TreeNode node);
  absl::Status Leave();
  absl::Status CopyNext();
  absl::Status CopyOne(TreeNode node);
  absl::Status CopyFile(TreeNode& node);
  // False if the source failed, which is noted then. Errors: of the sink.
  absl::StatusOr<bool> CopyData(const TreeNode& node, FileReader& reader);
  absl::StatusOr<bool> CopyExtent(const TreeNode& node, FileReader& reader, Extent extent);
  Result<void> ReadFileNode(TreeNode& node, FileReader& reader);
  void CheckUnchanged(const TreeNode& node, FileReader& reader);
  void MapOwner(TreeNode& node) const;
  absl::Status Tick();
  absl::Status ReadErrors() const;

  void Unreadable(std::string_view path, std::string_view what, Errno error);
  static absl::Status Unwritable(std::string_view path, Errno error);

  TreeSource& source_;
  TreeSink& sink_;
  const TreeCopyOptions& options_;
  TransferReport& report_;
  Stopwatch watch_;
  std::vector<Level> levels_;
  uint64_t root_dev_ = 0;
  absl::flat_hash_map<FileKey, std::string> first_names_;  // of files with several
  std::vector<std::byte> buffer_;
  uint64_t next_tick_files_ = 0;
  uint64_t next_tick_bytes_ = 0;
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_INTERNAL_TREE_COPY_H_
