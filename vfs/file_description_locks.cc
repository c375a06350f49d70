// SPDX-License-Identifier: Apache-2.0
//
// file_description_locks.cc: the locks of a FileDescription: fcntl(2), flock(2).

#include <sys/file.h>

#include "state/load_context.h"
#include "vfs/file_description.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {
namespace {

constexpr int64_t kMaxOffset = FileLock::kMaxOffset;

// The bytes that `lock` means, with l_start counted from `base`. Errors: EINVAL, EOVERFLOW.
Result<void> SetRange(const struct flock& asked, int64_t base, FileLock& lock) {
  if (asked.l_start > kMaxOffset - base) return Err(EOVERFLOW);
  const int64_t start = base + asked.l_start;
  if (start < 0) return Err(EINVAL);
  int64_t first = start;
  int64_t last = kMaxOffset;
  if (asked.l_len > 0) {
    if (asked.l_len - 1 > kMaxOffset - start) return Err(EOVERFLOW);
    last = start + (asked.l_len - 1);
  } else if (asked.l_len < 0) {
    if (start + asked.l_len < 0) return Err(EINVAL);
    last = start - 1;
    first = start + asked.l_len;
  }
  lock.start = static_cast<uint64_t>(first);
  lock.last = static_cast<uint64_t>(last);
  return {};
}

// What F_GETLK says of a lock.
struct flock Describe(const FileLock& lock) {
  struct flock found = {};
  found.l_type = lock.type == LockType::kExclusive ? F_WRLCK : F_RDLCK;
  found.l_whence = SEEK_SET;
  found.l_start = static_cast<off_t>(lock.start);
  found.l_len =
      lock.last == FileLock::kMaxOffset ? 0 : static_cast<off_t>(lock.last - lock.start + 1);
  found.l_pid = lock.kind == LockKind::kOpenFile ? -1 : lock.pid;
  return found;
}

}  // namespace

// In the order of Linux, whose callers see the first error.
Result<FileLock> FileDescription::ParseLock(LockKind kind, const struct flock& asked) const {
  if ((status_flags() & O_PATH) != 0) return Err(EBADF);
  int64_t base = 0;
  switch (asked.l_whence) {
    case SEEK_SET:
      break;
    case SEEK_CUR: {
      absl::MutexLock lock(&offset_mu_);
      base = static_cast<int64_t>(offset_);
      break;
    }
    case SEEK_END:
      base = static_cast<int64_t>(inode().size());
      break;
    default:
      return Err(EINVAL);
  }
  FileLock lock{.kind = kind, .description = kind == LockKind::kPosix ? nullptr : this};
  STASIS_RETURN_IF_ERROR(SetRange(asked, base, lock));
  if (asked.l_type != F_RDLCK && asked.l_type != F_WRLCK && asked.l_type != F_UNLCK)
    return Err(EINVAL);
  lock.type = asked.l_type == F_WRLCK ? LockType::kExclusive : LockType::kShared;
  return lock;
}

Result<void> FileDescription::SetLock(FileLock lock, const struct flock& asked, Waiter* waiter) {
  if (asked.l_type == F_RDLCK && !readable_) return Err(EBADF);
  if (asked.l_type == F_WRLCK && !writable_) return Err(EBADF);
  if (lock.kind == LockKind::kOpenFile && asked.l_pid != 0) return Err(EINVAL);
  FileLockTable& table = *at_.mount().filesystem().file_locks();
  OperationGate& gate = VfsOf(at_).gate();
  if (asked.l_type == F_UNLCK) {
    Operation operation(gate);
    table.Unlock(inode(), lock);
    return {};
  }
  if (lock.kind == LockKind::kPosix) {
    inode().set_has_locks();
  } else {
    locks_.store(true, std::memory_order_relaxed);
  }
  return table.Lock(gate, inode(), lock, waiter);
}

Result<void> FileDescription::SetPosixLock(const LockOwner& owner, const struct flock& asked,
                                           Waiter* waiter) {
  STASIS_ASSIGN_OR_RETURN(FileLock lock, ParseLock(LockKind::kPosix, asked));
  lock.owner = owner.id;
  lock.pid = owner.pid;
  return SetLock(lock, asked, waiter);
}

