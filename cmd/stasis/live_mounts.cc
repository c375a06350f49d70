// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/live_mounts.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "cmd/sandbox/paths.h"

namespace stasis::cli {
namespace {

const vfs::Credentials kRoot = vfs::Credentials::Root();

RefPtr<gofer::GoferFilesystem> FindRoot(vfs::VirtualFilesystem& vfs, const std::string& name) {
  for (const RefPtr<vfs::Filesystem>& fs : vfs.filesystems())
    if (auto* host = dynamic_cast<gofer::GoferFilesystem*>(fs.get());
        host != nullptr && host->root_name() == name)
      return RefPtr<gofer::GoferFilesystem>(host);
  return nullptr;
}

// The filesystem of a mount's root: the one there is, or a new one.
absl::StatusOr<RefPtr<gofer::GoferFilesystem>> FilesystemFor(const HostMount& mount,
                                                             const std::string& directory,
                                                             const HostMounts& defaults,
                                                             vfs::VirtualFilesystem& vfs) {
  RefPtr<gofer::GoferFilesystem> known = FindRoot(vfs, mount.root);
  if (known && !directory.empty())
    return absl::AlreadyExistsError(absl::StrCat("the sandbox has a root ", mount.root,
                                                 " already; mount it without --root, or choose "
                                                 "another name"));
  if (!known && directory.empty())
    return absl::NotFoundError(absl::StrCat("the sandbox has no root ", mount.root,
                                            "; say where it is: --root ", mount.root, "=DIR"));
  if (!known) return ServeDirectory(vfs, defaults, mount.root, directory, mount.mode);
  if (known->interop() != mount.mode.interop || known->specials() != mount.mode.specials)
    return absl::InvalidArgumentError(
        absl::StrCat("the root ", mount.root, " is mounted with another interop mode or specials"));
  return known;
}

absl::Status CheckPlace(const std::string& target, const sandbox::Tree& tree) {
  const vfs::VirtualDentry root = tree.root();
  const Result<vfs::VirtualDentry> place = tree.vfs->GetDentryAt(kRoot, {root, root, target, true});
  if (!place)
    return absl::NotFoundError(
        absl::StrCat("cannot mount on ", target,
                     ": the sandbox has no such directory; make it first: stasis "
                     "exec NAME -- mkdir -p ",
                     target));
  if (!place->inode().is_dir())
    return absl::InvalidArgumentError(
        absl::StrCat("cannot mount on ", target, ": it is not a directory"));
  return absl::OkStatus();
}

// The mount that is seen at `target`: of several the last.
RefPtr<vfs::Mount> MountAt(const std::string& target, const vfs::MountNamespace& ns) {
  RefPtr<vfs::Mount> found;
  for (const RefPtr<vfs::Mount>& mount : ns.mounts())
    if (sandbox::PathOf(*mount) == target) found = mount;
  return found;
}

bool IsMounted(const std::string& root_name, const vfs::MountNamespace& ns) {
  const std::vector<RefPtr<vfs::Mount>> mounts = ns.mounts();
  return std::any_of(mounts.begin(), mounts.end(), [&](const RefPtr<vfs::Mount>& mount) {
    const auto* host = dynamic_cast<gofer::GoferFilesystem*>(&mount->filesystem());
    return host != nullptr && host->root_name() == root_name;
  });
}

std::string ListMounts(const vfs::MountNamespace& ns) {
  std::vector<std::string> targets;
  for (const RefPtr<vfs::Mount>& mount : ns.mounts()) targets.push_back(sandbox::PathOf(*mount));
  return targets.empty() ? "there are no mounts"
                         : absl::StrCat("there are ", absl::StrJoin(targets, ", "));
}

// Drops the entries of an array of which `drop` is true; the array too, if it is empty then.
template <typename Drop>
void DropFrom(nlohmann::ordered_json& config, const char* key, Drop drop) {
  if (!config.contains(key)) return;
  nlohmann::ordered_json kept = nlohmann::ordered_json::array();
  for (const nlohmann::ordered_json& entry : config[key])
    if (!drop(entry.get<std::string>())) kept.push_back(entry);
  if (kept.empty())
    config.erase(key);
  else
    config[key] = std::move(kept);
}

}  // namespace

absl::Status AddHostMount(const std::string& text, const std::string& directory,
                          const HostMounts& defaults, sandbox::Sandbox& sandbox,
                          nlohmann::ordered_json& config) {
  const absl::StatusOr<HostMount> mount = ParseHostMount(text);
  if (!mount.ok()) return mount.status();
  const sandbox::Tree& tree = sandbox.tree();
  sandbox.served().EndUnused(*tree.vfs);
  if (absl::Status place = CheckPlace(mount->target, tree); !place.ok()) return place;
  absl::StatusOr<RefPtr<gofer::GoferFilesystem>> fs =
      FilesystemFor(*mount, directory, defaults, *tree.vfs);
  if (!fs.ok()) return fs.status();
  absl::Cleanup forget = [&] {
    if (!directory.empty()) (void)tree.vfs->RemoveFilesystem(**fs);
  };
  vfs::MountFlags flags;
  flags.read_only = mount->read_only;
  const vfs::VirtualDentry root = tree.root();
  const vfs::PathOperation at{root, root, mount->target, true};
  auto mounted = tree.vfs->MountAt(kRoot, *tree.ns, at, *fs, flags);
  if (!mounted)
    return absl::ErrnoToStatus(mounted.error().value(),
                               absl::StrCat("cannot mount ", mount->root, " on ", mount->target));
  if (absl::Status shown = sandbox.served().Show(**mounted, *tree.ns); !shown.ok()) {
    mounted->reset();  // or it would be in use
    (void)tree.vfs->UmountAt(kRoot, *tree.ns, at);
    sandbox.served().EndUnused(*tree.vfs);
    return shown;
  }
  std::move(forget).Cancel();
  config["mount"].push_back(text);
  if (!directory.empty()) config["root"].push_back(absl::StrCat(mount->root, "=", directory));
  return absl::OkStatus();
}

absl::Status RemoveHostMount(const std::string& path, bool detach, sandbox::Sandbox& sandbox,
                             nlohmann::ordered_json& config) {
  const std::string target = sandbox::AbsolutePath(path);
  const sandbox::Tree& tree = sandbox.tree();
  if (target == "/")
    return absl::InvalidArgumentError("the root ends with the sandbox: stasis stop NAME");
  RefPtr<vfs::Mount> mount = MountAt(target, *tree.ns);
  if (!mount)
    return absl::NotFoundError(
        absl::StrCat("nothing is mounted on ", target, "; ", ListMounts(*tree.ns)));
  const auto* host = dynamic_cast<gofer::GoferFilesystem*>(&mount->filesystem());
  const std::string root_name = host == nullptr ? "" : host->root_name();
  mount.reset();
  if (absl::Status gone = sandbox.init().RemoveMount(target, detach); !gone.ok()) return gone;
  const vfs::VirtualDentry root = tree.root();
  const Result<void> done =
      tree.vfs->UmountAt(kRoot, *tree.ns, {root, root, target}, detach ? MNT_DETACH : 0);
  if (!done)
    return absl::ErrnoToStatus(done.error().value(), absl::StrCat("cannot unmount ", target));
  sandbox.served().EndUnused(*tree.vfs);
  DropFrom(config, "mount", [&](const std::string& entry) {
    const absl::StatusOr<HostMount> parsed = ParseHostMount(entry);
    return parsed.ok() && parsed->target == target;
  });
  DropFrom(config, "root", [&](const std::string& entry) {
    return !root_name.empty() && absl::StartsWith(entry, root_name + "=") &&
           !IsMounted(root_name, *tree.ns);
  });
  return absl::OkStatus();
}

}  // namespace stasis::cli
