// SPDX-License-Identifier: Apache-2.0

#include "state/base/slab.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#include "state/base/poison.h"

namespace stasis {

#ifdef STASIS_ASAN

void* Slab::Allocate() { return ::operator new(object_size_); }
void Slab::Free(void* object) { ::operator delete(object); }

#else

namespace {
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
  return start + before;
}
}  // namespace

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
