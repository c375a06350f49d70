// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/served_filesystems.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "fsimpl/gofer/filesystem.h"

namespace stasis::sandbox {
namespace {

uint64_t AttributesOf(vfs::MountFlags flags) {
  // Whose device nodes they would be is not for files in a sandbox to say.
  uint64_t attributes = MOUNT_ATTR_NODEV;
  if (flags.read_only) attributes |= MOUNT_ATTR_RDONLY;
  if (flags.no_exec) attributes |= MOUNT_ATTR_NOEXEC;
  if (flags.no_suid) attributes |= MOUNT_ATTR_NOSUID;
  if (flags.no_atime) attributes |= MOUNT_ATTR_NOATIME;
  if (flags.strict_atime) attributes |= MOUNT_ATTR_STRICTATIME;
  if (flags.no_dir_atime) attributes |= MOUNT_ATTR_NODIRATIME;
  if (flags.no_sym_follow) attributes |= MOUNT_ATTR_NOSYMFOLLOW;
  return attributes;
}

ServedMount Describe(const vfs::VirtualFilesystem::MountPlace& place, int number) {
  return {number, place.root, place.path, AttributesOf(place.mount->flags()), place.sharing};
}

uint64_t TypeOf(const vfs::MountSharing& sharing) {
  if (sharing.propagates()) return sharing.group != 0 ? MS_SHARED : MS_SLAVE;
  return sharing.unbindable ? MS_UNBINDABLE : MS_PRIVATE;
}

// Of an init that was started by an older version, and is the sandbox's as long as it runs.
absl::Status OfInit(absl::Status status) {
  if (!absl::IsUnimplemented(status)) return status;
  return absl::FailedPreconditionError(
      "the sandbox was started by an older version, which cannot share mounts; restore it from a "
      "checkpoint");
}

// What is saved of a deleted host file is its content: who goes on has another file than those that
// the kernel reads and writes without asking.
absl::Status CheckBackings(const fuse::Server& server, const fuse::Connection& connection) {
  for (const fuse::Connection::Backing& backing : connection.backings) {
    const RefPtr<fuse::Node> node = server.state()->nodes().Find(backing.node);
    if (!backing.begun || node == nullptr || node->at().inode().nlink() != 0) continue;
    const auto* host =
        dynamic_cast<const gofer::GoferFilesystem*>(&node->at().inode().filesystem());
    if (host != nullptr && host->keeps_answers()) continue;  // it gets the file itself
    return absl::FailedPreconditionError(
        absl::StrCat("a program has a file of a host directory open that was deleted (inode ",
                     node->at().inode().ino(), "); try again when it has closed it"));
  }
  return absl::OkStatus();
}

}  // namespace

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
  flags.read_only = flags.no_exec = flags.no_suid = flags.no_dev = flags.no_sym_follow = false;
  const RefPtr<vfs::Mount> own = vfs.MakePrivateMount(*filesystem, flags);
  const int number = next_++;
  absl::StatusOr<UniqueFd> device = init_.MakeFuse(number, source(), staging_);
  if (!device.ok()) return device.status();
  auto server = std::make_shared<fuse::Server>(
      RefPtr<vfs::VirtualFilesystem>(&vfs),
      vfs::VirtualDentry(own, RefPtr<vfs::Dentry>(&own->root())), OptionsFor(*filesystem));
  if (absl::Status serving = server->Serve(std::move(*device)); !serving.ok()) return serving;
  served_.push_back({number, std::move(filesystem), std::move(server), UniqueFd()});
  return number;
}

absl::StatusOr<std::vector<ServedMount>> ServedFilesystems::ServeAll(vfs::VirtualFilesystem& vfs,
                                                                     vfs::MountNamespace& ns) {
  const absl::MutexLock lock(&mu_);
  std::vector<ServedMount> mounts;
  for (const auto& place : vfs.MountPlaces(ns)) {
    const absl::StatusOr<int> number = Serve(*place.mount);
    if (!number.ok()) return number.status();
    mounts.push_back(Describe(place, *number));
  }
  return mounts;
}

absl::Status ServedFilesystems::Show(const vfs::Mount& mount, vfs::VirtualFilesystem& vfs,
                                     const vfs::MountNamespace& ns) {
  const absl::MutexLock lock(&mu_);
  const bool known = Find(mount.filesystem()) != nullptr;
  bool seen = false;
  ServedMount shown;
  std::vector<std::string> whole;
  for (const auto& place : vfs.MountPlaces(ns)) {
    if (&place.mount->filesystem() != &mount.filesystem()) continue;
    if (place.mount == &mount) {
      shown = Describe(place, 0);
      continue;
    }
    seen = true;
    if (place.root == "/") whole.push_back(place.path);
  }
  const absl::StatusOr<int> number = Serve(mount);
  if (!number.ok()) return number.status();
  shown.filesystem = *number;
  if (known && !seen)
    return absl::FailedPreconditionError(
        absl::StrCat("what is to be mounted on ", shown.target,
                     " was unmounted, but a program still has files of it open; end that first"));
  return OfInit(init_.AddMount(shown, known ? whole : std::vector<std::string>()));
}

