// SPDX-License-Identifier: Apache-2.0
//
// poison.h: memory that nobody may touch, for builds with the address sanitizer; elsewhere nothing.

#ifndef STASIS_STATE_BASE_POISON_H_
#define STASIS_STATE_BASE_POISON_H_

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define STASIS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STASIS_ASAN 1
#endif
#endif

#ifdef STASIS_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace stasis {

#ifdef STASIS_ASAN
inline void MakeAccessible(void* memory, size_t size) { ASAN_UNPOISON_MEMORY_REGION(memory, size); }
inline void MakeInaccessible(void* memory, size_t size) { ASAN_POISON_MEMORY_REGION(memory, size); }
#else
inline void MakeAccessible(void*, size_t) {}
inline void MakeInaccessible(void*, size_t) {}
#endif

}  // namespace stasis

#endif  // STASIS_STATE_BASE_POISON_H_
