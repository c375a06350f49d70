// SPDX-License-Identifier: Apache-2.0
//
// regular.cc: regular files: who has them open, reading and writing.

#include <absl/cleanup/cleanup.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "fsimpl/overlay/inode.h"
#include "state/load_context.h"

namespace stasis::overlay {

OverlayRegular::OverlayRegular(OverlayFilesystem& fs, const Found& found, bool loaded)
    : OverlayInode(fs, found, loaded), data_in_upper_(found.upper && !found.metacopy) {
  TakeDataBelow(found);
}

void OverlayRegular::TakeDataBelow(const Found& found) {
  if (found.upper || found.lowers.size() < 2 || data_below_) return;
  data_below_ = MakeRef<DataBelow>(found.lowers.back());
  has_data_below_.store(true, std::memory_order_release);
}

// It may have been listed, but not looked at.
void OverlayRegular::LoadLocked(const Found& found) {
  TakeDataBelow(found);
  if (found.metacopy && lower_end_ != 0) data_in_upper_.store(false, std::memory_order_release);
}

OverlayRegular::Handles& OverlayRegular::MakeHandles() {
  if (handles_ == nullptr) handles_ = std::make_unique<Handles>();
  return *handles_;
}

Result<RefPtr<vfs::FileDescription>> OverlayRegular::OpenData() {
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> file,
                          layer::Open(DataAt(), O_RDONLY | O_NOATIME));
  const uint32_t layer = data_below_ ? data_below_->file.layer : lower_file().layer;
  const bool last = layer + 1 == fs().layers().lowers.size();
  if (!has_data_ && last && MayBeMetacopy(Data(), /*last=*/false)) {
    STASIS_ASSIGN_OR_RETURN(const bool metacopy, fs().format().IsMetacopy(Data()));
    if (metacopy) return Err(EIO);
  }
  has_data_ = true;
  return file;
}

Result<void> OverlayRegular::OpenHandles(bool write) {
  Handles& handles = MakeHandles();
  if (!data_in_upper() && !handles.lower) {
    STASIS_ASSIGN_OR_RETURN(handles.lower, OpenData());
  }
  if (upper() == nullptr) return {};
  if (handles.upper && (!write || handles.upper->writable())) return {};
  // The old one ends after the new one has begun: the layer's descriptors stay.
  STASIS_ASSIGN_OR_RETURN(handles.upper,
                          layer::Open(UpperAt(), (write ? O_RDWR : O_RDONLY) | O_NOATIME));
  return {};
}

Result<RefPtr<vfs::FileDescription>> OverlayRegular::Open(const vfs::VirtualDentry& at,
                                                          const vfs::OpenOptions& options) {
  if ((options.flags & O_PATH) != 0) return Inode::Open(at, options);
  const bool counted = options.writable() || options.execute;
  if (counted) STASIS_RETURN_IF_ERROR(options.execute ? BeginExecuting() : BeginWriting());
  absl::Cleanup undo = [&] {
    if (counted) options.execute ? EndExecuting() : EndWriting();
  };
  const bool truncate = (options.flags & O_TRUNC) != 0;
  // Before the copy, which leaves out what is cut off.
  const bool cuts = truncate && !options.writable();
  if (cuts) STASIS_RETURN_IF_ERROR(BeginWriting());
  const absl::Cleanup cut = [&] {
    if (cuts) EndWriting();
  };
  if (options.writable() || truncate)
    STASIS_RETURN_IF_ERROR(fs().CopyUp(*this, truncate ? 0 : OverlayFilesystem::kAllData));
  const bool read = options.readable() || options.execute;
  {
    absl::MutexLock lock(&mu());
    STASIS_RETURN_IF_ERROR(OpenHandles(options.writable()));
    handles_->readers += read ? 1 : 0;
    handles_->writers += options.writable() ? 1 : 0;
  }
  std::move(undo).Cancel();
  return RefPtr<vfs::FileDescription>(MakeRef<OverlayFileDescription>(at, options, counted));
}

void OverlayRegular::TakeHandle(RefPtr<vfs::FileDescription> file) {
  absl::MutexLock lock(&mu());
  Handles& handles = MakeHandles();
  if (!handles.upper || !handles.upper->writable()) handles.upper = std::move(file);
}

void OverlayRegular::SetLinkable(bool linkable) {
  absl::MutexLock lock(&mu());
  set_linkable(linkable);
}

void OverlayRegular::CountOpen(bool read, bool write) {
  absl::MutexLock lock(&mu());
  Handles& handles = MakeHandles();
  handles.readers += read ? 1 : 0;
  handles.writers += write ? 1 : 0;
}

void OverlayRegular::Close(bool read, bool write) {
  std::unique_ptr<Handles> closed;  // outside of the lock
  absl::MutexLock lock(&mu());
  if (handles_ == nullptr) return;
  handles_->readers -= read ? 1 : 0;
  handles_->writers -= write ? 1 : 0;
  if (handles_->unused()) closed = std::move(handles_);
}