absl::Status ServedFilesystems::ShowPropagation(const vfs::Mount& mount,
                                                vfs::VirtualFilesystem& vfs,
                                                const vfs::MountNamespace& ns) {
  for (const auto& place : vfs.MountPlaces(ns)) {
    if (place.mount != &mount) continue;
    const absl::MutexLock lock(&mu_);
    const Served* served = Find(mount.filesystem());
    if (served == nullptr) break;
    return OfInit(init_.ChangeMount(served->number, place.path, TypeOf(place.sharing)));
  }
  return absl::NotFoundError("it is not served");
}

void ServedFilesystems::EndUnusedGroups(vfs::VirtualFilesystem& vfs,
                                        const vfs::MountNamespace& ns) {
  std::set<std::pair<int, uint32_t>> kept;
  for (const auto& place : vfs.MountPlaces(ns)) {
    const absl::MutexLock lock(&mu_);
    const Served* served = Find(place.mount->filesystem());
    if (served == nullptr) continue;
    if (place.sharing.group != 0) kept.emplace(served->number, place.sharing.group);
    for (const uint32_t master : place.sharing.masters) kept.emplace(served->number, master);
  }
  (void)init_.KeepGroups(kept);  // an older one has none
}

absl::Status ServedFilesystems::Hide(const vfs::Filesystem& filesystem, const std::string& target,
                                     bool detach) {
  int number = 0;
  {
    const absl::MutexLock lock(&mu_);
    const Served* served = Find(filesystem);
    if (served == nullptr) return absl::NotFoundError("it is not served");
    number = served->number;
  }
  return init_.RemoveMount(number, target, detach);
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
    if (kept_) {
      const vfs::Operation inside(vfs.gate());
      kept_->Drop(*it->filesystem);
    }
    (void)vfs.RemoveFilesystem(*it->filesystem);
    it = served_.erase(it);
  }
}

void ServedFilesystems::Forget() {
  const absl::MutexLock lock(&mu_);
  for (const Served& served : served_) (void)init_.ForgetFuse(served.number);
}

int ServedFilesystems::next_number() const {
  const absl::MutexLock lock(&mu_);
  return next_;
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

bool ServedFilesystems::PauseFor(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  const auto servers = Servers();
  const bool all = std::all_of(servers.begin(), servers.end(), [deadline](const auto& server) {
    return server->PauseFor(deadline - absl::Now());
  });
  if (!all) Resume();
  return all;
}

void ServedFilesystems::Resume() {
  for (const auto& server : Servers()) server->Resume();
}

absl::StatusOr<std::vector<ServedFilesystems::Lent>> ServedFilesystems::Lend() const {
  const auto states = States();
  const absl::MutexLock lock(&mu_);
  std::vector<Lent> lent;
  for (const Served& served : served_) {
    UniqueFd device(fcntl(served.server->device(), F_DUPFD_CLOEXEC, 3));
    if (!device.valid()) return absl::ErrnoToStatus(errno, "cannot copy the descriptor of a mount");
    fuse::Connection connection = served.server->connection();
    if (absl::Status ok = CheckBackings(*served.server, connection); !ok.ok()) return ok;
    lent.push_back(
        {served.number, states[lent.size()].first, std::move(device), std::move(connection)});
  }
  return lent;
}

absl::Status ServedFilesystems::Adopt(std::vector<Lent> lent,
                                      const std::map<std::string, RefPtr<fuse::FuseState>>& states,
                                      bool died) {
  const absl::MutexLock lock(&mu_);
  for (Lent& one : lent) {
    const auto found = states.find(one.state);
    if (found == states.end())
      return absl::DataLossError(absl::StrCat("the state ", one.state, " of a mount is missing"));
    RefPtr<vfs::Filesystem> filesystem(&found->second->root().mount().filesystem());
    fuse::ServerOptions options = OptionsFor(*filesystem);
    options.resend = died;
    auto server = std::make_shared<fuse::Server>(RefPtr<vfs::VirtualFilesystem>(&filesystem->vfs()),
                                                 found->second, options);
    server->Know(one.connection);
    served_.push_back(
        {one.number, std::move(filesystem), std::move(server), std::move(one.device)});
  }
  return absl::OkStatus();
}

absl::StatusOr<fuse::ReplayReport> ServedFilesystems::RunAgain(const fuse::Journal& journal,
                                                               uint64_t from) const {
  const absl::MutexLock lock(&mu_);
  return fuse::Replay(journal, from, [this](uint32_t dev) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto it = std::find_if(served_.begin(), served_.end(), [dev](const Served& served) {
      return served.filesystem->dev() == dev;
    });
    return it == served_.end() ? nullptr : it->server.get();
  });
}

absl::Status ServedFilesystems::Connect() {
  const absl::MutexLock lock(&mu_);
  for (Served& served : served_)
    if (absl::Status serving = served.server->Adopt(std::move(served.device)); !serving.ok())
      return serving;
  return absl::OkStatus();
}

fuse::ServerOptions ServedFilesystems::OptionsFor(const vfs::Filesystem& filesystem) const {
  fuse::ServerOptions options;
  options.one_filesystem = true;
  options.journal = journal_;
  options.journal_id = filesystem.dev();
  return options;
}

void ServedFilesystems::SetJournal(fuse::Journal* journal) {
  const absl::MutexLock lock(&mu_);
  journal_ = journal;
}

void ServedFilesystems::KeepReplies(fuse::Journal& journal) const {
  for (const auto& server : Servers()) server->KeepReplies(journal);
}

void ServedFilesystems::Record(fuse::Journal* journal) {
  for (const auto& server : Servers()) server->Record(journal);
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
