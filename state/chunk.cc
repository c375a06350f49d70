// SPDX-License-Identifier: Apache-2.0

#include "state/chunk.h"

#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "state/check.h"

namespace stasis::state {
namespace {

// Loading and marking lock one of these, chosen by address: a mutex in every chunk would cost
// 8 bytes of each for something done once in its life.
constexpr size_t kShards = 64;
struct alignas(64) Shard {
  absl::Mutex mu;
};

absl::Mutex& ShardFor(const void* chunk) {
  static auto* shards = new std::array<Shard, kShards>();
  return (*shards)[(reinterpret_cast<uintptr_t>(chunk) >> 6) % kShards].mu;
}

// How many freezes there have been, and the number of the one that lives (0: none). It holds the
// chunks that were born before it.
constinit std::atomic<uint32_t> freezes{0};
constinit std::atomic<uint32_t> live_freeze{0};

// Chunks that a freeze holds and that have lost their last reference meanwhile.
struct Unreferenced {
  absl::Mutex mu;
  absl::flat_hash_set<const Chunk*> chunks ABSL_GUARDED_BY(mu);
};
Unreferenced& TheUnreferenced() {
  static auto* unreferenced = new Unreferenced();
  return *unreferenced;
}

// Rounds up so that appending in small steps does not copy every time: powers of two, at least 64.
uint32_t RoundCapacity(uint32_t size) {
  uint32_t capacity = 64;
  while (capacity < size) capacity *= 2;
  return std::min(capacity, kChunkSize);
}

}  // namespace

RefPtr<Chunk> Chunk::Create(std::span<const std::byte> bytes, uint32_t capacity) {
  auto chunk = RefPtr<Chunk>::Adopt(new Chunk(static_cast<uint32_t>(bytes.size())));
  chunk->GrowTo(std::max<uint32_t>(capacity, chunk->size_));
  if (!bytes.empty())
    std::memcpy(chunk->data_.load(std::memory_order_relaxed), bytes.data(), bytes.size());
  return chunk;
}

RefPtr<Chunk> Chunk::Stored(RefPtr<ChunkSource> source, ChunkLocation at, uint32_t size) {
  auto chunk = RefPtr<Chunk>::Adopt(new Chunk(size));
  chunk->source_ = std::move(source);
  chunk->at_ = at;
  return chunk;
}

Chunk::Chunk(uint32_t size) : size_(size), born_(freezes.load(std::memory_order_relaxed)) {}

bool Chunk::Frozen() const { return born_ < live_freeze.load(std::memory_order_acquire); }

bool Chunk::MayChange() const { return HasOneRef() && !Frozen(); }

void Chunk::OnZeroRefs() {
  if (Frozen()) [[unlikely]] {
    Unreferenced& unreferenced = TheUnreferenced();
    absl::MutexLock lock(&unreferenced.mu);
    if (Frozen()) {  // the freeze ends under the lock
      unreferenced.chunks.insert(this);
      return;
    }
  }
  delete this;
}

Chunk::~Chunk() { delete[] data_.load(std::memory_order_relaxed); }

Result<std::span<const std::byte>> Chunk::Bytes() const {
  std::byte* data = data_.load(std::memory_order_acquire);
  if (data != nullptr) [[likely]]
    return std::span<const std::byte>(data, size_);
  absl::MutexLock lock(&ShardFor(this));
  data = data_.load(std::memory_order_relaxed);
  if (data == nullptr) {
    const uint32_t capacity = RoundCapacity(size_);
    auto fresh = std::make_unique<std::byte[]>(capacity);
    STASIS_RETURN_IF_ERROR(source_->Read(at_, {fresh.get(), size_}));
    capacity_ = capacity;
    data = fresh.release();
    data_.store(data, std::memory_order_release);
  }
  return std::span<const std::byte>(data, size_);
}

Result<RefPtr<Chunk>> Chunk::Clone(uint32_t capacity) const {
  STASIS_ASSIGN_OR_RETURN(auto bytes, Bytes());
  return Create(bytes, capacity);
}

void Chunk::GrowTo(uint32_t capacity) {
  if (capacity <= capacity_ && data_.load(std::memory_order_relaxed) != nullptr) return;
  capacity = RoundCapacity(capacity);
  // Left uninitialised: what lies past size_ is never read.
  auto* fresh = new std::byte[capacity];
  std::byte* old = data_.load(std::memory_order_relaxed);
  if (old != nullptr) std::memcpy(fresh, old, size_);
  data_.store(fresh, std::memory_order_release);
  capacity_ = capacity;
  delete[] old;
}

Result<void> Chunk::Write(uint32_t offset, std::span<const std::byte> bytes) {
  const uint32_t end = offset + static_cast<uint32_t>(bytes.size());
  // Whole overwrites need not load what they replace.
  if (!resident() && !(offset == 0 && end >= size_)) STASIS_RETURN_IF_ERROR(Bytes());
  GrowTo(std::max(end, size_));
  std::byte* data = data_.load(std::memory_order_relaxed);
  if (offset > size_) std::memset(data + size_, 0, offset - size_);
  std::memcpy(data + offset, bytes.data(), bytes.size());
  size_ = std::max(size_, end);
  source_.reset();
  return {};
}

Result<void> Chunk::Truncate(uint32_t size) {
  if (size == size_) return {};
  STASIS_RETURN_IF_ERROR(Bytes());
  size_ = size;
  source_.reset();
  return {};
}

Chunk::StoredCopy Chunk::stored() const {
  absl::MutexLock lock(&ShardFor(this));
  return {source_, at_};
}

void Chunk::MarkStored(RefPtr<ChunkSource> source, ChunkLocation at) const {
  absl::MutexLock lock(&ShardFor(this));
  std::swap(source_, source);  // the old one is released after the lock
  at_ = at;
}

ChunkFreeze::ChunkFreeze() {
  Require(live_freeze.load() == 0, "one freeze at a time");
  // The gate's closing and opening order this with what changes chunks before and after.
  live_freeze.store(freezes.fetch_add(1) + 1);
}

ChunkFreeze::~ChunkFreeze() {
  absl::flat_hash_set<const Chunk*> chunks;
  Unreferenced& unreferenced = TheUnreferenced();
  {
    absl::MutexLock lock(&unreferenced.mu);
    live_freeze.store(0);
    chunks.swap(unreferenced.chunks);
  }
  for (const Chunk* chunk : chunks) delete chunk;
}

RefPtr<const Chunk> ChunkFreeze::Hold(const Chunk* chunk) {
  Unreferenced& unreferenced = TheUnreferenced();
  for (;;) {
    if (chunk->TryRef()) return RefPtr<const Chunk>::Adopt(chunk);
    {
      absl::MutexLock lock(&unreferenced.mu);
      if (unreferenced.chunks.erase(chunk) > 0) return RefPtr<const Chunk>(chunk);
    }
    std::this_thread::yield();  // whoever dropped the last one is about to put it there
  }
}

}  // namespace stasis::state
