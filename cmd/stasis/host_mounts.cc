// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/host_mounts.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "cmd/sandbox/tree_setup.h"

namespace stasis::cli {
namespace {

std::optional<gofer::Interop> ParseInterop(absl::string_view name) {
  if (name == "exclusive") return gofer::Interop::kExclusive;
  if (name == "writethrough") return gofer::Interop::kWritethrough;
  if (name == "shared") return gofer::Interop::kShared;
  return std::nullopt;
}

std::optional<gofer::Specials> ParseSpecials(absl::string_view name) {
  if (name == "all") return gofer::Specials::kAll;
  if (name == "none") return gofer::Specials::kNone;
  if (name == "fifo") return gofer::Specials::kFifo;
  if (name == "socket") return gofer::Specials::kSocket;
  return std::nullopt;
}

constexpr char kModeOptions[] =
    "interop=exclusive, interop=writethrough, interop=shared, specials=all, specials=none, "
    "specials=fifo and specials=socket";

// False if it is no such option.
bool ReadModeOption(absl::string_view option, ServeMode& mode) {
  if (absl::ConsumePrefix(&option, "interop=")) {
    const auto interop = ParseInterop(option);
    if (interop) mode.interop = *interop;
    return interop.has_value();
  }
  if (!absl::ConsumePrefix(&option, "specials=")) return false;
  const auto specials = ParseSpecials(option);
  if (specials) mode.specials = *specials;
  return specials.has_value();
}

absl::Status ReadMountOption(absl::string_view option, HostMount& mount) {
  if (option == "ro" || option == "rw") {
    mount.read_only = option == "ro";
    return absl::OkStatus();
  }
  if (ReadModeOption(option, mount.mode)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("'", option, "' is no option of a mount; there are ro, rw, ", kModeOptions));
}

size_t Depth(const HostMount& mount) {
  return static_cast<size_t>(std::count(mount.target.begin(), mount.target.end(), '/'));
}

}  // namespace

absl::StatusOr<HostMount> ParseHostMount(std::string_view text) {
  const std::string given(text);
  const std::vector<std::string> parts = absl::StrSplit(given, ':');
  if (parts.size() < 2 || parts[0].empty() || parts[1].empty() || parts[1].front() != '/')
    return absl::InvalidArgumentError(
        absl::StrCat("--mount ", given,
                     " is not of the form NAME:DST[:ro][:interop=MODE][:specials=KIND] with an "
                     "absolute DST"));
  HostMount mount;
  mount.root = parts[0];
  mount.target = std::filesystem::path(parts[1]).lexically_normal();
  if (mount.target.size() > 1 && mount.target.back() == '/') mount.target.pop_back();
  if (mount.target == "/")
    return absl::InvalidArgumentError(
        absl::StrCat("--mount ", given, ": a host directory as the root is --rootfs DIR"));
  for (size_t i = 2; i < parts.size(); ++i)
    if (absl::Status read = ReadMountOption(parts[i], mount); !read.ok())
      return absl::InvalidArgumentError(absl::StrCat("--mount ", given, ": ", read.message()));
  return mount;
}

absl::StatusOr<ServeMode> ParseRootfsOptions(std::string_view text) {
  const std::string given(text);
  ServeMode mode;
  for (const absl::string_view option : absl::StrSplit(given, ':', absl::SkipEmpty()))
    if (!ReadModeOption(option, mode))
      return absl::InvalidArgumentError(absl::StrCat("--rootfs-options ", given, ": '", option,
                                                     "' is none; there are ", kModeOptions));
  return mode;
}

absl::Status CheckHostMounts(const HostMounts& mounts) {
  std::map<std::string, ServeMode> used;
  for (const HostMount& mount : mounts.mounts) {
    if (!mounts.roots.contains(mount.root))
      return absl::InvalidArgumentError(absl::StrCat("--mount ", mount.root, ":", mount.target,
                                                     ": there is no root ", mount.root,
                                                     "; add --root ", mount.root, "=DIR"));
    const auto [it, first] = used.emplace(mount.root, mount.mode);
    if (!first && it->second != mount.mode)
      return absl::InvalidArgumentError(absl::StrCat(
          "the root ", mount.root, " is mounted with different interop modes or specials"));
  }
  for (const auto& [name, directory] : mounts.roots) {
    if (name == kRootfsName)
      return absl::InvalidArgumentError(
          absl::StrCat("--root ", name, ": that name is --rootfs's own; choose another"));
    if (!used.contains(name))
      return absl::InvalidArgumentError(
          absl::StrCat("the root ", name, " is mounted nowhere; add --mount ", name, ":DST"));
  }
  return absl::OkStatus();
}

absl::StatusOr<RefPtr<gofer::GoferFilesystem>> ServeDirectory(vfs::VirtualFilesystem& vfs,
                                                              const HostMounts& options,
                                                              const std::string& root,
                                                              const std::string& directory,
                                                              ServeMode mode) {
  gofer::GoferOptions how;
  how.root = root;
  how.directory = directory;
  how.interop = mode.interop;
  how.specials = mode.specials;
  how.fd_limit = options.fd_limit;
  how.owners = {options.own_as_root, geteuid(), getegid()};
  return gofer::GoferFilesystem::Create(vfs, how);
}

absl::Status MountHostDirectories(const HostMounts& mounts, const sandbox::Tree& tree) {
  const vfs::VirtualDentry root = tree.root();
  std::vector<HostMount> sorted = mounts.mounts;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const HostMount& a, const HostMount& b) { return Depth(a) < Depth(b); });
  std::map<std::string, RefPtr<gofer::GoferFilesystem>> served;
  for (const HostMount& mount : sorted) {
    RefPtr<gofer::GoferFilesystem>& fs = served[mount.root];
    if (!fs) {
      auto made =
          ServeDirectory(*tree.vfs, mounts, mount.root, mounts.roots.at(mount.root), mount.mode);
      if (!made.ok()) return made.status();
      fs = *std::move(made);
    }
    if (absl::Status made = sandbox::MakeDirectories(*tree.vfs, root, mount.target); !made.ok())
      return made;
    vfs::MountFlags flags;
    flags.read_only = mount.read_only;
    const auto mounted = tree.vfs->MountAt(vfs::Credentials::Root(), *tree.ns,
                                           {root, root, mount.target, true}, fs, flags);
    if (!mounted)
      return absl::ErrnoToStatus(mounted.error().value(),
                                 absl::StrCat("cannot mount ", mount.root, " on ", mount.target));
  }
  return absl::OkStatus();
}

}  // namespace stasis::cli
