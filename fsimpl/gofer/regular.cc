// SPDX-License-Identifier: Apache-2.0
//
// regular.cc: regular host files: handles and data.

#include <absl/cleanup/cleanup.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "fsimpl/gofer/asked.h"
#include "fsimpl/gofer/inode.h"
#include "state/base/rcu.h"
#include "state/load_context.h"

namespace stasis::gofer {

HostRegular::HostRegular(GoferFilesystem& fs, const vfs::NewFile& file, TimeNs now)
    : HostInode(fs, file, 1, now) {}

HostRegular::Handles& HostRegular::MakeHandles() {
  if (handles_ == nullptr) handles_ = std::make_unique<Handles>();
  return *handles_;
}

Result<UniqueFd> HostRegular::OpenHandle(int flags, bool force) {
  STASIS_ASSIGN_OR_RETURN(const FdCache::Pin pin, fs().Control(*this));
  HostOps& ops = fs().ops();
  // On an overlay, which is about to copy the file up, it would go on showing the file before.
  if ((flags & O_ACCMODE) != O_RDONLY) fs().fds_->NoReader(control_);
  // Non-blocking: what is opened is a regular file, but a lease of somebody's must not hold us up.
  flags |= O_NONBLOCK | O_LARGEFILE;
  auto fd = fs().interop() == Interop::kExclusive ? fs().OpenQuietly(pin.fd(), flags)
                                                  : ops.Reopen(pin.fd(), flags);
  if (fd || fd.error() != Errno(EACCES) || !force) return fd;
  // Who had the file open before its mode forbade that has it open again.
  STASIS_ASSIGN_OR_RETURN(const HostStat found, ops.Statx(pin.fd(), ""));
  const uint32_t bits = found.stat.mode & vfs::kPermissionBits;
  STASIS_RETURN_IF_ERROR(ops.Chmod(pin.fd(), bits | S_IRUSR | S_IWUSR));
  fd = ops.Reopen(pin.fd(), flags);
  STASIS_RETURN_IF_ERROR(ops.Chmod(pin.fd(), bits));
  return fd;
}

// Where nobody else changes files the descriptor is there for the next one, too.
Result<FdCache::Pin> HostRegular::OpenReader(bool force) {
  if (FdCache::Pin pin = fs().fds_->Find(control_); pin && pin.readable()) return pin;
  STASIS_ASSIGN_OR_RETURN(UniqueFd fd, OpenHandle(O_RDONLY, force));
  return fs().fds_->PutReader(control_, std::move(fd), /*again=*/fs().exclusive());
}

Result<void> HostRegular::OpenHandlesAgain(bool force) {
  if (handles_ == nullptr || handles_->unused()) return {};
  return OpenHandles(handles_->readers != 0, handles_->writers != 0, force);
}

Result<void> HostRegular::OpenHandles(bool read, bool write, bool force) {
  if (detached()) return {};
  Handles& handles = MakeHandles();
  if (write && !handles.write.valid()) {
    auto fd = OpenHandle(O_RDWR, force);
    handles.write_reads = fd.has_value();
    if (!fd && fd.error() == Errno(EACCES)) fd = OpenHandle(O_WRONLY, force);
    if (!fd) return Err(fd.error());
    handles.write = *std::move(fd);
  }
  if (read && handles.reader() < 0) {
    STASIS_ASSIGN_OR_RETURN(handles.read, OpenReader(force));
  }
  return {};
}

// Only where nobody but us could put a device in the file's place: its directory is locked. What
// does not work is done the long way.
void HostRegular::OpenByName(const vfs::Dentry& dentry) {
  if (!fs().exclusive() || detached() || fs().fds_->Find(control_)) return;
  const rcu::ReadLock rcu;
  vfs::Dentry* parent = dentry.parent();
  if (parent == nullptr) return;
  absl::ReaderMutexLock directory_lock(&parent->directory().mu);
  if (dentry.disconnected() || dentry.parent() != parent) return;
  absl::MutexLock lock(&mu());
  auto dir = fs().Control(static_cast<HostInode&>(parent->inode()));
  if (!dir) return;
  constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_LARGEFILE;
  auto fd = fs().ops().OpenBeneath(dir->fd(), std::string(dentry.name()),
                                   kFlags | fs().new_file_flags(), 0);
  if (!fd) return;
  const auto found = fs().ops().Statx(fd->get(), "");
  if (found && Is(*found)) fs().fds_->PutReader(control_, *std::move(fd), /*again=*/true);
}

void HostRegular::TakeHandle(UniqueFd fd) {
  absl::MutexLock lock(&mu());
  Handles& handles = MakeHandles();
  if (handles.write.valid()) return;
  handles.write = std::move(fd);
  handles.write_reads = true;
}

Result<RefPtr<vfs::FileDescription>> HostRegular::Open(const vfs::VirtualDentry& at,
                                                       const vfs::OpenOptions& options) {
  if ((options.flags & O_PATH) != 0) return Inode::Open(at, options);
  const bool counted = options.writable() || options.execute;
  if (counted) STASIS_RETURN_IF_ERROR(options.execute ? BeginExecuting() : BeginWriting());
  absl::Cleanup undo = [&] {
    if (counted) options.execute ? EndExecuting() : EndWriting();
  };
  const bool read = options.readable() || options.execute;
  if (!options.writable()) OpenByName(at.dentry());
  {
    absl::MutexLock lock(&mu());
    if (!detached()) {
      const auto open = [&] {
        mu().AssertHeld();
        return OpenHandles(read, options.writable(), /*force=*/false);
      };
      STASIS_RETURN_IF_ERROR(Asked(fs(), Question::kOpen, ino(), "", open));
      if (fs().without_host()) fs().OpenLater(*this);
    }
    Handles& handles = MakeHandles();
    handles.readers += read ? 1 : 0;
    handles.writers += options.writable() ? 1 : 0;
  }
  std::move(undo).Cancel();
  return RefPtr<vfs::FileDescription>(MakeRef<HostFileDescription>(at, options, counted));
}

void HostRegular::CountOpen(bool read, bool write) {
  absl::MutexLock lock(&mu());
  Handles& handles = MakeHandles();
  handles.readers += read ? 1 : 0;
  handles.writers += write ? 1 : 0;
}

void HostRegular::Close(bool read, bool write) {
  std::unique_ptr<Handles> closed;  // outside of the lock
  absl::MutexLock lock(&mu());
  if (handles_ == nullptr) return;
  handles_->readers -= read ? 1 : 0;
  handles_->writers -= write ? 1 : 0;
  if (handles_->unused()) closed = std::move(handles_);
}

int HostRegular::backing_fd(bool write) const {
  absl::ReaderMutexLock lock(&mu());
  if (handles_ == nullptr) return -1;
  return write ? handles_->write.get() : handles_->reader();
}

Result<int> HostRegular::Reader() const {
  if (handles_ == nullptr || handles_->reader() < 0) return Err(EBADF);
  return handles_->reader();
}

Result<int> HostRegular::Writer() const {
  if (handles_ == nullptr || !handles_->write.valid()) return Err(EBADF);
  return handles_->write.get();
}

Result<HostStat> HostRegular::StatHost() {
  if (handles_ != nullptr) {
    if (const int fd = handles_->any(); fd >= 0) return fs().ops().Statx(fd, "");
  }
  return HostInode::StatHost();
}

Result<size_t> HostRegular::Read(uint64_t offset, std::span<std::byte> out) {
  absl::ReaderMutexLock lock(&mu());
  if (detached()) {
    if (offset >= size()) return 0;
    out = out.first(std::min<uint64_t>(out.size(), size() - offset));
    if (data_ == nullptr) {
      std::fill(out.begin(), out.end(), std::byte{0});
    } else {
      STASIS_RETURN_IF_ERROR(data_->Read(offset, out));
    }
    return out.size();
  }
  STASIS_ASSIGN_OR_RETURN(const int fd, Reader());
  size_t done = 0;
  while (done < out.size()) {
    auto size = fs().ops().Read(fd, offset + done, out.subspan(done));
    if (!size && size.error() == Errno(EINTR)) continue;
    if (!size && done == 0) return Err(size.error());
    if (!size || *size == 0) break;
    done += *size;
  }
  return done;
}

Result<size_t> HostRegular::WriteHost(uint64_t offset, std::span<const std::byte> bytes) {
  const auto write = [&]() -> Result<size_t> {
    mu().AssertReaderHeld();
    STASIS_ASSIGN_OR_RETURN(const int fd, Writer());
    size_t done = 0;
    while (done < bytes.size()) {
      auto size = fs().ops().Write(fd, offset + done, bytes.subspan(done));
      if (!size && size.error() == Errno(EINTR)) continue;
      if (!size && done == 0) return Err(size.error());
      if (!size || *size == 0) break;
      done += *size;
    }
    return done;
  };
  STASIS_ASSIGN_OR_RETURN(const size_t done, Asked(fs(), Question::kWrite, ino(), "", write));
  RaiseSize(offset + done);
  set_stale();
  return done;
}

vfs::FileData& HostRegular::MakeData() {
  if (data_ == nullptr) data_ = std::make_unique<vfs::FileData>();
  return *data_;
}

Result<size_t> HostRegular::WriteDetached(uint64_t offset, std::span<const std::byte> bytes,
                                          TimeNs now) {
  if (offset >= vfs::kMaxFileSize) return Err(EFBIG);
  bytes = bytes.first(std::min<uint64_t>(bytes.size(), vfs::kMaxFileSize - offset));
  STASIS_RETURN_IF_ERROR(MakeData().Write(offset, bytes));
  RaiseSize(offset + bytes.size());
  TouchModified(now);
  return bytes.size();
}

Result<size_t> HostRegular::Write(uint64_t offset, std::span<const std::byte> bytes, TimeNs now) {
  if (detached()) {
    absl::MutexLock lock(&mu());
    return WriteDetached(offset, bytes, now);
  }
  absl::ReaderMutexLock lock(&mu());
  return WriteHost(offset, bytes);
}

Result<size_t> HostRegular::Append(std::span<const std::byte> bytes, TimeNs now, uint64_t* offset) {
  absl::MutexLock lock(&mu());
  if (detached()) {
    *offset = size();
    return WriteDetached(*offset, bytes, now);
  }
  STASIS_RETURN_IF_ERROR(RefreshLocked());
  *offset = size();
  // As write(2), which is not pwrite(2) there.
  if (*offset >= vfs::kMaxFileSize) return Err(EFBIG);
  return WriteHost(*offset,
                   bytes.first(std::min<uint64_t>(bytes.size(), vfs::kMaxFileSize - *offset)));
}

Result<void> HostRegular::AllocateDetached(int mode, uint64_t offset, uint64_t length, TimeNs now) {
  if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) {
    STASIS_RETURN_IF_ERROR(MakeData().PunchHole(offset, length));
  } else {
    MakeData().Reserve(offset, length);
    if ((mode & FALLOC_FL_KEEP_SIZE) == 0) RaiseSize(offset + length);
  }
  TouchModified(now);
  return {};
}

