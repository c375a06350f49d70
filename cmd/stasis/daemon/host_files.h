// SPDX-License-Identifier: Apache-2.0
//
// host_files.h: that a daemon which takes over has the very host files that the one before it had.
//
// It finds them by their names. In a directory that others change, or that was moved, a name may
// lead to another file; programs must not go on with that.

#ifndef STASIS_CMD_STASIS_DAEMON_HOST_FILES_H_
#define STASIS_CMD_STASIS_DAEMON_HOST_FILES_H_

#include <absl/status/status.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "cmd/fuse/fuse_state.h"
#include "cmd/sandbox/sandbox.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::cli {

// What the roots and the open files of host directories are on the host: `host_roots` {name:
// [device, inode]} and `host_files` [[filesystem, file, device, inode]].
void DescribeHostFiles(sandbox::Sandbox& sandbox, nlohmann::json& json);

// Compares. Throws nlohmann::json::exception for what is missing.
// Errors: kFailedPrecondition for one that is another file now.
absl::Status CheckHostFiles(const vfs::VirtualFilesystem& vfs,
                            const std::map<std::string, RefPtr<fuse::FuseState>>& states,
                            const nlohmann::json& json);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_HOST_FILES_H_
