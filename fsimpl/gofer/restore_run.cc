// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/gofer/restore_run.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>
#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "fsimpl/gofer/digest.h"

namespace stasis::gofer {
namespace {

using vfs::DriftKind;

constexpr char kNoContent[] = "the image does not hold the content of files on the host";
constexpr char kChanging[] = "it changes while it is read";
constexpr char kNotOurs[] = "it is not the file that was saved";

const char* NameOfType(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "link";
    case S_IFIFO:
      return "fifo";
    case S_IFSOCK:
      return "socket";
    case S_IFCHR:
      return "character device";
    default:
      return "block device";
  }
}

std::string TimeText(TimeNs time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E9SZ", absl::FromUnixNanos(time), absl::UTCTimeZone());
}
std::string ModeText(uint32_t mode) { return absl::StrFormat("%04o", mode & vfs::kPermissionBits); }
std::string OwnerText(const vfs::Stat& stat) { return absl::StrCat(stat.uid, ":", stat.gid); }
std::string KeyText(const HostKey& key) {
  return absl::StrCat("device ", key.dev, " inode ", key.ino);
}

HostInode& Host(vfs::Dentry& dentry) { return static_cast<HostInode&>(dentry.inode()); }

std::string PathOf(const std::string& dir, std::string_view name) {
  return absl::StrCat(dir, "/", std::string(name));
}

}  // namespace

absl::Status RestoreRun::OpenRoot() {
  const absl::StatusOr<std::string> given = context_.FindRoot(fs_.root_name_);
  if (!given.ok()) return given.status();
  const std::string& directory = *given;
  auto root = fs_.ops().OpenRoot(directory);
  if (!root)
    return absl::ErrnoToStatus(
        root.error().value(),
        absl::StrCat("cannot open ", directory, " as the host directory '", fs_.root_name_, "'"));
  fs_.root_fd_ = *std::move(root);
  fs_.directory_ = directory;
  auto found = fs_.ops().Statx(fs_.root_fd_.get(), "");
  if (!found)
    return absl::ErrnoToStatus(found.error().value(), absl::StrCat("cannot look at ", directory));
  if (!fs_.root().is_dir())
    return absl::DataLossError("the root of a host directory is no directory");
  if (const auto saved = Bind(fs_.root(), "/", *found))
    CompareAttributes(fs_.root(), "/", *saved, *found);
  return absl::OkStatus();
}

absl::Status RestoreRun::Reopen() {
  if (absl::Status status = OpenRoot(); !status.ok()) return status;
  Push({&fs_.root(), ""});
  std::vector<std::thread> threads;
  for (int i = 1; i < context_.threads; ++i) threads.emplace_back([this] { Run(); });
  Run();
  for (std::thread& thread : threads) thread.join();
  if (context_.cancelled()) return absl::CancelledError("the restore was cancelled");
  absl::MutexLock lock(&mu_);
  return status_;
}

void RestoreRun::Push(Work work) {
  absl::MutexLock lock(&mu_);
  queue_.push_back(std::move(work));
}

bool RestoreRun::Next(Work& work) {
  absl::MutexLock lock(&mu_);
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !queue_.empty() || running_ == 0 || !status_.ok();
  };
  mu_.Await(absl::Condition(&ready));
  if (queue_.empty() || !status_.ok() || context_.cancelled()) return false;
  // The deepest first: descriptors of directories above are still there.
  work = std::move(queue_.back());
  queue_.pop_back();
  ++running_;
  return true;
}

void RestoreRun::Fail(const Errno& error, const std::string& path) {
  absl::MutexLock lock(&mu_);
  if (status_.ok())
    status_ = absl::ErrnoToStatus(
        error.value(), absl::StrCat("cannot look at ", path, " of '", fs_.root_name_, "' again"));
}

void RestoreRun::Run() {
  Work work;
  while (Next(work)) {
    if (auto compared = CompareChildren(work); !compared)
      Fail(compared.error(), work.path.empty() ? "/" : work.path);
    absl::MutexLock lock(&mu_);
    --running_;
  }
}

Result<void> RestoreRun::CompareChildren(const Work& work) {
  auto& dir = static_cast<HostDirectory&>(work.dentry->inode());
  std::vector<vfs::Dentry*> children;
  {
    absl::ReaderMutexLock lock(&work.dentry->directory().mu);
    work.dentry->directory().ForEach([&](vfs::Dentry& child) { children.push_back(&child); });
  }
  if (dir.detached()) {  // as what is in it
    for (vfs::Dentry* child : children)
      if (child->is_dir()) Push({child, PathOf(work.path, child->name())});
    return {};
  }
  if (children.empty() && !dir.complete()) return {};
  STASIS_ASSIGN_OR_RETURN(const FdCache::Pin control, fs_.Control(dir));
  std::string path = work.path + "/";  // of the child
  const size_t above = path.size();
  for (vfs::Dentry* child : children) {
    if (context_.cancelled()) return {};
    path.replace(above, path.npos, child->name());
    auto compared = CompareChild(path, control.fd(), *child);
    if (compared) continue;
    Fail(compared.error(), path);
    return {};
  }
  return dir.complete() ? FindNew(work, dir, control.fd()) : Result<void>();
}

