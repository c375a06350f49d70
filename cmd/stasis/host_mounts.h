// SPDX-License-Identifier: Apache-2.0
//
// host_mounts.h: what is mounted in a new sandbox's tree: host directories, and memory.

#ifndef STASIS_CMD_STASIS_HOST_MOUNTS_H_
#define STASIS_CMD_STASIS_HOST_MOUNTS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/sandbox/sandbox.h"
#include "cmd/stasis/tmpfs_mounts.h"
#include "fsimpl/gofer/filesystem.h"

namespace stasis::cli {

// By which a restore asks for the directories of --rootfs and of --upper.
inline constexpr char kRootfsName[] = "rootfs";
inline constexpr char kUpperName[] = "upper";
// Begins the name of a layer of a container image.
inline constexpr char kLayerPrefix[] = "layer-";
// Whether a root of that name is one of what the tree itself stands on.
bool IsReservedRoot(const std::string& name);

// How a host directory is served, whatever its place.
struct ServeMode {
  gofer::Interop interop = gofer::Interop::kExclusive;
  gofer::Specials specials = gofer::Specials::kAll;

  friend bool operator==(const ServeMode&, const ServeMode&) = default;
};

// "--mount NAME[/PART]:DST[:FLAG]...[:PROPAGATION][:interop=MODE][:specials=KIND]".
struct HostMount {
  std::string root;
  std::string part;    // of it, a relative path; empty: all of it
  std::string target;  // absolute, in the sandbox
  vfs::MountFlags flags;
  std::optional<vfs::Propagation> propagation = {};  // else that of its place
  ServeMode mode;
};
// Errors: kInvalidArgument.
absl::StatusOr<HostMount> ParseHostMount(std::string_view text);
// "--rootfs-options interop=MODE:specials=KIND", each optional. Errors: kInvalidArgument.
absl::StatusOr<ServeMode> ParseRootfsOptions(std::string_view text);

struct HostMounts {
  std::map<std::string, std::string> roots;  // name -> absolute path
  std::vector<HostMount> mounts;
  std::vector<TmpfsMount> tmpfs;
  uint32_t fd_limit = gofer::kDefaultFdLimit;
  bool own_as_root = false;
};
// Whether roots and mounts fit together. Errors: kInvalidArgument.
absl::Status CheckHostMounts(const HostMounts& mounts);

// Such a filesystem for a host directory. Errors: those of GoferFilesystem::Create.
absl::StatusOr<RefPtr<gofer::GoferFilesystem>> ServeDirectory(vfs::VirtualFilesystem& vfs,
                                                              const HostMounts& options,
                                                              const std::string& root,
                                                              const std::string& directory,
                                                              ServeMode mode);
// Mounts what `mount` says of the filesystem of its root. One that is to be shared or a slave is in
// the group of the root's shared mounts then. Errors: kNotFound without such a part,
// kInvalidArgument of a slave without such a group.
absl::StatusOr<RefPtr<vfs::Mount>> MountHost(const HostMount& mount, RefPtr<vfs::Filesystem> fs,
                                             const sandbox::Tree& tree);
// Makes it what it is to be after that: a slave, private or unbindable. True if that is a change.
absl::StatusOr<bool> EndSharing(const HostMount& mount, const sandbox::Tree& tree);
// Mounts all of `mounts`, in their order if they can be; makes their places. Requires:
// CheckHostMounts.
absl::Status MountAll(const HostMounts& mounts, const sandbox::Tree& tree);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_HOST_MOUNTS_H_
