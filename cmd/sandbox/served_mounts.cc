// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/served_mounts.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "cmd/fuse/mount.h"
#include "cmd/sandbox/mount_calls.h"

namespace stasis::sandbox {
namespace {

constexpr char kRootPlace[] = "root";
// Where a root is built that is to take the place of the one that is entered. Nobody sees that.
constexpr char kStagingInside[] = "/dev";

// The directory `path`, a mount's root.
absl::StatusOr<UniqueFd> OpenPlace(int at, const std::string& path) {
  UniqueFd place(openat(at, path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!place.valid()) return SystemError(absl::StrCat("cannot open ", path));
  return place;
}

absl::Status MakePlace(const std::string& path) {
  return mkdir(path.c_str(), 0700) == 0 ? absl::OkStatus()
                                        : SystemError(absl::StrCat("cannot make ", path));
}

}  // namespace

std::string ServedMounts::PlaceOf(int number) const { return absl::StrCat(staging_, "/", number); }

absl::Status ServedMounts::Prepare(const std::string& staging) {
  if (!staging_.empty()) return absl::OkStatus();
  // If it is missing, the first use says so.
  if (!device_.valid()) device_.reset(open("/dev/fuse", O_PATH | O_CLOEXEC));
  absl::StatusOr<UniqueFd> places = NewFilesystem("tmpfs", {{"mode", "0700"}, {"size", "1m"}}, 0);
  if (!places.ok()) return places.status();
  // A bind of a host directory that it is in must not keep what is mounted there.
  mount_attr attributes{};
  attributes.propagation = MS_UNBINDABLE;
  if (mount_setattr(places->get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
    return SystemError("cannot keep the staging directory out of binds");
  if (move_mount(places->get(), "", AT_FDCWD, staging.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return SystemError(absl::StrCat("cannot mount on ", staging));
  staging_ = staging;
  return MakePlace(absl::StrCat(staging_, "/", kRootPlace));
}

absl::StatusOr<UniqueFd> ServedMounts::Make(int number, const std::string& source,
                                            const std::string& staging) {
  fuse::MountOptions options;
  options.source = source;
  options.user_id = 0;
  options.group_id = 0;
  options.no_dev = true;
  if (entered_) options.device = absl::StrCat("/proc/self/fd/", device_.get());
  absl::StatusOr<fuse::DetachedMount> made = fuse::OpenDetached(options);
  // Whatever is missing, it is not something that the caller named.
  if (!made.ok()) return absl::FailedPreconditionError(made.status().message());
  if (entered_) {
    made_[number] = std::move(made->mount);
    return std::move(made->device);
  }
  if (absl::Status prepared = Prepare(staging); !prepared.ok()) return prepared;
  const std::string place = PlaceOf(number);
  if (absl::Status placed = MakePlace(place); !placed.ok()) return placed;
  if (move_mount(made->mount.get(), "", AT_FDCWD, place.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return SystemError(absl::StrCat("cannot mount on ", place));
  return std::move(made->device);
}

absl::Status ServedMounts::KeepRoot(int number, int place) {
  UniqueFd root(openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return SystemError("cannot open the root of a served filesystem");
  roots_[number] = std::move(root);
  return absl::OkStatus();
}

// What was made since the root was entered goes where mounts can be cloned from.
absl::Status ServedMounts::Stage(const std::vector<ServedMount>& mounts) {
  if (absl::Status prepared = Prepare(kStagingInside); !prepared.ok()) return prepared;
  for (const ServedMount& mount : mounts) {
    const auto it = made_.find(mount.filesystem);
    if (it == made_.end()) continue;
    const UniqueFd made = std::move(it->second);
    made_.erase(it);
    const std::string place = PlaceOf(mount.filesystem);
    if (absl::Status placed = MakePlace(place); !placed.ok()) return placed;
    if (move_mount(made.get(), "", AT_FDCWD, place.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
      return SystemError(absl::StrCat("cannot mount on ", place));
  }
  return absl::OkStatus();
}

void ServedMounts::Entered() {
  entered_ = true;
  staging_.clear();
}

void ServedMounts::GiveUp(const std::vector<ServedMount>& mounts) {
  if (!entered_) return;
  for (const ServedMount& mount : mounts) {
    made_.erase(mount.filesystem);
    roots_.erase(mount.filesystem);
  }
  if (!staging_.empty()) (void)umount2(staging_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  staging_.clear();
}

// What `mount` shows of its filesystem, as a mount of its own. `whole` is attached.
static absl::StatusOr<UniqueFd> ClonePart(int whole, const ServedMount& mount) {
  const absl::StatusOr<UniqueFd> part = OpenBelow(whole, mount.root);
  if (!part.ok()) return part.status();
  return CloneMount(part->get(), mount.target);
}

absl::StatusOr<UniqueFd> ServedMounts::Build(const std::vector<ServedMount>& mounts) {
  if (entered_)
    if (absl::Status staged = Stage(mounts); !staged.ok()) return staged;
  UniqueFd root;
  for (const ServedMount& mount : mounts) {
    absl::StatusOr<UniqueFd> whole = OpenPlace(AT_FDCWD, PlaceOf(mount.filesystem));
    if (!whole.ok()) return whole.status();
    if (!roots_.contains(mount.filesystem))
      if (absl::Status kept = KeepRoot(mount.filesystem, whole->get()); !kept.ok()) return kept;
    absl::StatusOr<UniqueFd> clone = ClonePart(whole->get(), mount);
    if (!clone.ok()) return clone.status();
    if (absl::Status set = SetAttributes(*clone, mount.attributes, mount.target); !set.ok())
      return set;
    if (root.valid()) {
      if (absl::Status done = AttachBelow(*clone, root.get(), mount.target); !done.ok())
        return done;
      continue;
    }
    const std::string place = absl::StrCat(staging_, "/", kRootPlace);
    if (move_mount(clone->get(), "", AT_FDCWD, place.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
      return SystemError("cannot mount the sandbox's root");
    absl::StatusOr<UniqueFd> opened = OpenPlace(AT_FDCWD, place);
    if (!opened.ok()) return opened.status();
    root = *std::move(opened);
  }
  if (!root.valid()) return absl::InvalidArgumentError("the plan of the sandbox has no root");
  return root;
}

bool ServedMounts::IsOf(int number, int place) const {
  const auto root = roots_.find(number);
  struct stat ours {
  }, there{};
  return root != roots_.end() && fstat(root->second.get(), &ours) == 0 &&
         fstat(place, &there) == 0 && ours.st_dev == there.st_dev;
}

absl::StatusOr<UniqueFd> ServedMounts::Take(const ServedMount& mount, int top,
                                            const std::vector<std::string>& like) {
  for (const std::string& path : like) {
    const absl::StatusOr<UniqueFd> whole = OpenBelow(top, path);
    if (whole.ok() && IsOf(mount.filesystem, whole->get())) return ClonePart(whole->get(), mount);
  }
  if (!like.empty())
    return absl::FailedPreconditionError(
        absl::StrCat("cannot mount on ", mount.target, ": other things are mounted over all of ",
                     absl::StrJoin(like, ", "), ", where it is seen by now"));
  const auto it = made_.find(mount.filesystem);
  if (it == made_.end()) return absl::NotFoundError("no such filesystem was made");
  UniqueFd made = std::move(it->second);
  made_.erase(it);
  if (mount.root == "/") return made;
  // Older kernels clone only what is attached: so the whole is where its part will be, and goes.
  if (absl::Status done = AttachBelow(made, top, mount.target); !done.ok()) return done;
  absl::StatusOr<UniqueFd> part = ClonePart(made.get(), mount);
  if (umount2(mount.target.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0)
    return SystemError(absl::StrCat("cannot unmount ", mount.target));
  return part;
}

absl::Status ServedMounts::Add(const ServedMount& mount, const std::vector<std::string>& like) {
  absl::StatusOr<UniqueFd> top = OpenPlace(AT_FDCWD, "/");
  if (!top.ok()) return top.status();
  absl::StatusOr<UniqueFd> taken = Take(mount, top->get(), like);
  if (!taken.ok()) return taken.status();
  if (absl::Status set = SetAttributes(*taken, mount.attributes, mount.target); !set.ok())
    return set;
  if (absl::Status done = AttachBelow(*taken, top->get(), mount.target); !done.ok()) return done;
  if (roots_.contains(mount.filesystem)) return absl::OkStatus();
  // A file opened through the mount itself would keep it busy.
  const absl::StatusOr<UniqueFd> other = CloneMount(taken->get(), mount.target);
  return other.ok() ? KeepRoot(mount.filesystem, other->get()) : other.status();
}

absl::Status ServedMounts::Remove(int number, const std::string& target, bool detach) const {
  {
    const UniqueFd place(open(target.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct statx there {};
    const bool mounted = place.valid() && statx(place.get(), "", AT_EMPTY_PATH, 0, &there) == 0 &&
                         (there.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    if (!mounted) return absl::NotFoundError(absl::StrCat("nothing is mounted on ", target));
    if (!IsOf(number, place.get()))
      return absl::UnavailableError(
          absl::StrCat("something else is mounted over ", target, "; unmount that first, inside"));
  }
  if (umount2(target.c_str(), UMOUNT_NOFOLLOW | (detach ? MNT_DETACH : 0)) == 0)
    return absl::OkStatus();
  if (errno != EBUSY) return SystemError(absl::StrCat("cannot unmount ", target));
  return absl::UnavailableError(
      absl::StrCat(target,
                   " is busy: a program has files open in it, or something is mounted "
                   "below; end that, or use --detach"));
}

std::vector<int> ServedMounts::Roots() const {
  std::vector<int> roots;
  for (const auto& [number, root] : roots_) roots.push_back(root.get());
  return roots;
}

}  // namespace stasis::sandbox
