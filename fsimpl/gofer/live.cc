// SPDX-License-Identifier: Apache-2.0
//
// live.cc: a gofer that another process has served so far, which goes on while this one loads.
//
// What is known is taken as it was: nobody but programs changes the directory, and what they have
// done since is done again, with the host's answers (asked.h). Until that is at its end a name may
// be another file's on the host, so the host is not asked.

#include <absl/strings/str_cat.h>
#include <fcntl.h>

#include <utility>

#include "fsimpl/gofer/inode.h"
#include "vfs/restore_context.h"

namespace stasis::gofer {

absl::Status GoferFilesystem::Reattach(vfs::RestoreContext& context) {
  const absl::StatusOr<std::string> given = context.FindRoot(root_name_);
  if (!given.ok()) return given.status();
  auto opened = ops().OpenRoot(*given);
  const auto found =
      opened ? ops().Statx(opened->get(), "") : Result<HostStat>(Err(opened.error()));
  if (!found)
    return absl::ErrnoToStatus(
        found.error().value(),
        absl::StrCat("cannot open ", *given, " as the host directory '", root_name_, "'"));
  if (found->key != static_cast<HostInode&>(root().inode()).key())
    return absl::FailedPreconditionError(
        absl::StrCat("the host directory '", root_name_, "' is not at ", *given, " any more"));
  root_fd_ = *std::move(opened);
  directory_ = *given;
  return absl::OkStatus();
}

// What a program has removed or moved by now is opened by GoOn().
void GoferFilesystem::LeaveHost() {
  for (const RefPtr<HostInode>& inode : Inodes(&HostInode::IsRegular)) {
    auto& file = static_cast<HostRegular&>(*inode);
    const absl::MutexLock lock(&file.mu());
    if (!file.OpenHandlesAgain(/*force=*/false)) OpenLater(file);
  }
  real_ops_ = std::exchange(ops_, MakeNoHostOps());
}

Result<std::vector<DeletedFile>> GoferFilesystem::DeletedFiles() {
  std::vector<DeletedFile> files;
  const auto deleted = [](const HostInode& inode) { return inode.deleted(); };
  for (const RefPtr<HostInode>& inode : Inodes(deleted)) {
    const FdCache::Pin pin = fds_->Find(inode->control_);
    if (!pin) continue;  // nobody can find it any more
    UniqueFd copy(fcntl(pin.fd(), F_DUPFD_CLOEXEC, 3));
    if (!copy.valid()) return Err(errno);
    files.push_back({inode->key(), std::move(copy)});
  }
  return files;
}

void GoferFilesystem::OpenLater(HostRegular& file) { unopened_.emplace_back(&file); }

absl::Status GoferFilesystem::OpenAgain(HostRegular& file) {
  const absl::MutexLock lock(&file.mu());
  const Result<void> opened = file.OpenHandlesAgain(/*force=*/true);
  if (opened) return absl::OkStatus();
  const vfs::Dentry* place = PlaceOf(file);
  return absl::FailedPreconditionError(
      absl::StrCat("cannot open ", place == nullptr ? "a file" : place->PathForMessages(),
                   " of the host directory '", root_name_, "' again: ", ErrnoName(opened.error())));
}

absl::Status GoferFilesystem::GoOn(std::vector<DeletedFile> deleted) {
  live_ = false;
  ops_ = std::exchange(real_ops_, nullptr);
  for (DeletedFile& file : deleted) {
    RefPtr<HostInode> inode;
    {
      const absl::MutexLock lock(&inodes_mu_);
      const auto it = inodes_.find(file.key);
      if (it != inodes_.end() && (*it)->deleted() && (*it)->TryRef())
        inode = RefPtr<HostInode>::Adopt(*it);
    }
    if (inode == nullptr) continue;  // nobody uses it here
    const FdCache::Pin pin = fds_->Put(inode->control_, std::move(file.fd));
    fds_->Keep(inode->control_, true);
  }
  for (const RefPtr<HostRegular>& file : std::exchange(unopened_, {}))
    if (absl::Status opened = OpenAgain(*file); !opened.ok()) return opened;
  return absl::OkStatus();
}

}  // namespace stasis::gofer
