// SPDX-License-Identifier: Apache-2.0
//
// file_description.h: an open file.
//
// A FileDescription is what open(2) makes and dup(2) and fork(2) share: the file, how it was
// opened, its status flags, its offset. Filesystems derive from it where an open file has state of
// its own; a regular file and a directory need only this class.
//
// The public operations pass the operation gate; positions are in bytes, for directories in the
// units of Directory (0 is the start; "." and ".." come first).

#ifndef STASIS_VFS_FILE_DESCRIPTION_H_
#define STASIS_VFS_FILE_DESCRIPTION_H_

#include <absl/functional/function_ref.h>
#include <absl/synchronization/mutex.h>
#include <fcntl.h>

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "state/annotations.h"
#include "state/base/result.h"
#include "state/object.h"
#include "vfs/file_locks.h"
#include "vfs/options.h"
#include "vfs/path_operation.h"
#include "vfs/stat.h"

namespace stasis::vfs {

class VirtualFilesystem;

// One entry of a directory, as the callback of IterateDirectory sees it.
struct DirectoryEntry {
  std::string_view name;
  uint64_t ino = 0;
  uint32_t type = 0;           // S_IFMT bits
  uint64_t next_position = 0;  // where to go on after this entry
  Dentry* dentry = nullptr;    // borrowed, inside the callback; null for "." and ".."
};

// Thread-safe.
class FileDescription : public state::Object {
 public:
  // `counted`: the inode has been told that it is written or executed (Inode::BeginWriting), and
  // will be told of the end.
  FileDescription(VirtualDentry at, const OpenOptions& options, bool counted = false);
  ~FileDescription() override;

  const VirtualDentry& at() const { return at_; }
  Inode& inode() const { return at_.inode(); }
  bool readable() const { return readable_; }
  bool writable() const { return writable_; }
  // Opened to run the file.
  bool executing() const { return executing_; }
  // The host's open file that this one is: a front end may let the kernel read and write it without
  // asking (Inode::BeginPassthrough). Borrowed, valid as long as the description; -1: none.
  virtual int backing_fd() const { return -1; }
  // As F_GETFL and F_SETFL.
  int status_flags() const { return flags_.load(std::memory_order_relaxed); }
  void SetStatusFlags(int flags);

  Result<Stat> GetStat() const;
  Result<void> SetAttributes(const Credentials& creds, const SetStat& set);

  // At a given position, as pread(2) and pwrite(2). A write to a file opened with O_APPEND goes to
  // its end. Errors: EBADF, EISDIR, EINVAL, EIO, EFBIG, ENOSPC.
  Result<size_t> PRead(uint64_t offset, std::span<std::byte> out);
  Result<size_t> PWrite(uint64_t offset, std::span<const std::byte> bytes);
  // At the file's offset, which moves.
  Result<size_t> Read(std::span<std::byte> out) ABSL_LOCKS_EXCLUDED(offset_mu_);
  Result<size_t> Write(std::span<const std::byte> bytes) ABSL_LOCKS_EXCLUDED(offset_mu_);
  // As fallocate(2), see Inode::Allocate. Errors: EBADF, EINVAL, EFBIG, ENODEV, ESPIPE, EISDIR,
  // ENOSPC, EIO, EOPNOTSUPP.
  Result<void> Allocate(int mode, uint64_t offset, uint64_t length);
  // As copy_file_range(2) at given positions. Returns the bytes copied, fewer only at the end of
  // `from`. Errors: EBADF, EINVAL, EISDIR, EXDEV, EFBIG, ENOSPC, EIO.
  static Result<uint64_t> CopyRange(FileDescription& from, uint64_t from_offset,
                                    FileDescription& to, uint64_t to_offset, uint64_t length);
  // As lseek(2), with SEEK_DATA and SEEK_HOLE. Errors: EBADF, EINVAL, ENXIO, ESPIPE.
  Result<uint64_t> Seek(int64_t offset, int whence) ABSL_LOCKS_EXCLUDED(offset_mu_);

