// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/host_mounts.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "cmd/sandbox/paths.h"
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

// As mount(8) calls them. False if it is no flag.
bool ReadFlag(absl::string_view option, vfs::MountFlags& flags) {
  struct Flag {
    absl::string_view on;
    absl::string_view off;
    bool vfs::MountFlags::*value;
  };
  constexpr Flag kFlags[] = {{"ro", "rw", &vfs::MountFlags::read_only},
                             {"noexec", "exec", &vfs::MountFlags::no_exec},
                             {"nosuid", "suid", &vfs::MountFlags::no_suid},
                             {"nodev", "dev", &vfs::MountFlags::no_dev},
                             {"noatime", "relatime", &vfs::MountFlags::no_atime},
                             {"nosymfollow", "symfollow", &vfs::MountFlags::no_sym_follow}};
  for (const Flag& flag : kFlags) {
    if (option != flag.on && option != flag.off) continue;
    flags.*flag.value = option == flag.on;
    return true;
  }
  return false;
}

// As mount(8) calls them. Nothing is mounted below a new mount: the recursive forms say the same.
std::optional<vfs::Propagation> ParsePropagation(absl::string_view option) {
  if (option == "shared" || option == "rshared") return vfs::Propagation::kShared;
  if (option == "private" || option == "rprivate") return vfs::Propagation::kPrivate;
  if (option == "slave" || option == "rslave") return vfs::Propagation::kSlave;
  if (option == "unbindable" || option == "runbindable") return vfs::Propagation::kUnbindable;
  return std::nullopt;
}

absl::Status ReadMountOption(absl::string_view option, HostMount& mount) {
  if (ReadFlag(option, mount.flags) || ReadModeOption(option, mount.mode)) return absl::OkStatus();
  if (const auto propagation = ParsePropagation(option); propagation.has_value()) {
    if (mount.propagation.has_value() && mount.propagation != propagation)
      return absl::InvalidArgumentError(
          absl::StrCat("'", option,
                       "' contradicts another option: a mount is shared, private, a slave or "
                       "unbindable"));
    mount.propagation = propagation;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", option,
                   "' is no option of a mount; there are ro, noexec, nosuid, nodev, noatime, "
                   "nosymfollow, their opposites, shared, private, slave, unbindable, rshared, "
                   "rprivate, rslave, runbindable, ",
                   kModeOptions));
}

// "NAME" or "NAME/PART".
absl::Status ReadSource(const std::string& text, HostMount& mount) {
  const size_t slash = text.find('/');
  mount.root = text.substr(0, slash);
  if (slash == std::string::npos) return absl::OkStatus();
  const std::filesystem::path part = std::filesystem::path(text.substr(slash + 1));
  for (const std::filesystem::path& component : part)
    if (component == "..")
      return absl::InvalidArgumentError(
          absl::StrCat("the part ", part.string(), " of a root leads out of it"));
  mount.part = part.lexically_normal().string();
  while (!mount.part.empty() && mount.part.back() == '/') mount.part.pop_back();
  while (!mount.part.empty() && mount.part.front() == '/') mount.part.erase(0, 1);
  if (mount.part == ".") mount.part.clear();
  return absl::OkStatus();
}

}  // namespace

bool IsReservedRoot(const std::string& name) {
  return name == kRootfsName || name == kUpperName || absl::StartsWith(name, kLayerPrefix);
}