Result<void> HostRegular::Allocate(int mode, uint64_t offset, uint64_t length, TimeNs now) {
  absl::MutexLock lock(&mu());
  if (detached()) return AllocateDetached(mode, offset, length, now);
  const auto allocate = [&]() -> Result<void> {
    mu().AssertHeld();
    STASIS_ASSIGN_OR_RETURN(const int fd, Writer());
    return fs().ops().Allocate(fd, mode, offset, length);
  };
  STASIS_RETURN_IF_ERROR(Asked(fs(), Question::kAllocate, ino(), "", allocate));
  return RefreshLocked();
}

// Once: what is copied to the end of the same file would be there to be copied again.
Result<uint64_t> HostRegular::CopyRangeLocked(HostRegular& from, uint64_t from_offset,
                                              uint64_t offset, uint64_t length) {
  const auto copy = [&]() -> Result<uint64_t> {
    mu().AssertReaderHeld();
    from.mu().AssertReaderHeld();
    STASIS_ASSIGN_OR_RETURN(const int in, from.Reader());
    STASIS_ASSIGN_OR_RETURN(const int out, Writer());
    Result<uint64_t> done = Err(EINTR);
    while (!done && done.error() == Errno(EINTR))
      done = fs().ops().CopyRange(in, from_offset, out, offset, length);
    return done;
  };
  const Result<uint64_t> done = Asked(fs(), Question::kCopy, ino(), "", copy);
  if (done && *done != 0) RaiseSize(offset + *done);
  set_stale();
  return done;
}

