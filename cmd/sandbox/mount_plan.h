// SPDX-License-Identifier: Apache-2.0
//
// mount_plan.h: what a sandbox's mount namespace is made of.

#ifndef STASIS_CMD_SANDBOX_MOUNT_PLAN_H_
#define STASIS_CMD_SANDBOX_MOUNT_PLAN_H_

#include <absl/status/statusor.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "vfs/mount_sharing.h"

namespace stasis::sandbox {

// A host file or directory that is seen in the sandbox.
struct Bind {
  std::string source;  // absolute, on the host
  std::string target;  // absolute, in the sandbox
  bool read_only = false;

  friend bool operator==(const Bind&, const Bind&) = default;
};

// Reads "SRC[:DST][:ro|:rw]"; DST is SRC if it is not given. Errors: kInvalidArgument.
absl::StatusOr<Bind> ParseBind(std::string_view text);

// Which of the host's programs and libraries a sandbox sees.
enum class SystemDirectories {
  kAuto,  // the host's, where the tree has nothing, if it has neither /usr nor /bin
  kHost,  // the host's, whatever the tree has
  kNone,  // the tree's only
};
absl::StatusOr<SystemDirectories> ParseSystemDirectories(std::string_view text);

// A mount of a FUSE filesystem that the sandbox's daemon serves.
struct ServedMount {
  int filesystem = 0;       // as Init::MakeFuse numbers them
  std::string root = "/";   // what of the filesystem is seen
  std::string target;       // absolute, in the sandbox
  uint64_t attributes = 0;  // MOUNT_ATTR_*
  vfs::MountSharing sharing = {};

  nlohmann::json ToJson() const;
  static ServedMount FromJson(const nlohmann::json& json);
  friend bool operator==(const ServedMount&, const ServedMount&) = default;
};

// Handed to the sandbox's init.
struct MountPlan {
  std::string hostname;
  std::vector<ServedMount> mounts;  // in this order; the first is "/"
  std::vector<Bind> binds;          // after them, in this order

  nlohmann::json ToJson() const;
  static MountPlan FromJson(const nlohmann::json& json);
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_MOUNT_PLAN_H_
