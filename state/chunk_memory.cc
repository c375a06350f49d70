// SPDX-License-Identifier: Apache-2.0

#include "state/chunk_memory.h"

#include <pthread.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

#include "state/base/poison.h"
#include "state/check.h"

namespace stasis::state {
namespace {

// Spans of an adopted memory that nobody is given meanwhile.
constexpr size_t kDroppedAtOnce = 4096;
constexpr size_t kWords = ChunkMemory::kSpan / ChunkMemory::kSmallestSlot / 64;
constexpr size_t kOwners = ChunkMemory::kSpan / ChunkMemory::kSmallestOwned;

constexpr size_t ClassOf(size_t size) {
  return static_cast<size_t>(std::countr_zero(size / ChunkMemory::kSmallestSlot));
}
constexpr size_t SizeOf(size_t size_class) { return ChunkMemory::kSmallestSlot << size_class; }
constexpr size_t SlotsOf(size_t size_class) { return ChunkMemory::kSpan / SizeOf(size_class); }
constexpr bool Owned(size_t size_class) {
  return SizeOf(size_class) >= ChunkMemory::kSmallestOwned;
}

absl::Mutex& GlobalMutex() {
  static auto* mu = new absl::Mutex();
  return *mu;
}
constinit std::atomic<ChunkMemory*> global{nullptr};

// Two processes must not give out the same slots: a forked one has a ChunkMemory of its own.
void BeforeFork() ABSL_NO_THREAD_SAFETY_ANALYSIS { GlobalMutex().Lock(); }
void AfterFork() ABSL_NO_THREAD_SAFETY_ANALYSIS { GlobalMutex().Unlock(); }
void AfterForkInChild() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  global.store(nullptr, std::memory_order_relaxed);
  GlobalMutex().Unlock();
}

}  // namespace

// Guarded by the lock of its class, but for size_class, which tells which that is.
struct ChunkMemory::Span {
  std::atomic<uint8_t> size_class;  // plus 1; 0: the span is free
  uint16_t used;
  uint32_t previous;  // in the list of its class
  uint32_t next;
  std::array<uint64_t, kWords> free;  // a bit for each slot
  std::array<const Chunk*, kOwners> owners;
};

ChunkMemory& ChunkMemory::Get() {
  ChunkMemory* memory = global.load(std::memory_order_acquire);
  if (memory != nullptr) [[likely]]
    return *memory;
  const auto made = Configure({});
  Require(made.has_value() || made.error() == Errno(EBUSY), "addresses for file data");
  return *global.load(std::memory_order_acquire);
}

Result<void> ChunkMemory::Configure(const ChunkMemoryOptions& options) {
  absl::MutexLock lock(&GlobalMutex());
  if (global.load(std::memory_order_relaxed) != nullptr) return Err(EBUSY);
  return Publish(Create(options));
}

Result<void> ChunkMemory::ConfigureAdopted(UniqueFd memory, std::optional<SpanRange> reserved,
                                           const ChunkMemoryOptions& options) {
  absl::MutexLock lock(&GlobalMutex());
  if (global.load(std::memory_order_relaxed) != nullptr) return Err(EBUSY);
  return Publish(Adopt(std::move(memory), reserved, options));
}

// Requires: the global mutex.
Result<void> ChunkMemory::Publish(Result<std::unique_ptr<ChunkMemory>> made) {
  STASIS_ASSIGN_OR_RETURN(auto memory, std::move(made));
  static const int handlers = pthread_atfork(BeforeFork, AfterFork, AfterForkInChild);
  (void)handlers;
  global.store(memory.release(), std::memory_order_release);
  return {};
}

Result<std::unique_ptr<ChunkMemory>> ChunkMemory::Create(const ChunkMemoryOptions& options) {
  STASIS_ASSIGN_OR_RETURN(auto file, MemoryFile::Create(options.directory, options.range));
  std::unique_ptr<ChunkMemory> memory(new ChunkMemory(std::move(file), options));
  STASIS_RETURN_IF_ERROR(memory->zeros_.Map(memory->end_ * sizeof(Span)));
  memory->spans_ = static_cast<Span*>(memory->zeros_.data());  // zeros are a Span
  return memory;
}

Result<std::unique_ptr<ChunkMemory>> ChunkMemory::Adopt(UniqueFd adopted,
                                                        std::optional<SpanRange> reserved,
                                                        const ChunkMemoryOptions& options) {
  STASIS_ASSIGN_OR_RETURN(auto file, MemoryFile::Adopt(std::move(adopted)));
  std::unique_ptr<ChunkMemory> memory(new ChunkMemory(std::move(file), options));
  if (!reserved.has_value())
    reserved = {static_cast<uint32_t>((memory->file_->End() + kSpan - 1) / kSpan), memory->end_};
  if (reserved->end > memory->end_ || reserved->first > reserved->end) return Err(EINVAL);
  STASIS_RETURN_IF_ERROR(memory->zeros_.Map(memory->end_ * sizeof(Span)));
  memory->spans_ = static_cast<Span*>(memory->zeros_.data());
  memory->adopting_.store(true);
  memory->reserved_ = *reserved;
  const absl::MutexLock lock(&memory->mu_);
  memory->next_reserved_ = reserved->first;
  return memory;
}

