// SPDX-License-Identifier: Apache-2.0
//
// chunk_memory_view.h: the ChunkMemory of another process, to read from.

#ifndef STASIS_STATE_CHUNK_MEMORY_VIEW_H_
#define STASIS_STATE_CHUNK_MEMORY_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "state/base/memory_file.h"
#include "state/base/result.h"
#include "state/base/unique_fd.h"
#include "state/chunk.h"

namespace stasis::state {

// The chunks that are read from it have no copies of their own until they are changed. The other
// process keeps what they need as it is, for as long as `token` is open. Thread-safe.
class ChunkMemoryView final : public ChunkSource {
 public:
  // Maps `memory`, which must not shrink. Errors: of fstat(2) and mmap(2).
  static Result<RefPtr<ChunkMemoryView>> Map(UniqueFd memory, UniqueFd token);

  int fd() const { return memory_->fd(); }
  int token() const { return token_.get(); }

  // A place in the memory as chunks have it.
  static ChunkLocation LocationOf(uint64_t offset) {
    return {static_cast<uint32_t>(offset >> 32), static_cast<uint32_t>(offset)};
  }
  static uint64_t OffsetOf(ChunkLocation at) { return uint64_t{at.frame} << 32 | at.offset; }

  // Both: EIO if that is not within the memory.
  Result<void> Read(ChunkLocation at, std::span<std::byte> out) override;
  Result<const std::byte*> InPlace(ChunkLocation at, uint32_t size) override;

 private:
  ChunkMemoryView(std::unique_ptr<MemoryFileView> memory, UniqueFd token);

  const std::unique_ptr<MemoryFileView> memory_;
  const UniqueFd token_;
};

}  // namespace stasis::state

#endif  // STASIS_STATE_CHUNK_MEMORY_VIEW_H_
