// SPDX-License-Identifier: Apache-2.0

#include "state/chunk.h"

#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>
#include <utility>

#include "state/base/poison.h"
#include "state/base/rcu.h"
#include "state/chunk_memory.h"
#include "state/chunk_reclaim.h"
#include "state/copy_budget.h"

namespace stasis::state {
namespace {

// Loading and marking lock one of these, chosen by address: a mutex in every chunk would cost
// 8 bytes of each for something done once in its life.
// A ChunkHold takes all of them, and ThreadSanitizer knows no more than 64 locks of a thread.
constexpr size_t kShards = 32;
struct alignas(64) Shard {
  absl::Mutex mu;
};

std::array<Shard, kShards>& Shards() {
  static auto* shards = new std::array<Shard, kShards>();
  return *shards;
}

absl::Mutex& ShardFor(const void* chunk) {
  return Shards()[(reinterpret_cast<uintptr_t>(chunk) >> 6) % kShards].mu;
}

// How many freezes there have been, and the number of the last one as long as any lives (0: none
// does). All of them hold the chunks that were born before it: what only the others would let go of
// is held a little longer.
constinit std::atomic<uint32_t> freezes{0};
constinit std::atomic<uint32_t> live_freeze{0};

struct LiveFreezes {
  absl::Mutex mu;
  int count ABSL_GUARDED_BY(mu) = 0;
  // Chunks that they hold and that have lost their last reference meanwhile.
  absl::flat_hash_set<const Chunk*> unreferenced ABSL_GUARDED_BY(mu);
};
LiveFreezes& TheLiveFreezes() {
  static auto* live = new LiveFreezes();
  return *live;
}

// Rounds up so that appending in small steps does not copy every time: powers of two, at least 64.
uint32_t RoundCapacity(uint32_t size) {
  uint32_t capacity = 64;
  while (capacity < size) capacity *= 2;
  return std::min(capacity, kChunkSize);
}

// What forks have pinned, they keep: that copy is none of a checkpoint's.
void CountCopy(size_t bytes, const std::atomic<uint32_t>& pins) {
  if (pins.load(std::memory_order_relaxed) == 0) CopyBudget::Count(bytes);
}

}  // namespace

Result<RefPtr<Chunk>> Chunk::Create(std::span<const std::byte> bytes, uint32_t capacity) {
  ChunkReclaim::MakeRoom();
  const auto size = static_cast<uint32_t>(bytes.size());
  auto chunk = RefPtr<Chunk>::Adopt(new Chunk(size));
  capacity = RoundCapacity(std::max(capacity, size));
  // What lies past size_ is left as it is, and never read.
  STASIS_ASSIGN_OR_RETURN(std::byte* const data,
                          ChunkMemory::Get().Allocate(capacity, chunk.get()));
  if (!bytes.empty()) std::memcpy(data, bytes.data(), size);
  MakeInaccessible(data + size, capacity - size);
  chunk->capacity_ = capacity;
  chunk->data_.store(data, std::memory_order_release);
  return chunk;
}

RefPtr<Chunk> Chunk::Stored(RefPtr<ChunkSource> source, ChunkLocation at, uint32_t size) {
  auto chunk = RefPtr<Chunk>::Adopt(new Chunk(size));
  chunk->source_ = std::move(source);
  chunk->at_ = at;
  return chunk;
}

Result<RefPtr<Chunk>> Chunk::Adopt(const Slot& slot, uint32_t size, RefPtr<ChunkSource> source,
                                   ChunkLocation at) {
  if (size > slot.capacity) return Err(EINVAL);
  auto chunk = RefPtr<Chunk>::Adopt(new Chunk(size));
  STASIS_ASSIGN_OR_RETURN(std::byte* const data,
                          ChunkMemory::Get().Claim(slot.offset, slot.capacity, chunk.get()));
  MakeInaccessible(data + size, slot.capacity - size);
  chunk->capacity_ = slot.capacity;
  chunk->source_ = std::move(source);
  chunk->at_ = at;
  chunk->data_.store(data, std::memory_order_release);
  return chunk;
}

Chunk::Chunk(uint32_t size) : size_(size), born_(freezes.load(std::memory_order_relaxed)) {}

bool Chunk::Frozen() const { return born_ < live_freeze.load(std::memory_order_acquire); }

// In this order: whoever sees that a freeze has ended sees the references that were taken in it.
bool Chunk::MayChange() const { return !Frozen() && HasOneRef(); }

void Chunk::OnZeroRefs() {
  if (Frozen()) [[unlikely]] {
    LiveFreezes& live = TheLiveFreezes();
    const absl::MutexLock lock(&live.mu);
    if (Frozen()) {  // the freezes end under the lock
      live.unreferenced.insert(this);
      return;
    }
  }
  delete this;
}

Chunk::~Chunk() {
  // Either this or TryDrop gets the slot.
  std::byte* data = data_.exchange(nullptr, std::memory_order_acq_rel);
  if (data != nullptr && capacity_ != 0) ChunkMemory::Get().Free(data);
}

Result<std::span<const std::byte>> Chunk::Bytes() const {
  if (!used_.load(std::memory_order_relaxed)) used_.store(true, std::memory_order_relaxed);
  std::byte* data = data_.load(std::memory_order_acquire);
  if (data == nullptr) [[unlikely]] {
    ChunkReclaim::MakeRoom();
    absl::MutexLock lock(&ShardFor(this));
    STASIS_ASSIGN_OR_RETURN(data, Load());
  }
  return std::span<const std::byte>(data, size_);
}

Result<std::byte*> Chunk::Load() const {
  std::byte* data = data_.load(std::memory_order_relaxed);
  if (data != nullptr) return data;
  STASIS_ASSIGN_OR_RETURN(const std::byte* const in_place, source_->InPlace(at_, size_));
  if (in_place != nullptr) {
    // Never written to: Claim makes a copy first.
    capacity_ = 0;
    data_.store(const_cast<std::byte*>(in_place), std::memory_order_release);
    return const_cast<std::byte*>(in_place);
  }
  const uint32_t capacity = RoundCapacity(size_);
  auto slot = ChunkMemory::Get().Allocate(capacity, this);
  if (!slot) return Err(ENOMEM);
  if (const auto read = source_->Read(at_, {*slot, size_}); !read) {
    ChunkMemory::Get().Free(*slot);
    return Err(read.error());
  }
  MakeInaccessible(*slot + size_, capacity - size_);
  capacity_ = capacity;
  data_.store(*slot, std::memory_order_release);
  return *slot;
}

Result<RefPtr<Chunk>> Chunk::Clone(uint32_t capacity) const {
  const rcu::ReadLock reading;
  STASIS_ASSIGN_OR_RETURN(auto bytes, Bytes());
  CountCopy(capacity_, pins_);
  return Create(bytes, capacity);
}

Result<RefPtr<Chunk>> Chunk::Replacement(uint32_t capacity) const {
  CountCopy(memory(), pins_);
  return Create({}, capacity);
}

Result<std::byte*> Chunk::Grow(uint32_t capacity) {
  std::byte* old = data_.load(std::memory_order_relaxed);
  if (capacity <= capacity_ && capacity_ != 0 && old != nullptr) return nullptr;
  const bool in_place = capacity_ == 0;
  capacity = RoundCapacity(std::max(capacity, size_));
  STASIS_ASSIGN_OR_RETURN(std::byte* const fresh, ChunkMemory::Get().Allocate(capacity, this));
  if (old != nullptr) std::memcpy(fresh, old, size_);
  data_.store(fresh, std::memory_order_release);
  capacity_ = capacity;
  return in_place ? nullptr : old;
}

Result<void> Chunk::Claim(uint32_t capacity, bool replaced) {
  if (!used_.load(std::memory_order_relaxed)) used_.store(true, std::memory_order_relaxed);
  // A dirty chunk stays so, and where it is: nobody else could mark it stored.
  if (!source_ && capacity <= capacity_) [[likely]]
    return {};
  ChunkReclaim::MakeRoom();
  RefPtr<ChunkSource> source;  // released after the lock
  std::byte* old = nullptr;
  {
    absl::MutexLock lock(&ShardFor(this));
    if (!replaced) STASIS_RETURN_IF_ERROR(Load());
    STASIS_ASSIGN_OR_RETURN(old, Grow(capacity));
    std::swap(source, source_);
  }
  if (old != nullptr) ChunkMemory::Get().Free(old);
  return {};
}

Result<void> Chunk::Write(uint32_t offset, std::span<const std::byte> bytes) {
  const uint32_t end = offset + static_cast<uint32_t>(bytes.size());
  const uint32_t size = std::max(size_, end);
  // Whole overwrites need not load what they replace.
  STASIS_RETURN_IF_ERROR(Claim(size, /*replaced=*/offset == 0 && end >= size_));
  std::byte* data = data_.load(std::memory_order_relaxed);
  MakeAccessible(data, size);
  if (offset > size_) std::memset(data + size_, 0, offset - size_);
  std::memcpy(data + offset, bytes.data(), bytes.size());
  size_ = size;
  MakeInaccessible(data + size, capacity_ - size);
  return {};
}

Result<void> Chunk::Truncate(uint32_t size) {
  if (size == size_) return {};
  STASIS_RETURN_IF_ERROR(Claim(0, /*replaced=*/false));
  MakeInaccessible(data_.load(std::memory_order_relaxed) + size, size_ - size);
  size_ = size;
  return {};
}

bool Chunk::TryDrop(std::byte* slot) const {
  if (used_.exchange(false, std::memory_order_relaxed)) return false;
  absl::Mutex& mu = ShardFor(this);
  if (!mu.TryLock())
    return false;  // who loads has it and waits for the slot's class, which we have
  // Nothing is touched once the slot is taken: its owner may die then.
  const bool dropped = source_ && pins_.load(std::memory_order_relaxed) == 0 &&
                       data_.compare_exchange_strong(slot, nullptr, std::memory_order_acq_rel);
  mu.Unlock();
  return dropped;
}

Chunk::StoredCopy Chunk::stored() const {
  absl::MutexLock lock(&ShardFor(this));
  return {source_, at_};
}

Chunk::Slot Chunk::slot() const {
  absl::MutexLock lock(&ShardFor(this));
  const std::byte* data = data_.load(std::memory_order_acquire);
  if (data == nullptr || capacity_ == 0) return {};
  return {ChunkMemory::Get().OffsetOf(data), capacity_};
}

void Chunk::MarkStored(RefPtr<ChunkSource> source, ChunkLocation at) const {
  bool in_place = false;
  {
    absl::MutexLock lock(&ShardFor(this));
    in_place = capacity_ == 0 && data_.exchange(nullptr, std::memory_order_acq_rel) != nullptr;
    std::swap(source_, source);  // the old one is released after the lock
    at_ = at;
  }
  // Those who read its bytes where they were are inside read-side sections.
  if (in_place && source)
    rcu::Defer([](void* old) { static_cast<ChunkSource*>(old)->Unref(); }, source.release());
}

// First those who load, then those who allocate: who does both takes the locks in this order.
ChunkHold::ChunkHold() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  for (Shard& shard : Shards()) shard.mu.Lock();
  ChunkMemory::Get().Lock();
}

