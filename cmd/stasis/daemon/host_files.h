// SPDX-License-Identifier: Apache-2.0
//
// host_files.h: that a daemon which takes over has the very host files that the one before it had.
//
// It finds them by their names. In a directory that others change, or that was moved, a name may
// lead to another file; programs must not go on with that.
//
// A directory that nobody but programs changes it has before they stop. What they do there
// meanwhile it does again with what the host has answered (fsimpl/gofer/asked.h), and in the end it
// gets, in a parcel of its own,
//
//   hosts [{filesystem, next_ino, deleted [[device, inode, descriptor]]}]

#ifndef STASIS_CMD_STASIS_DAEMON_HOST_FILES_H_
#define STASIS_CMD_STASIS_DAEMON_HOST_FILES_H_

#include <absl/status/status.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "cmd/fuse/fuse_state.h"
#include "cmd/sandbox/sandbox.h"
#include "restore/handover.h"
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

// Before a state is taken, while programs run.
void LookAgain(const vfs::VirtualFilesystem& vfs);

// Of the old one: whether it keeps what the host answers in those roots.
void KeepAnswers(const vfs::VirtualFilesystem& vfs, const std::set<std::string>& roots, bool on);
// What it gives in the end. Requires: the servers pause. Errors: no descriptor is left.
absl::Status DescribeHosts(const vfs::VirtualFilesystem& vfs, restore::Parcel& parcel);
// Of the new one: the host is its own from here on. Throws nlohmann::json::exception for what is
// missing. Errors: kDataLoss, those of GoferFilesystem::GoOn.
absl::Status GoOnWithHosts(const vfs::VirtualFilesystem& vfs, restore::Parcel& parcel);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_HOST_FILES_H_
