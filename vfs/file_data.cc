// SPDX-License-Identifier: Apache-2.0

#include "vfs/file_data.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "state/base/rcu.h"

namespace stasis::vfs {
namespace {

using state::Chunk;
using state::kChunkSize;

constexpr unsigned kPagesPerChunk = kChunkSize / kPageSize;
constexpr unsigned kAllPages = (1u << kPagesPerChunk) - 1;
static_assert(kPagesPerChunk <= 8, "a PageMask has a bit for each");

constexpr unsigned PageCount(uint32_t bytes) { return (bytes + kPageSize - 1) / kPageSize; }
constexpr unsigned FirstPages(unsigned count) { return (1u << count) - 1; }
// The pages that [offset, end) touches; `offset` < `end`.
constexpr unsigned PagesTouched(uint32_t offset, uint32_t end) {
  return FirstPages(PageCount(end)) & ~FirstPages(offset / kPageSize);
}
constexpr uint32_t EndOfPages(unsigned pages) {
  return static_cast<uint32_t>(std::bit_width(pages)) * kPageSize;
}
uint64_t Count(unsigned pages) { return static_cast<uint64_t>(std::popcount(pages)); }
// The pages of a chunk that has no PageMask.
constexpr unsigned UsualPages(uint32_t size) { return FirstPages(PageCount(size)); }
// Those of the pages [first, end) of the file that are the chunk's.
constexpr unsigned PagesWithin(uint64_t index, uint64_t first, uint64_t end) {
  const uint64_t base = index * kPagesPerChunk;
  const auto place = [&](uint64_t page) {
    return static_cast<unsigned>(std::clamp(page, base, base + kPagesPerChunk) - base);
  };
  return FirstPages(place(end)) & ~FirstPages(place(first));
}

constexpr uint64_t kLastIndex = std::numeric_limits<int64_t>::max() / kChunkSize;
constexpr uint64_t kEndPage = (kLastIndex + 1) * kPagesPerChunk;

// The page that `offset` is in, and the first that does not begin before it.
constexpr uint64_t PageOf(uint64_t offset) { return offset / kPageSize; }
constexpr uint64_t PageFrom(uint64_t offset) {
  return offset / kPageSize + (offset % kPageSize != 0 ? 1 : 0);
}

// The part of [offset, offset + length) in one chunk.
struct Piece {
  uint64_t index;
  uint32_t offset;
  uint32_t length;
};

Piece FirstPiece(uint64_t offset, uint64_t length) {
  const auto within = static_cast<uint32_t>(offset % kChunkSize);
  return {offset / kChunkSize, within,
          static_cast<uint32_t>(std::min<uint64_t>(length, kChunkSize - within))};
}

constexpr std::byte kZeros[kPageSize] = {};

// Makes zeros of `pages` of a chunk, as far as it goes. Requires: as Chunk::Write.
Result<void> ZeroPages(Chunk& chunk, unsigned pages) {
  for (pages &= UsualPages(chunk.size()); pages != 0; pages &= pages - 1) {
    const uint32_t offset = static_cast<uint32_t>(std::countr_zero(pages)) * kPageSize;
    const uint32_t length = std::min(kPageSize, chunk.size() - offset);
    STASIS_RETURN_IF_ERROR(chunk.Write(offset, {kZeros, length}));
  }
  return {};
}

// Makes `slot` a chunk that may be changed.
Result<void> MakeExclusive(RefPtr<Chunk>& slot, uint32_t capacity) {
  if (slot->MayChange()) return {};
  STASIS_ASSIGN_OR_RETURN(auto copy, slot->Clone(std::max(capacity, slot->size())));
  slot = std::move(copy);
  return {};
}

}  // namespace

const RefPtr<Chunk>* FileData::Find(uint64_t index) const {
  if (index == 0) return first_ ? &first_ : nullptr;
  if (others_ == nullptr) return nullptr;
  auto it = others_->chunks.find(index);
  return it == others_->chunks.end() ? nullptr : &it->second;
}

RefPtr<Chunk>& FileData::Slot(uint64_t index) {
  return index == 0 ? first_ : MakeOthers().chunks[index];
}

RefPtr<Chunk>* FileData::FindMutable(uint64_t index) {
  return const_cast<RefPtr<Chunk>*>(std::as_const(*this).Find(index));
}

FileData::Others& FileData::MakeOthers() {
  if (others_ == nullptr) others_ = std::make_unique<Others>();
  return *others_;
}

void FileData::DropOthersIfEmpty() {
  if (others_ != nullptr && others_->empty()) others_.reset();
}

unsigned FileData::WrittenOf(uint64_t index, const Chunk* chunk) const {
  if (has_masks()) {
    auto it = others_->written.find(index);
    if (it != others_->written.end()) return it->second;
  }
  return UsualPages(chunk == nullptr ? 0 : chunk->size());
}

unsigned FileData::WrittenAt(uint64_t index) const {
  const RefPtr<Chunk>* chunk = Find(index);
  return WrittenOf(index, chunk == nullptr ? nullptr : chunk->get());
}

void FileData::SetWritten(uint64_t index, const Chunk* chunk, unsigned written) {
  if (written != UsualPages(chunk == nullptr ? 0 : chunk->size())) {
    MakeOthers().written[index] = static_cast<PageMask>(written);
  } else if (has_masks()) {
    others_->written.erase(index);
  }
}

unsigned FileData::ReservedAt(uint64_t index) const {
  if (others_ == nullptr || others_->reserved.empty()) return 0;
  unsigned reserved = 0;
  const uint64_t first = index * kPagesPerChunk;
  others_->reserved.ForEachIn(first, first + kPagesPerChunk, [&](uint64_t from, uint64_t to) {
    reserved |= PagesWithin(index, from, to);
  });
  return reserved;
}

uint64_t FileData::CountAllocated(uint64_t first, uint64_t end) const {
  const auto written = [&](uint64_t index, const Chunk* chunk) {
    return Count(WrittenOf(index, chunk) & PagesWithin(index, first, end) & ~ReservedAt(index));
  };
  uint64_t pages = first_ ? written(0, first_.get()) : 0;
  if (others_ == nullptr) return pages;
  for (auto it = others_->chunks.lower_bound(first / kPagesPerChunk);
       it != others_->chunks.end() && it->first * kPagesPerChunk < end; ++it) {
    pages += written(it->first, it->second.get());
  }
  return pages + others_->reserved.Count(first, end);
}

void FileData::AddAllocated(uint64_t pages) {
  if (pages != 0) allocated_.store(allocated() + pages * kPageSize, std::memory_order_relaxed);
}

void FileData::SubAllocated(uint64_t pages) {
  if (pages != 0) allocated_.store(allocated() - pages * kPageSize, std::memory_order_relaxed);
}

void FileData::EraseBytes(uint64_t index) {
  if (index == 0) {
    first_.reset();
  } else if (others_ != nullptr) {
    others_->chunks.erase(index);
  }
}

void FileData::Erase(uint64_t first, uint64_t end) {
  if (first >= end) return;
  uint64_t freed = 0;
  const auto free = [&](uint64_t index, const Chunk* chunk) {
    freed += Count(WrittenOf(index, chunk) & ~ReservedAt(index));
  };
  if (first == 0 && first_) {
    free(0, first_.get());
    first_.reset();
  }
  if (others_ != nullptr) {
    auto& [chunks, written, reserved] = *others_;
    const auto from = chunks.lower_bound(first);
    const auto to = chunks.lower_bound(end);
    for (auto it = from; it != to; ++it) free(it->first, it->second.get());
    chunks.erase(from, to);
    written.erase(written.lower_bound(first), written.lower_bound(end));
    DropOthersIfEmpty();
  }
  SubAllocated(freed);
}

void FileData::Unreserve(uint64_t first, uint64_t end) {
  if (first >= end || others_ == nullptr || others_->reserved.empty()) return;
  SubAllocated(others_->reserved.Count(first, end));
  others_->reserved.Remove(first, end);
  DropOthersIfEmpty();
}

void FileData::Clear() {
  Erase(0, UINT64_MAX);
  Unreserve(0, UINT64_MAX);
}

void FileData::HideHoles(uint64_t index, const Chunk& chunk, uint32_t offset,
                         std::span<std::byte> bytes) const {
  if (!has_masks() || bytes.empty()) return;
  const uint32_t end = offset + static_cast<uint32_t>(bytes.size());
  unsigned holes = PagesTouched(offset, end) & ~WrittenOf(index, &chunk);
  for (; holes != 0; holes &= holes - 1) {
    const uint32_t page = static_cast<uint32_t>(std::countr_zero(holes)) * kPageSize;
    const uint32_t from = std::max(page, offset);
    std::memset(bytes.data() + (from - offset), 0, std::min(page + kPageSize, end) - from);
  }
}

Result<void> FileData::Read(uint64_t offset, std::span<std::byte> out) const {
  const rcu::ReadLock reading;  // chunks may be dropped from memory
  while (!out.empty()) {
    const Piece piece = FirstPiece(offset, out.size());
    size_t copied = 0;
    if (const RefPtr<Chunk>* chunk = Find(piece.index); chunk != nullptr) {
      STASIS_ASSIGN_OR_RETURN(auto bytes, (*chunk)->Bytes());
      if (piece.offset < bytes.size()) {
        copied = std::min<size_t>(piece.length, bytes.size() - piece.offset);
        std::memcpy(out.data(), bytes.data() + piece.offset, copied);
        HideHoles(piece.index, **chunk, piece.offset, out.first(copied));
      }
    }
    std::memset(out.data() + copied, 0, piece.length - copied);
    out = out.subspan(piece.length);
    offset += piece.length;
  }
  return {};
}

Result<void> FileData::WriteChunk(uint64_t index, uint32_t offset,
                                  std::span<const std::byte> bytes) {
  RefPtr<Chunk>* slot = FindMutable(index);
  const unsigned before = WrittenOf(index, slot == nullptr ? nullptr : slot->get());
  const auto end = offset + static_cast<uint32_t>(bytes.size());
  const unsigned added = PagesTouched(offset, end) & ~before;
  // A file that has outgrown one chunk will fill this one too.
  const uint32_t capacity = index > 0 ? kChunkSize : end;
  if (slot == nullptr) {
    STASIS_ASSIGN_OR_RETURN(auto chunk, Chunk::Create({}, capacity));
    slot = &Slot(index);
    *slot = std::move(chunk);
  } else if (!(*slot)->MayChange() && offset == 0 && end >= (*slot)->size()) {
    // Nothing of the shared one stays.
    STASIS_ASSIGN_OR_RETURN(*slot, (*slot)->Replacement(capacity));
  } else {
    STASIS_RETURN_IF_ERROR(MakeExclusive(*slot, capacity));
    if (added != 0) STASIS_RETURN_IF_ERROR(ZeroPages(**slot, added));
  }
  STASIS_RETURN_IF_ERROR((*slot)->Write(offset, bytes));
  SetWritten(index, slot->get(), before | added);
  if (added != 0) AddAllocated(Count(added & ~ReservedAt(index)));
  return {};
}

Result<void> FileData::Write(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const Piece piece = FirstPiece(offset, bytes.size());
    STASIS_RETURN_IF_ERROR(WriteChunk(piece.index, piece.offset, bytes.first(piece.length)));
    bytes = bytes.subspan(piece.length);
    offset += piece.length;
  }
  return {};
}

