// SPDX-License-Identifier: Apache-2.0

#include "state/base/slab.h"

#include <malloc.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "state/base/poison.h"
#include "state/base/prefault.h"

namespace stasis {

#ifdef STASIS_ASAN

Prefault::Prefault(size_t) {}
Prefault::~Prefault() = default;

void* Slab::Allocate() { return ::operator new(object_size_); }
void Slab::Free(void* object) { ::operator delete(object); }

#else

namespace {
// Blocks are taken from the system whole.
constinit std::atomic<bool> prefault{false};

// A huge page, so that a full block can become one (which makes a fork cheap).
constexpr size_t kBlockBytes = size_t{2} << 20;

// Aligned to its size; takes memory only as it is used.
std::byte* NewBlock() {
  void* room = ::mmap(nullptr, 2 * kBlockBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) throw std::bad_alloc();
  auto* start = static_cast<std::byte*>(room);
  const size_t before =
      (kBlockBytes - reinterpret_cast<uintptr_t>(start) % kBlockBytes) % kBlockBytes;
  if (before > 0) ::munmap(start, before);
  ::munmap(start + before + kBlockBytes, kBlockBytes - before);
  if (prefault.load(std::memory_order_relaxed))
    ::madvise(start + before, kBlockBytes, MADV_POPULATE_WRITE);
  return start + before;
}

constexpr size_t kLeast = size_t{1} << 20;
constexpr size_t kPage = 4096;
// Of malloc: from which size on it maps, and gives back to the system. Never, and as it begins
// with.
constexpr int kNever = 1 << 30;
constexpr int kThreshold = 128 * 1024;

}  // namespace

Prefault::Prefault(size_t bytes) {
  ::mallopt(M_MMAP_THRESHOLD, kNever);
  ::mallopt(M_TRIM_THRESHOLD, kNever);
  // At the end of the heap, where it stays when it is free again.
  void* heap = nullptr;
  for (size_t size = bytes; heap == nullptr && size >= kLeast; size /= 2) {
    heap = ::malloc(size);
    const auto start = (reinterpret_cast<uintptr_t>(heap) + kPage - 1) / kPage * kPage;
    if (heap != nullptr)
      ::madvise(reinterpret_cast<void*>(start), size / kPage * kPage - kPage, MADV_POPULATE_WRITE);
  }
  ::free(heap);
  prefault.store(true, std::memory_order_relaxed);
}

Prefault::~Prefault() {
  prefault.store(false, std::memory_order_relaxed);
  ::mallopt(M_MMAP_THRESHOLD, kThreshold);
  ::mallopt(M_TRIM_THRESHOLD, kThreshold);
  ::malloc_trim(0);
}

void* Slab::Allocate() {
  absl::MutexLock lock(&mu_);
  if (free_ != nullptr) {
    FreeObject* object = free_;
    free_ = object->next;
    return object;
  }
  if (fresh_end_ - fresh_ < static_cast<std::ptrdiff_t>(object_size_)) {
    fresh_ = NewBlock();
    fresh_end_ = fresh_ + kBlockBytes;
  }
  void* object = fresh_;
  fresh_ += object_size_;
  return object;
}

void Slab::Free(void* object) {
  absl::MutexLock lock(&mu_);
  auto* node = static_cast<FreeObject*>(object);
  node->next = free_;
  free_ = node;
}

#endif

}  // namespace stasis