ChunkMemory::ChunkMemory(std::unique_ptr<MemoryFile> file, const ChunkMemoryOptions& options)
    : file_(std::move(file)),
      in_file_(!options.directory.empty()),
      kept_(options.kept / kSpan),
      base_(file_->data()),
      end_(static_cast<uint32_t>(file_->size() / kSpan)) {}

ChunkMemory::~ChunkMemory() { MakeAccessible(base_, size_t{top_.load()} * kSpan); }

Result<std::byte*> ChunkMemory::Allocate(size_t size, const Chunk* owner) {
  const size_t size_class = ClassOf(size);
  SizeClass& slots = classes_[size_class];
  for (;;) {
    {
      absl::MutexLock lock(&slots.mu);
      if (slots.first != kNone) [[likely]] {
        const uint32_t index = slots.first;
        Span& span = spans_[index];
        size_t word = 0;
        while (span.free[word] == 0) ++word;
        const size_t slot = word * 64 + static_cast<size_t>(std::countr_zero(span.free[word]));
        span.free[word] &= span.free[word] - 1;
        if (++span.used == SlotsOf(size_class)) Unlink(slots, index);
        if (Owned(size_class)) span.owners[slot] = owner;
        in_use_.fetch_add(size, std::memory_order_relaxed);
        std::byte* place = SpanAt(index) + slot * size;
        MakeAccessible(place, size);
        return place;
      }
    }
    const Result<uint32_t> index = TakeSpan();
    if (!index) {
      refusals_.fetch_add(1, std::memory_order_relaxed);
      return Err(index.error());
    }
    AddSpan(size_class, *index);
  }
}

void ChunkMemory::Free(std::byte* slot) {
  const uint64_t offset = OffsetOf(slot);
  if (offset >= uint64_t{end_} * kSpan) return;  // of the process that this one was forked from
  const auto index = static_cast<uint32_t>(offset / kSpan);
  if (adopting_.load(std::memory_order_relaxed) && !reserved_.Contains(index)) [[unlikely]]
    return Disown(slot);  // it is the other process's still
  Span& span = spans_[index];
  const size_t size_class = span.size_class.load(std::memory_order_relaxed) - 1u;
  const size_t size = SizeOf(size_class);
  const size_t number = offset % kSpan / size;
  SizeClass& slots = classes_[size_class];
  MakeInaccessible(slot, size);
  {
    absl::MutexLock lock(&slots.mu);
    span.free[number / 64] |= uint64_t{1} << number % 64;
    if (Owned(size_class)) span.owners[number] = nullptr;
    in_use_.fetch_sub(size, std::memory_order_relaxed);
    if (span.used-- == SlotsOf(size_class)) Link(slots, index);
    if (span.used != 0) return;
    Unlink(slots, index);
    span.size_class.store(0, std::memory_order_relaxed);
  }
  ReturnSpan(index);
}

void ChunkMemory::Disown(const std::byte* slot) {
  const uint64_t offset = OffsetOf(slot);
  Span& span = spans_[offset / kSpan];
  const size_t size_class = span.size_class.load(std::memory_order_relaxed) - 1u;
  if (!Owned(size_class)) return;
  absl::MutexLock lock(&classes_[size_class].mu);
  span.owners[offset % kSpan / SizeOf(size_class)] = nullptr;
}

void ChunkMemory::AddSpan(size_t size_class, uint32_t index) {
  MakeInaccessible(SpanAt(index), kSpan);
  SizeClass& slots = classes_[size_class];
  absl::MutexLock lock(&slots.mu);
  InitSpan(size_class, index);
  Link(slots, index);
}

// Requires: the lock of the class.
void ChunkMemory::InitSpan(size_t size_class, uint32_t index) {
  Span& span = spans_[index];
  span.used = 0;
  const size_t count = SlotsOf(size_class);
  for (size_t word = 0; word < kWords; ++word) {
    const size_t first = word * 64;
    const size_t here = count > first ? std::min<size_t>(count - first, 64) : 0;
    span.free[word] = here == 64 ? ~uint64_t{0} : (uint64_t{1} << here) - 1;
  }
  span.owners.fill(nullptr);
  span.size_class.store(static_cast<uint8_t>(size_class + 1), std::memory_order_relaxed);
}