Result<void> FileData::ShrinkChunk(uint64_t index, unsigned kept, uint32_t end) {
  RefPtr<Chunk>* slot = FindMutable(index);
  if (slot == nullptr) return {};
  const unsigned before = WrittenOf(index, slot->get());
  const unsigned after = before & kept;
  const uint32_t size = std::min({(*slot)->size(), end, EndOfPages(after)});
  const unsigned dropped = before & ~after & UsualPages(size);
  if (size == 0) {
    EraseBytes(index);
    slot = nullptr;
  } else if (size < (*slot)->size() || dropped != 0) {
    STASIS_RETURN_IF_ERROR(MakeExclusive(*slot, size));
    STASIS_RETURN_IF_ERROR((*slot)->Truncate(size));
    STASIS_RETURN_IF_ERROR(ZeroPages(**slot, dropped));
  }
  SetWritten(index, slot == nullptr ? nullptr : slot->get(), after);
  SubAllocated(Count(before & ~after & ~ReservedAt(index)));
  DropOthersIfEmpty();
  return {};
}

Result<void> FileData::Truncate(uint64_t size) {
  const uint64_t boundary = size / kChunkSize;
  const auto within = static_cast<uint32_t>(size % kChunkSize);
  if (within != 0) STASIS_RETURN_IF_ERROR(ShrinkChunk(boundary, UsualPages(within), within));
  Erase(boundary + (within != 0 ? 1 : 0), UINT64_MAX);
  Unreserve(PageFrom(size), UINT64_MAX);
  return {};
}

