// SPDX-License-Identifier: Apache-2.0

#include "state/base/rcu.h"

#ifdef STASIS_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace stasis::rcu {
namespace internal {

constinit thread_local bool thread_registered = false;

namespace {

struct Registration {
  Registration() {
    urcu_memb_register_thread();
    thread_registered = true;
  }
  ~Registration() {
    thread_registered = false;
    urcu_memb_unregister_thread();
  }
};

#ifdef STASIS_TSAN
// liburcu is not instrumented: this address stands for "all readers before, reclaim after".
constinit char tsan_grace_period = 0;
#endif

}  // namespace

void RegisterThread() { static thread_local Registration registration; }

#ifdef STASIS_TSAN
void TsanReaderLeft() { __tsan_release(&tsan_grace_period); }
#endif

}  // namespace internal

namespace {

struct Deferred {
  rcu_head head;
  void (*fn)(void*);
  void* arg;
};

void RunDeferred(rcu_head* head) {
  // liburcu has registered its own thread; what runs here may defer more.
  internal::thread_registered = true;
#ifdef STASIS_TSAN
  __tsan_acquire(&internal::tsan_grace_period);
#endif
  Deferred* deferred = caa_container_of(head, Deferred, head);
  deferred->fn(deferred->arg);
  delete deferred;
}

}  // namespace

void Synchronize() {
  if (!internal::thread_registered) internal::RegisterThread();
  urcu_memb_synchronize_rcu();
#ifdef STASIS_TSAN
  __tsan_acquire(&internal::tsan_grace_period);
#endif
}

void Defer(void (*fn)(void*), void* arg) {
  if (!internal::thread_registered) internal::RegisterThread();
  auto* deferred = new Deferred{{}, fn, arg};
#ifdef STASIS_TSAN
  __tsan_release(&internal::tsan_grace_period);
#endif
  urcu_memb_call_rcu(&deferred->head, &RunDeferred);
}

void Barrier() {
  urcu_memb_barrier();
#ifdef STASIS_TSAN
  __tsan_acquire(&internal::tsan_grace_period);
#endif
}

}  // namespace stasis::rcu