void OverlayRegular::ReleaseUnlinked() {
  std::unique_ptr<Handles> closed;
  {
    absl::MutexLock lock(&mu());
    closed = std::move(handles_);
  }
  closed.reset();
  OverlayInode::ReleaseUnlinked();
}

int OverlayRegular::backing_fd(bool write) const {
  absl::ReaderMutexLock lock(&mu());
  if (handles_ == nullptr) return -1;
  if (data_in_upper()) {
    const vfs::FileDescription* file = handles_->upper.get();
    return file == nullptr || (write && !file->writable()) ? -1 : file->backing_fd();
  }
  // A lower file that may be copied up would be read as it was before.
  return fs().writable() || !handles_->lower ? -1 : handles_->lower->backing_fd();
}

const vfs::Inode* OverlayRegular::data_file() const {
  absl::ReaderMutexLock lock(&mu());
  if (!loaded() || released()) return nullptr;
  if (upper() == nullptr) return &Data();
  return data_in_upper() ? &upper()->inode() : nullptr;
}

void OverlayRegular::BeginPassthrough() { real()->BeginPassthrough(); }
void OverlayRegular::EndPassthrough() {
  if (vfs::Inode* real = this->real(); real != nullptr) real->EndPassthrough();
}

// Space is what both files take: no more than either would alone.
void OverlayRegular::FillStat(vfs::Stat& stat) const {
  OverlayInode::FillStat(stat);
  const bool split = has_data_below_.load(std::memory_order_acquire);
  if ((upper() == nullptr && !split) || data_in_upper() || lower() == nullptr) return;
  vfs::Stat below;
  if (split) {
    absl::ReaderMutexLock lock(&mu());
    Data().FillStat(below);
  } else {
    lower()->inode().FillStat(below);
  }
  stat.blocks = std::max(stat.blocks, below.blocks);
}

Result<size_t> OverlayRegular::Read(uint64_t offset, std::span<std::byte> out) {
  absl::ReaderMutexLock lock(&mu());
  if (data_in_upper()) [[likely]] {
    vfs::Dentry* upper = this->upper();
    return upper == nullptr ? Err(EIO) : upper->inode().Read(offset, out);
  }
  if (upper() == nullptr) return Data().Read(offset, out);
  return ReadLocked(offset, out);
}

void OverlayRegular::NoteWritten(TimeNs now) { TouchModified(now); }

Result<size_t> OverlayRegular::WriteLocked(uint64_t offset, std::span<const std::byte> bytes,
                                           TimeNs now) {
  STASIS_RETURN_IF_ERROR(PrepareChange(offset, bytes.size()));
  STASIS_ASSIGN_OR_RETURN(size_t done, upper()->inode().Write(offset, bytes, now));
  if (!data_in_upper()) done = NoteCopied(offset, done, done == bytes.size());
  if (done == 0 && !bytes.empty()) return Err(ENOSPC);
  RaiseSize(offset + done);
  NoteWritten(now);
  return done;
}

Result<size_t> OverlayRegular::Write(uint64_t offset, std::span<const std::byte> bytes,
                                     TimeNs now) {
  if (data_in_upper()) [[likely]] {
    absl::ReaderMutexLock lock(&mu());
    STASIS_ASSIGN_OR_RETURN(const size_t done, upper()->inode().Write(offset, bytes, now));
    RaiseSize(offset + done);
    NoteWritten(now);
    return done;
  }
  absl::MutexLock lock(&mu());
  if (upper() == nullptr) return Err(EBADF);
  return WriteLocked(offset, bytes, now);
}

Result<size_t> OverlayRegular::Append(std::span<const std::byte> bytes, TimeNs now,
                                      uint64_t* offset) {
  absl::MutexLock lock(&mu());
  if (upper() == nullptr) return Err(EBADF);
  if (!data_in_upper()) {
    vfs::Stat stat;
    upper()->inode().FillStat(stat);
    *offset = stat.size;
    if (*offset >= vfs::kMaxFileSize) return Err(EFBIG);
    return WriteLocked(*offset, bytes, now);
  }
  STASIS_ASSIGN_OR_RETURN(const size_t done, upper()->inode().Append(bytes, now, offset));
  RaiseSize(*offset + done);
  NoteWritten(now);
  return done;
}

Result<void> OverlayRegular::Allocate(int mode, uint64_t offset, uint64_t length, TimeNs now) {
  absl::MutexLock lock(&mu());
  if (upper() == nullptr) return Err(EBADF);
  const bool punch = (mode & FALLOC_FL_PUNCH_HOLE) != 0;
  if (punch && !data_in_upper()) {
    STASIS_RETURN_IF_ERROR(PrepareChange(offset, std::min(length, vfs::kMaxFileSize - offset)));
  } else if (!data_in_upper() && !fs().lazy_data()) {
    STASIS_RETURN_IF_ERROR(CompleteDataLocked(OverlayFilesystem::kAllData));
  }
  STASIS_RETURN_IF_ERROR(upper()->inode().Allocate(mode, offset, length, now));
  if (punch && !data_in_upper()) NoteCopied(offset, length, true);
  NoteWritten(now);
  MirrorLocked();
  return {};
}