Result<void> FileData::ZeroInPage(uint64_t index, uint32_t offset, uint32_t end) {
  RefPtr<Chunk>* slot = FindMutable(index);
  if (slot == nullptr) return {};
  end = std::min(end, (*slot)->size());
  if (offset >= end) return {};
  if ((WrittenOf(index, slot->get()) >> offset / kPageSize & 1) == 0) return {};
  STASIS_RETURN_IF_ERROR(MakeExclusive(*slot, 0));
  return (*slot)->Write(offset, {kZeros, end - offset});
}

Result<void> FileData::PunchChunk(uint64_t index, uint32_t offset, uint32_t end) {
  const uint32_t first_whole = PageCount(offset) * kPageSize;
  const uint32_t end_whole = end / kPageSize * kPageSize;
  if (first_whole > end_whole) return ZeroInPage(index, offset, end);  // all in one page
  STASIS_RETURN_IF_ERROR(ZeroInPage(index, offset, first_whole));
  STASIS_RETURN_IF_ERROR(ZeroInPage(index, end_whole, end));
  if (first_whole == end_whole) return {};
  return ShrinkChunk(index, ~PagesTouched(first_whole, end_whole), kChunkSize);
}

Result<void> FileData::PunchHole(uint64_t offset, uint64_t length) {
  const uint64_t end =
      length > std::numeric_limits<uint64_t>::max() - offset ? UINT64_MAX : offset + length;
  const Piece head = FirstPiece(offset, end - offset);
  STASIS_RETURN_IF_ERROR(PunchChunk(head.index, head.offset, head.offset + head.length));
  const uint64_t last = end / kChunkSize;
  Erase(head.index + 1, last);
  if (last > head.index && end % kChunkSize != 0)
    STASIS_RETURN_IF_ERROR(PunchChunk(last, 0, static_cast<uint32_t>(end % kChunkSize)));
  Unreserve(PageFrom(offset), PageOf(end));
  return {};
}

