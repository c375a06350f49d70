// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/gofer/filesystem.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "fsimpl/gofer/inode.h"
#include "fsimpl/gofer/restore_run.h"
#include "state/base/rcu.h"
#include "state/load_context.h"

namespace stasis::gofer {
namespace {

// The longest path that one call takes, without the NUL.
constexpr size_t kMaxPath = 4095;
// How often a file is looked for again, under each of its names in turn: somebody may rename what
// is on its path.
constexpr int kTries = 8;

// Names from the innermost to the outermost, as paths that a call takes each.
std::vector<std::string> JoinPaths(const std::vector<std::string_view>& names) {
  std::vector<std::string> paths(1);
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    if (!paths.back().empty() && paths.back().size() + 1 + name->size() > kMaxPath)
      paths.emplace_back();
    absl::StrAppend(&paths.back(), paths.back().empty() ? "" : "/", std::string(*name));
  }
  return paths;
}

// What may be otherwise when it is tried again.
bool MayBeARace(Errno error) {
  switch (error.value()) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ESTALE:
    case EAGAIN:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string_view NameOf(Interop interop) {
  switch (interop) {
    case Interop::kExclusive:
      return "exclusive";
    case Interop::kWritethrough:
      return "writethrough";
    default:
      return "shared";
  }
}

GoferFilesystem::GoferFilesystem(vfs::VirtualFilesystem& vfs, const GoferOptions& options)
    : TreeFilesystem(vfs),
      root_name_(options.root),
      directory_(options.directory),
      interop_(options.interop),
      specials_(options.specials),
      ops_(options.ops != nullptr ? options.ops : MakeHostOps()),
      owners_(options.owners),
      fds_(std::make_unique<FdCache>(options.fd_limit)) {}

GoferFilesystem::GoferFilesystem() = default;
GoferFilesystem::~GoferFilesystem() = default;

absl::StatusOr<RefPtr<GoferFilesystem>> GoferFilesystem::Create(vfs::VirtualFilesystem& vfs,
                                                                const GoferOptions& options) {
  if (options.root.empty())
    return absl::InvalidArgumentError("a host directory needs a name, by which it is found again");
  auto fs = RefPtr<GoferFilesystem>::Adopt(new GoferFilesystem(vfs, options));
  auto root = fs->ops().OpenRoot(options.directory);
  if (!root)
    return absl::ErrnoToStatus(root.error().value(),
                               absl::StrCat("cannot open the directory ", options.directory));
  fs->root_fd_ = *std::move(root);
  auto found = fs->ops().Statx(fs->root_fd_.get(), "");
  if (!found)
    return absl::ErrnoToStatus(found.error().value(),
                               absl::StrCat("cannot look at ", options.directory));
  const vfs::Operation operation(vfs.gate());
  fs->set_root(vfs::Dentry::MakeRoot(fs->InodeFor(*found, /*loaded=*/true)));
  vfs.AddFilesystem(fs);
  return fs;
}

Result<void> GoferFilesystem::Sync() {
  // O_PATH descriptors cannot be synced.
  STASIS_ASSIGN_OR_RETURN(const UniqueFd root,
                          ops().Reopen(root_fd_.get(), O_RDONLY | O_DIRECTORY));
  return ops().SyncFs(root.get());
}

Result<vfs::StatFs> GoferFilesystem::GetStatFs() const { return ops().GetStatFs(root_fd_.get()); }

RefPtr<HostInode> GoferFilesystem::MakeInode(uint64_t ino, const HostStat& found, bool loaded) {
  HostStat mapped = found;
  MapOwner(mapped.stat);
  RefPtr<HostInode> inode;
  switch (found.type()) {
    case S_IFDIR:
      inode = MakeRef<HostDirectory>(*this, ino, mapped);
      break;
    case S_IFREG:
      inode = MakeRef<HostRegular>(*this, ino, mapped);
      break;
    case S_IFLNK:
      inode = MakeRef<HostSymlink>(*this, ino, mapped);
      break;
    default:
      inode = MakeRef<HostSpecial>(*this, ino, mapped);
  }
  inode->loaded_.store(loaded, std::memory_order_release);
  return inode;
}

RefPtr<HostInode> GoferFilesystem::InodeFor(const HostStat& found, bool loaded) {
  RefPtr<HostInode> known;
  {
    absl::MutexLock lock(&inodes_mu_);
    auto it = inodes_.find(found.key);
    uint64_t ino = 0;
    if (it != inodes_.end() && (*it)->Is(found)) {
      HostInode& inode = **it;
      // A directory has one name; if it has another one by now, the old dentry is to go.
      const bool moved = inode.is_dir() && inode.place_ != nullptr;
      // What was removed here and is found all the same was another file, exchanged just before.
      if (!moved && !inode.deleted() && inode.TryRef()) known = RefPtr<HostInode>::Adopt(&inode);
      ino = inode.ino();
    }
    if (!known) {
      if (it != inodes_.end()) inodes_.erase(it);
      auto inode = MakeInode(ino != 0 ? ino : NextIno(), found, loaded);
      inodes_.insert(inode.get());
      return inode;
    }
  }
  if (!loaded) return known;
  // Of a file with several names somebody may have asked since.
  if (exclusive() || !known->Refresh()) known->Adopt(found);
  return known;
}

void GoferFilesystem::Forget(HostInode& inode) {
  absl::MutexLock lock(&inodes_mu_);
  auto it = inodes_.find(&inode);
  if (it != inodes_.end() && *it == &inode) inodes_.erase(it);
}

void GoferFilesystem::Rebind(HostInode& inode, const HostKey& key) {
  Forget(inode);
  absl::MutexLock lock(&inodes_mu_);
  inodes_.erase(key);
  inode.host_dev_ = key.dev;
  inode.host_ino_ = key.ino;
  inodes_.insert(&inode);
}

HostKey GoferFilesystem::KeyOf(const HostInode* inode) { return inode->key(); }

std::vector<RefPtr<HostInode>> GoferFilesystem::Inodes(
    absl::FunctionRef<bool(const HostInode&)> wanted) {
  std::vector<RefPtr<HostInode>> inodes;
  {
    absl::MutexLock lock(&inodes_mu_);
    for (HostInode* inode : inodes_)
      if (wanted(*inode) && inode->TryRef()) inodes.push_back(RefPtr<HostInode>::Adopt(inode));
  }
  std::sort(inodes.begin(), inodes.end(),
            [](const auto& a, const auto& b) { return a->ino() < b->ino(); });
  return inodes;
}

vfs::Dentry* GoferFilesystem::PlaceOf(HostInode& inode, int n) {
  absl::MutexLock lock(&inodes_mu_);
  const auto [first, last] = more_places_.equal_range(&inode);
  const auto places = 1 + std::distance(first, last);
  return n % places == 0 ? inode.place_ : std::next(first, n % places - 1)->second;
}

void GoferFilesystem::CheckAgain(HostInode& inode) {
  absl::MutexLock lock(&inodes_mu_);
  if (inode.place_ != nullptr) inode.place_->set_unchecked(true);
  const auto [first, last] = more_places_.equal_range(&inode);
  for (auto it = first; it != last; ++it) it->second->set_unchecked(true);
}

Result<FdCache::Pin> GoferFilesystem::Control(HostInode& inode) {
  Errno error(ESTALE);
  for (int i = 0; i < kTries && MayBeARace(error); ++i) {
    if (FdCache::Pin pin = fds_->Find(inode.control_)) return pin;
    if (inode.detached()) return Err(ESTALE);
    auto fd = OpenControl(inode, i);
    if (fd) return fds_->Put(inode.control_, *std::move(fd));
    error = fd.error();
  }
  return Err(error == Errno(ENOENT) || error == Errno(ENOTDIR) || error == Errno(ELOOP)
                 ? Errno(ESTALE)
                 : error);
}

Result<UniqueFd> GoferFilesystem::OpenControl(HostInode& inode, int n) {
  const rcu::ReadLock lock;
  std::vector<std::string_view> names;
  FdCache::Pin anchor;
  if (&root().inode() == &inode) return ops().Reopen(root_fd_.get(), O_PATH | O_DIRECTORY);
  const vfs::Dentry* dentry = PlaceOf(inode, n);
  while (dentry != nullptr && !IsRoot(*dentry)) {
    if (dentry->disconnected()) return Err(ESTALE);
    names.push_back(dentry->name());
    dentry = dentry->parent();
    if (dentry != nullptr && !IsRoot(*dentry))
      anchor = fds_->Find(static_cast<HostInode&>(dentry->inode()).control_);
    if (anchor) break;
  }
  if (dentry == nullptr) return Err(ESTALE);
  int start = anchor ? anchor.fd() : root_fd_.get();
  UniqueFd fd;
  for (const std::string& path : JoinPaths(names)) {
    STASIS_ASSIGN_OR_RETURN(fd, ops().OpenBeneath(start, path, O_PATH, 0));
    start = fd.get();
  }
  STASIS_ASSIGN_OR_RETURN(const HostStat found, ops().Statx(fd.get(), ""));
  if (!inode.Is(found)) return Err(ESTALE);
  return fd;
}

Result<UniqueFd> GoferFilesystem::OpenQuietly(int fd, int flags) const {
  auto quiet = ops().Reopen(fd, flags | O_NOATIME);
  if (quiet || quiet.error() != Errno(EPERM)) return quiet;
  return ops().Reopen(fd, flags);
}

void GoferFilesystem::LookAgain() {
  const auto stale = [](const HostInode& inode) { return inode.loaded() && inode.stale(); };
  std::vector<RefPtr<HostInode>> inodes = Inodes(stale);
  // A reference may be the last one, which is given back inside, too.
  while (!inodes.empty()) {
    const vfs::Operation operation(vfs().gate());
    (void)inodes.back()->Refresh();
    inodes.pop_back();
  }
}

// Programs wait for it: of most files there is nothing to do.
absl::Status GoferFilesystem::PrepareSave() {
  const rcu::ReadLock lock;
  const bool digests = digest_scope() != DigestScope::kNone || has_digests_.load();
  const auto wanted = [digests](const HostInode& inode) {
    return digests || inode.deleted() || inode.has_acl() || (inode.loaded() && inode.stale());
  };
  for (const RefPtr<HostInode>& inode : Inodes(wanted)) {
    // What cannot be found any more is saved as it was seen last: a restore will report it.
    if (inode->loaded() && inode->stale()) (void)inode->Refresh();
    // It is the host's, and asked for again.
    if (inode->has_acl() && !inode->detached()) inode->ForgetAcls();
    if (absl::Status status = inode->PrepareSave(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void GoferFilesystem::BeforeResume() {
  const auto deleted = [](const HostInode& inode) { return inode.deleted(); };
  for (const RefPtr<HostInode>& inode : Inodes(deleted)) inode->BeforeResume();
}

absl::Status GoferFilesystem::AfterLoad(state::LoadContext& context) {
  if (root_name_.empty()) return context.Invalid(*this, "root_name", "is empty");
  const auto* services = context.Service<GoferServices>();
  const GoferServices defaults;
  if (services == nullptr) services = &defaults;
  ops_ = services->ops != nullptr ? services->ops : MakeHostOps();
  owners_ = services->owners;
  fds_ = std::make_unique<FdCache>(services->fd_limit);
  live_ = services->live.contains(root_name_);
  return absl::OkStatus();
}

}  // namespace stasis::gofer
