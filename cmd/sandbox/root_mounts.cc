// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/root_mounts.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "cmd/sandbox/mount_calls.h"
#include "cmd/sandbox/paths.h"

namespace stasis::sandbox {
namespace {

// Character devices that every program may expect.
constexpr const char* kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};

struct Link {
  const char* name;
  const char* target;
};
constexpr Link kDeviceLinks[] = {{"fd", "/proc/self/fd"},
                                 {"stdin", "/proc/self/fd/0"},
                                 {"stdout", "/proc/self/fd/1"},
                                 {"stderr", "/proc/self/fd/2"},
                                 {"ptmx", "pts/ptmx"}};

// A copy of the mount tree at a host path, not attached anywhere yet.
absl::StatusOr<UniqueFd> CloneOfHost(const Bind& bind) {
  UniqueFd tree(
      open_tree(AT_FDCWD, bind.source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!tree.valid()) return SystemError(absl::StrCat("cannot bind ", bind.source));
  if (!bind.read_only) return tree;
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) !=
      0)
    return SystemError(absl::StrCat("cannot make the bind of ", bind.source, " read-only"));
  return tree;
}

absl::Status MountProc(int root) {
  absl::StatusOr<UniqueFd> proc =
      NewFilesystem("proc", {}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  if (absl::IsPermissionDenied(proc.status()))
    return absl::PermissionDeniedError(absl::StrCat(
        proc.status().message(),
        "; parts of this host's /proc are hidden: start the container with --security-opt "
        "systempaths=unconfined, or with --privileged"));
  if (!proc.ok()) return proc.status();
  return AttachBelow(*proc, root, "/proc");
}

// The files and folders of an empty /dev.
absl::Status FillDev(int dev) {
  for (const char* name : kDevices) {
    const UniqueFd file(openat(dev, name, O_CREAT | O_RDONLY | O_CLOEXEC, 0666));
    if (!file.valid()) return SystemError(absl::StrCat("cannot make /dev/", name));
  }
  for (const char* name : {"pts", "shm", "mqueue"})
    if (mkdirat(dev, name, 0755) != 0) return SystemError(absl::StrCat("cannot make /dev/", name));
  for (const Link& link : kDeviceLinks)
    if (symlinkat(link.target, dev, link.name) != 0)
      return SystemError(absl::StrCat("cannot make /dev/", link.name));
  return absl::OkStatus();
}

absl::Status MountInDev(const char* type, const MountParameters& parameters,
                        unsigned int attributes, int root, const char* path) {
  absl::StatusOr<UniqueFd> mount = NewFilesystem(type, parameters, attributes);
  if (!mount.ok()) return mount.status();
  return AttachBelow(*mount, root, path);
}

// Makes the place of a bind below `dev`, an open /dev: of the same kind as `tree`.
absl::Status MakePlaceInDev(int dev, const Bind& bind, const UniqueFd& tree) {
  struct stat source {};
  if (fstat(tree.get(), &source) != 0)
    return SystemError(absl::StrCat("cannot bind ", bind.source));
  const std::string path = bind.target.substr(std::string_view("/dev/").size());
  for (size_t end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1))
    if (mkdirat(dev, path.substr(0, end).c_str(), 0755) != 0 && errno != EEXIST)
      return SystemError(absl::StrCat("cannot make a directory for ", bind.target));
  const int made = S_ISDIR(source.st_mode) ? mkdirat(dev, path.c_str(), 0755)
                                           : mknodat(dev, path.c_str(), S_IFREG | 0644, 0);
  if (made != 0 && errno != EEXIST) return SystemError(absl::StrCat("cannot make ", bind.target));
  return absl::OkStatus();
}

