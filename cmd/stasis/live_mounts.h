// SPDX-License-Identifier: Apache-2.0
//
// live_mounts.h: mounts of host directories that come and go while a sandbox runs.

#ifndef STASIS_CMD_STASIS_LIVE_MOUNTS_H_
#define STASIS_CMD_STASIS_LIVE_MOUNTS_H_

#include <absl/status/status.h>

#include <nlohmann/json.hpp>
#include <string>

#include "cmd/sandbox/sandbox.h"
#include "cmd/stasis/host_mounts.h"

namespace stasis::cli {

// "--mount"'s text for a sandbox that runs. `directory` is the host's, absolute, for a root that is
// new; empty for one that is mounted elsewhere already. The place must exist. Notes it in `config`
// (config_file.h). Errors: kInvalidArgument, kNotFound, kAlreadyExists if the root is another
// directory, those of gofer and of the kernel.
absl::Status AddHostMount(const std::string& mount, const std::string& directory,
                          const HostMounts& defaults, sandbox::Sandbox& sandbox,
                          nlohmann::ordered_json& config);

// Takes away what is mounted on `target`, the last of several; with `detach` also if it is used,
// with what is mounted below it. A host directory that is seen nowhere any more is let go of.
// Errors: kNotFound, kInvalidArgument for the root, kUnavailable if it is busy.
absl::Status RemoveHostMount(const std::string& target, bool detach, sandbox::Sandbox& sandbox,
                             nlohmann::ordered_json& config);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_LIVE_MOUNTS_H_
