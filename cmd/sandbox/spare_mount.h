// SPDX-License-Identifier: Apache-2.0
//
// spare_mount.h: a mount that is attached nowhere, to make others of.

#ifndef STASIS_CMD_SANDBOX_SPARE_MOUNT_H_
#define STASIS_CMD_SANDBOX_SPARE_MOUNT_H_

#include <absl/status/statusor.h>

#include <string>
#include <utility>

#include "state/base/unique_fd.h"

namespace stasis::sandbox {

// The kernel makes mounts of what is attached in the caller's namespace (before Linux 6.15: of
// nothing else). So a child process attaches it for a moment, in a copy of the namespace that
// nobody else sees and that ends with the child.
class SpareMount {
 public:
  SpareMount() = default;
  explicit SpareMount(UniqueFd mount) : mount_(std::move(mount)) {}

  const UniqueFd& fd() const { return mount_; }
  // A mount of the directory `path` in it, attached nowhere. `name` is for messages.
  // Requires: the process has one thread.
  absl::StatusOr<UniqueFd> Clone(const std::string& path, const std::string& name);

 private:
  UniqueFd mount_;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_SPARE_MOUNT_H_