void FileData::Reserve(uint64_t offset, uint64_t length) {
  const uint64_t growth = GrowthOfWrite(offset, length);
  if (growth == 0) return;
  MakeOthers().reserved.Add(PageOf(offset), PageFrom(offset + length));
  AddAllocated(growth / kPageSize);
}

void FileData::ShareChunk(uint64_t index, RefPtr<Chunk> chunk, unsigned written) {
  const unsigned before = WrittenAt(index);
  const unsigned reserved = ReservedAt(index);
  if (chunk) {
    Slot(index) = chunk;
  } else {
    EraseBytes(index);
  }
  SetWritten(index, chunk.get(), written);
  for (unsigned lost = before & ~written; lost != 0; lost &= lost - 1) {
    const uint64_t page = index * kPagesPerChunk + static_cast<uint64_t>(std::countr_zero(lost));
    MakeOthers().reserved.Add(page, page + 1);
  }
  AddAllocated(Count(written & ~before & ~reserved));
  DropOthersIfEmpty();
}

Result<void> FileData::CopyFrom(const FileData& from, uint64_t from_offset, uint64_t offset,
                                uint64_t length) {
  std::array<std::byte, kChunkSize> buffer;
  while (length > 0) {
    const Piece piece = FirstPiece(offset, length);
    if (piece.length == kChunkSize && from_offset % kChunkSize == 0) {
      const uint64_t index = from_offset / kChunkSize;
      const RefPtr<Chunk>* chunk = from.Find(index);
      ShareChunk(piece.index, chunk == nullptr ? nullptr : *chunk, from.WrittenAt(index));
    } else {
      const std::span<std::byte> bytes(buffer.data(), piece.length);
      STASIS_RETURN_IF_ERROR(from.Read(from_offset, bytes));
      STASIS_RETURN_IF_ERROR(Write(offset, bytes));
    }
    offset += piece.length;
    from_offset += piece.length;
    length -= piece.length;
  }
  return {};
}

Result<uint64_t> FileData::SeekData(uint64_t offset, uint64_t size) const {
  if (offset >= size) return Err(ENXIO);
  uint64_t index = offset / kChunkSize;
  const auto page = static_cast<unsigned>(offset % kChunkSize / kPageSize);
  unsigned written = WrittenAt(index) & ~FirstPages(page);
  if ((written >> page & 1) != 0) return offset;
  if (written == 0) {
    if (others_ == nullptr) return Err(ENXIO);
    const auto it = others_->chunks.lower_bound(index + 1);
    if (it == others_->chunks.end()) return Err(ENXIO);
    index = it->first;
    written = WrittenOf(index, it->second.get());
  }
  const uint64_t found =
      index * kChunkSize + static_cast<uint64_t>(std::countr_zero(written)) * kPageSize;
  if (found >= size) return Err(ENXIO);
  return found;
}