Result<void> RestoreRun::FindNew(const Work& work, HostDirectory&, int control) {
  STASIS_ASSIGN_OR_RETURN(const UniqueFd fd, fs_.OpenQuietly(control, O_RDONLY | O_DIRECTORY));
  return fs_.ops().ReadDir(fd.get(), [&](const HostDirent& entry) {
    if (work.dentry->directory().Lookup(entry.name) != nullptr) return;
    Report(DriftKind::kNew, *work.dentry, PathOf(work.path, entry.name), "",
           entry.type == 0 ? "" : NameOfType(entry.type), "nothing of it was saved");
  });
}

Result<void> RestoreRun::CompareChild(const std::string& path, int dir, vfs::Dentry& child) {
  HostInode& inode = Host(child);
  if (inode.detached()) {
    if (child.is_dir()) Push({&child, path});
    return {};
  }
  auto looked = fs_.ops().Statx(dir, std::string(child.name()));
  if (!looked && looked.error() != Errno(ENOENT)) return Err(looked.error());
  if (!looked) {
    KeepSaved(inode);
    Report(DriftKind::kMissing, child, path, NameOfType(inode.mode()), "",
           IsSavedWhole(child) ? "" : kNoContent);
    ReportOpenBelow(child, path);
    return {};
  }
  const HostStat& found = *looked;
  if (found.type() != (inode.mode() & S_IFMT)) {
    Report(DriftKind::kType, child, path, NameOfType(inode.mode()), NameOfType(found.type()),
           kNotOurs);
    ReportOpenBelow(child, path);
    absl::MutexLock lock(&mu_);
    unbound_.insert(&child);
    return {};
  }
  const std::optional<HostKey> saved = Bind(child, path, found);
  if (!saved) return {};
  if (inode.loaded()) {
    STASIS_RETURN_IF_ERROR(CompareContent(child, path, dir, found));
    CompareAttributes(child, path, *saved, found);
  }
  if (child.is_dir()) Push({&child, path});
  return {};
}

// Whether the image has all of a file that is on the host: a link, or a directory known to be
// empty.
bool RestoreRun::IsSavedWhole(vfs::Dentry& dentry) {
  HostInode& inode = Host(dentry);
  if (inode.is_symlink()) return !static_cast<HostSymlink&>(inode).target_.empty();
  if (!inode.is_dir() || !static_cast<HostDirectory&>(inode).complete()) return false;
  absl::ReaderMutexLock lock(&dentry.directory().mu);
  return dentry.directory().empty();
}

// Of a whole subtree that is gone only its top is told, and what programs had open.
void RestoreRun::ReportOpenBelow(vfs::Dentry& missing, const std::string& path) {
  if (!missing.is_dir()) return;
  std::vector<std::pair<vfs::Dentry*, std::string>> todo = {{&missing, path}};
  while (!todo.empty()) {
    auto [dir, dir_path] = std::move(todo.back());
    todo.pop_back();
    absl::ReaderMutexLock lock(&dir->directory().mu);
    dir->directory().ForEach([&, at = dir_path](vfs::Dentry& child) {
      const std::string child_path = PathOf(at, child.name());
      if (child.is_dir()) todo.emplace_back(&child, child_path);
      auto* file = dynamic_cast<HostRegular*>(&child.inode());
      if (file == nullptr || file->detached()) return;
      absl::ReaderMutexLock file_lock(&file->mu());
      if (file->handles_ != nullptr && !file->handles_->unused())
        Report(DriftKind::kMissing, child, child_path, "file", "", kNoContent);
    });
  }
}

std::optional<HostKey> RestoreRun::Bind(vfs::Dentry& dentry, const std::string& path,
                                        const HostStat& found) {
  HostInode& inode = Host(dentry);
  const bool several = !inode.is_dir() && inode.nlink() > 1;
  std::string other;
  {
    absl::MutexLock lock(&mu_);
    absl::MutexLock inodes_lock(&fs_.inodes_mu_);
    const auto it = fs_.inodes_.find(found.key);
    const bool fresh = it == fs_.inodes_.end();
    const auto linked = linked_.find(&inode);
    if (linked == linked_.end() && fresh) {
      if (several) linked_.emplace(&inode, path);
      const HostKey saved = inode.key();
      inode.host_dev_ = found.key.dev;
      inode.host_ino_ = found.key.ino;
      fs_.inodes_.insert(&inode);
      return saved;
    }
    if (linked != linked_.end() && !fresh && *it == &inode) return std::nullopt;
    other = linked != linked_.end() ? linked->second : "";
    unbound_.insert(&dentry);
  }
  const bool split = !other.empty();
  Report(DriftKind::kReplaced, dentry, path, split ? "same file as " + other : "a file of its own",
         split ? "another file" : "a name of another file", kNotOurs);
  return std::nullopt;
}

