// SPDX-License-Identifier: Apache-2.0
//
// slab.h: memory for many objects of one size.
//
// STASIS_SLAB_ALLOCATED(T) in a class's public section makes `new T` and `delete` use a slab of T's
// own: no header per object (malloc has 8 to 16 bytes), neighbours in memory are neighbours in time
// of creation. Slabs return memory to the process, not to the system. Address-sanitized builds use
// malloc, which finds more.

#ifndef STASIS_STATE_BASE_SLAB_H_
#define STASIS_STATE_BASE_SLAB_H_

#include <absl/base/attributes.h>
#include <absl/synchronization/mutex.h>

#include <cstddef>

namespace stasis {

// Thread-safe. Constant-initialized and never destroyed, so it can be a static.
class Slab {
 public:
  // Sizes in bytes; `alignment` is at most that of a page.
  constexpr Slab(size_t object_size, size_t alignment)
      : object_size_((object_size + alignment - 1) / alignment * alignment),
        mu_(absl::kConstInit) {}

  void* Allocate() ABSL_LOCKS_EXCLUDED(mu_);
  void Free(void* object) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct FreeObject {
    FreeObject* next;
  };

  const size_t object_size_;
  absl::Mutex mu_;
  FreeObject* free_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::byte* fresh_ ABSL_GUARDED_BY(mu_) = nullptr;  // never used yet: [fresh_, fresh_end_)
  std::byte* fresh_end_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace stasis

#define STASIS_SLAB_ALLOCATED(Type)                                       \
  static void* operator new(size_t) { return SlabOf##Type().Allocate(); } \
  static void operator delete(void* p) { SlabOf##Type().Free(p); }        \
  static ::stasis::Slab& SlabOf##Type() {                                 \
    static constinit ::stasis::Slab slab(sizeof(Type), alignof(Type));    \
    return slab;                                                          \
  }

#endif  // STASIS_STATE_BASE_SLAB_H_
