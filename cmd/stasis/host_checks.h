// SPDX-License-Identifier: Apache-2.0
//
// host_checks.h: what this host can do, tried out.

#ifndef STASIS_CMD_STASIS_HOST_CHECKS_H_
#define STASIS_CMD_STASIS_HOST_CHECKS_H_

#include <string>
#include <vector>

namespace stasis::cli {

struct HostCheck {
  std::string name;  // stable: "fuse", "mount", "passthrough", ...
  bool ok = false;
  bool needed = false;  // `run` does not work without it
  std::string detail;   // what was found
  std::string remedy;   // empty if ok
};

// Requires: one thread. Leaves nothing behind.
std::vector<HostCheck> CheckHost();

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_HOST_CHECKS_H_