absl::Status MountDev(int root, const RootMounts::Trees& binds) {
  absl::StatusOr<UniqueFd> dev =
      NewFilesystem("tmpfs", {{"mode", "0755"}, {"size", "1m"}}, MOUNT_ATTR_NOSUID);
  if (!dev.ok()) return dev.status();
  if (absl::Status filled = FillDev(dev->get()); !filled.ok()) return filled;
  for (const auto& [bind, tree] : binds) {
    if (!IsBelow(bind.target, "/dev") || bind.target == "/dev") continue;
    if (absl::Status made = MakePlaceInDev(dev->get(), bind, tree); !made.ok()) return made;
  }
  if (absl::Status attached = AttachBelow(*dev, root, "/dev"); !attached.ok()) return attached;
  constexpr unsigned int kData = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if (absl::Status pts = MountInDev("devpts", {{"ptmxmode", "0666"}, {"mode", "0620"}},
                                    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, root, "/dev/pts");
      !pts.ok())
    return pts;
  // Not every kernel has message queues.
  (void)MountInDev("mqueue", {}, kData, root, "/dev/mqueue");
  return MountInDev("tmpfs", {{"mode", "1777"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, root,
                    "/dev/shm");
}

// Puts the current root away, and the directory `root` in its place.
absl::Status PivotRoot(int root) {
  if (fchdir(root) != 0) return SystemError("cannot enter the sandbox's tree");
  if (syscall(SYS_pivot_root, ".", ".") != 0) return SystemError("cannot make the tree the root");
  // The old root is on top of the new one now.
  if (umount2(".", MNT_DETACH) != 0) return SystemError("cannot let go of the host's tree");
  if (chdir("/") != 0) return SystemError("cannot enter the new root");
  return absl::OkStatus();
}

}  // namespace

// The devices first: a bind may be mounted over one.
absl::Status RootMounts::TakeTrees(const std::vector<Bind>& binds, Trees& trees) {
  std::vector<Bind> all;
  for (const char* name : kDevices) {
    const std::string path = absl::StrCat("/dev/", name);
    all.push_back({path, path, false});
  }
  all.insert(all.end(), binds.begin(), binds.end());
  for (const Bind& bind : all) {
    const auto spare = std::find_if(spares_.begin(), spares_.end(),
                                    [&bind](const auto& each) { return each.first == bind; });
    if (spare != spares_.end()) {
      trees.push_back(std::move(*spare));
      spares_.erase(spare);
      continue;
    }
    if (entered_)
      return absl::FailedPreconditionError(absl::StrCat(
          "the tree needs the host's ", bind.source, " on ", bind.target,
          ", which this sandbox did not have from its start; restore it as another sandbox"));
    absl::StatusOr<UniqueFd> tree = CloneOfHost(bind);
    if (!tree.ok()) return tree.status();
    trees.emplace_back(bind, *std::move(tree));
  }
  return absl::OkStatus();
}

absl::Status RootMounts::Attach(const Trees& trees, int root) {
  if (absl::Status proc = MountProc(root); !proc.ok()) return proc;
  if (absl::Status dev = MountDev(root, trees); !dev.ok()) return dev;
  for (const auto& [bind, tree] : trees)
    if (absl::Status attached = AttachBelow(tree, root, bind.target); !attached.ok())
      return attached;
  return absl::OkStatus();
}

absl::Status RootMounts::Enter(const UniqueFd& root, const std::vector<Bind>& binds,
                               absl::FunctionRef<absl::Status()> attached) {
  Trees trees;
  absl::Status done = TakeTrees(binds, trees);
  if (done.ok()) done = Attach(trees, root.get());
  if (done.ok()) done = attached();
  // Nobody has changed them yet. Of one that could not be attached it is the tree itself.
  for (auto& [bind, tree] : trees) {
    UniqueFd copy(open_tree(tree.get(), "",
                            OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE));
    spares_.emplace_back(bind, copy.valid() ? std::move(copy) : std::move(tree));
  }
  if (!done.ok()) return done;
  if (absl::Status turned = PivotRoot(root.get()); !turned.ok()) return turned;
  entered_ = true;
  return absl::OkStatus();
}

}  // namespace stasis::sandbox