// The locks are taken by address, which clang cannot follow.
Result<uint64_t> OverlayRegular::CopyRange(vfs::Inode& from, uint64_t from_offset, uint64_t offset,
                                           uint64_t length,
                                           TimeNs now) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  auto* source = dynamic_cast<OverlayRegular*>(&from);
  if (source == nullptr) return Err(EXDEV);
  if (data_in_upper()) {
    absl::ReaderMutexLock lock(source < this ? &source->mu() : &mu());
    std::optional<absl::ReaderMutexLock> second;
    if (source != this) second.emplace(source < this ? &mu() : &source->mu());
    vfs::Inode& real = *source->real();
    vfs::Inode& target = upper()->inode();
    // Not of a metacopy, and it becomes one only when it is locked.
    const bool whole = source->data_in_upper() || source->upper() == nullptr;
    if (whole && real.filesystem().type() == target.filesystem().type()) {
      auto copied = target.CopyRange(real, from_offset, offset, length, now);
      if (copied || copied.error() != Errno(EXDEV)) {
        if (copied && *copied != 0) {
          RaiseSize(offset + *copied);
          NoteWritten(now);
        }
        return copied;
      }
    }
  }
  return CopyByReading(*source, from_offset, offset, length, now);
}

Result<uint64_t> OverlayRegular::SeekExtent(uint64_t offset, int whence) const {
  absl::ReaderMutexLock lock(&mu());
  if (data_in_upper()) return upper()->inode().SeekExtent(offset, whence);
  if (upper() == nullptr) return Data().SeekExtent(offset, whence);
  vfs::Stat stat;
  upper()->inode().FillStat(stat);
  if (offset >= stat.size) return Err(ENXIO);
  while (offset < stat.size) {
    const Extent extent = ExtentAt(offset);
    const vfs::Inode& file = extent.in_upper ? upper()->inode() : Data();
    auto found = file.SeekExtent(offset, whence);
    if (!found && found.error() != Errno(ENXIO)) return found;
    if (found && *found < extent.end) return found;
    offset = extent.end;
  }
  return whence == SEEK_HOLE ? Result<uint64_t>(stat.size) : Err(ENXIO);
}

Result<void> OverlayRegular::AfterCopyUp() {
  if (lower_end_ == 0) SetDataInUpper();
  return handles_ == nullptr || handles_->unused() ? Result<void>()
                                                   : OpenHandles(handles_->writers != 0);
}

absl::Status OverlayRegular::LoadCopied(const vfs::PageRangeMap& copied,
                                        state::LoadContext& context) {
  uint64_t last_end = 0;
  for (const auto& [first, end] : copied) {
    if (first >= end || end > vfs::kMaxFileSize / vfs::kPageSize + 1 ||
        (last_end != 0 && first <= last_end))
      return context.Invalid(*this, "copied", "has a range that is none, or not one of its own");
    copied_.Add(first, end);
    last_end = end;
  }
  return absl::OkStatus();
}

absl::Status OverlayRegular::AfterLoad(state::LoadContext& context) {
  if (!is_regular()) return context.Invalid(*this, "mode", "is not that of a regular file");
  if ((data_in_upper() ? upper() : lower()) == nullptr)
    return context.Invalid(*this, "data_in_upper", "says that the data is where no file is");
  if (data_in_upper() && !copied_.empty())
    return context.Invalid(*this, "copied", "is there although all data is in the upper layer");
  if (data_below_) {
    const LowerFile& data = data_below_->file;
    if (lower() == nullptr || !data.dentry)
      return context.Invalid(*this, "data_below", "is missing, or of a file in no lower layer");
    if (absl::Status status = CheckLower(*data.dentry, data.layer, "data_below", context);
        !status.ok())
      return status;
    has_data_below_.store(true);
  }
  if (handles_ != nullptr) {
    const auto is_of = [](const RefPtr<vfs::FileDescription>& file, const vfs::Dentry* place) {
      return !file || (place != nullptr && file->at().complete() && &file->at().dentry() == place);
    };
    if (!is_of(handles_->upper, upper()) ||
        !is_of(handles_->lower, data_below_ ? data_below_->file.dentry.get() : lower()))
      return context.Invalid(*this, "handles", "are of another file");
  }
  return absl::OkStatus();
}

OverlayFileDescription::~OverlayFileDescription() {
  if (!counted_ || !at().complete()) return;  // a failed load has taken it
  file().Close(reads(), writable());
}

absl::Status OverlayFileDescription::AfterLoad(state::LoadContext& context) {
  auto* file = dynamic_cast<OverlayRegular*>(&inode());
  if (file == nullptr) return context.Invalid(*this, "at", "is no regular file of an overlay");
  file->CountOpen(reads(), writable());
  counted_ = true;
  return absl::OkStatus();
}

}  // namespace stasis::overlay
