// SPDX-License-Identifier: Apache-2.0
//
// rcu.h: read-copy-update, on top of liburcu (memb flavour).
//
// Readers hold an rcu::ReadLock, which takes no lock and writes only to its own thread's memory.
// What they may still see is freed by rcu::Retire, after every reader that was inside has left.
// Threads register themselves on first use.

#ifndef STASIS_STATE_BASE_RCU_H_
#define STASIS_STATE_BASE_RCU_H_

#ifndef _LGPL_SOURCE
#define _LGPL_SOURCE  // inline read side
#endif
#include <urcu/urcu-memb.h>

#include <cstdint>

#if defined(__SANITIZE_THREAD__)
#define STASIS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STASIS_TSAN 1
#endif
#endif

namespace stasis::rcu {

namespace internal {
extern constinit thread_local bool thread_registered;
extern constinit thread_local uint64_t sections;
void RegisterThread();
#ifdef STASIS_TSAN
void TsanReaderLeft();
#endif
}  // namespace internal

// Begins and ends a read-side section; ReadLock is the usual way. Sections nest.
inline void Lock() {
  if (!internal::thread_registered) [[unlikely]]
    internal::RegisterThread();
  if (urcu_memb_read_ongoing() == 0) ++internal::sections;
  urcu_memb_read_lock();
}
inline void Unlock() {
#ifdef STASIS_TSAN
  internal::TsanReaderLeft();
#endif
  urcu_memb_read_unlock();
}
// True if this thread is inside a read-side section.
inline bool InReadSection() { return urcu_memb_read_ongoing() != 0; }
// Of this thread's outermost read-side section, or the last one: another number for each.
inline uint64_t SectionNumber() { return internal::sections; }

// A read-side section. Must not be held across rcu::Synchronize().
class [[nodiscard]] ReadLock {
 public:
  ReadLock() { Lock(); }
  ~ReadLock() { Unlock(); }
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;
};

// Waits until every reader that is inside now has left. Requires: the caller is not a reader.
void Synchronize();

// Calls `fn(arg)` on a background thread once every reader that is inside now has left.
void Defer(void (*fn)(void*), void* arg);

// Waits until everything deferred before has run. Requires: the caller is not a reader, and not
// what was deferred.
void Barrier();

// Deletes `object` once no reader can see it.
template <typename T>
void Retire(T* object) {
  Defer([](void* p) { delete static_cast<T*>(p); }, object);
}

}  // namespace stasis::rcu

#endif  // STASIS_STATE_BASE_RCU_H_
