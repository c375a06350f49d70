// SPDX-License-Identifier: Apache-2.0

#include "state/chunk_memory_view.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace stasis::state {

Result<RefPtr<ChunkMemoryView>> ChunkMemoryView::Map(UniqueFd memory, UniqueFd token) {
  struct stat st;
  if (::fstat(memory.get(), &st) != 0) return Err(errno);
  const auto size = static_cast<size_t>(st.st_size);
  void* start = ::mmap(nullptr, size, PROT_READ, MAP_SHARED | MAP_NORESERVE, memory.get(), 0);
  if (start == MAP_FAILED) return Err(errno);
  return RefPtr<ChunkMemoryView>::Adopt(new ChunkMemoryView(
      std::move(memory), std::move(token), static_cast<const std::byte*>(start), size));
}

ChunkMemoryView::ChunkMemoryView(UniqueFd memory, UniqueFd token, const std::byte* start,
                                 uint64_t size)
    : memory_(std::move(memory)), token_(std::move(token)), start_(start), size_(size) {}

ChunkMemoryView::~ChunkMemoryView() { ::munmap(const_cast<std::byte*>(start_), size_); }

const std::byte* ChunkMemoryView::InPlace(ChunkLocation at, uint32_t size) const {
  const uint64_t offset = OffsetOf(at);
  return offset <= size_ && size <= size_ - offset ? start_ + offset : nullptr;
}

Result<void> ChunkMemoryView::Read(ChunkLocation at, std::span<std::byte> out) {
  const std::byte* from = InPlace(at, static_cast<uint32_t>(out.size()));
  if (from == nullptr) return Err(EIO);
  std::memcpy(out.data(), from, out.size());
  return {};
}

}  // namespace stasis::state
