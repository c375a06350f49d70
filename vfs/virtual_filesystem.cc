// SPDX-License-Identifier: Apache-2.0

#include "vfs/virtual_filesystem.h"

#include <linux/fs.h>

#include <algorithm>
#include <utility>

#include "state/base/rcu.h"
#include "state/load_context.h"
#include "vfs/resolving_path.h"

namespace stasis::vfs {

VirtualFilesystem::VirtualFilesystem(const Clock& clock) : clock_(&clock) {}
VirtualFilesystem::VirtualFilesystem() : clock_(nullptr) {}
VirtualFilesystem::~VirtualFilesystem() = default;

void VirtualFilesystem::Teardown() {
  watches_->Clear();
  std::vector<RefPtr<Filesystem>> doomed;
  std::vector<RefPtr<MountNamespace>> namespaces;
  {
    MountChange change;
    absl::MutexLock lock(&locks_.mount_mu);
    mount_tree_.AssertLocked();
    mount_tree_.Clear(change);
    namespaces.swap(namespaces_);
    doomed = std::move(filesystems_);
  }
  namespaces.clear();
  for (const RefPtr<Filesystem>& filesystem : doomed) filesystem->Teardown();
  rcu::Barrier();
}

void VirtualFilesystem::AddFilesystem(RefPtr<Filesystem> filesystem) {
  absl::MutexLock lock(&locks_.mount_mu);
  filesystems_.push_back(std::move(filesystem));
}

Result<void> VirtualFilesystem::RemoveFilesystem(Filesystem& filesystem) {
  RefPtr<Filesystem> doomed;
  {
    absl::MutexLock lock(&locks_.mount_mu);
    const auto it = std::find(filesystems_.begin(), filesystems_.end(), &filesystem);
    if (it == filesystems_.end() || IsMountedLocked(filesystem)) return Err(EBUSY);
    doomed = std::move(*it);
    filesystems_.erase(it);
  }
  doomed->Teardown();
  return {};
}

std::vector<RefPtr<Filesystem>> VirtualFilesystem::filesystems() const {
  absl::MutexLock lock(&locks_.mount_mu);
  return filesystems_;
}

template <typename Op>
auto VirtualFilesystem::Resolve(ResolvingPath& path, Op operation) {
  // Every jump uses up a component, a mount or a link of the path: this ends.
  for (;;) {
    auto result = operation(path.mount().filesystem());
    if (result || result.error() != kJump) [[likely]]
      return result;
  }
}

template <typename Op>
auto VirtualFilesystem::ResolveAndHold(const Credentials& creds, const PathOperation& where,
                                       bool follow, Op operation) {
  // Each round but the last met a file that somebody removed or replaced meanwhile.
  for (;;) {
    ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
    path.set_follow_final_symlink(follow);
    auto result = Resolve(path, [&](Filesystem& fs) { return operation(fs, path); });
    if (result || result.error() != kRetry) [[likely]]
      return result;
  }
}

Result<VirtualDentry> VirtualFilesystem::GetDentryAt(const Credentials& creds,
                                                     const PathOperation& where) {
  return GetDentry(creds, where, where.follow_final_symlink, /*keep_expired=*/false);
}

Result<VirtualDentry> VirtualFilesystem::GetDentry(const Credentials& creds,
                                                   const PathOperation& where, bool follow,
                                                   bool keep_expired) {
  Operation operation(gate_);
  return ResolveAndHold(creds, where, follow,
                        [&](Filesystem& fs, ResolvingPath& path) -> Result<VirtualDentry> {
                          if (keep_expired) path.set_keep_expired();
                          STASIS_ASSIGN_OR_RETURN(Dentry * dentry, fs.GetDentryAt(path));
                          return VirtualDentry::Hold(path.mount(), *dentry);
                        });
}

Result<Stat> VirtualFilesystem::StatAt(const Credentials& creds, const PathOperation& where) {
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  Result<Stat> stat;
  auto done = Resolve(path, [&](Filesystem& fs) { return fs.StatAt(path, *stat); });
  if (!done) stat = Err(done.error());
  return stat;
}

Result<void> VirtualFilesystem::AccessAt(const Credentials& creds, const PathOperation& where,
                                         Access want) {
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  return Resolve(path, [&](Filesystem& fs) { return fs.AccessAt(path, want); });
}

Result<RefPtr<FileDescription>> VirtualFilesystem::OpenAt(const Credentials& creds,
                                                          const PathOperation& where,
                                                          const OpenOptions& asked) {
  OpenOptions options = asked;
  if ((options.flags & O_PATH) != 0) {
    options.flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;  // the others are ignored
  } else {
    // Since Linux 6.3; before, it made a regular file.
    constexpr int kCreateDirectory = O_CREAT | O_DIRECTORY;
    if ((options.flags & kCreateDirectory) == kCreateDirectory) return Err(EINVAL);
    constexpr int kTmpfile = O_TMPFILE & ~O_DIRECTORY;
    if ((options.flags & kTmpfile) != 0 && (options.flags & O_DIRECTORY) == 0) return Err(EINVAL);
  }
  Operation operation(gate_);
  constexpr bool kFollow = true;  // O_NOFOLLOW is among the options
  return ResolveAndHold(creds, where, kFollow, [&](Filesystem& fs, ResolvingPath& path) {
    return fs.OpenAt(path, options);
  });
}

Result<std::string> VirtualFilesystem::ReadLinkAt(const Credentials& creds,
                                                  const PathOperation& where) {
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  return Resolve(path, [&](Filesystem& fs) { return fs.ReadLinkAt(path); });
}

Result<void> VirtualFilesystem::SetAttributesAt(const Credentials& creds,
                                                const PathOperation& where, const SetStat& set) {
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  return Resolve(path, [&](Filesystem& fs) { return fs.SetAttributesAt(path, set); });
}

Result<StatFs> VirtualFilesystem::StatFsAt(const Credentials& creds, const PathOperation& where) {
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  return Resolve(path, [&](Filesystem& fs) { return fs.StatFsAt(path); });
}

Result<void> VirtualFilesystem::MkdirAt(const Credentials& creds, const PathOperation& where,
                                        uint32_t mode, Placement placement) {
  if (where.path.empty()) return Err(ENOENT);
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  return Resolve(path, [&](Filesystem& fs) { return fs.MkdirAt(path, mode, placement); });
}

Result<void> VirtualFilesystem::MknodAt(const Credentials& creds, const PathOperation& where,
                                        const MknodOptions& options) {
  switch (options.mode & S_IFMT) {
    case 0:
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
      break;
    case S_IFDIR:
      return Err(EPERM);
    default:
      return Err(EINVAL);
  }
  if (where.path.empty()) return Err(ENOENT);
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  return Resolve(path, [&](Filesystem& fs) { return fs.MknodAt(path, options); });
}

Result<void> VirtualFilesystem::SymlinkAt(const Credentials& creds, const PathOperation& where,
                                          std::string_view target, Placement placement) {
  if (where.path.empty()) return Err(ENOENT);
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  return Resolve(path, [&](Filesystem& fs) { return fs.SymlinkAt(path, target, placement); });
}

Result<void> VirtualFilesystem::LinkAt(const Credentials& creds, const PathOperation& old_path,
                                       const PathOperation& new_path) {
  Operation operation(gate_);
  ResolvingPath from(mount_tree_.table(), *clock_, creds, old_path);
  STASIS_ASSIGN_OR_RETURN(Dentry * old,
                          Resolve(from, [&](Filesystem& fs) { return fs.GetDentryAt(from); }));
  if (new_path.path.empty()) return Err(ENOENT);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, new_path);
  return Resolve(path, [&](Filesystem& fs) { return fs.LinkAt(path, from.mount(), *old); });
}