  // Calls `fn` for the entries from `position` on until it returns false. What is added or renamed
  // after the listing was begun (at position 0) is not in it, so it ends. `fn` runs with the
  // directory locked: it must not call back into the filesystem.
  // Errors: EBADF, ENOTDIR, ENOENT of a removed directory, EIO.
  Result<void> IterateDirectory(uint64_t position,
                                absl::FunctionRef<bool(const DirectoryEntry&)> fn);
  // Where the current listing ends, in positions; 0 before the first. To be handed on when a
  // listing goes on with another description.
  uint64_t listing_end() const { return listing_end_.load(std::memory_order_relaxed); }
  void set_listing_end(uint64_t end) { listing_end_.store(end, std::memory_order_relaxed); }
  // The same at the description's own position, as getdents(2).
  Result<void> ReadDirectory(absl::FunctionRef<bool(const DirectoryEntry&)> fn)
      ABSL_LOCKS_EXCLUDED(offset_mu_);

  // As fsync(2). Errors: EIO.
  Result<void> Sync();

  // Locks (file_locks.h). `lock` is as for fcntl(2): its range by l_whence, l_start and l_len, its
  // type F_RDLCK, F_WRLCK or F_UNLCK. Without a waiter as F_SETLK and F_OFD_SETLK; with one as
  // F_SETLKW and F_OFD_SETLKW, called outside the gate.
  // Errors: EBADF without the access that the type needs, EINVAL, EOVERFLOW, EAGAIN, EINTR; EDEADLK
  // of POSIX locks.
  Result<void> SetPosixLock(const LockOwner& owner, const struct flock& lock,
                            Waiter* waiter = nullptr) ABSL_LOCKS_EXCLUDED(offset_mu_);
  Result<void> SetOpenFileLock(const struct flock& lock, Waiter* waiter = nullptr)
      ABSL_LOCKS_EXCLUDED(offset_mu_);
  // As F_GETLK and F_OFD_GETLK: the first lock that is in the way, or `lock` with F_UNLCK.
  // Errors: EBADF, EINVAL, EOVERFLOW.
  Result<struct flock> GetPosixLock(const LockOwner& owner, const struct flock& lock) const
      ABSL_LOCKS_EXCLUDED(offset_mu_);
  Result<struct flock> GetOpenFileLock(const struct flock& lock) const
      ABSL_LOCKS_EXCLUDED(offset_mu_);
  // As flock(2); waits without LOCK_NB if there is a waiter. Errors: EBADF, EINVAL, EAGAIN, EINTR.
  Result<void> Flock(int operation, Waiter* waiter = nullptr);
  // What close(2) does whenever `owner` closes a descriptor, the last one or not: his POSIX locks
  // of the file end.
  void Flush(const LockOwner& owner);

 protected:
  FileDescription() = default;

 private:
  STATE_SAVABLE(FileDescription);

  static VirtualFilesystem& VfsOf(const VirtualDentry& at);

  // Writes at `*offset`, or at the end with O_APPEND; `*offset` gets where.
  Result<size_t> DoWrite(std::span<const std::byte> bytes, uint64_t* offset);
  void TouchAtime();
  // Tells those that watch the file what it was used for.
  void Report(uint32_t events) const;
  Result<void> DoIterate(uint64_t position, absl::FunctionRef<bool(const DirectoryEntry&)> fn);
  // What `lock` asks for. Errors: EBADF, EINVAL, EOVERFLOW.
  Result<FileLock> ParseLock(LockKind kind, const struct flock& lock) const
      ABSL_LOCKS_EXCLUDED(offset_mu_);
  Result<void> SetLock(FileLock lock, const struct flock& asked, Waiter* waiter);
  Result<struct flock> GetLock(const FileLock& lock, const struct flock& asked) const;
  std::vector<FileLock> SaveLocks() const;
  absl::Status LoadLocks(const std::vector<FileLock>& locks, state::LoadContext& context);
  absl::Status AfterLoad(state::LoadContext& context);
  void LoadFailed() { locks_.store(false, std::memory_order_relaxed); }

  // Immutable after construction.
  VirtualDentry at_;
  bool readable_ = false;
  bool writable_ = false;
  bool executing_ = false;
  bool counted_ STATE(nosave) = false;
  bool unreported_ STATE(nosave) = false;

  std::atomic<int> flags_{0};
  // Of a directory: where the current listing ends; 0 before the first.
  std::atomic<uint64_t> listing_end_{0};

  // Whether the FileLockTable may have locks of this description: they are what is saved.
  std::atomic<bool> locks_ STATE(manual){false};

  mutable absl::Mutex offset_mu_ STATE(nosave);
  uint64_t offset_ ABSL_GUARDED_BY(offset_mu_) = 0;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_FILE_DESCRIPTION_H_
