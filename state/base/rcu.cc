// SPDX-License-Identifier: Apache-2.0

#include "state/base/rcu.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <pthread.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <thread>
#include <utility>

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
  Deferred* next;
  void (*fn)(void*);
  void* arg;
};

// Runs what is deferred, in batches, on a thread of its own that starts with the first of it and
// never ends. liburcu has such a thread too, but it sleeps through Barrier().
class Reclaimer {
 public:
  static Reclaimer& Get() {
    static auto* reclaimer = new Reclaimer();
    return *reclaimer;
  }

  void Add(Deferred* deferred) {
    Deferred* head = pending_.load(std::memory_order_relaxed);
    do {
      deferred->next = head;
    } while (!pending_.compare_exchange_weak(head, deferred, std::memory_order_release,
                                             std::memory_order_relaxed));
    if (head != nullptr) return;  // somebody has waked the thread
    absl::MutexLock lock(&mu_);
    Start();
    wake_.Signal();
  }

  // Waits until what was added before has run.
  void Barrier() {
    absl::MutexLock lock(&mu_);
    const bool pending = pending_.load(std::memory_order_acquire) != nullptr;
    const uint64_t target = started_ + (pending ? 1 : 0);
    if (done_ >= target) return;
    Start();
    ++waiters_;
    wake_.Signal();
    while (done_ < target) batch_done_.Wait(&mu_);
    --waiters_;
  }

 private:
  // One grace period serves what comes within this time, unless somebody waits.
  static constexpr absl::Duration kBatch = absl::Milliseconds(10);

  void Start() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (running_) return;
    running_ = true;
    // Signals are for the threads of the program.
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    std::thread([this] { Run(); }).detach();
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
  }

  [[noreturn]] void Run() {
    for (;;) {
      Deferred* batch = NextBatch();
      Synchronize();
      while (batch != nullptr) {
        Deferred* deferred = std::exchange(batch, batch->next);
        deferred->fn(deferred->arg);
        delete deferred;
      }
      absl::MutexLock lock(&mu_);
      done_ = started_;
      batch_done_.SignalAll();
    }
  }

  // Waits for one; what was deferred first comes first.
  Deferred* NextBatch() {
    Deferred* newest = nullptr;
    {
      absl::MutexLock lock(&mu_);
      while (pending_.load(std::memory_order_relaxed) == nullptr) wake_.Wait(&mu_);
      const absl::Time end = absl::Now() + kBatch;
      while (waiters_ == 0 && !wake_.WaitWithDeadline(&mu_, end)) {
      }
      ++started_;
      newest = pending_.exchange(nullptr, std::memory_order_acquire);
    }
    Deferred* batch = nullptr;
    while (newest != nullptr) {
      Deferred* next = newest->next;
      newest->next = batch;
      batch = std::exchange(newest, next);
    }
    return batch;
  }

  std::atomic<Deferred*> pending_{nullptr};  // a stack

  absl::Mutex mu_;
  absl::CondVar wake_;        // the thread: something is pending, or somebody waits
  absl::CondVar batch_done_;  // those who wait
  bool running_ ABSL_GUARDED_BY(mu_) = false;
  // Batches that were taken from pending_, and those of them that have run.
  uint64_t started_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t done_ ABSL_GUARDED_BY(mu_) = 0;
  int waiters_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace

void Synchronize() {
  if (!internal::thread_registered) internal::RegisterThread();
  urcu_memb_synchronize_rcu();
#ifdef STASIS_TSAN
  __tsan_acquire(&internal::tsan_grace_period);
#endif
}

void Defer(void (*fn)(void*), void* arg) { Reclaimer::Get().Add(new Deferred{nullptr, fn, arg}); }

void Barrier() { Reclaimer::Get().Barrier(); }

}  // namespace stasis::rcu
