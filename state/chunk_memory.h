// SPDX-License-Identifier: Apache-2.0
//
// chunk_memory.h: the memory that file data is in.
//
// A ChunkMemory is one range of addresses, mapped shared from a memfd or an unlinked file. So a
// fork copies nothing of it, not even page tables, and another process can map the same data
// through the descriptor; and in a file, it may be larger than the machine's memory.
//
// The range is divided into spans. A span that is in use holds slots of one size, a power of two;
// what is known of them is kept elsewhere, so that free memory is never written to. Memory becomes
// real a span at a time, in one call that can fail: a full disk is an error and not a SIGBUS.
//
// A forked child may read its parent's slots while they are not changed; what it allocates is in a
// ChunkMemory of its own.

#ifndef STASIS_STATE_CHUNK_MEMORY_H_
#define STASIS_STATE_CHUNK_MEMORY_H_

#include <absl/base/thread_annotations.h>
#include <absl/functional/function_ref.h>
#include <absl/synchronization/mutex.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "state/base/memory_file.h"
#include "state/base/result.h"
#include "state/base/unique_fd.h"

namespace stasis::state {

class Chunk;

struct ChunkMemoryOptions {
  // Where the unlinked file is; empty: the system's memory.
  std::string directory;
  // Bytes of addresses, a multiple of a span, and so the most that can be held. 0: as many as the
  // system gives, at most 1 TiB.
  uint64_t range = 0;
  // Bytes of free spans that are kept for later and not given back to the system.
  uint64_t kept = 32 * 1024 * 1024;
};

// [first, end), by number.
struct SpanRange {
  uint32_t first = 0;
  uint32_t end = 0;

  bool empty() const { return first >= end; }
  bool Contains(uint32_t index) const { return index >= first && index < end; }
};

struct ChunkMemoryStats {
  uint64_t in_use = 0;  // bytes of slots
  uint64_t real = 0;    // bytes of spans that the system has given and not got back
};

// Thread-safe.
class ChunkMemory {
 public:
  static constexpr size_t kSpan = 64 * 1024;
  static constexpr size_t kSmallestSlot = 64;
  static constexpr size_t kLargestSlot = 16 * 1024;
  // From this size on, slots know their owner.
  static constexpr size_t kSmallestOwned = 4096;

  // The one that chunks of this process use. Made on the first call, if Configure was not called.
  static ChunkMemory& Get();
  // Makes it. Errors: EBUSY if it is there already; as Create.
  static Result<void> Configure(const ChunkMemoryOptions& options);

  // Errors: as MemoryFile::Create.
  static Result<std::unique_ptr<ChunkMemory>> Create(const ChunkMemoryOptions& options);

  // Spans that are set apart for a process that adopts this memory while this one still uses it:
  // at most that many, and no more than are left to this one. Nobody else is given them.
  SpanRange Reserve(uint32_t most);
  // Nothing came of it.
  void Unreserve(SpanRange reserved);

  // The memory of another process, which this one takes the place of: `memory` was its fd(). For
  // each slot that is in use there, Claim(); then EndAdoption(). Until that nothing is given out
  // here but what is in `reserved`, and nothing else changed or freed, so that the other one can
  // go on if nothing comes of it; after it the other one must not touch the memory (ChunkHold).
  // Without a `reserved` the other one has ended: any span after its last may be taken.
  static Result<std::unique_ptr<ChunkMemory>> Adopt(UniqueFd memory,
                                                    std::optional<SpanRange> reserved,
                                                    const ChunkMemoryOptions& options);
  // The same for the one that chunks use. Errors: as Configure.
  static Result<void> ConfigureAdopted(UniqueFd memory, std::optional<SpanRange> reserved,
                                       const ChunkMemoryOptions& options);
  // Errors: EINVAL if that cannot be a slot beside the other ones.
  Result<std::byte*> Claim(uint64_t offset, size_t size, const Chunk* owner);
  // What was not claimed is free. `spans` is the other one's span_count() now; 0 if it has ended.
  void EndAdoption(uint32_t spans);
  // Gives spans that the adoption has left without a slot back to the system, which takes a while:
  // until then they are given out last.
  void DropUnclaimed();

  ~ChunkMemory();
  ChunkMemory(const ChunkMemory&) = delete;
  ChunkMemory& operator=(const ChunkMemory&) = delete;

