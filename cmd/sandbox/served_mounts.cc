// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/served_mounts.h"

#include <absl/strings/str_cat.h>
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

absl::Status ServedMounts::Keep(int number, UniqueFd mount) {
  UniqueFd root(openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return SystemError("cannot open the root of a served filesystem");
  roots_[number] = std::move(root);
  spares_[number] = SpareMount(std::move(mount));
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
  built_.clear();
  if (!entered_) return;
  for (const ServedMount& mount : mounts) Forget(mount.filesystem);
  if (!staging_.empty()) (void)umount2(staging_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  staging_.clear();
}

void ServedMounts::Forget(int number) {
  made_.erase(number);
  roots_.erase(number);
  spares_.erase(number);
  std::erase_if(groups_, [number](const auto& group) { return group.first.first == number; });
}

void ServedMounts::KeepGroups(const std::set<GroupName>& kept) {
  std::erase_if(groups_, [&kept](const auto& group) { return !kept.contains(group.first); });
}

// What is at `root` of a filesystem, as a mount of its own.
absl::StatusOr<UniqueFd> ServedMounts::PartOf(int number, const std::string& root,
                                              const std::string& name) {
  if (staging_.empty()) {
    const auto spare = spares_.find(number);
    if (spare == spares_.end()) return absl::NotFoundError("no such filesystem was made");
    return spare->second.Clone(root, name);
  }
  const absl::StatusOr<UniqueFd> whole = OpenPlace(AT_FDCWD, PlaceOf(number));
  if (!whole.ok()) return whole.status();
  const absl::StatusOr<UniqueFd> part = OpenBelow(whole->get(), root);
  if (!part.ok()) return part.status();
  return CloneMount(part->get(), name);
}

absl::StatusOr<UniqueFd> ServedMounts::Build(const std::vector<ServedMount>& mounts) {
  if (entered_)
    if (absl::Status staged = Stage(mounts); !staged.ok()) return staged;
  UniqueFd root;
  for (const ServedMount& mount : mounts) {
    if (!roots_.contains(mount.filesystem)) {
      absl::StatusOr<UniqueFd> whole = PartOf(mount.filesystem, "/", mount.target);
      if (!whole.ok()) return whole.status();
      if (absl::Status kept = Keep(mount.filesystem, *std::move(whole)); !kept.ok()) return kept;
    }
    absl::StatusOr<UniqueFd> clone = PartOf(mount.filesystem, mount.root, mount.target);
    if (!clone.ok()) return clone.status();
    if (absl::Status set = SetAttributes(*clone, mount.attributes, mount.target); !set.ok())
      return set;
    if (root.valid()) {
      if (absl::Status done = AttachBelow(*clone, root.get(), mount.target); !done.ok())
        return done;
      built_.emplace_back(mount, *std::move(clone));
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

absl::Status ServedMounts::Share() {
  for (const auto& [mount, fd] : built_)
    if (absl::Status joined = Join(fd, mount); !joined.ok()) return joined;
  built_.clear();
  return absl::OkStatus();
}

// Another mount of all of the filesystem, whose group it is the first member of.
absl::StatusOr<const UniqueFd*> ServedMounts::Group(int number, uint32_t id,
                                                    std::span<const uint32_t> masters) {
  const auto known = groups_.find({number, id});
  if (known != groups_.end()) return &known->second;
  const std::string name = absl::StrCat("of the group ", id);
  absl::StatusOr<UniqueFd> first = PartOf(number, "/", name);
  if (!first.ok()) return first.status();
  if (!masters.empty()) {
    const auto master = Group(number, masters.front(), masters.subspan(1));
    if (!master.ok()) return master.status();
    if (absl::Status joined = JoinGroup(*first, **master, name); !joined.ok()) return joined;
    if (absl::Status set = SetPropagation(*first, MS_SLAVE, name); !set.ok()) return set;
  }
  if (absl::Status set = SetPropagation(*first, MS_SHARED, name); !set.ok()) return set;
  return &(groups_[{number, id}] = *std::move(first));
}

absl::Status ServedMounts::Join(const UniqueFd& mount, const ServedMount& as) {
  const vfs::MountSharing& sharing = as.sharing;
  std::span<const uint32_t> masters(sharing.masters);
  if (sharing.propagates()) {
    const bool shared = sharing.group != 0;
    const auto group = Group(as.filesystem, shared ? sharing.group : masters.front(),
                             shared ? masters : masters.subspan(1));
    if (!group.ok()) return group.status();
    if (absl::Status joined = JoinGroup(mount, **group, as.target); !joined.ok()) return joined;
    if (!shared) return SetPropagation(mount, MS_SLAVE, as.target);
  }
  return sharing.unbindable ? SetPropagation(mount, MS_UNBINDABLE, as.target) : absl::OkStatus();
}

bool ServedMounts::IsOf(int number, int place) const {
  const auto root = roots_.find(number);
  struct stat ours {
  }, there{};
  return root != roots_.end() && fstat(root->second.get(), &ours) == 0 &&
         fstat(place, &there) == 0 && ours.st_dev == there.st_dev;
}

absl::Status ServedMounts::Add(const ServedMount& mount) {
  if (const auto it = made_.find(mount.filesystem); it != made_.end()) {
    UniqueFd made = std::move(it->second);
    made_.erase(it);
    if (absl::Status kept = Keep(mount.filesystem, std::move(made)); !kept.ok()) return kept;
  }
  const absl::StatusOr<UniqueFd> part = PartOf(mount.filesystem, mount.root, mount.target);
  if (!part.ok()) return part.status();
  if (absl::Status set = SetAttributes(*part, mount.attributes, mount.target); !set.ok())
    return set;
  if (absl::Status joined = Join(*part, mount); !joined.ok()) return joined;
  const absl::StatusOr<UniqueFd> top = OpenPlace(AT_FDCWD, "/");
  return top.ok() ? AttachBelow(*part, top->get(), mount.target) : top.status();
}

// The root of what is mounted on `target`, if that is of filesystem `number`.
absl::StatusOr<UniqueFd> ServedMounts::OpenMounted(int number, const std::string& target) const {
  UniqueFd place(open(target.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct statx there {};
  const bool mounted = place.valid() && statx(place.get(), "", AT_EMPTY_PATH, 0, &there) == 0 &&
                       (there.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  if (!mounted) return absl::NotFoundError(absl::StrCat("nothing is mounted on ", target));
  if (IsOf(number, place.get())) return place;
  return absl::UnavailableError(
      absl::StrCat("something else is mounted over ", target, "; unmount that first, inside"));
}

absl::Status ServedMounts::Change(int number, const std::string& target, uint64_t type) const {
  const absl::StatusOr<UniqueFd> place = OpenMounted(number, target);
  return place.ok() ? SetPropagation(*place, type, target) : place.status();
}

absl::Status ServedMounts::Remove(int number, const std::string& target, bool detach) const {
  // What is opened there would keep it busy.
  if (const absl::Status mounted = OpenMounted(number, target).status(); !mounted.ok())
    return mounted;
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
