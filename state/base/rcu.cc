// SPDX-License-Identifier: Apache-2.0

#include "state/base/rcu.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>

#ifdef STASIS_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace stasis::rcu {
namespace internal {

constinit thread_local bool thread_registered = false;
constinit thread_local uint64_t sections = 0;

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
    std::lock_guard lock(mu_);
    Start();
    wake_.notify_one();
  }

  // Waits until what was added before has run.
  void Barrier() {
    std::unique_lock lock(mu_);
    const bool pending = pending_.load(std::memory_order_acquire) != nullptr;
    const uint64_t target = started_ + (pending ? 1 : 0);
    if (done_ >= target) return;
    Start();
    ++waiters_;
    wake_.notify_one();
    batch_done_.wait(lock, [&] { return done_ >= target; });
    --waiters_;
  }

 private:
  // One grace period serves what comes within this time, unless somebody waits.
  static constexpr std::chrono::milliseconds kBatch{10};

  // Requires: mu_ is held.
  void Start() {
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
      std::lock_guard lock(mu_);
      done_ = started_;
      batch_done_.notify_all();
    }
  }

  // Waits for one; what was deferred first comes first.
  Deferred* NextBatch() {
    Deferred* newest = nullptr;
    {
      std::unique_lock lock(mu_);
      wake_.wait(lock, [&] { return pending_.load(std::memory_order_relaxed) != nullptr; });
      wake_.wait_for(lock, kBatch, [&] { return waiters_ != 0; });
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

  // Not abseil's: its timed waits go by the time of day, and a step back would make one last as
  // long as the step. These go by the monotonic clock.
  std::mutex mu_;
  std::condition_variable wake_;        // the thread: something is pending, or somebody waits
  std::condition_variable batch_done_;  // those who wait
  // Guarded by mu_.
  bool running_ = false;
  // Batches that were taken from pending_, and those of them that have run.
  uint64_t started_ = 0;
  uint64_t done_ = 0;
  int waiters_ = 0;
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
