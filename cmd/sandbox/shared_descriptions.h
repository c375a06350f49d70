// SPDX-License-Identifier: Apache-2.0
//
// shared_descriptions.h: which descriptors are one open file.

#ifndef STASIS_CMD_SANDBOX_SHARED_DESCRIPTIONS_H_
#define STASIS_CMD_SANDBOX_SHARED_DESCRIPTIONS_H_

#include <absl/time/time.h>

#include <cstdint>
#include <vector>

#include "cmd/sandbox/open_files.h"

namespace stasis::sandbox {

// Descriptors of any processes, grouped by what kcmp(2) says of them, which has an order for open
// files. Not thread-safe.
class SharedDescriptions {
 public:
  explicit SharedDescriptions(absl::Time deadline) : deadline_(deadline) {}

  // `file` is borrowed, a descriptor with its process's number. False if it cannot be found out, or
  // if the time is over.
  bool Add(OpenFile& file);
  // Sets OpenFile::shared of those that are not alone, in the order of their addresses, from
  // `last` + 1 on.
  void Number(uint32_t& last);

 private:
  const absl::Time deadline_;
  std::vector<std::vector<OpenFile*>> groups_;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_SHARED_DESCRIPTIONS_H_
