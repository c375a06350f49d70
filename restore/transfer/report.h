// SPDX-License-Identifier: Apache-2.0
//
// report.h: what came of moving a tree.

#ifndef STASIS_RESTORE_TRANSFER_REPORT_H_
#define STASIS_RESTORE_TRANSFER_REPORT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace stasis::restore {

// Something that one file has and the other side does not.
struct TransferIssue {
  std::string path;     // relative to the tree's root; "." is the root
  std::string message;  // such as "cannot open: Permission denied"
};

struct TransferReport {
  uint64_t files = 0;  // names, of all kinds, the root too
  uint64_t directories = 0;
  uint64_t hard_links = 0;  // names of files that had one already
  uint64_t bytes = 0;       // of data that was moved; holes are not
  int64_t wall_ns = 0;

  std::vector<TransferIssue> warnings;  // moved, but not all of it
  std::vector<TransferIssue> errors;    // not moved (only with ignore_errors)

  std::string ToJson() const;
  std::string ToText() const;
};

struct TransferProgress {
  uint64_t files = 0;
  uint64_t bytes = 0;
};

// Called from the working thread, at most every few hundred files or megabytes.
using TransferProgressCallback = std::function<void(const TransferProgress&)>;

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_REPORT_H_