ChunkHold::~ChunkHold() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  ChunkMemory::Get().Unlock();
  for (Shard& shard : Shards()) shard.mu.Unlock();
}

// The gate's closing and opening order this with what changes chunks before and after.
std::unique_ptr<ChunkFreeze> ChunkFreeze::Take() {
  LiveFreezes& live = TheLiveFreezes();
  const absl::MutexLock lock(&live.mu);
  ++live.count;
  live_freeze.store(freezes.fetch_add(1) + 1);
  return std::unique_ptr<ChunkFreeze>(new ChunkFreeze());
}

ChunkFreeze::~ChunkFreeze() {
  absl::flat_hash_set<const Chunk*> chunks;
  LiveFreezes& live = TheLiveFreezes();
  {
    const absl::MutexLock lock(&live.mu);
    if (--live.count > 0) return;
    live_freeze.store(0);
    chunks.swap(live.unreferenced);
  }
  for (const Chunk* chunk : chunks) delete chunk;
}

RefPtr<const Chunk> ChunkFreeze::Hold(const Chunk* chunk) {
  LiveFreezes& live = TheLiveFreezes();
  for (;;) {
    if (chunk->TryRef()) return RefPtr<const Chunk>::Adopt(chunk);
    {
      const absl::MutexLock lock(&live.mu);
      if (live.unreferenced.erase(chunk) > 0) return RefPtr<const Chunk>(chunk);
    }
    std::this_thread::yield();  // whoever dropped the last one is about to put it there
  }
}

}  // namespace stasis::state