// The first chunk from `index` on that is not written in full.
uint64_t FileData::SkipWrittenChunks(uint64_t index) const {
  if (index == 0) {
    if (WrittenAt(0) != kAllPages) return 0;
    index = 1;
  }
  if (others_ == nullptr) return index;
  for (auto it = others_->chunks.lower_bound(index);
       it != others_->chunks.end() && it->first == index &&
       WrittenOf(index, it->second.get()) == kAllPages;
       ++it) {
    ++index;
  }
  return index;
}

Result<uint64_t> FileData::SeekHole(uint64_t offset, uint64_t size) const {
  if (offset >= size) return Err(ENXIO);
  uint64_t index = offset / kChunkSize;
  const auto page = static_cast<unsigned>(offset % kChunkSize / kPageSize);
  unsigned holes = kAllPages & ~WrittenAt(index) & ~FirstPages(page);
  if (holes == 0) {
    index = SkipWrittenChunks(index + 1);
    holes = kAllPages & ~WrittenAt(index);
  }
  const uint64_t found =
      index * kChunkSize + static_cast<uint64_t>(std::countr_zero(holes)) * kPageSize;
  return std::min(std::max(found, offset), size);
}

uint64_t FileData::GrowthOfWrite(uint64_t offset, uint64_t length) const {
  if (length == 0) return 0;
  const uint64_t first = PageOf(offset);
  const uint64_t end = PageFrom(offset + length);
  return (end - first - CountAllocated(first, end)) * kPageSize;
}

uint64_t FileData::EndOfLastChunk() const {
  if (others_ != nullptr && !others_->chunks.empty()) {
    const auto& [index, chunk] = *others_->chunks.rbegin();
    return index * kChunkSize + chunk->size();
  }
  return first_ ? first_->size() : 0;
}

ChunkMap FileData::ToMap() const {
  ChunkMap map;
  if (others_ != nullptr) map = others_->chunks;
  if (first_) map.emplace(0, first_);
  return map;
}

Result<void> FileData::FromMap(ChunkMap chunks) {
  uint64_t allocated = 0;
  for (auto it = chunks.begin(); it != chunks.end();) {
    if (it->first > kLastIndex || !it->second) return Err(EINVAL);
    const uint32_t size = it->second->size();
    allocated += Count(UsualPages(size)) * kPageSize;
    it = size == 0 ? chunks.erase(it) : std::next(it);
  }
  allocated_.store(allocated, std::memory_order_relaxed);
  if (auto it = chunks.find(0); it != chunks.end()) {
    first_ = std::move(it->second);
    chunks.erase(it);
  }
  if (!chunks.empty()) MakeOthers().chunks = std::move(chunks);
  return {};
}

PageMap FileData::ToWritten() const { return others_ == nullptr ? PageMap() : others_->written; }

Result<void> FileData::FromWritten(const PageMap& masks) {
  for (const auto& [index, written] : masks) {
    const RefPtr<Chunk>* chunk = Find(index);
    if (chunk == nullptr || (written & ~kAllPages) != 0 ||
        EndOfPages(written) != PageCount((*chunk)->size()) * kPageSize) {
      return Err(EINVAL);
    }
    SubAllocated(Count(WrittenOf(index, chunk->get())));
    SetWritten(index, chunk->get(), written);
    AddAllocated(Count(written));
  }
  return {};
}

PageRangeMap FileData::ToReserved() const {
  return others_ == nullptr ? PageRangeMap() : others_->reserved.map();
}

Result<void> FileData::FromReserved(const PageRangeMap& ranges) {
  std::optional<uint64_t> last_end;
  for (const auto& [first, end] : ranges) {
    if (first >= end || end > kEndPage || (last_end && first <= *last_end)) return Err(EINVAL);
    last_end = end;
    AddAllocated(end - first - CountAllocated(first, end));
    MakeOthers().reserved.Add(first, end);
  }
  return {};
}

}  // namespace stasis::vfs
