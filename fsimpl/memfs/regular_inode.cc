// SPDX-License-Identifier: Apache-2.0

#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "fsimpl/memfs/inode.h"
#include "state/load_context.h"

namespace stasis::memfs {
namespace {}  // namespace

RegularInode::RegularInode(MemFilesystem& fs, const vfs::NewFile& file, uint32_t nlink, TimeNs now)
    : MemInode(fs, file, nlink, now) {
  set_linkable(file.linkable);
}

RegularInode::~RegularInode() {
  if (has_filesystem()) fs().ReleaseBytes(Allocated());
}

void RegularInode::ReleaseUnlinked() {
  {
    absl::MutexLock lock(&mu());
    fs().ReleaseBytes(data_.allocated());
    data_.Clear();
  }
  MemInode::ReleaseUnlinked();
}

void RegularInode::FillStat(vfs::Stat& stat) const {
  MemInode::FillStat(stat);
  stat.blocks = Allocated() / 512;
}

Result<size_t> RegularInode::Read(uint64_t offset, std::span<std::byte> out) {
  absl::ReaderMutexLock lock(&mu());
  if (offset >= size()) return 0;
  out = out.first(std::min<uint64_t>(out.size(), size() - offset));
  STASIS_RETURN_IF_ERROR(data_.Read(offset, out));
  return out.size();
}

Result<uint64_t> RegularInode::ChargeWrite(uint64_t offset, uint64_t length, uint64_t* charged) {
  *charged = data_.GrowthOfWrite(offset, length);
  if (fs().ChargeBytes(*charged)) return length;
  // Not all fits: as many whole pages as do.
  uint64_t fits = 0;
  *charged = 0;
  while (fits < length) {
    const uint64_t step =
        std::min(vfs::kPageSize - (offset + fits) % vfs::kPageSize, length - fits);
    const uint64_t growth = data_.GrowthOfWrite(offset + fits, step);
    if (!fs().ChargeBytes(growth)) break;
    *charged += growth;
    fits += step;
  }
  if (fits == 0) return Err(ENOSPC);
  return fits;
}

Result<size_t> RegularInode::WriteLocked(uint64_t offset, std::span<const std::byte> bytes,
                                         TimeNs now) {
  if (offset >= vfs::kMaxFileSize) return Err(EFBIG);
  if (bytes.empty()) return 0;
  bytes = bytes.first(std::min<uint64_t>(bytes.size(), vfs::kMaxFileSize - offset));
  // Charged for the most it can take, and the rest given back.
  uint64_t charged = 0;
  STASIS_ASSIGN_OR_RETURN(const uint64_t fits, ChargeWrite(offset, bytes.size(), &charged));
  bytes = bytes.first(fits);
  const uint64_t before = data_.allocated();
  STASIS_RETURN_IF_ERROR(Settle(charged, before, data_.Write(offset, bytes)));
  set_size(std::max<uint64_t>(size(), offset + bytes.size()));
  TouchModified(now);
  return bytes.size();
}

Result<size_t> RegularInode::Write(uint64_t offset, std::span<const std::byte> bytes, TimeNs now) {
  absl::MutexLock lock(&mu());
  return WriteLocked(offset, bytes, now);
}

Result<size_t> RegularInode::Append(std::span<const std::byte> bytes, TimeNs now,
                                    uint64_t* offset) {
  absl::MutexLock lock(&mu());
  *offset = size();
  return WriteLocked(*offset, bytes, now);
}

// All of it, or nothing.
Result<void> RegularInode::Reserve(uint64_t offset, uint64_t length) {
  if (length > fs().byte_limit()) return Err(ENOSPC);
  STASIS_RETURN_IF_ERROR(fs().ChargeBytes(data_.GrowthOfWrite(offset, length)));
  data_.Reserve(offset, length);
  return {};
}

// After a change of the data: gives back what it was charged for and did not take.
Result<void> RegularInode::Settle(uint64_t charged, uint64_t allocated_before, Result<void> done) {
  // What was written before the error must not show when the file grows over it.
  if (!done) std::ignore = data_.Truncate(size());
  fs().ReleaseBytes(charged - (data_.allocated() - allocated_before));
  return done;
}

Result<void> RegularInode::Allocate(int mode, uint64_t offset, uint64_t length, TimeNs now) {
  absl::MutexLock lock(&mu());
  if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) {
    const uint64_t before = data_.allocated();
    auto punched = data_.PunchHole(offset, length);
    fs().ReleaseBytes(before - data_.allocated());
    STASIS_RETURN_IF_ERROR(punched);
  } else {
    STASIS_RETURN_IF_ERROR(Reserve(offset, length));
    if ((mode & FALLOC_FL_KEEP_SIZE) == 0) set_size(std::max(size(), offset + length));
  }
  TouchModified(now);
  return {};
}