Result<std::byte*> ChunkMemory::Claim(uint64_t offset, size_t size, const Chunk* owner) {
  const bool fits = std::has_single_bit(size) && size >= kSmallestSlot && size <= kLargestSlot &&
                    offset % size == 0 && offset < uint64_t{end_} * kSpan;
  if (!fits || reserved_.Contains(static_cast<uint32_t>(offset / kSpan))) return Err(EINVAL);
  const auto index = static_cast<uint32_t>(offset / kSpan);
  const size_t size_class = ClassOf(size);
  const size_t number = offset % kSpan / size;
  Span& span = spans_[index];
  absl::MutexLock lock(&classes_[size_class].mu);
  const uint8_t before = span.size_class.load(std::memory_order_relaxed);
  if (before == 0) {
    MakeInaccessible(SpanAt(index), kSpan);
    InitSpan(size_class, index);
    real_.fetch_add(kSpan, std::memory_order_relaxed);
  } else if (before != size_class + 1) {
    return Err(EINVAL);
  }
  const uint64_t bit = uint64_t{1} << number % 64;
  if ((span.free[number / 64] & bit) == 0) return Err(EINVAL);
  span.free[number / 64] &= ~bit;
  ++span.used;
  if (Owned(size_class)) span.owners[number] = owner;
  in_use_.fetch_add(size, std::memory_order_relaxed);
  std::byte* place = SpanAt(index) + number * size;
  MakeAccessible(place, size);
  return place;
}

void ChunkMemory::EndAdoption(uint32_t spans) {
  uint32_t own;  // the first of the reserved ones that was not taken
  {
    absl::MutexLock lock(&mu_);
    own = next_reserved_;
  }
  const uint32_t top = std::max(std::min(spans, end_), own);
  std::vector<uint32_t> unclaimed;
  for (uint32_t index = top; index-- > 0;) {
    if (index >= reserved_.first && index < own) continue;
    const Span& span = spans_[index];
    const uint8_t size_class = span.size_class.load(std::memory_order_relaxed);
    if (size_class == 0) {
      unclaimed.push_back(index);
      continue;
    }
    SizeClass& slots = classes_[size_class - 1u];
    absl::MutexLock lock(&slots.mu);
    if (span.used < SlotsOf(size_class - 1u)) Link(slots, index);
  }
  absl::MutexLock lock(&mu_);
  top_.store(top);
  adopting_.store(false);
  unclaimed_ = std::move(unclaimed);
}

void ChunkMemory::DropUnclaimed() {
  for (;;) {
    std::vector<uint32_t> spans;
    {
      absl::MutexLock lock(&mu_);
      if (unclaimed_.empty()) return;
      const size_t left = unclaimed_.size() - std::min(unclaimed_.size(), kDroppedAtOnce);
      const auto rest = unclaimed_.begin() + static_cast<std::ptrdiff_t>(left);
      spans.assign(rest, unclaimed_.end());
      unclaimed_.erase(rest, unclaimed_.end());
      ++system_calls_;
    }
    // They count as taken until then.
    real_.fetch_add(spans.size() * kSpan, std::memory_order_relaxed);
    GiveBack(std::move(spans));
  }
}

void ChunkMemory::Lock() {
  for (SizeClass& slots : classes_) slots.mu.Lock();
  mu_.Lock();
  const auto quiet = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return system_calls_ == 0; };
  mu_.Await(absl::Condition(&quiet));
}

void ChunkMemory::Unlock() {
  mu_.Unlock();
  for (SizeClass& slots : classes_) slots.mu.Unlock();
}

void ChunkMemory::Link(SizeClass& in, uint32_t index) {
  Span& span = spans_[index];
  span.previous = kNone;
  span.next = in.first;
  if (in.first != kNone) spans_[in.first].previous = index;
  in.first = index;
}

void ChunkMemory::Unlink(SizeClass& in, uint32_t index) {
  const Span& span = spans_[index];
  if (span.next != kNone) spans_[span.next].previous = span.previous;
  (span.previous != kNone ? spans_[span.previous].next : in.first) = span.next;
}

Result<uint32_t> ChunkMemory::NextSpan() {
  if (!dropped_.empty()) {
    const uint32_t index = dropped_.back();
    dropped_.pop_back();
    return index;
  }
  if (adopting_.load(std::memory_order_relaxed)) {
    if (next_reserved_ == reserved_.end) return Err(ENOSPC);
    return next_reserved_++;
  }
  const uint32_t top = top_.load(std::memory_order_relaxed);
  if (top != end_) {
    top_.store(top + 1, std::memory_order_relaxed);
    return top;
  }
  if (unclaimed_.empty()) return Err(ENOSPC);
  const uint32_t index = unclaimed_.back();
  unclaimed_.pop_back();
  return index;
}

