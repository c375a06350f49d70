// SPDX-License-Identifier: Apache-2.0

#include "vfs/file_data.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

namespace stasis::vfs {
namespace {

using state::Chunk;
using state::kChunkSize;

// Granularity of st_blocks, as of tmpfs: a page.
constexpr uint64_t kAllocationUnit = 4096;

uint64_t AllocatedFor(uint64_t size) {
  return (size + kAllocationUnit - 1) / kAllocationUnit * kAllocationUnit;
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
  auto it = others_->find(index);
  return it == others_->end() ? nullptr : &it->second;
}

RefPtr<Chunk>& FileData::Slot(uint64_t index) {
  if (index == 0) return first_;
  if (others_ == nullptr) others_ = std::make_unique<ChunkMap>();
  return (*others_)[index];
}

RefPtr<Chunk>* FileData::FindMutable(uint64_t index) {
  return const_cast<RefPtr<Chunk>*>(std::as_const(*this).Find(index));
}

uint64_t FileData::AllocatedAt(uint64_t index) const {
  const RefPtr<Chunk>* chunk = Find(index);
  return chunk == nullptr ? 0 : AllocatedFor((*chunk)->size());
}

void FileData::Erase(uint64_t first, uint64_t end) {
  if (first >= end) return;
  if (first == 0) {
    Account(AllocatedAt(0), 0);
    first_.reset();
  }
  if (others_ == nullptr) return;
  const auto from = others_->lower_bound(first);
  const auto to = others_->lower_bound(end);
  for (auto it = from; it != to; ++it) Account(AllocatedFor(it->second->size()), 0);
  others_->erase(from, to);
  if (others_->empty()) others_.reset();
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
  return slot->Write(offset, bytes);
}

Result<void> FileData::Write(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const Piece piece = FirstPiece(offset, bytes.size());
    const uint64_t before = AllocatedAt(piece.index);
    auto written = WriteChunk(piece.index, piece.offset, bytes.first(piece.length));
    Account(before, AllocatedAt(piece.index));
    STASIS_RETURN_IF_ERROR(written);
    bytes = bytes.subspan(piece.length);
    offset += piece.length;
  }
  return {};
}

Result<void> FileData::CutChunk(uint64_t index, uint32_t size) {
  RefPtr<Chunk>* slot = FindMutable(index);
  if (slot == nullptr || (*slot)->size() <= size) return {};
  const uint64_t before = AllocatedFor((*slot)->size());
  STASIS_RETURN_IF_ERROR(MakeExclusive(*slot, size));
  STASIS_RETURN_IF_ERROR((*slot)->Truncate(size));
  Account(before, AllocatedFor(size));
  return {};
}

Result<void> FileData::Truncate(uint64_t size) {
  const uint64_t boundary = size / kChunkSize;
  const auto within = static_cast<uint32_t>(size % kChunkSize);
  if (within != 0) STASIS_RETURN_IF_ERROR(CutChunk(boundary, within));
  Erase(boundary + (within != 0 ? 1 : 0), UINT64_MAX);
  return {};
}

Result<void> FileData::ZeroInChunk(uint64_t index, uint32_t offset, uint32_t length) {
  RefPtr<Chunk>* slot = FindMutable(index);
  if (slot == nullptr || offset >= (*slot)->size()) return {};
  if (offset == 0 && length >= (*slot)->size()) {
    Erase(index, index + 1);
    return {};
  }
  if (offset + length >= (*slot)->size()) return CutChunk(index, offset);
  STASIS_RETURN_IF_ERROR(MakeExclusive(*slot, 0));
  static constexpr std::byte kZeros[kChunkSize] = {};
  return (*slot)->Write(offset, {kZeros, length});
}

Result<void> FileData::PunchHole(uint64_t offset, uint64_t length) {
  const uint64_t end =
      length > std::numeric_limits<uint64_t>::max() - offset ? UINT64_MAX : offset + length;
  const Piece head = FirstPiece(offset, end - offset);
  STASIS_RETURN_IF_ERROR(ZeroInChunk(head.index, head.offset, head.length));
  const uint64_t last = end / kChunkSize;
  Erase(head.index + 1, last);
  if (last > head.index && end % kChunkSize != 0)
    STASIS_RETURN_IF_ERROR(ZeroInChunk(last, 0, static_cast<uint32_t>(end % kChunkSize)));
  return {};
}

Result<void> FileData::Reserve(uint64_t offset, uint64_t length) {
  static constexpr std::byte kZero{};
  while (length > 0) {
    const Piece piece = FirstPiece(offset, length);
    const uint32_t end = piece.offset + piece.length;
    const RefPtr<Chunk>* chunk = Find(piece.index);
    if (chunk == nullptr || (*chunk)->size() < end)
      STASIS_RETURN_IF_ERROR(Write(piece.index * kChunkSize + end - 1, {&kZero, 1}));
    offset += piece.length;
    length -= piece.length;
  }
  return {};
}

void FileData::ShareChunk(uint64_t index, const RefPtr<Chunk>* chunk) {
  const RefPtr<Chunk> shared = chunk == nullptr ? nullptr : *chunk;  // our own slots may move
  Erase(index, index + 1);
  if (!shared) return;
  Slot(index) = shared;
  Account(0, AllocatedFor(shared->size()));
}

Result<void> FileData::CopyFrom(const FileData& from, uint64_t from_offset, uint64_t offset,
                                uint64_t length) {
  std::array<std::byte, kChunkSize> buffer;
  while (length > 0) {
    const Piece piece = FirstPiece(offset, length);
    if (piece.length == kChunkSize && from_offset % kChunkSize == 0) {
      ShareChunk(piece.index, from.Find(from_offset / kChunkSize));
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
  const uint64_t index = offset / kChunkSize;
  if (Find(index) != nullptr) return offset;
  if (others_ == nullptr) return Err(ENXIO);
  auto it = others_->lower_bound(index);
  if (it == others_->end() || it->first * kChunkSize >= size) return Err(ENXIO);
  return it->first * kChunkSize;
}

Result<uint64_t> FileData::SeekHole(uint64_t offset, uint64_t size) const {
  if (offset >= size) return Err(ENXIO);
  uint64_t index = offset / kChunkSize;
  if (Find(index) == nullptr) return offset;
  if (index == 0) index = 1;
  if (others_ != nullptr) {
    for (auto it = others_->lower_bound(index); it != others_->end() && it->first == index; ++it)
      ++index;
  }
  return std::min(index * kChunkSize, size);
}

uint64_t FileData::GrowthOfWrite(uint64_t offset, uint64_t length) const {
  uint64_t growth = 0;
  while (length > 0) {
    const Piece piece = FirstPiece(offset, length);
    const uint64_t after = AllocatedFor(piece.offset + piece.length);
    growth += after - std::min(after, AllocatedAt(piece.index));
    offset += piece.length;
    length -= piece.length;
  }
  return growth;
}

uint64_t FileData::EndOfLastChunk() const {
  if (others_ != nullptr) {
    const auto& [index, chunk] = *others_->rbegin();
    return index * kChunkSize + chunk->size();
  }
  return first_ ? first_->size() : 0;
}

ChunkMap FileData::ToMap() const {
  ChunkMap map;
  if (others_ != nullptr) map = *others_;
  if (first_) map.emplace(0, first_);
  return map;
}

Result<void> FileData::FromMap(ChunkMap chunks) {
  constexpr uint64_t kLastIndex = std::numeric_limits<int64_t>::max() / kChunkSize;
  for (const auto& [index, chunk] : chunks) {
    if (index > kLastIndex || !chunk) return Err(EINVAL);
    Account(0, AllocatedFor(chunk->size()));
  }
  if (auto it = chunks.find(0); it != chunks.end()) {
    first_ = std::move(it->second);
    chunks.erase(it);
  }
  if (!chunks.empty()) others_ = std::make_unique<ChunkMap>(std::move(chunks));
  return {};
}

}  // namespace stasis::vfs