Result<uint64_t> RegularInode::CopyRangeLocked(RegularInode& from, uint64_t from_offset,
                                               uint64_t offset, uint64_t length, TimeNs now) {
  length = from_offset < from.size() ? std::min(length, from.size() - from_offset) : 0;
  if (offset >= vfs::kMaxFileSize) return Err(EFBIG);
  length = std::min(length, vfs::kMaxFileSize - offset);
  if (&from == this && from_offset < offset + length && offset < from_offset + length)
    return Err(EINVAL);
  if (length == 0) return 0;
  uint64_t charged = 0;
  STASIS_ASSIGN_OR_RETURN(length, ChargeWrite(offset, length, &charged));
  const uint64_t before = data_.allocated();
  STASIS_RETURN_IF_ERROR(
      Settle(charged, before, data_.CopyFrom(from.data_, from_offset, offset, length)));
  set_size(std::max(size(), offset + length));
  TouchModified(now);
  return length;
}

// The locks are taken by address, which clang cannot follow.
Result<uint64_t> RegularInode::CopyRange(vfs::Inode& from, uint64_t from_offset, uint64_t offset,
                                         uint64_t length,
                                         TimeNs now) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  auto& source = static_cast<RegularInode&>(from);
  absl::Mutex* first = &source < this ? &source.mu() : &mu();
  absl::Mutex* second = &source == this ? nullptr : (&source < this ? &mu() : &source.mu());
  absl::MutexLock lock(first);
  if (second != nullptr) second->Lock();
  auto copied = CopyRangeLocked(source, from_offset, offset, length, now);
  if (second != nullptr) second->Unlock();
  return copied;
}

Result<uint64_t> RegularInode::SeekExtent(uint64_t offset, int whence) const {
  absl::ReaderMutexLock lock(&mu());
  return whence == SEEK_DATA ? data_.SeekData(offset, size()) : data_.SeekHole(offset, size());
}

Result<void> RegularInode::DoTruncate(uint64_t new_size) {
  if (new_size <= size()) {  // to the same size: gives back what is reserved past it
    const uint64_t before = data_.allocated();
    auto cut = data_.Truncate(new_size);
    fs().ReleaseBytes(before - data_.allocated());
    STASIS_RETURN_IF_ERROR(cut);
  }
  set_size(new_size);
  return {};
}

absl::Status RegularInode::LoadData(vfs::ChunkMap chunks, state::LoadContext& context) {
  if (!data_.FromMap(std::move(chunks)))
    return context.Invalid(*this, "data", "has a missing chunk or one past the largest offset");
  return absl::OkStatus();
}

absl::Status RegularInode::LoadWritten(const vfs::PageMap& written, state::LoadContext& context) {
  if (!data_.FromWritten(written))
    return context.Invalid(*this, "written", "contradicts the chunks");
  return absl::OkStatus();
}

absl::Status RegularInode::LoadReserved(const vfs::PageRangeMap& reserved,
                                        state::LoadContext& context) {
  if (!data_.FromReserved(reserved))
    return context.Invalid(*this, "reserved", "has a range that is none, or not one of its own");
  return absl::OkStatus();
}

absl::Status RegularInode::AfterLoad(state::LoadContext& context) {
  if (!is_regular()) return context.Invalid(*this, "mode", "is not that of a regular file");
  if (data_.EndOfLastChunk() > size())
    return context.Invalid(*this, "data", "has a chunk past the end of the file");
  if (!fs().ChargeBytes(data_.allocated())) {
    data_.Clear();
    return context.Invalid(*this, "data", "is more than the filesystem's limit allows");
  }
  return absl::OkStatus();
}

}  // namespace stasis::memfs