Result<uint32_t> ChunkMemory::TakeSpan() {
  uint32_t index;
  {
    absl::MutexLock lock(&mu_);
    if (!free_.empty()) {
      index = free_.back();
      free_.pop_back();
      return index;
    }
    STASIS_ASSIGN_OR_RETURN(index, NextSpan());
    ++system_calls_;
  }
  const auto taken = file_->Take(uint64_t{index} * kSpan, kSpan);
  {
    absl::MutexLock lock(&mu_);
    --system_calls_;
    if (!taken) dropped_.push_back(index);
  }
  if (!taken) return Err(taken.error());
  real_.fetch_add(kSpan, std::memory_order_relaxed);
  return index;
}

// Those that were given back before, if there are enough side by side: or the addresses would be
// used up by the reservations of many processes after each other.
SpanRange ChunkMemory::Reserve(uint32_t most) {
  absl::MutexLock lock(&mu_);
  std::sort(dropped_.begin(), dropped_.end(), std::greater<>());
  for (size_t begin = 0; begin < dropped_.size();) {
    size_t end = begin + 1;
    while (end < dropped_.size() && end - begin < most && dropped_[end] + 1 == dropped_[end - 1])
      ++end;
    if (end - begin > most / 2) {
      const SpanRange reserved{dropped_[end - 1], dropped_[begin] + 1};
      dropped_.erase(dropped_.begin() + static_cast<std::ptrdiff_t>(begin),
                     dropped_.begin() + static_cast<std::ptrdiff_t>(end));
      return reserved;
    }
    begin = end;
  }
  const uint32_t top = top_.load(std::memory_order_relaxed);
  const SpanRange reserved{top, top + std::min(most, (end_ - top) / 2)};
  top_.store(reserved.end, std::memory_order_relaxed);
  return reserved;
}

void ChunkMemory::Unreserve(SpanRange reserved) {
  {
    absl::MutexLock lock(&mu_);
    for (uint32_t index = reserved.first; index < reserved.end; ++index)
      unclaimed_.push_back(index);
    std::sort(unclaimed_.begin(), unclaimed_.end(), std::greater<>());
  }
  DropUnclaimed();
}

void ChunkMemory::ReturnSpan(uint32_t index) {
  std::vector<uint32_t> spans;
  {
    absl::MutexLock lock(&mu_);
    free_.push_back(index);
    if (free_.size() <= kept_) return;
    // Half of what is kept, so that this is not done for every span; the higher addresses.
    std::sort(free_.begin(), free_.end(), std::greater<>());
    const auto half = static_cast<std::ptrdiff_t>(free_.size() - kept_ / 2);
    spans.assign(free_.begin(), free_.begin() + half);
    free_.erase(free_.begin(), free_.begin() + half);
    ++system_calls_;
  }
  GiveBack(std::move(spans));
}

// Requires: sorted downwards; counted as a system call.
void ChunkMemory::GiveBack(std::vector<uint32_t> spans) {
  for (size_t begin = 0; begin < spans.size();) {
    size_t end = begin + 1;
    while (end < spans.size() && spans[end] + 1 == spans[end - 1]) ++end;
    file_->GiveBack(uint64_t{spans[end - 1]} * kSpan, (end - begin) * kSpan);
    begin = end;
  }
  real_.fetch_sub(spans.size() * kSpan, std::memory_order_relaxed);
  absl::MutexLock lock(&mu_);
  --system_calls_;
  dropped_.insert(dropped_.end(), spans.begin(), spans.end());
}

ChunkMemoryStats ChunkMemory::stats() const {
  return {in_use_.load(std::memory_order_relaxed), real_.load(std::memory_order_relaxed)};
}

void ChunkMemory::Visit(uint32_t spans, Visitor visit) {
  const uint32_t count = span_count();
  if (count == 0) return;
  for (; spans > 0; --spans)
    VisitSpan(hand_.fetch_add(1, std::memory_order_relaxed) % count, visit);
}

void ChunkMemory::VisitSpan(uint32_t index, Visitor visit) {
  Span& span = spans_[index];
  const uint8_t before = span.size_class.load(std::memory_order_relaxed);
  if (before == 0 || !Owned(before - 1u)) return;
  absl::MutexLock lock(&classes_[before - 1u].mu);
  if (span.size_class.load(std::memory_order_relaxed) != before) return;
  const size_t size = SizeOf(before - 1u);
  for (size_t slot = 0; slot < SlotsOf(before - 1u); ++slot) {
    const Chunk*& owner = span.owners[slot];
    if (owner != nullptr && visit(owner, SpanAt(index) + slot * size, size)) owner = nullptr;
  }
}

}  // namespace stasis::state
