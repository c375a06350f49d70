// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/served_filesystems.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <sys/mount.h>

#include <algorithm>

namespace stasis::sandbox {
namespace {

// From `top` down to `dentry`: "/a/b", or "" for `top` itself. `top` may be null: the tree's root.
std::string PathBelow(const vfs::Dentry* top, const vfs::Dentry& dentry) {
  std::string path;
  for (const vfs::Dentry* at = &dentry; at != top && at->parent() != nullptr; at = at->parent())
    path = "/" + std::string(at->name()) + path;
  return path;
}

std::string OrSlash(std::string path) { return path.empty() ? "/" : path; }

uint64_t AttributesOf(vfs::MountFlags flags) {
  // Whose device nodes they would be is not for files in a sandbox to say.
  uint64_t attributes = MOUNT_ATTR_NODEV;
  if (flags.read_only) attributes |= MOUNT_ATTR_RDONLY;
  if (flags.no_exec) attributes |= MOUNT_ATTR_NOEXEC;
  if (flags.no_suid) attributes |= MOUNT_ATTR_NOSUID;
  if (flags.no_atime) attributes |= MOUNT_ATTR_NOATIME;
  if (flags.strict_atime) attributes |= MOUNT_ATTR_STRICTATIME;
  if (flags.no_dir_atime) attributes |= MOUNT_ATTR_NODIRATIME;
  return attributes;
}

ServedMount Describe(const vfs::Mount& mount, int number) {
  return {number, OrSlash(PathBelow(nullptr, mount.root())), PathOf(mount),
          AttributesOf(mount.flags())};
}

std::vector<RefPtr<vfs::Mount>> MountsOf(const vfs::MountNamespace& ns) {
  std::vector<RefPtr<vfs::Mount>> mounts = ns.mounts();
  mounts.insert(mounts.begin(), RefPtr<vfs::Mount>(&ns.root_mount()));
  return mounts;
}

}  // namespace

std::string PathOf(const vfs::Mount& mount) {
  std::string path;
  for (const vfs::Mount* at = &mount; at->parent() != nullptr; at = at->parent())
    path = PathBelow(&at->parent()->root(), *at->point()) + path;
  return OrSlash(std::move(path));
}

const ServedFilesystems::Served* ServedFilesystems::Find(const vfs::Filesystem& filesystem) const {
  const auto it = std::find_if(served_.begin(), served_.end(), [&](const Served& served) {
    return served.filesystem == &filesystem;
  });
  return it == served_.end() ? nullptr : &*it;
}

// When reads set times is the server's work, for all mounts of a filesystem alike: as the first of
// them says.
absl::StatusOr<int> ServedFilesystems::Serve(const vfs::Mount& mount) {
  RefPtr<vfs::Filesystem> filesystem(&mount.filesystem());
  if (const Served* served = Find(*filesystem); served != nullptr) return served->number;
  vfs::VirtualFilesystem& vfs = filesystem->vfs();
  vfs::MountFlags flags = mount.flags();
  flags.read_only = flags.no_exec = flags.no_suid = flags.no_dev = false;
  const RefPtr<vfs::Mount> own = vfs.MakePrivateMount(*filesystem, flags);
  const int number = next_++;
  absl::StatusOr<UniqueFd> device =
      init_.MakeFuse(number, absl::StrCat("stasis:", name_), staging_);
  if (!device.ok()) return device.status();
  fuse::ServerOptions options;
  options.one_filesystem = true;
  auto server = std::make_shared<fuse::Server>(
      RefPtr<vfs::VirtualFilesystem>(&vfs),
      vfs::VirtualDentry(own, RefPtr<vfs::Dentry>(&own->root())), options);
  if (absl::Status serving = server->Serve(std::move(*device)); !serving.ok()) return serving;
  served_.push_back({number, std::move(filesystem), std::move(server)});
  return number;
}

absl::StatusOr<std::vector<ServedMount>> ServedFilesystems::ServeAll(
    const vfs::MountNamespace& ns) {
  const absl::MutexLock lock(&mu_);
  std::vector<ServedMount> mounts;
  for (const RefPtr<vfs::Mount>& mount : MountsOf(ns)) {
    const absl::StatusOr<int> number = Serve(*mount);
    if (!number.ok()) return number.status();
    mounts.push_back(Describe(*mount, *number));
  }
  return mounts;
}

absl::Status ServedFilesystems::Show(const vfs::Mount& mount, const vfs::MountNamespace& ns) {
  const absl::MutexLock lock(&mu_);
  std::string like;
  if (Find(mount.filesystem()) != nullptr) {
    for (const RefPtr<vfs::Mount>& other : MountsOf(ns))
      if (other != &mount && &other->filesystem() == &mount.filesystem() &&
          other->filesystem().IsRoot(other->root()))
        like = PathOf(*other);
    if (like.empty())
      return absl::FailedPreconditionError(
          absl::StrCat("what is to be mounted on ", PathOf(mount), " is seen nowhere else whole"));
  }
  const absl::StatusOr<int> number = Serve(mount);
  if (!number.ok()) return number.status();
  return init_.AddMount(Describe(mount, *number), like);
}

void ServedFilesystems::EndUnused(vfs::VirtualFilesystem& vfs) {
  const absl::MutexLock lock(&mu_);
  for (auto it = served_.begin(); it != served_.end();) {
    if (vfs.IsMounted(*it->filesystem)) {
      ++it;
      continue;
    }
    (void)init_.ForgetFuse(it->number);
    if (!it->server->WaitUntilUnmountedFor(absl::Milliseconds(100))) {
      ++it;  // a program still has files open in there
      continue;
    }
    it->server->Stop();
    it->server.reset();
    (void)vfs.RemoveFilesystem(*it->filesystem);
    it = served_.erase(it);
  }
}

std::vector<std::pair<std::string, RefPtr<fuse::FuseState>>> ServedFilesystems::States() const {
  const absl::MutexLock lock(&mu_);
  std::vector<std::pair<std::string, RefPtr<fuse::FuseState>>> states;
  for (const Served& served : served_)
    states.emplace_back(states.empty() ? "fuse" : absl::StrCat("fuse.", served.filesystem->dev()),
                        served.server->state());
  return states;
}

std::vector<std::shared_ptr<fuse::Server>> ServedFilesystems::Servers() const {
  const absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<fuse::Server>> servers;
  for (const Served& served : served_) servers.push_back(served.server);
  return servers;
}

uint64_t ServedFilesystems::page_writes() const {
  uint64_t sum = 0;
  for (const auto& server : Servers()) sum += server->stats().page_writes;
  return sum;
}

bool ServedFilesystems::WaitUntilIdleFor(absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  const auto servers = Servers();
  return std::all_of(servers.begin(), servers.end(), [deadline](const auto& server) {
    return server->WaitUntilIdleFor(deadline - absl::Now());
  });
}

bool ServedFilesystems::WaitUntilUnmountedFor(absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  const auto servers = Servers();
  return std::all_of(servers.begin(), servers.end(), [deadline](const auto& server) {
    return server->WaitUntilUnmountedFor(deadline - absl::Now());
  });
}

void ServedFilesystems::Stop() {
  for (const auto& server : Servers()) server->Stop();
}

}  // namespace stasis::sandbox
