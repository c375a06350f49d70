// SPDX-License-Identifier: Apache-2.0

#include "vfs/file_data.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>

namespace stasis::vfs {
namespace {

using state::Chunk;
using state::kChunkSize;

constexpr unsigned kPagesPerChunk = kChunkSize / kPageSize;
constexpr unsigned kAllPages = (1u << kPagesPerChunk) - 1;
static_assert(kPagesPerChunk == 4, "a PageMask has four bits for each kind");

// The two halves of a PageMask, and the mask of pages that are written.
constexpr unsigned Allocated(PageMask pages) { return pages & kAllPages; }
constexpr unsigned Written(PageMask pages) { return pages >> kPagesPerChunk; }
constexpr PageMask AsWritten(unsigned pages) {
  return static_cast<PageMask>(pages | pages << kPagesPerChunk);
}

constexpr unsigned PageCount(uint32_t bytes) { return (bytes + kPageSize - 1) / kPageSize; }
constexpr unsigned FirstPages(unsigned count) { return (1u << count) - 1; }
// The pages that [offset, end) touches; `offset` < `end`.
constexpr unsigned PagesTouched(uint32_t offset, uint32_t end) {
  return FirstPages(PageCount(end)) & ~FirstPages(offset / kPageSize);
}
constexpr uint32_t EndOfPages(unsigned pages) {
  return static_cast<uint32_t>(std::bit_width(pages)) * kPageSize;
}
uint64_t BytesAllocated(PageMask pages) {
  return static_cast<uint64_t>(std::popcount(Allocated(pages))) * kPageSize;
}
// The pages of a chunk that has no PageMask of its own.
constexpr PageMask UsualPages(uint32_t size) { return AsWritten(FirstPages(PageCount(size))); }

constexpr uint64_t kLastIndex = std::numeric_limits<int64_t>::max() / kChunkSize;

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

// Makes `slot` a chunk that may be changed.
Result<void> MakeExclusive(RefPtr<Chunk>& slot, uint32_t capacity) {
  if (slot->HasOneRef()) return {};
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
  if (others_ != nullptr && others_->chunks.empty() && others_->pages.empty()) others_.reset();
}

PageMask FileData::PagesOf(uint64_t index, const Chunk* chunk) const {
  if (others_ != nullptr && !others_->pages.empty()) {
    auto it = others_->pages.find(index);
    if (it != others_->pages.end()) return it->second;
  }
  return UsualPages(chunk == nullptr ? 0 : chunk->size());
}

PageMask FileData::PagesAt(uint64_t index) const {
  const RefPtr<Chunk>* chunk = Find(index);
  return PagesOf(index, chunk == nullptr ? nullptr : chunk->get());
}

void FileData::SetPages(uint64_t index, const Chunk* chunk, PageMask before, PageMask after) {
  if (before != after) {
    allocated_.store(allocated() + BytesAllocated(after) - BytesAllocated(before),
                     std::memory_order_relaxed);
  }
  if (after != UsualPages(chunk == nullptr ? 0 : chunk->size())) {
    MakeOthers().pages[index] = after;
  } else if (others_ != nullptr && !others_->pages.empty()) {
    others_->pages.erase(index);
  }
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
  if (first == 0 && first_) {
    freed += BytesAllocated(PagesOf(0, first_.get()));
    first_.reset();
  }
  if (others_ != nullptr) {
    auto& [chunks, pages] = *others_;
    const auto from = chunks.lower_bound(first);
    const auto to = chunks.lower_bound(end);
    for (auto it = from; it != to; ++it)
      freed += BytesAllocated(PagesOf(it->first, it->second.get()));
    // What has no bytes only reserves: then the upper half of the mask is empty.
    const auto from_page = pages.lower_bound(first);
    const auto to_page = pages.lower_bound(end);
    for (auto it = from_page; it != to_page; ++it)
      if (Written(it->second) == 0) freed += BytesAllocated(it->second);
    chunks.erase(from, to);
    pages.erase(from_page, to_page);
    DropOthersIfEmpty();
  }
  allocated_.store(allocated() - freed, std::memory_order_relaxed);
}

Result<void> FileData::Read(uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const Piece piece = FirstPiece(offset, out.size());
    size_t copied = 0;
    if (const RefPtr<Chunk>* chunk = Find(piece.index); chunk != nullptr) {
      STASIS_ASSIGN_OR_RETURN(auto bytes, (*chunk)->Bytes());
      if (piece.offset < bytes.size()) {
        copied = std::min<size_t>(piece.length, bytes.size() - piece.offset);
        std::memcpy(out.data(), bytes.data() + piece.offset, copied);
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
  RefPtr<Chunk>& slot = Slot(index);
  const PageMask before = PagesOf(index, slot.get());
  const auto end = offset + static_cast<uint32_t>(bytes.size());
  // A file that has outgrown one chunk will fill this one too.
  const uint32_t capacity = index > 0 ? kChunkSize : end;
  if (!slot) {
    slot = Chunk::Create({}, capacity);
  } else if (!slot->HasOneRef() && offset == 0 && end >= slot->size()) {
    slot = Chunk::Create({}, capacity);  // nothing of the shared one stays
  } else {
    STASIS_RETURN_IF_ERROR(MakeExclusive(slot, capacity));
  }
  STASIS_RETURN_IF_ERROR(slot->Write(offset, bytes));
  SetPages(index, slot.get(), before,
           static_cast<PageMask>(before | AsWritten(PagesTouched(offset, end))));
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

Result<void> FileData::ShrinkChunk(uint64_t index, PageMask pages, uint32_t end) {
  RefPtr<Chunk>* slot = FindMutable(index);
  const PageMask before = PagesOf(index, slot == nullptr ? nullptr : slot->get());
  if (slot != nullptr) {
    const uint32_t size = std::min({(*slot)->size(), end, EndOfPages(Written(pages))});
    const unsigned dropped = Written(before) & ~Written(pages) & FirstPages(PageCount(size));
    if (size == 0) {
      EraseBytes(index);
      slot = nullptr;
    } else if (size < (*slot)->size() || dropped != 0) {
      STASIS_RETURN_IF_ERROR(MakeExclusive(*slot, size));
      STASIS_RETURN_IF_ERROR((*slot)->Truncate(size));
      for (unsigned page = 0; page < kPagesPerChunk; ++page) {
        if ((dropped >> page & 1) != 0)
          STASIS_RETURN_IF_ERROR((*slot)->Write(page * kPageSize, {kZeros, kPageSize}));
      }
    }
  }
  SetPages(index, slot == nullptr ? nullptr : slot->get(), before, pages);
  DropOthersIfEmpty();
  return {};
}

Result<void> FileData::Truncate(uint64_t size) {
  const uint64_t boundary = size / kChunkSize;
  const auto within = static_cast<uint32_t>(size % kChunkSize);
  if (within != 0)
    STASIS_RETURN_IF_ERROR(ShrinkChunk(boundary, PagesAt(boundary) & UsualPages(within), within));
  Erase(boundary + (within != 0 ? 1 : 0), UINT64_MAX);
  return {};
}

Result<void> FileData::ZeroInPage(uint64_t index, uint32_t offset, uint32_t end) {
  RefPtr<Chunk>* slot = FindMutable(index);
  if (slot == nullptr) return {};
  end = std::min(end, (*slot)->size());
  if (offset >= end) return {};
  if ((Written(PagesOf(index, slot->get())) >> offset / kPageSize & 1) == 0) return {};
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
  const PageMask dropped = AsWritten(PagesTouched(first_whole, end_whole));
  return ShrinkChunk(index, PagesAt(index) & static_cast<PageMask>(~dropped), kChunkSize);
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
  return {};
}

void FileData::Reserve(uint64_t offset, uint64_t length) {
  while (length > 0) {
    const Piece piece = FirstPiece(offset, length);
    const RefPtr<Chunk>* slot = Find(piece.index);
    const Chunk* chunk = slot == nullptr ? nullptr : slot->get();
    const PageMask before = PagesOf(piece.index, chunk);
    const unsigned touched = PagesTouched(piece.offset, piece.offset + piece.length);
    SetPages(piece.index, chunk, before, static_cast<PageMask>(before | touched));
    offset += piece.length;
    length -= piece.length;
  }
}

void FileData::ShareChunk(uint64_t index, RefPtr<Chunk> chunk, PageMask from) {
  const PageMask before = PagesAt(index);
  if (chunk) {
    Slot(index) = chunk;
  } else {
    EraseBytes(index);
  }
  SetPages(index, chunk.get(), before,
           static_cast<PageMask>(AsWritten(Written(from)) | Allocated(before)));
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
      ShareChunk(piece.index, chunk == nullptr ? nullptr : *chunk, from.PagesAt(index));
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
  unsigned written = Written(PagesAt(index)) & ~FirstPages(page);
  if ((written >> page & 1) != 0) return offset;
  if (written == 0) {
    if (others_ == nullptr) return Err(ENXIO);
    const auto it = others_->chunks.lower_bound(index + 1);
    if (it == others_->chunks.end()) return Err(ENXIO);
    index = it->first;
    written = Written(PagesOf(index, it->second.get()));
  }
  const uint64_t found =
      index * kChunkSize + static_cast<uint64_t>(std::countr_zero(written)) * kPageSize;
  if (found >= size) return Err(ENXIO);
  return found;
}

// The first chunk from `index` on that is not written in full.
uint64_t FileData::SkipWrittenChunks(uint64_t index) const {
  if (index == 0) {
    if (Written(PagesAt(0)) != kAllPages) return 0;
    index = 1;
  }
  if (others_ == nullptr) return index;
  for (auto it = others_->chunks.lower_bound(index);
       it != others_->chunks.end() && it->first == index &&
       Written(PagesOf(index, it->second.get())) == kAllPages;
       ++it) {
    ++index;
  }
  return index;
}

Result<uint64_t> FileData::SeekHole(uint64_t offset, uint64_t size) const {
  if (offset >= size) return Err(ENXIO);
  uint64_t index = offset / kChunkSize;
  const auto page = static_cast<unsigned>(offset % kChunkSize / kPageSize);
  unsigned holes = kAllPages & ~Written(PagesAt(index)) & ~FirstPages(page);
  if (holes == 0) {
    index = SkipWrittenChunks(index + 1);
    holes = kAllPages & ~Written(PagesAt(index));
  }
  const uint64_t found =
      index * kChunkSize + static_cast<uint64_t>(std::countr_zero(holes)) * kPageSize;
  return std::min(std::max(found, offset), size);
}

uint64_t FileData::GrowthOfWrite(uint64_t offset, uint64_t length) const {
  uint64_t growth = 0;
  while (length > 0) {
    const Piece piece = FirstPiece(offset, length);
    const unsigned touched = PagesTouched(piece.offset, piece.offset + piece.length);
    growth += BytesAllocated(static_cast<PageMask>(touched & ~Allocated(PagesAt(piece.index))));
    offset += piece.length;
    length -= piece.length;
  }
  return growth;
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
    allocated += BytesAllocated(UsualPages(size));
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

PageMap FileData::ToPageMap() const { return others_ == nullptr ? PageMap() : others_->pages; }

Result<void> FileData::FromPageMap(const PageMap& pages) {
  for (const auto& [index, mask] : pages) {
    const RefPtr<Chunk>* slot = Find(index);
    const Chunk* chunk = slot == nullptr ? nullptr : slot->get();
    const uint32_t size = chunk == nullptr ? 0 : chunk->size();
    if (index > kLastIndex || (Written(mask) & ~Allocated(mask)) != 0 ||
        EndOfPages(Written(mask)) != PageCount(size) * kPageSize) {
      return Err(EINVAL);
    }
    SetPages(index, chunk, PagesOf(index, chunk), mask);
  }
  return {};
}

}  // namespace stasis::vfs
