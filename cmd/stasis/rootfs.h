// SPDX-License-Identifier: Apache-2.0
//
// rootfs.h: what a new sandbox's "/" is: memory, a host directory, or layers with a writable one on
// top.

#ifndef STASIS_CMD_STASIS_ROOTFS_H_
#define STASIS_CMD_STASIS_ROOTFS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cmd/stasis/host_mounts.h"
#include "cmd/stasis/progress_line.h"
#include "restore/oci/base.h"
#include "state/base/unique_fd.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::cli {

struct RootfsOptions {
  // "oci:LAYOUT:TAG" or a directory, absolute. Empty: there is nothing below.
  std::string base;
  // "memory"; "none": the base itself is changed; or a directory, absolute, that is to have
  // directories "upper" and "work". Not looked at without a base.
  std::string upper = "memory";
  std::string layer_cache;  // of unpacked layers; empty: the default
  ServeMode mode;           // of the base, if it is changed itself
  // Of what is kept in memory. 0: no limit.
  uint64_t size_limit = 0;
  uint64_t inode_limit = 0;

  bool is_image() const;
  bool in_memory() const { return base.empty() || upper == "memory"; }
  bool changes_base() const { return !base.empty() && upper == "none"; }
};
// Completes paths and checks that the parts fit together. Errors: kInvalidArgument, kNotFound.
absl::Status CheckRootfs(RootfsOptions& options);

struct Rootfs {
  RefPtr<vfs::Filesystem> filesystem;
  std::optional<oci::BaseImage> image;
  std::string reference;  // of the image, "DIR@DIGEST"
  UniqueFd lock;          // on the directory of the upper layer, if it is one
};
// Keeps others from using a directory as an upper layer for as long as the descriptor is open.
// Errors: kUnavailable if somebody has it.
absl::StatusOr<UniqueFd> LockUpper(const std::string& directory);
// Errors: those of GoferFilesystem::Create and of oci::OpenBase; kFailedPrecondition for layers
// that do not fit together.
absl::StatusOr<Rootfs> MakeRootfs(vfs::VirtualFilesystem& vfs, const RootfsOptions& options,
                                  const HostMounts& host, const StepCallback& on_step,
                                  const std::atomic<bool>* cancel);

// The unpacked layer that a restore asks for by `name`, if it is in the cache.
std::optional<oci::LayerCache::Tree> FindLayer(const std::string& name,
                                               const std::string& layer_cache);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_ROOTFS_H_