absl::StatusOr<HostMount> ParseHostMount(std::string_view text) {
  const std::string given(text);
  const std::vector<std::string> parts = absl::StrSplit(given, ':');
  if (parts.size() < 2 || parts[0].empty() || parts[0].front() == '/' || parts[1].empty() ||
      parts[1].front() != '/')
    return absl::InvalidArgumentError(
        absl::StrCat("--mount ", given,
                     " is not of the form NAME[/PART]:DST[:FLAG][:PROPAGATION][:interop=MODE]"
                     "[:specials=KIND] with an absolute DST"));
  HostMount mount;
  if (absl::Status read = ReadSource(parts[0], mount); !read.ok())
    return absl::InvalidArgumentError(absl::StrCat("--mount ", given, ": ", read.message()));
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

namespace {

// Whether programs would see it there.
absl::Status CheckTarget(const std::string& option, const std::string& target) {
  for (const char* own : {"/proc", "/dev"})
    if (sandbox::IsBelow(target, own))
      return absl::InvalidArgumentError(absl::StrCat(
          option, target, ": the sandbox has its own ", own,
          " over what is mounted there; choose another place, or show something of the "
          "host with --bind"));
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckHostMounts(const HostMounts& mounts) {
  std::map<std::string, ServeMode> used;
  for (const TmpfsMount& mount : mounts.tmpfs)
    if (absl::Status fits = CheckTarget("--tmpfs ", mount.target); !fits.ok()) return fits;
  for (const HostMount& mount : mounts.mounts) {
    const std::string option = absl::StrCat("--mount ", mount.root, ":");
    if (absl::Status fits = CheckTarget(option, mount.target); !fits.ok()) return fits;
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
    if (IsReservedRoot(name))
      return absl::InvalidArgumentError(absl::StrCat(
          "--root ", name, ": that name is for what the tree stands on; choose another"));
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

namespace {

// A mount that is to be made.
struct Planned {
  std::string target;
  const HostMount* host = nullptr;  // either this
  const TmpfsMount* tmpfs = nullptr;

  bool Is(vfs::Propagation type) const { return host != nullptr && host->propagation == type; }
};

// The order in which they are mounted: that of the options, a --tmpfs after each --mount; but
// before each what it is mounted on, and before a slave what may be its master.
class MountOrder {
 public:
  explicit MountOrder(const HostMounts& mounts) {
    for (const HostMount& mount : mounts.mounts) given_.push_back({mount.target, &mount, nullptr});
    for (const TmpfsMount& mount : mounts.tmpfs) given_.push_back({mount.target, nullptr, &mount});
    placed_.resize(given_.size());
  }

  std::vector<Planned> Plan() {
    for (size_t i = 0; i < given_.size(); ++i) Place(i);
    return std::move(plan_);
  }

 private:
  // Host directories are mounted on a sandbox's --tmpfs when it runs, never the other way round.
  bool IsMountedOn(const Planned& mount, const Planned& below) const {
    if (mount.target == below.target) return mount.host != nullptr && below.tmpfs != nullptr;
    return sandbox::IsBelow(mount.target, below.target);
  }

  void Place(size_t i) {
    if (placed_[i]) return;
    placed_[i] = true;
    const Planned& mount = given_[i];
    for (size_t j = 0; j < given_.size(); ++j)
      if (j != i && IsMountedOn(mount, given_[j])) Place(j);
    if (mount.Is(vfs::Propagation::kSlave)) PlaceMasterOf(mount);
    plan_.push_back(mount);
  }

  void PlaceMasterOf(const Planned& slave) {
    std::optional<size_t> master;
    for (size_t j = 0; j < given_.size(); ++j) {
      const Planned& other = given_[j];
      if (!other.Is(vfs::Propagation::kShared) || other.host->root != slave.host->root) continue;
      if (placed_[j] && !IsMountedOn(other, slave))
        return;  // else its turn comes after the slave's
      if (!placed_[j] && !master.has_value() && !IsMountedOn(other, slave)) master = j;
    }
    if (master.has_value()) Place(*master);
  }

  std::vector<Planned> given_;
  std::vector<bool> placed_;
  std::vector<Planned> plan_;
};

using ServedRoots = std::map<std::string, RefPtr<vfs::Filesystem>>;

// A root that is mounted twice is one filesystem.
absl::StatusOr<RefPtr<vfs::Filesystem>> FilesystemOf(const Planned& planned,
                                                     const HostMounts& mounts,
                                                     vfs::VirtualFilesystem& vfs,
                                                     ServedRoots& served) {
  if (planned.tmpfs != nullptr) return NewTmpfs(vfs, *planned.tmpfs);
  const std::string& name = planned.host->root;
  RefPtr<vfs::Filesystem>& fs = served[name];
  if (fs) return fs;
  auto made = ServeDirectory(vfs, mounts, name, mounts.roots.at(name), planned.host->mode);
  if (!made.ok()) return made.status();
  fs = *std::move(made);
  return fs;
}

absl::StatusOr<RefPtr<vfs::Mount>> MountWhole(const std::string& target, vfs::MountFlags flags,
                                              RefPtr<vfs::Filesystem> fs,
                                              const sandbox::Tree& tree) {
  const vfs::VirtualDentry root = tree.root();
  auto mounted = tree.vfs->MountAt(vfs::Credentials::Root(), *tree.ns, {root, root, target, true},
                                   std::move(fs), flags);
  if (!mounted)
    return absl::ErrnoToStatus(mounted.error().value(), absl::StrCat("cannot mount on ", target));
  return *std::move(mounted);
}

absl::Status NoMaster(const HostMount& mount) {
  return absl::InvalidArgumentError(
      absl::StrCat("--mount ", mount.root, ":", mount.target,
                   " would be a slave of nothing: no mount of the root ", mount.root,
                   " is shared, but for such below it. The host's own mounts are none of the "
                   "sandbox's"));
}

// The first mount of a filesystem that is shared; null if there is none.
RefPtr<vfs::Mount> SharedMountOf(const vfs::Filesystem& fs, const sandbox::Tree& tree) {
  for (const auto& place : tree.vfs->MountPlaces(*tree.ns))
    if (&place.mount->filesystem() == &fs && place.sharing.group != 0) return place.mount;
  return nullptr;
}

std::string CannotMount(const HostMount& mount) {
  return absl::StrCat("cannot mount ", mount.root, mount.part.empty() ? "" : "/", mount.part,
                      " on ", mount.target);
}

absl::Status CheckPart(const HostMount& mount, const vfs::PathOperation& part,
                       const sandbox::Tree& tree) {
  const auto found = tree.vfs->StatAt(vfs::Credentials::Root(), part);
  if (found && S_ISDIR(found->mode)) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat(CannotMount(mount), ": there is no such directory in the root ", mount.root));
}

absl::StatusOr<RefPtr<vfs::Mount>> Bind(const HostMount& mount, const vfs::PathOperation& source,
                                        const sandbox::Tree& tree) {
  const vfs::VirtualDentry root = tree.root();
  auto bound =
      tree.vfs->BindAt(vfs::Credentials::Root(), *tree.ns, source, {root, root, mount.target, true},
                       {.recursive = false, .flags = mount.flags});
  if (!bound) return absl::ErrnoToStatus(bound.error().value(), CannotMount(mount));
  return *std::move(bound);
}

// A peer of `peer`, which need not show what this one does: that is looked up beside it.
absl::StatusOr<RefPtr<vfs::Mount>> MountPeer(const HostMount& mount, const RefPtr<vfs::Mount>& peer,
                                             const sandbox::Tree& tree) {
  vfs::Filesystem& fs = peer->filesystem();
  const vfs::VirtualDentry top(tree.vfs->MakePrivateMount(fs, {}), RefPtr<vfs::Dentry>(&fs.root()));
  const vfs::PathOperation part{top, top, mount.part, true};
  if (absl::Status there = CheckPart(mount, part, tree); !there.ok()) return there;
  const auto found = tree.vfs->GetDentryAt(vfs::Credentials::Root(), part);
  if (!found) return absl::ErrnoToStatus(found.error().value(), CannotMount(mount));
  const vfs::VirtualDentry source(peer, RefPtr<vfs::Dentry>(&found->dentry()));
  return Bind(mount, {source, source, ""}, tree);
}

// A bind mount, also of all of the root: unlike a first mount it may be on another of the same. The
// whole, which it is taken from, is for that time on top of the root, where nobody looks: who
// serves the tree to programs has mounts of his own.
absl::StatusOr<RefPtr<vfs::Mount>> MountAlone(const HostMount& mount, RefPtr<vfs::Filesystem> fs,
                                              const sandbox::Tree& tree) {
  const vfs::Credentials creds = vfs::Credentials::Root();
  absl::StatusOr<RefPtr<vfs::Mount>> whole = MountWhole("/", {}, fs, tree);
  if (!whole.ok()) return whole.status();
  const vfs::VirtualDentry root = tree.root();
  const vfs::VirtualDentry top(*whole, RefPtr<vfs::Dentry>(&fs->root()));
  const absl::Cleanup unmount = [&] {
    whole->reset();
    (void)tree.vfs->UmountAt(creds, *tree.ns, {root, top, "."}, MNT_DETACH);
  };
  const vfs::PathOperation part{top, top, mount.part, true};
  if (absl::Status there = CheckPart(mount, part, tree); !there.ok()) return there;
  return Bind(mount, part, tree);
}

absl::Status SetPropagation(const HostMount& mount, vfs::Propagation type,
                            const sandbox::Tree& tree) {
  const vfs::VirtualDentry root = tree.root();
  const auto set =
      tree.vfs->SetPropagationAt(vfs::Credentials::Root(), *tree.ns,
                                 {root, root, mount.target, true}, type, /*recursive=*/false);
  return set ? absl::OkStatus() : absl::ErrnoToStatus(set.error().value(), CannotMount(mount));
}

}  // namespace

absl::StatusOr<RefPtr<vfs::Mount>> MountHost(const HostMount& mount, RefPtr<vfs::Filesystem> fs,
                                             const sandbox::Tree& tree) {
  const bool is_slave = mount.propagation == vfs::Propagation::kSlave;
  if (!is_slave && mount.propagation != vfs::Propagation::kShared)
    return MountAlone(mount, std::move(fs), tree);
  if (const RefPtr<vfs::Mount> peer = SharedMountOf(*fs, tree)) return MountPeer(mount, peer, tree);
  if (is_slave) return NoMaster(mount);
  absl::StatusOr<RefPtr<vfs::Mount>> first = MountAlone(mount, std::move(fs), tree);
  if (!first.ok()) return first;
  absl::Status shared = SetPropagation(mount, vfs::Propagation::kShared, tree);
  return shared.ok() ? std::move(first) : shared;
}

absl::StatusOr<bool> EndSharing(const HostMount& mount, const sandbox::Tree& tree) {
  if (!mount.propagation.has_value() || mount.propagation == vfs::Propagation::kShared)
    return false;
  absl::Status set = SetPropagation(mount, *mount.propagation, tree);
  if (!set.ok()) return set;
  return true;
}

absl::Status MountAll(const HostMounts& mounts, const sandbox::Tree& tree) {
  const vfs::VirtualDentry root = tree.root();
  ServedRoots served;
  for (const Planned& planned : MountOrder(mounts).Plan()) {
    absl::StatusOr<RefPtr<vfs::Filesystem>> fs = FilesystemOf(planned, mounts, *tree.vfs, served);
    if (!fs.ok()) return fs.status();
    if (absl::Status made = sandbox::MakeDirectories(*tree.vfs, root, planned.target); !made.ok())
      return made;
    const auto mounted = planned.host != nullptr ? MountHost(*planned.host, *std::move(fs), tree)
                                                 : MountWhole(planned.target, planned.tmpfs->flags,
                                                              *std::move(fs), tree);
    if (!mounted.ok()) return mounted.status();
    if (planned.host == nullptr) continue;
    if (const auto ended = EndSharing(*planned.host, tree); !ended.ok()) return ended.status();
  }
  return absl::OkStatus();
}

}  // namespace stasis::cli