// The locks are taken by address, which clang cannot follow.
Result<uint64_t> HostRegular::CopyRange(vfs::Inode& from, uint64_t from_offset, uint64_t offset,
                                        uint64_t length,
                                        TimeNs now) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  auto* source = dynamic_cast<HostRegular*>(&from);
  if (source == nullptr) return Err(EXDEV);
  if (source->detached() || detached())
    return CopyByReading(*source, from_offset, offset, length, now);
  absl::ReaderMutexLock lock(source < this ? &source->mu() : &mu());
  if (source == this) return CopyRangeLocked(*source, from_offset, offset, length);
  absl::ReaderMutexLock second(source < this ? &mu() : &source->mu());
  return CopyRangeLocked(*source, from_offset, offset, length);
}

Result<uint64_t> HostRegular::SeekExtent(uint64_t offset, int whence) const {
  absl::ReaderMutexLock lock(&mu());
  if (detached()) {
    const vfs::FileData none;
    const vfs::FileData& data = data_ == nullptr ? none : *data_;
    return whence == SEEK_DATA ? data.SeekData(offset, size()) : data.SeekHole(offset, size());
  }
  int fd = handles_ == nullptr ? -1 : handles_->reader();
  if (fd < 0 && handles_ != nullptr) fd = handles_->write.get();
  if (fd < 0) return Err(EBADF);
  return fs().ops().Seek(fd, offset, whence);
}

