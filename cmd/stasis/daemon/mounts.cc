// SPDX-License-Identifier: Apache-2.0

#include <absl/cleanup/cleanup.h>
#include <absl/functional/function_ref.h>
#include <absl/strings/match.h>

#include "cmd/stasis/daemon/keeping.h"
#include "cmd/stasis/daemon/tasks.h"
#include "cmd/stasis/host_mounts.h"
#include "cmd/stasis/live_mounts.h"
#include "fsimpl/gofer/filesystem.h"

namespace stasis::cli {
namespace {

absl::StatusOr<control::Report> ChangeMounts(
    Box& box, absl::FunctionRef<absl::Status(nlohmann::ordered_json& config)> change) {
  if (absl::Status begun = box.Begin("changing its mounts"); !begun.ok()) return begun;
  const absl::Cleanup done = [&box] { box.Done(); };
  const TreeChange tree_change(box.keeping(), "changing its mounts");
  nlohmann::ordered_json config = box.config();
  if (absl::Status changed = change(config); !changed.ok()) return changed;
  if (box.IsRestored()) config.erase("mount");  // it is in the image
  box.SetConfig(std::move(config));
  return control::Report{};
}

}  // namespace

absl::StatusOr<control::Report> AddMountToBox(Box& box, const control::MountParams& params) {
  return ChangeMounts(box, [&](nlohmann::ordered_json& config) {
    if (absl::Status added = AddHostMount(params.mount, params.directory,
                                          box.options().content.host, *box.sandbox(), config);
        !added.ok())
      return added;
    const Keeping* keeping = box.keeping();
    if (keeping == nullptr || keeping->keeper() == 0) return absl::OkStatus();
    absl::Status possible = CanBeKept(box);
    if (!possible.ok())
      if (const auto mount = ParseHostMount(params.mount); mount.ok())
        (void)RemoveHostMount(mount->target, /*detach=*/true, *box.sandbox(), config);
    return possible;
  });
}

absl::StatusOr<control::Report> RemoveMountOfBox(Box& box, const std::string& target, bool detach) {
  return ChangeMounts(box, [&](nlohmann::ordered_json& config) {
    return RemoveHostMount(target, detach, *box.sandbox(), config);
  });
}

std::map<std::string, std::string> HostDirectories(const vfs::VirtualFilesystem& vfs) {
  std::map<std::string, std::string> directories;
  for (const RefPtr<vfs::Filesystem>& fs : vfs.filesystems())
    if (const auto* host = dynamic_cast<const gofer::GoferFilesystem*>(fs.get());
        host != nullptr && !absl::StartsWith(host->root_name(), kLayerPrefix))
      directories[host->root_name()] = host->directory();
  return directories;
}

}  // namespace stasis::cli
