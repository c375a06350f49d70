// SPDX-License-Identifier: Apache-2.0
//
// tree_setup.h: makes a tree fit to be a sandbox's root.

#ifndef STASIS_CMD_SANDBOX_TREE_SETUP_H_
#define STASIS_CMD_SANDBOX_TREE_SETUP_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "cmd/sandbox/mount_plan.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::sandbox {

// Makes the directory `path` and those above it, where they are missing; follows symbolic links.
// A place to mount something on is not made on the host.
// Errors: kFailedPrecondition if something else is in the way.
absl::Status MakeDirectories(vfs::VirtualFilesystem& vfs, const vfs::VirtualDentry& root,
                             std::string_view path, uint32_t mode = 0755,
                             vfs::Placement placement = vfs::Placement::kSynthetic);

// The system directory that `path` is, or is below of; empty if it is in none.
std::string SystemDirectoryOf(std::string_view path);

// Makes /proc, /dev, /tmp and the places of `binds` where they are missing and can be seen. Adds
// the host's system directories as `system` says: those that are directories as read-only binds,
// those that are symbolic links on the host as the same links in the tree, where it has no
// directory. With /etc comes what /etc/resolv.conf leads to. Returns all binds, in the order in
// which they have to be mounted. Errors: kFailedPrecondition, kResourceExhausted.
absl::StatusOr<std::vector<Bind>> PrepareTree(vfs::VirtualFilesystem& vfs,
                                              const vfs::VirtualDentry& root,
                                              const std::vector<Bind>& binds,
                                              SystemDirectories system);

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_TREE_SETUP_H_