Result<void> VirtualFilesystem::UnlinkAt(const Credentials& creds, const PathOperation& where) {
  if (where.path.empty()) return Err(ENOENT);
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  return Resolve(path, [&](Filesystem& fs) { return fs.UnlinkAt(path); });
}

Result<void> VirtualFilesystem::RmdirAt(const Credentials& creds, const PathOperation& where) {
  if (where.path.empty()) return Err(ENOENT);
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  return Resolve(path, [&](Filesystem& fs) { return fs.RmdirAt(path); });
}

Result<void> VirtualFilesystem::RenameAt(const Credentials& creds, const PathOperation& old_path,
                                         const PathOperation& new_path, uint32_t flags) {
  constexpr uint32_t kNotWithExchange = RENAME_NOREPLACE | RENAME_WHITEOUT;
  if ((flags & ~(kNotWithExchange | RENAME_EXCHANGE)) != 0 ||
      ((flags & RENAME_EXCHANGE) != 0 && (flags & kNotWithExchange) != 0)) {
    return Err(EINVAL);
  }
  if (old_path.path.empty()) return Err(ENOENT);
  Operation operation(gate_);
  ResolvingPath from(mount_tree_.table(), *clock_, creds, old_path);
  STASIS_ASSIGN_OR_RETURN(Dentry * old_parent, Resolve(from, [&](Filesystem& fs) {
                            return fs.GetParentDentryAt(from);
                          }));
  if (new_path.path.empty()) return Err(ENOENT);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, new_path);
  const RenameSource source{from.mount(), *old_parent, from.component(), from.must_be_dir()};
  return Resolve(path, [&](Filesystem& fs) { return fs.RenameAt(path, source, flags); });
}

Result<std::string> VirtualFilesystem::GetXattrAt(const Credentials& creds,
                                                  const PathOperation& where,
                                                  std::string_view name) {
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  return Resolve(path, [&](Filesystem& fs) { return fs.GetXattrAt(path, name); });
}

Result<void> VirtualFilesystem::SetXattrAt(const Credentials& creds, const PathOperation& where,
                                           std::string_view name, std::string_view value,
                                           int flags) {
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  return Resolve(path, [&](Filesystem& fs) { return fs.SetXattrAt(path, name, value, flags); });
}

Result<std::vector<std::string>> VirtualFilesystem::ListXattrAt(const Credentials& creds,
                                                                const PathOperation& where) {
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  return Resolve(path, [&](Filesystem& fs) { return fs.ListXattrAt(path); });
}

Result<void> VirtualFilesystem::RemoveXattrAt(const Credentials& creds, const PathOperation& where,
                                              std::string_view name) {
  Operation operation(gate_);
  ResolvingPath path(mount_tree_.table(), *clock_, creds, where);
  return Resolve(path, [&](Filesystem& fs) { return fs.RemoveXattrAt(path, name); });
}

absl::Status VirtualFilesystem::PrepareSave() {
  for (const RefPtr<Filesystem>& filesystem : filesystems()) {
    if (absl::Status status = filesystem->PrepareSave(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void VirtualFilesystem::BeforeResume() {
  for (const RefPtr<Filesystem>& filesystem : filesystems()) filesystem->BeforeResume();
}

absl::Status VirtualFilesystem::Reopen(RestoreContext& context) {
  absl::Status status;
  for (const RefPtr<Filesystem>& filesystem : filesystems())
    status.Update(filesystem->Reopen(context));
  return status;
}

absl::Status VirtualFilesystem::CompleteRestore(RestoreContext& context) {
  for (const RefPtr<Filesystem>& filesystem : filesystems()) {
    if (absl::Status status = filesystem->CompleteRestore(context); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace stasis::vfs