void HostRegular::FillStat(vfs::Stat& stat) const {
  HostInode::FillStat(stat);
  if (!detached()) return;
  absl::ReaderMutexLock lock(&mu());
  stat.blocks = data_ == nullptr ? 0 : data_->allocated() / 512;
}

Result<void> HostRegular::Sync() {
  int fd = -1;
  {
    absl::ReaderMutexLock lock(&mu());
    // There as long as the file is open, which it is.
    if (!detached() && handles_ != nullptr) fd = handles_->any();
  }
  return fd < 0 ? Result<void>() : fs().ops().Sync(fd);
}

Result<void> HostRegular::TruncateHost(uint64_t size) {
  if (detached()) return data_ == nullptr ? Result<void>() : data_->Truncate(size);
  if (handles_ != nullptr && handles_->write.valid())
    return fs().ops().Truncate(handles_->write.get(), size);
  STASIS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenHandle(O_WRONLY, /*force=*/false));
  return fs().ops().Truncate(fd.get(), size);
}

void HostRegular::ReleaseUnlinked() {
  {
    absl::MutexLock lock(&mu());
    handles_.reset();
    data_.reset();
  }
  HostInode::ReleaseUnlinked();
}

HostFileDescription::~HostFileDescription() {
  if (!counted_ || !at().complete()) return;  // or what a failed load has made is taken down
  file().Close(reads(), writable());
}

absl::Status HostFileDescription::AfterLoad(state::LoadContext& context) {
  auto* file = dynamic_cast<HostRegular*>(&inode());
  if (file == nullptr)
    return context.Invalid(*this, "at", "is no regular file of a host directory");
  file->CountOpen(reads(), writable());
  counted_ = true;
  return absl::OkStatus();
}

}  // namespace stasis::gofer
