// SPDX-License-Identifier: Apache-2.0
//
// content.h: whether two files hold the same bytes.

#ifndef STASIS_RESTORE_TRANSFER_INTERNAL_CONTENT_H_
#define STASIS_RESTORE_TRANSFER_INTERNAL_CONTENT_H_

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "restore/transfer/tree_source.h"

namespace stasis::restore {

struct ContentDifference {
  bool equal = true;
  uint64_t offset = 0;    // of the first byte that differs
  std::string bytes;      // "0x61 against 0x62", "the end of one"
  uint64_t compared = 0;  // bytes; what is a hole on both sides is none
};

// Keeps its buffers from file to file. Not thread-safe.
class ContentComparer {
 public:
  // Errors name `path` and the side.
  absl::StatusOr<ContentDifference> Compare(const std::string& path, FileReader& left,
                                            FileReader& right);

 private:
  std::vector<std::byte> buffers_;
};

// "cannot read PATH on the SIDE: REASON".
absl::Status Unreadable(const char* side, const std::string& path, Errno error);

// "regular file", "directory", ...
std::string TypeName(uint32_t mode);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_INTERNAL_CONTENT_H_