Result<void> FileDescription::SetOpenFileLock(const struct flock& asked, Waiter* waiter) {
  STASIS_ASSIGN_OR_RETURN(const FileLock lock, ParseLock(LockKind::kOpenFile, asked));
  return SetLock(lock, asked, waiter);
}

Result<struct flock> FileDescription::GetLock(const FileLock& lock,
                                              const struct flock& asked) const {
  const FileLockTable& table = *at_.mount().filesystem().file_locks();
  const auto found =
      asked.l_type == F_UNLCK ? table.FindOwn(inode(), lock) : table.FindConflict(inode(), lock);
  if (found) return Describe(*found);
  struct flock free = asked;
  free.l_type = F_UNLCK;
  return free;
}

Result<struct flock> FileDescription::GetPosixLock(const LockOwner& owner,
                                                   const struct flock& asked) const {
  if ((status_flags() & O_PATH) != 0) return Err(EBADF);
  if (asked.l_type != F_RDLCK && asked.l_type != F_WRLCK) return Err(EINVAL);
  STASIS_ASSIGN_OR_RETURN(FileLock lock, ParseLock(LockKind::kPosix, asked));
  lock.owner = owner.id;
  return GetLock(lock, asked);
}

// Since Linux 6.5, F_UNLCK asks for the description's own locks.
Result<struct flock> FileDescription::GetOpenFileLock(const struct flock& asked) const {
  STASIS_ASSIGN_OR_RETURN(const FileLock lock, ParseLock(LockKind::kOpenFile, asked));
  if (asked.l_pid != 0) return Err(EINVAL);
  return GetLock(lock, asked);
}

Result<void> FileDescription::Flock(int operation, Waiter* waiter) {
  if ((status_flags() & O_PATH) != 0) return Err(EBADF);
  FileLock lock{.kind = LockKind::kFlock, .description = this};
  FileLockTable& table = *at_.mount().filesystem().file_locks();
  OperationGate& gate = VfsOf(at_).gate();
  switch (operation & ~LOCK_NB) {
    case LOCK_SH:
      break;
    case LOCK_EX:
      lock.type = LockType::kExclusive;
      break;
    case LOCK_UN: {
      Operation inside(gate);
      table.Unlock(inode(), lock);
      return {};
    }
    default:
      return Err(EINVAL);
  }
  locks_.store(true, std::memory_order_relaxed);
  return table.Lock(gate, inode(), lock, (operation & LOCK_NB) != 0 ? nullptr : waiter);
}

void FileDescription::Flush(const LockOwner& owner) {
  if ((status_flags() & O_PATH) != 0 || !inode().has_locks()) return;
  Operation operation(VfsOf(at_).gate());
  at_.mount().filesystem().file_locks()->Unlock(inode(),
                                                {.kind = LockKind::kPosix, .owner = owner.id});
}

std::vector<FileLock> FileDescription::SaveLocks() const {
  if (!locks_.load(std::memory_order_relaxed) || !at_.complete()) return {};
  return at_.mount().filesystem().file_locks()->LocksOf(inode(), *this);
}

absl::Status FileDescription::LoadLocks(const std::vector<FileLock>& locks,
                                        state::LoadContext& context) {
  if (locks.empty()) return absl::OkStatus();
  FileLockTable* table =
      at_.complete() && at_.IsConsistent() ? at_.mount().filesystem().FileLocksInLoad() : nullptr;
  if (table == nullptr) return context.Invalid(*this, "locks", "are of a file that is not there");
  for (FileLock lock : locks) {
    if (lock.kind == LockKind::kPosix || lock.owner != 0)
      return context.Invalid(*this, "locks", "has one that is not the description's");
    lock.description = this;
    if (!table->Restore(inode(), lock))
      return context.Invalid(*this, "locks", "has one without a valid range of its own");
  }
  locks_.store(true, std::memory_order_relaxed);
  return absl::OkStatus();
}

}  // namespace stasis::vfs
