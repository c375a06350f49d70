// SPDX-License-Identifier: Apache-2.0

#include "vfs/file_description.h"

#include <absl/strings/str_cat.h>
#include <linux/falloc.h>
#include <sys/inotify.h>

#include <limits>
#include <string>
#include <utility>

#include "state/base/current_work.h"
#include "state/copy_budget.h"
#include "state/load_context.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {
namespace {

// What F_SETFL may change.
constexpr int kSettableFlags = O_APPEND | O_NONBLOCK | O_NOATIME;
// What open(2) uses up, and F_GETFL does not show.
constexpr int kCreationFlags = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC;

constexpr uint64_t kMaxOffset = std::numeric_limits<int64_t>::max();

// For messages, without a lock: data may be read below that is stored elsewhere.
std::string Describe(const void* file) {
  const auto& at = *static_cast<const VirtualDentry*>(file);
  return absl::StrCat(at.dentry().PathForMessages(), " (inode ", at.inode().ino(), " of the ",
                      std::string(at.mount().filesystem().type()), " filesystem ",
                      at.mount().filesystem().dev(), ")");
}

// Whether some filesystem may have this mode of fallocate(2). What no filesystem has is refused
// before all else.
bool IsAllocationMode(int mode) {
  const bool keep_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case 0:
    case FALLOC_FL_UNSHARE_RANGE:
    case FALLOC_FL_ZERO_RANGE:
      return true;
    case FALLOC_FL_PUNCH_HOLE:
      return keep_size;
    case FALLOC_FL_COLLAPSE_RANGE:
    case FALLOC_FL_INSERT_RANGE:
      return !keep_size;
    default:
      return false;
  }
}

}  // namespace

FileDescription::FileDescription(VirtualDentry at, const OpenOptions& options, bool counted)
    : at_(std::move(at)),
      readable_(options.readable()),
      writable_(options.writable()),
      executing_(options.execute),
      counted_(counted),
      unreported_(options.unreported),
      flags_(options.flags & ~kCreationFlags) {
  if (counted_ && writable_) at_.mount().AddWritableFile();
}

FileDescription::~FileDescription() {
  // Not of a load that failed: that one has let go of its file.
  if (!at_.complete()) return;
  const Filesystem& filesystem = at_.mount().filesystem();
  if ((status_flags() & O_PATH) == 0 && !unreported_ && filesystem.watches()->active())
    filesystem.watches()->OnClose(at_.dentry(), writable_);
  if (counted_) executing_ ? inode().EndExecuting() : inode().EndWriting();
  if (counted_ && writable_) at_.mount().DropWritableFile();
  if (locks_.load(std::memory_order_relaxed)) filesystem.file_locks()->Release(inode(), *this);
}

VirtualFilesystem& FileDescription::VfsOf(const VirtualDentry& at) {
  return at.mount().filesystem().vfs();
}

void FileDescription::Report(uint32_t events) const {
  at_.mount().filesystem().watches()->OnOpenFile(at_.dentry(), events);
}

void FileDescription::SetStatusFlags(int flags) {
  int old = flags_.load(std::memory_order_relaxed);
  while (!flags_.compare_exchange_weak(old, (old & ~kSettableFlags) | (flags & kSettableFlags))) {
  }
}

Result<Stat> FileDescription::GetStat() const {
  Operation operation(VfsOf(at_).gate());
  Stat stat;
  inode().FillStat(stat);
  stat.dev = at_.mount().filesystem().dev();
  stat.mount_id = at_.mount().id();
  return stat;
}

