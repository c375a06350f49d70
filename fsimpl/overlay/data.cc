// SPDX-License-Identifier: Apache-2.0
//
// data.cc: how the data of a lower file gets into the upper layer: all at once, or page by page.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "fsimpl/overlay/inode.h"

namespace stasis::overlay {
namespace {

using vfs::kPageSize;

// Of a copy by the layers themselves: then somebody else has his turn.
constexpr uint64_t kCopyAtOnce = uint64_t{64} << 20;
constexpr size_t kCopySize = size_t{1} << 20;

uint64_t PagesOf(uint64_t bytes) { return bytes / kPageSize + (bytes % kPageSize != 0 ? 1 : 0); }

Result<void> CopyByReading(vfs::Inode& from, vfs::Inode& to, uint64_t offset, uint64_t end,
                           TimeNs now) {
  std::vector<std::byte> buffer(std::min<uint64_t>(kCopySize, end - offset));
  while (offset < end) {
    const auto piece = std::span(buffer).first(std::min<uint64_t>(buffer.size(), end - offset));
    STASIS_ASSIGN_OR_RETURN(const size_t size, from.Read(offset, piece));
    if (size == 0) return Err(EIO);  // shorter than it said
    STASIS_ASSIGN_OR_RETURN(const size_t done, to.Write(offset, piece.first(size), now));
    if (done == 0) return Err(ENOSPC);
    offset += done;
  }
  return {};
}

// By sharing chunks or blocks where the layers can.
Result<void> CopyBetween(vfs::Inode& from, vfs::Inode& to, uint64_t offset, uint64_t end,
                         TimeNs now) {
  while (offset < end && from.filesystem().type() == to.filesystem().type()) {
    auto done = to.CopyRange(from, offset, offset, std::min(kCopyAtOnce, end - offset), now);
    if (!done && done.error() == Errno(ENOSPC)) return Err(done.error());
    if (!done || *done == 0) break;
    offset += *done;
  }
  return offset < end ? CopyByReading(from, to, offset, end, now) : Result<void>();
}

}  // namespace

OverlayRegular::Extent OverlayRegular::ExtentAt(uint64_t offset) const {
  constexpr uint64_t kEnd = OverlayFilesystem::kAllData;
  if (upper() == nullptr) return {false, kEnd};
  if (data_in_upper() || offset >= lower_end_) return {true, kEnd};
  const uint64_t page = offset / kPageSize;
  const vfs::PageRangeMap& map = copied_.map();
  auto next = map.upper_bound(page);
  if (next != map.begin()) {
    const uint64_t end = std::prev(next)->second;
    if (page < end) return {true, end * kPageSize};
  }
  return {false, next == map.end() ? lower_end_ : std::min(next->first * kPageSize, lower_end_)};
}

Result<size_t> OverlayRegular::ReadLocked(uint64_t offset, std::span<std::byte> out) const {
  vfs::Stat stat;
  upper()->inode().FillStat(stat);
  if (offset >= stat.size) return 0;
  out = out.first(std::min<uint64_t>(out.size(), stat.size - offset));
  size_t done = 0;
  while (done < out.size()) {
    const Extent extent = ExtentAt(offset + done);
    const auto piece =
        out.subspan(done, std::min<uint64_t>(out.size() - done, extent.end - offset - done));
    vfs::Inode& real = extent.in_upper ? upper()->inode() : Data();
    auto size = real.Read(offset + done, piece);
    if (!size && done == 0) return size;
    if (!size || *size == 0) break;
    done += *size;
  }
  return done;
}

void OverlayRegular::SetDataInUpper() {
  lower_end_ = 0;
  copied_ = {};
  data_in_upper_.store(true, std::memory_order_release);
  if (handles_ != nullptr) handles_->lower.reset();
}

Result<void> OverlayRegular::CopyPage(uint64_t page) {
  const uint64_t start = page * kPageSize;
  if (ExtentAt(start).in_upper) return {};
  std::array<std::byte, kPageSize> buffer;
  const auto bytes = std::span(buffer).first(std::min<uint64_t>(kPageSize, lower_end_ - start));
  STASIS_ASSIGN_OR_RETURN(const size_t size, Data().Read(start, bytes));
  if (size != bytes.size()) return Err(EIO);
  const TimeNs now = fs().vfs().clock().Now();
  STASIS_ASSIGN_OR_RETURN(const size_t done, upper()->inode().Write(start, bytes, now));
  if (done != size) return Err(ENOSPC);
  copied_.Add(page, page + 1);
  return {};
}

Result<void> OverlayRegular::PrepareChange(uint64_t offset, uint64_t length) {
  if (data_in_upper()) return {};
  if (!fs().lazy_data()) return CompleteDataLocked(OverlayFilesystem::kAllData);
  const uint64_t end = offset + length;
  if (offset % kPageSize != 0) STASIS_RETURN_IF_ERROR(CopyPage(offset / kPageSize));
  if (end % kPageSize != 0) STASIS_RETURN_IF_ERROR(CopyPage(end / kPageSize));
  return {};
}

// Of a change that ended early the last page counts only if it was changed in whole.
size_t OverlayRegular::NoteCopied(uint64_t offset, uint64_t length, bool whole) {
  uint64_t end = offset + length;
  if (!whole && end % kPageSize != 0 && !ExtentAt(end).in_upper)
    end = std::max(offset, end / kPageSize * kPageSize);
  const uint64_t pages = PagesOf(lower_end_);
  const uint64_t first = offset / kPageSize;
  const uint64_t last = std::min(PagesOf(end), pages);
  if (end > offset && first < last) copied_.Add(first, last);
  const vfs::PageRangeMap& map = copied_.map();
  if (!map.empty() && map.begin()->first == 0 && map.begin()->second >= pages) {
    // One that somebody else has left there.
    std::ignore = fs().format().ClearMetacopy(upper()->inode(), fs().vfs().clock().Now());
    SetDataInUpper();
  }
  return static_cast<size_t>(end - offset);
}

Result<void> OverlayRegular::PrepareTruncate(uint64_t size) {
  if (data_in_upper()) return {};
  if (!fs().lazy_data() && size != 0) return CompleteDataLocked(size);
  if (size == 0) {
    vfs::Inode& upper = this->upper()->inode();
    const TimeNs now = fs().vfs().clock().Now();
    STASIS_RETURN_IF_ERROR(
        upper.SetAttributes(vfs::Credentials::Root(), {.size = uint64_t{0}}, now));
    if (!fs().lazy_data()) STASIS_RETURN_IF_ERROR(fs().format().ClearMetacopy(upper, now));
    SetDataInUpper();
    return {};
  }
  lower_end_ = std::min(lower_end_, size);
  copied_.Remove(PagesOf(lower_end_), OverlayFilesystem::kAllData);
  return {};
}

Result<void> OverlayRegular::CopyData(vfs::Inode& to, uint64_t kept) {
  vfs::Inode& from = Data();
  const TimeNs now = fs().vfs().clock().Now();
  uint64_t at = 0;
  while (at < kept) {
    const Extent extent = ExtentAt(at);
    const uint64_t end = std::min(extent.end, kept);
    if (extent.in_upper) {
      at = end;
      continue;
    }
    auto data = from.SeekExtent(at, SEEK_DATA);
    if (!data && data.error() == Errno(ENXIO)) return {};  // holes up to its end
    const uint64_t first = data.value_or(at);
    if (first >= end) {
      at = end;
      continue;
    }
    const auto hole = from.SeekExtent(first, SEEK_HOLE);
    at = hole ? std::min(*hole, end) : end;
    STASIS_RETURN_IF_ERROR(CopyBetween(from, to, first, at, now));
  }
  return {};
}

Result<void> OverlayRegular::CompleteDataLocked(uint64_t kept) {
  STASIS_ASSIGN_OR_RETURN(const auto lower, OpenData());
  STASIS_ASSIGN_OR_RETURN(const auto opened, layer::Open(UpperAt(), O_RDWR));
  vfs::Inode& upper = this->upper()->inode();
  const vfs::Credentials root = vfs::Credentials::Root();
  const TimeNs now = fs().vfs().clock().Now();
  vfs::Stat before;
  upper.FillStat(before);
  const vfs::SetStat times{.atime = vfs::SetTime{before.atime},
                           .mtime = vfs::SetTime{before.mtime},
                           .ctime = before.ctime};
  const bool cut = kept < before.size;
  kept = std::min({kept, before.size, lower_end_});
  if (auto copied = CopyData(upper, kept); !copied) {
    // What was written past the lower file's end is in no page that was copied.
    if (copied_.empty() && before.size <= lower_end_) {
      // Gives back the space. It is the lower file still that has the data.
      std::ignore = upper.SetAttributes(root, {.size = uint64_t{0}}, now);
      std::ignore = upper.SetAttributes(root, {.size = before.size}, now);
    }
    std::ignore = upper.SetAttributes(root, times, now);
    return copied;
  }
  // Before the mark goes: without it the size says what of the data counts.
  if (cut) STASIS_RETURN_IF_ERROR(upper.SetAttributes(root, {.size = kept}, now));
  STASIS_RETURN_IF_ERROR(upper.SetAttributes(root, times, now));
  if (!fs().lazy_data()) STASIS_RETURN_IF_ERROR(upper.Sync());
  STASIS_RETURN_IF_ERROR(fs().format().ClearMetacopy(upper, now));
  SetDataInUpper();
  return {};
}

Result<void> OverlayRegular::CompleteData() {
  absl::MutexLock lock(&mu());
  return needs_lower() ? CompleteDataLocked(OverlayFilesystem::kAllData) : Result<void>();
}

Result<vfs::VirtualDentry> OverlayRegular::MakeCopy(std::string_view name, uint64_t kept) {
  const TimeNs now = fs().vfs().clock().Now();
  STASIS_ASSIGN_OR_RETURN(const auto file, layer::MakeOpen(fs().work(), name, NewFileLikeLower()));
  vfs::Inode& copy = file->inode();
  vfs::Stat below;
  lower()->inode().FillStat(below);
  const uint64_t size = std::min(kept, below.size);
  const bool later = size != 0 && (fs().lazy_data() || fs().metacopy());
  if (!later && size != 0) {
    STASIS_ASSIGN_OR_RETURN(const auto lower, OpenData());
    STASIS_RETURN_IF_ERROR(CopyData(copy, size));
  }
  const uint64_t shown = later ? below.size : size;
  if (shown != 0)
    STASIS_RETURN_IF_ERROR(copy.SetAttributes(vfs::Credentials::Root(), {.size = shown}, now));
  if (later && !fs().lazy_data()) STASIS_RETURN_IF_ERROR(fs().format().SetMetacopy(copy, now));
  if (!later && size != 0 && !fs().lazy_data()) STASIS_RETURN_IF_ERROR(copy.Sync());
  lower_end_ = later ? below.size : 0;
  return file->at();
}

}  // namespace stasis::overlay
