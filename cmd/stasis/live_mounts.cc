// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/live_mounts.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <sys/mount.h>

#include <fstream>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "cmd/sandbox/mount_devices.h"
#include "cmd/sandbox/paths.h"

namespace stasis::cli {
namespace {

const vfs::Credentials kRoot = vfs::Credentials::Root();

using Places = std::vector<vfs::VirtualFilesystem::MountPlace>;

RefPtr<gofer::GoferFilesystem> FindRoot(const Places& places, const std::string& name) {
  for (const auto& place : places)
    if (auto* host = dynamic_cast<gofer::GoferFilesystem*>(&place.mount->filesystem());
        host != nullptr && host->root_name() == name)
      return RefPtr<gofer::GoferFilesystem>(host);
  return nullptr;
}

// The filesystem of a mount's root: the one there is, or a new one.
absl::StatusOr<RefPtr<gofer::GoferFilesystem>> FilesystemFor(const HostMount& mount,
                                                             const std::string& directory,
                                                             const HostMounts& defaults,
                                                             const sandbox::Tree& tree) {
  if (IsReservedRoot(mount.root))
    return absl::InvalidArgumentError(absl::StrCat(
        "the name ", mount.root, " is for what the tree itself stands on; choose another"));
  RefPtr<gofer::GoferFilesystem> known = FindRoot(tree.vfs->MountPlaces(*tree.ns), mount.root);
  if (known && !directory.empty())
    return absl::AlreadyExistsError(absl::StrCat("the sandbox has a root ", mount.root,
                                                 " already; mount it without --root, or choose "
                                                 "another name"));
  if (!known && directory.empty())
    return absl::NotFoundError(absl::StrCat("the sandbox has no root ", mount.root,
                                            "; say where it is: --root ", mount.root, "=DIR"));
  if (!known) return ServeDirectory(*tree.vfs, defaults, mount.root, directory, mount.mode);
  if (known->interop() != mount.mode.interop || known->specials() != mount.mode.specials)
    return absl::InvalidArgumentError(
        absl::StrCat("the root ", mount.root, " is mounted with another interop mode or specials"));
  return known;
}

// That programs see the tree at `target`, and would see what is mounted there when the sandbox is
// made again, too.
absl::Status CheckSeen(const std::string& target, sandbox::Sandbox& sandbox) {
  std::ifstream file(absl::StrCat("/proc/", sandbox.init().pid(), "/mountinfo"));
  const std::string mountinfo(std::istreambuf_iterator<char>(file), {});
  const auto foreign = sandbox::ForeignMountAt(mountinfo, sandbox.served().source(), target);
  if (!foreign.has_value()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "cannot mount on ", target,
      ": what is seen there is not the sandbox's tree, but what is mounted on ", *foreign,
      " (by the sandbox itself, of the host, or by a program); choose another place"));
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
const Places::value_type* PlaceAt(const std::string& target, const Places& places) {
  const Places::value_type* found = nullptr;
  for (const auto& place : places)
    if (place.path == target) found = &place;
  return found;
}

std::string ListMounts(const Places& places) {
  std::vector<std::string> targets;
  for (const auto& place : places)
    if (place.path != "/") targets.push_back(place.path);
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

// Leaves what is still mounted. Of several entries for one place the first ones stay.
void DropGone(const Places& places, nlohmann::ordered_json& config) {
  std::map<std::string, int> left;
  for (const auto& place : places) ++left[place.path];
  DropFrom(config, "tmpfs", [&](const std::string& entry) {
    const absl::StatusOr<TmpfsMount> mount = ParseTmpfsMount(entry);
    return mount.ok() && --left[mount->target] < 0;
  });
  DropFrom(config, "mount", [&](const std::string& entry) {
    const absl::StatusOr<HostMount> mount = ParseHostMount(entry);
    return mount.ok() && --left[mount->target] < 0;
  });
  DropFrom(config, "root", [&](const std::string& entry) {
    const std::string name = entry.substr(0, entry.find('='));
    return !IsReservedRoot(name) && !FindRoot(places, name);
  });
}

// What was a slave of a mount that is gone is private now.
void DropLostMasters(const sandbox::Tree& tree, nlohmann::ordered_json& config) {
  if (!config.contains("mount")) return;
  const Places places = tree.vfs->MountPlaces(*tree.ns);
  for (nlohmann::ordered_json& entry : config["mount"]) {
    const auto text = entry.get<std::string>();
    const absl::StatusOr<HostMount> mount = ParseHostMount(text);
    if (!mount.ok() || mount->propagation != vfs::Propagation::kSlave) continue;
    const auto* there = PlaceAt(mount->target, places);
    if (there != nullptr && !there->sharing.masters.empty()) continue;
    std::vector<std::string> words = absl::StrSplit(text, ':');
    std::erase_if(words,
                  [](const std::string& word) { return word == "slave" || word == "rslave"; });
    entry = absl::StrJoin(words, ":");
  }
}

// Takes back what the tree has and the kernel does not, or not as it should.
void TakeBack(const HostMount& mount, RefPtr<vfs::Mount> mounted, bool is_shown,
              sandbox::Sandbox& sandbox) {
  const sandbox::Tree& tree = sandbox.tree();
  if (is_shown) (void)sandbox.served().Hide(mounted->filesystem(), mount.target, /*detach=*/true);
  mounted.reset();
  const vfs::VirtualDentry root = tree.root();
  (void)tree.vfs->UmountAt(kRoot, *tree.ns, {root, root, mount.target, true}, MNT_DETACH);
  sandbox.served().EndUnused(*tree.vfs);
  sandbox.served().EndUnusedGroups(*tree.vfs, *tree.ns);
}

// In the kernel what is done in the tree: first mounted, then changed.
absl::Status Show(const HostMount& mount, const vfs::Mount& mounted, sandbox::Sandbox& sandbox,
                  bool& is_shown) {
  const sandbox::Tree& tree = sandbox.tree();
  if (absl::Status shown = sandbox.served().Show(mounted, *tree.vfs, *tree.ns); !shown.ok())
    return shown;
  is_shown = true;
  const absl::StatusOr<bool> ended = EndSharing(mount, tree);
  if (!ended.ok()) return ended.status();
  if (!*ended) return absl::OkStatus();
  return sandbox.served().ShowPropagation(mounted, *tree.vfs, *tree.ns);
}

}  // namespace

absl::Status AddHostMount(const std::string& text, const std::string& directory,
                          const HostMounts& defaults, sandbox::Sandbox& sandbox,
                          nlohmann::ordered_json& config) {
  const absl::StatusOr<HostMount> mount = ParseHostMount(text);
  if (!mount.ok()) return mount.status();
  const sandbox::Tree& tree = sandbox.tree();
  sandbox.served().EndUnused(*tree.vfs);
  if (absl::Status seen = CheckSeen(mount->target, sandbox); !seen.ok()) return seen;
  if (absl::Status place = CheckPlace(mount->target, tree); !place.ok()) return place;
  absl::StatusOr<RefPtr<gofer::GoferFilesystem>> fs =
      FilesystemFor(*mount, directory, defaults, tree);
  if (!fs.ok()) return fs.status();
  absl::Cleanup forget = [&] {
    if (!directory.empty()) (void)tree.vfs->RemoveFilesystem(**fs);
  };
  absl::StatusOr<RefPtr<vfs::Mount>> mounted = MountHost(*mount, *fs, tree);
  if (!mounted.ok()) return mounted.status();
  bool is_shown = false;
  if (absl::Status shown = Show(*mount, **mounted, sandbox, is_shown); !shown.ok()) {
    TakeBack(*mount, *std::move(mounted), is_shown, sandbox);
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
  const Places places = tree.vfs->MountPlaces(*tree.ns);
  const auto* place = PlaceAt(target, places);
  if (place == nullptr)
    return absl::NotFoundError(
        absl::StrCat("nothing is mounted on ", target, "; ", ListMounts(places)));
  const absl::Status hidden = sandbox.served().Hide(place->mount->filesystem(), target, detach);
  // What a program in the sandbox has unmounted is still in the tree.
  if (!hidden.ok() && !absl::IsNotFound(hidden)) return hidden;
  const vfs::VirtualDentry root = tree.root();
  const Result<void> done = tree.vfs->UmountAt(kRoot, *tree.ns, {root, root, target}, MNT_DETACH);
  if (!done)
    return absl::ErrnoToStatus(done.error().value(), absl::StrCat("cannot unmount ", target));
  sandbox.served().EndUnused(*tree.vfs);
  sandbox.served().EndUnusedGroups(*tree.vfs, *tree.ns);
  DropGone(tree.vfs->MountPlaces(*tree.ns), config);
  DropLostMasters(tree, config);
  return absl::OkStatus();
}

}  // namespace stasis::cli