Result<void> FileDescription::SetAttributes(const Credentials& creds, const SetStat& set) {
  Operation operation(VfsOf(at_).gate());
  if ((status_flags() & O_PATH) != 0) return Err(EBADF);
  if (set.size && !writable_) return Err(EINVAL);
  MountWriter writer(at_.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  STASIS_RETURN_IF_ERROR(inode().SetAttributes(creds, set, VfsOf(at_).clock().Now()));
  at_.mount().filesystem().watches()->OnFile(at_.dentry(), EventsOf(set));
  return {};
}

void FileDescription::TouchAtime() {
  if ((status_flags() & O_NOATIME) == 0) at_.mount().TouchAtime(inode(), VfsOf(at_).clock());
}

Result<size_t> FileDescription::PRead(uint64_t offset, std::span<std::byte> out) {
  Operation operation(VfsOf(at_).gate());
  if (!readable_) return Err(EBADF);
  if (inode().is_dir()) return Err(EISDIR);
  if (offset > kMaxOffset || out.size() > kMaxOffset - offset) return Err(EINVAL);
  const CurrentWork work(Describe, &at_);
  STASIS_ASSIGN_OR_RETURN(const size_t done, inode().Read(offset, out));
  TouchAtime();
  if (done != 0) Report(IN_ACCESS);
  return done;
}

Result<size_t> FileDescription::PWrite(uint64_t offset, std::span<const std::byte> bytes) {
  state::CopyBudget::WaitForRoom();
  Operation operation(VfsOf(at_).gate());
  return DoWrite(bytes, &offset);
}

Result<size_t> FileDescription::DoWrite(std::span<const std::byte> bytes, uint64_t* offset) {
  if (!writable_) return Err(EBADF);
  if (*offset > kMaxOffset || bytes.size() > kMaxOffset - *offset) return Err(EINVAL);
  if (bytes.empty()) return 0;
  MountWriter writer(at_.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  const TimeNs now = VfsOf(at_).clock().Now();
  const bool append = (status_flags() & O_APPEND) != 0;
  const CurrentWork work(Describe, &at_);
  auto done = append ? inode().Append(bytes, now, offset) : inode().Write(*offset, bytes, now);
  if (done && *done != 0) Report(IN_MODIFY);
  return done;
}

Result<void> FileDescription::Allocate(int mode, uint64_t offset, uint64_t length) {
  constexpr int kModes = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
  Operation operation(VfsOf(at_).gate());
  if ((status_flags() & O_PATH) != 0) return Err(EBADF);
  if (length == 0 || offset > kMaxOffset || length > kMaxOffset) return Err(EINVAL);
  if (!IsAllocationMode(mode)) return Err(EOPNOTSUPP);
  if (!writable_) return Err(EBADF);
  if (S_ISFIFO(inode().mode())) return Err(ESPIPE);
  if (inode().is_dir()) return Err(EISDIR);
  if (!inode().is_regular()) return Err(ENODEV);
  if (length > kMaxOffset - offset) return Err(EFBIG);
  if ((mode & ~kModes) != 0) return Err(EOPNOTSUPP);
  MountWriter writer(at_.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  STASIS_RETURN_IF_ERROR(inode().Allocate(mode, offset, length, VfsOf(at_).clock().Now()));
  Report(IN_MODIFY);
  return {};
}

Result<uint64_t> FileDescription::CopyRange(FileDescription& from, uint64_t from_offset,
                                            FileDescription& to, uint64_t to_offset,
                                            uint64_t length) {
  Operation operation(VfsOf(to.at_).gate());
  if (((from.status_flags() | to.status_flags()) & O_PATH) != 0) return Err(EBADF);
  if (from.inode().is_dir() || to.inode().is_dir()) return Err(EISDIR);
  if (!from.inode().is_regular() || !to.inode().is_regular()) return Err(EINVAL);
  if (!from.readable_ || !to.writable_ || (to.status_flags() & O_APPEND) != 0) return Err(EBADF);
  if (from_offset > kMaxOffset || to_offset > kMaxOffset) return Err(EINVAL);
  constexpr uint64_t kEnd = std::numeric_limits<uint64_t>::max();
  if (length > kEnd - from_offset || length > kEnd - to_offset) return Err(EOVERFLOW);
  // Another filesystem may be of another VirtualFilesystem, with a gate of its own.
  if (&from.inode().filesystem() != &to.inode().filesystem()) return Err(EXDEV);
  MountWriter writer(to.at_.mount());
  STASIS_RETURN_IF_ERROR(writer.status());
  const TimeNs now = VfsOf(to.at_).clock().Now();
  STASIS_ASSIGN_OR_RETURN(const uint64_t copied,
                          to.inode().CopyRange(from.inode(), from_offset, to_offset, length, now));
  from.TouchAtime();
  if (copied != 0) {
    from.Report(IN_ACCESS);
    to.Report(IN_MODIFY);
  }
  return copied;
}

Result<size_t> FileDescription::Read(std::span<std::byte> out) {
  Operation operation(VfsOf(at_).gate());
  absl::MutexLock lock(&offset_mu_);
  STASIS_ASSIGN_OR_RETURN(const size_t done, PRead(offset_, out));
  offset_ += done;
  return done;
}

Result<size_t> FileDescription::Write(std::span<const std::byte> bytes) {
  state::CopyBudget::WaitForRoom();
  Operation operation(VfsOf(at_).gate());
  absl::MutexLock lock(&offset_mu_);
  uint64_t where = offset_;
  STASIS_ASSIGN_OR_RETURN(const size_t done, DoWrite(bytes, &where));
  offset_ = where + done;
  return done;
}

Result<uint64_t> FileDescription::Seek(int64_t offset, int whence) {
  Operation operation(VfsOf(at_).gate());
  if ((status_flags() & O_PATH) != 0) return Err(EBADF);
  if (S_ISFIFO(inode().mode()) || S_ISSOCK(inode().mode())) return Err(ESPIPE);
  absl::MutexLock lock(&offset_mu_);
  uint64_t base = 0;
  switch (whence) {
    case SEEK_SET:
      break;
    case SEEK_CUR:
      base = offset_;
      break;
    case SEEK_END:
      if (inode().is_dir()) return Err(EINVAL);
      base = GetStat()->size;
      break;
    case SEEK_DATA:
    case SEEK_HOLE: {
      if (offset < 0) return Err(ENXIO);
      STASIS_ASSIGN_OR_RETURN(offset_, inode().SeekExtent(static_cast<uint64_t>(offset), whence));
      return offset_;
    }
    default:
      return Err(EINVAL);
  }
  if (offset < 0 && static_cast<uint64_t>(-(offset + 1)) >= base) return Err(EINVAL);
  if (offset > 0 && static_cast<uint64_t>(offset) > kMaxOffset - base) return Err(EINVAL);
  offset_ = base + static_cast<uint64_t>(offset);
  return offset_;
}

Result<void> FileDescription::DoIterate(uint64_t position,
                                        absl::FunctionRef<bool(const DirectoryEntry&)> fn) {
  Dentry& dir = at_.dentry();
  if ((status_flags() & O_PATH) != 0) return Err(EBADF);
  if (!dir.is_dir()) return Err(ENOTDIR);
  if (position == 0) STASIS_RETURN_IF_ERROR(inode().BeginListing(dir));
  const Directory& directory = dir.directory();
  absl::ReaderMutexLock lock(&directory.mu);
  if (directory.dead()) return Err(ENOENT);
  uint64_t end = listing_end_.load(std::memory_order_relaxed);
  if (position == 0 || end == 0) {
    end = directory.end_position();
    listing_end_.store(end, std::memory_order_relaxed);
  }
  if (position == 0 && !fn({.name = ".",
                            .ino = inode().ino(),
                            .type = S_IFDIR,
                            .next_position = 1,
                            .dentry = nullptr}))
    return {};
  if (position <= 1) {
    const Dentry* parent = dir.parent() != nullptr ? dir.parent() : &dir;
    if (!fn({.name = "..",
             .ino = parent->inode().ino(),
             .type = S_IFDIR,
             .next_position = 2,
             .dentry = nullptr}))
      return {};
  }
  directory.ForEachFrom(position, [&](Dentry& child) {
    return child.position() < end && fn({.name = child.name(),
                                         .ino = child.inode().ino(),
                                         .type = child.inode().mode() & S_IFMT,
                                         .next_position = child.position() + 1,
                                         .dentry = &child});
  });
  return {};
}

Result<void> FileDescription::IterateDirectory(uint64_t position,
                                               absl::FunctionRef<bool(const DirectoryEntry&)> fn) {
  Operation operation(VfsOf(at_).gate());
  STASIS_RETURN_IF_ERROR(DoIterate(position, fn));
  TouchAtime();
  Report(IN_ACCESS);
  return {};
}

Result<void> FileDescription::ReadDirectory(absl::FunctionRef<bool(const DirectoryEntry&)> fn) {
  Operation operation(VfsOf(at_).gate());
  absl::MutexLock lock(&offset_mu_);
  uint64_t next = offset_;
  STASIS_RETURN_IF_ERROR(IterateDirectory(offset_, [&](const DirectoryEntry& entry) {
    if (!fn(entry)) return false;
    next = entry.next_position;
    return true;
  }));
  offset_ = next;
  return {};
}

// Not in the gate: a checkpoint does not wait for a disk of the host.
Result<void> FileDescription::Sync() {
  if ((status_flags() & O_PATH) != 0) return Err(EBADF);
  return inode().Sync();
}

absl::Status FileDescription::AfterLoad(state::LoadContext& context) {
  if (!at_.complete()) return context.Invalid(*this, "at", "has no mount or no dentry");
  if (!at_.IsConsistent()) return context.Invalid(*this, "at", "is not in its mount's filesystem");
  {
    absl::MutexLock lock(&offset_mu_);
    if (offset_ > kMaxOffset) return context.Invalid(*this, "offset", "is too large");
  }
  if (executing_ && (writable_ || !inode().is_regular()))
    return context.Invalid(*this, "executing", "is for reading regular files only");
  if (inode().is_regular() && (writable_ || executing_)) {
    if (!(executing_ ? inode().BeginExecuting() : inode().BeginWriting()))
      return context.Invalid(*this, "executing", "is of a file that is written and executed");
    counted_ = true;
    if (writable_) at_.mount().AddWritableFile();
  }
  return absl::OkStatus();
}

}  // namespace stasis::vfs
