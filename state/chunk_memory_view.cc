// SPDX-License-Identifier: Apache-2.0

#include "state/chunk_memory_view.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace stasis::state {

Result<RefPtr<ChunkMemoryView>> ChunkMemoryView::Map(UniqueFd memory, UniqueFd token) {
  STASIS_ASSIGN_OR_RETURN(auto view, MemoryFileView::Map(std::move(memory)));
  return RefPtr<ChunkMemoryView>::Adopt(new ChunkMemoryView(std::move(view), std::move(token)));
}

ChunkMemoryView::ChunkMemoryView(std::unique_ptr<MemoryFileView> memory, UniqueFd token)
    : memory_(std::move(memory)), token_(std::move(token)) {}

Result<const std::byte*> ChunkMemoryView::InPlace(ChunkLocation at, uint32_t size) {
  const uint64_t offset = OffsetOf(at);
  if (offset > memory_->size() || size > memory_->size() - offset) return Err(EIO);
  return memory_->data() + offset;
}

Result<void> ChunkMemoryView::Read(ChunkLocation at, std::span<std::byte> out) {
  STASIS_ASSIGN_OR_RETURN(const std::byte* const from,
                          InPlace(at, static_cast<uint32_t>(out.size())));
  std::memcpy(out.data(), from, out.size());
  return {};
}

}  // namespace stasis::state
