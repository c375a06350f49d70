// SPDX-License-Identifier: Apache-2.0
//
// mount_calls.h: mounts by descriptor (fsopen, open_tree, move_mount), with errors that people can
// read.
//
// Places are looked up below a given root only, so a symbolic link in a sandbox's tree leads
// nowhere else.

#ifndef STASIS_CMD_SANDBOX_MOUNT_CALLS_H_
#define STASIS_CMD_SANDBOX_MOUNT_CALLS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "state/base/unique_fd.h"

namespace stasis::sandbox {

// Of a system call that has just failed.
absl::Status SystemError(const std::string& what);

using MountParameters = std::initializer_list<std::pair<const char*, const char*>>;

// A mount of a new filesystem, attached nowhere yet. `attributes` are MOUNT_ATTR_*.
absl::StatusOr<UniqueFd> NewFilesystem(const char* type, const MountParameters& parameters,
                                       unsigned int attributes);

// A copy of the mount that `place` is in, of what is below `place`; attached nowhere yet. `name` is
// for messages.
absl::StatusOr<UniqueFd> CloneMount(int place, const std::string& name);

// Gives a mount that is called `name` in messages these attributes (MOUNT_ATTR_*) and no others.
absl::Status SetAttributes(const UniqueFd& mount, uint64_t attributes, const std::string& name);

// The file `path` of the tree below `root`, whatever links are on the way.
absl::StatusOr<UniqueFd> OpenBelow(int root, const std::string& path);
// The same; not valid, and errno, on failure.
UniqueFd LookUpBelow(int root, const std::string& path);

// Makes a private mount a peer of another one of its filesystem, which shows all that it shows.
absl::Status JoinGroup(const UniqueFd& mount, const UniqueFd& peer, const std::string& name);
// `type` is MS_SHARED, MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE.
absl::Status SetPropagation(const UniqueFd& mount, uint64_t type, const std::string& name);

// Attaches `mount` at `path` below `root`.
absl::Status AttachBelow(const UniqueFd& mount, int root, const std::string& path);

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_MOUNT_CALLS_H_
