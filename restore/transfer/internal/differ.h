// SPDX-License-Identifier: Apache-2.0
//
// differ.h: one comparison of two trees, or of a layer with what is below it.
//
// diff.cc walks, diff_entry.cc says how a name differs.

#ifndef STASIS_RESTORE_TRANSFER_INTERNAL_DIFFER_H_
#define STASIS_RESTORE_TRANSFER_INTERNAL_DIFFER_H_

#include <absl/container/flat_hash_map.h>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "restore/transfer/diff.h"
#include "restore/transfer/internal/content.h"

namespace stasis::restore {

// A name on one side, as far as it has been looked at.
struct Side {
  FileAttributes attributes;
  uint32_t type() const { return attributes.stat.mode & S_IFMT; }
  bool is_dir() const { return S_ISDIR(attributes.stat.mode); }
  bool linked() const { return !is_dir() && attributes.stat.nlink > 1; }
};

// One comparison. The sources are always in the same directory, as far as each has it.
class Differ {
 public:
  // `upper` is null for two whole trees.
  Differ(TreeSource* upper, TreeSource& before, TreeSource& after, const DiffOptions& options)
      : upper_(upper), before_(before), after_(after), options_(options) {}

  absl::StatusOr<DiffReport> Run();

 private:
  struct Level {
    std::string path;  // "/a"; empty for the root
    std::vector<std::string> names;
    size_t next = 0;
    bool upper = false;  // which sources are in it
    bool before = false;
    bool after = false;
  };

  absl::Status Enter(const std::string& name, Level level);
  absl::Status Leave();
  absl::Status DiffNext();
  absl::StatusOr<std::vector<std::string>> Names(const Level& level);
  absl::Status DiffName(const std::string& name, const std::string& path);
  // What the upper layer says of a name.
  enum class Upper { kNothing, kWhiteout, kMerged, kReplaced };
  absl::StatusOr<Upper> LookAtUpper(const std::string& name, const std::string& path);
  absl::StatusOr<std::optional<Side>> Look(bool there, TreeSource& source, const char* side,
                                           const std::string& name, const std::string& path);

  absl::Status Add(const std::string& name, const std::string& path, const Side& after);
  absl::Status Remove(const std::string& path, const Side& before);
  absl::Status Modify(const std::string& name, const std::string& path, const Side& before,
                      const Side& after);
  void CompareNumbers(Change& change) const;
  absl::Status CompareXattrs(const std::string& name, const std::string& path, Change& change);
  absl::Status CompareTargets(const std::string& name, const std::string& path, Change& change);
  absl::StatusOr<bool> SameContent(const std::string& name, const std::string& path,
                                   const Side& before, const Side& after);
  void CompareLinks(const std::string& path, const Side& before, const Side& after, Change& change);
  void NameLinksOfAdded();
  absl::Status Tick();

  TreeSource* const upper_;
  TreeSource& before_;
  TreeSource& after_;
  const DiffOptions& options_;
  ContentComparer contents_;
  std::vector<Level> levels_;
  // Of files with several names: the first that both sides have.
  absl::flat_hash_map<FileKey, std::string> before_first_;
  absl::flat_hash_map<FileKey, std::string> after_first_;
  // The same of all names after, for those that were added.
  absl::flat_hash_map<FileKey, std::string> after_any_;
  std::vector<std::pair<size_t, FileKey>> added_links_;  // index in the report
  absl::flat_hash_map<std::pair<FileKey, FileKey>, bool> same_content_;
  DiffReport report_;
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_INTERNAL_DIFFER_H_