void RestoreRun::Report(DriftKind kind, vfs::Dentry& dentry, const std::string& path,
                        std::string saved, std::string found, std::string not_healable) {
  vfs::Drift drift;
  drift.kind = kind;
  drift.filesystem = &fs_;
  drift.root = fs_.root_name_;
  drift.dentry = RefPtr<vfs::Dentry>(&dentry);
  drift.path = path;
  drift.saved = std::move(saved);
  drift.found = std::move(found);
  drift.not_healable = std::move(not_healable);
  context_.Report(std::move(drift));
}

void RestoreRun::Report(DriftKind kind, vfs::Dentry& dentry, const std::string& path,
                        std::string saved, std::string found) {
  KeepSaved(Host(dentry));
  Report(kind, dentry, path, std::move(saved), std::move(found), "");
}

void RestoreRun::KeepSaved(HostInode& inode) {
  vfs::Stat stat;
  inode.Inode::FillStat(stat);
  absl::MutexLock lock(&mu_);
  saved_.try_emplace(&inode, stat);
}

void RestoreRun::CompareAttributes(vfs::Dentry& dentry, const std::string& path,
                                   const HostKey& saved_key, const HostStat& found) {
  HostInode& inode = Host(dentry);
  const vfs::DriftChecks& checks = context_.checks;
  vfs::Stat now = found.stat;
  fs_.MapOwner(now);
  vfs::Stat saved;
  inode.Inode::FillStat(saved);
  // Of a directory size and times follow from what is in it, of a FIFO from its use; a link's size
  // from its target.
  const bool has_content = inode.is_regular() || inode.is_symlink();
  if (checks.identity && (saved_key != found.key || (saved.btime != 0 && saved.btime != now.btime)))
    Report(DriftKind::kReplaced, dentry, path, KeyText(saved_key), KeyText(found.key), kNotOurs);
  if (checks.size && inode.is_regular() && saved.size != now.size)
    Report(DriftKind::kSize, dentry, path, absl::StrCat(saved.size), absl::StrCat(now.size),
           kNoContent);
  if (checks.mtime && has_content && saved.mtime != now.mtime)
    Report(DriftKind::kMtime, dentry, path, TimeText(saved.mtime), TimeText(now.mtime));
  if (checks.ctime && !inode.is_dir() && saved.ctime != now.ctime)
    Report(DriftKind::kCtime, dentry, path, TimeText(saved.ctime), TimeText(now.ctime),
           "no program can set it");
  if (checks.mode && !inode.is_symlink() &&
      (saved.mode & vfs::kPermissionBits) != (now.mode & vfs::kPermissionBits))
    Report(DriftKind::kMode, dentry, path, ModeText(saved.mode), ModeText(now.mode));
  if (checks.owner && (saved.uid != now.uid || saved.gid != now.gid))
    Report(DriftKind::kOwner, dentry, path, OwnerText(saved), OwnerText(now));
  inode.Adopt(found);
}

Result<void> RestoreRun::CompareContent(vfs::Dentry& dentry, const std::string& path, int dir,
                                        const HostStat& found) {
  HostInode& inode = Host(dentry);
  const std::string name(dentry.name());
  if (inode.is_symlink()) {
    auto& link = static_cast<HostSymlink&>(inode);
    if (link.target_.empty()) return {};
    STASIS_ASSIGN_OR_RETURN(const std::string target, fs_.ops().ReadLink(dir, name));
    if (target != link.target_) Report(DriftKind::kContent, dentry, path, link.target_, target);
    return {};
  }
  auto* file = dynamic_cast<HostRegular*>(&inode);
  if (file == nullptr || !context_.checks.content) return {};
  std::optional<Sha256> saved;
  {
    absl::ReaderMutexLock lock(&file->mu());
    if (file->digest_ != nullptr) saved = file->digest_->sha256;
  }
  if (!saved) return {};
  // Not blocking: by now somebody may have put a FIFO there.
  STASIS_ASSIGN_OR_RETURN(const UniqueFd fd,
                          fs_.ops().OpenBeneath(dir, name, O_RDONLY | O_NONBLOCK, 0));
  auto digest = DigestOf(fs_.ops(), fd.get(), found, context_.cancel);
  const bool changing = !digest && digest.error() == Errno(ESTALE);
  if (!digest && !changing) return Err(digest.error());
  if (changing || *digest != *saved)
    Report(DriftKind::kContent, dentry, path, ToHex(*saved), changing ? kChanging : ToHex(*digest),
           kNoContent);
  return {};
}

absl::Status GoferFilesystem::Reopen(vfs::RestoreContext& context) {
  if (live_) return Reattach(context);
  restore_ = std::make_unique<RestoreRun>(*this, context);
  return restore_->Reopen();
}

absl::Status GoferFilesystem::CompleteRestore(vfs::RestoreContext&) {
  if (live_) {
    LeaveHost();
    return absl::OkStatus();
  }
  absl::Status status = restore_->Complete();
  restore_.reset();
  return status;
}

}  // namespace stasis::gofer