  // `size` bytes of any content. `owner` is who Visit will name.
  // Requires: a power of two within the two sizes above.
  // Errors: ENOSPC if there is no room in memory, on disk, or in the range.
  Result<std::byte*> Allocate(size_t size, const Chunk* owner);
  void Free(std::byte* slot);

  // What another process maps to see the same: OffsetOf(p) in it is the place of `p`.
  int fd() const { return file_->fd(); }
  uint64_t OffsetOf(const std::byte* place) const { return static_cast<uint64_t>(place - base_); }
  // True if it is a file in a directory.
  bool in_file() const { return in_file_; }

  ChunkMemoryStats stats() const;
  uint64_t in_use() const { return in_use_.load(std::memory_order_relaxed); }
  // How often there was no room. Another time, or elsewhere, there may be.
  uint64_t refusals() const { return refusals_.load(std::memory_order_relaxed); }

  // Calls `visit` for each slot that has an owner, in the next `spans` spans, going round and
  // round. True as the answer means that the slot has no owner any more. The lock of the slot's
  // size is held: the slot is not freed meanwhile, so that an owner that frees its slot before it
  // dies is alive. `visit` must not allocate or free here.
  using Visitor = absl::FunctionRef<bool(const Chunk* owner, std::byte* slot, size_t size)>;
  void Visit(uint32_t spans, Visitor visit);
  // The same for one of the first span_count().
  void VisitSpan(uint32_t index, Visitor visit);
  // Spans that have ever been used: the length of a round.
  uint32_t span_count() const { return top_.load(std::memory_order_relaxed); }
  MemoryFile& file() { return *file_; }

 private:
  friend class ChunkHold;
  struct Span;
  // The spans of one slot size.
  struct alignas(64) SizeClass {
    absl::Mutex mu;
    uint32_t first ABSL_GUARDED_BY(mu) = kNone;  // list of the spans that have free slots
  };
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr size_t kClasses = 9;

  ChunkMemory(std::unique_ptr<MemoryFile> file, const ChunkMemoryOptions& options);

  std::byte* SpanAt(uint32_t index) const { return base_ + size_t{index} * kSpan; }
  void AddSpan(size_t size_class, uint32_t index);
  void InitSpan(size_t size_class, uint32_t index);
  // The slot has no owner any more, but is not free.
  void Disown(const std::byte* slot);
  static Result<void> Publish(Result<std::unique_ptr<ChunkMemory>> made);
  // Nothing is allocated or freed, and no span comes or goes, until Unlock. By the same thread.
  void Lock() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void Unlock() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void Link(SizeClass& in, uint32_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(in.mu);
  void Unlink(SizeClass& in, uint32_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(in.mu);
  Result<uint32_t> TakeSpan() ABSL_LOCKS_EXCLUDED(mu_);
  void ReturnSpan(uint32_t index) ABSL_LOCKS_EXCLUDED(mu_);
  Result<uint32_t> NextSpan() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void GiveBack(std::vector<uint32_t> spans) ABSL_LOCKS_EXCLUDED(mu_);

  const std::unique_ptr<MemoryFile> file_;
  const bool in_file_;
  const size_t kept_;  // spans
  std::byte* const base_;
  const uint32_t end_;  // spans in the range
  SparseZeros zeros_;
  Span* spans_ = nullptr;  // for each of them; in zeros_
  std::array<SizeClass, kClasses> classes_;

  std::atomic<uint64_t> in_use_{0};
  std::atomic<uint64_t> real_{0};
  std::atomic<uint64_t> refusals_{0};
  std::atomic<uint32_t> hand_{0};  // of Visit
  std::atomic<bool> adopting_{false};
  SpanRange reserved_;  // while adopting; set before anybody else has this

  absl::Mutex mu_;                                        // may be taken with a class's
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mu_);       // and real
  std::vector<uint32_t> dropped_ ABSL_GUARDED_BY(mu_);    // free, and given back
  std::vector<uint32_t> unclaimed_ ABSL_GUARDED_BY(mu_);  // free; the system may have them or not
  // That take spans or give them back, and are not done.
  int system_calls_ ABSL_GUARDED_BY(mu_) = 0;
  uint32_t next_reserved_ ABSL_GUARDED_BY(mu_) = 0;  // while adopting
  std::atomic<uint32_t> top_{0};  // spans from here on were never used; grows with mu_ held
};

}  // namespace stasis::state

#endif  // STASIS_STATE_CHUNK_MEMORY_H_
