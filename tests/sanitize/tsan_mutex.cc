// SPDX-License-Identifier: Apache-2.0
//
// tsan_mutex.cc: makes abseil's synchronisation visible to ThreadSanitizer.
//
// An abseil that was not built with ThreadSanitizer, such as Debian's, synchronises threads unseen,
// so that everything a mutex protects would be reported as a race. This library is linked before
// abseil's; its members of Mutex, CondVar etc. take the place of those, tell ThreadSanitizer, and
// call the real ones. Notification and BlockingCounter have paths without a mutex; Barrier needs
// nothing.
//
// Waiting for an absl::Condition is done by polling: the real implementation evaluates a condition
// on whichever thread unlocks. A mutex whose condition is awaited must be held in exclusive mode.

#include <absl/synchronization/blocking_counter.h>
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <atomic>
#include <cstdlib>

namespace absl {
ABSL_NAMESPACE_BEGIN
namespace {

constexpr Duration kPollInterval = Microseconds(100);

// The implementation that this library hides. A member function is called like a free one whose
// first parameter is the object.
template <typename Function>
Function* Real(const char* symbol) {
  void* found = dlsym(RTLD_NEXT, symbol);
  if (found == nullptr) abort();
  return reinterpret_cast<Function*>(found);
}

#define STASIS_STRINGIZE_INNER(x) #x
#define STASIS_STRINGIZE(x) STASIS_STRINGIZE_INNER(x)
#define STASIS_INLINE_NAMESPACE STASIS_STRINGIZE(ABSL_OPTION_INLINE_NAMESPACE_NAME)
static_assert(sizeof(STASIS_INLINE_NAMESPACE) == sizeof("debian3"),
              "mangled names below say how long the namespace's name is");
// The mangled name of absl::<rest>.
#define STASIS_ABSL_SYMBOL(rest) "4absl7" STASIS_INLINE_NAMESPACE rest

using MutexCall = void(Mutex*);
using MutexTry = bool(Mutex*);
using CondVarWait = void(CondVar*, Mutex*);
using CondVarWaitUntil = bool(CondVar*, Mutex*, Time);

void BeforeUnlock(Mutex* mu, unsigned flags = 0) { __tsan_mutex_pre_unlock(mu, flags); }
void AfterUnlock(Mutex* mu, unsigned flags = 0) { __tsan_mutex_post_unlock(mu, flags); }
void BeforeLock(Mutex* mu, unsigned flags = 0) { __tsan_mutex_pre_lock(mu, flags); }
void AfterLock(Mutex* mu, unsigned flags = 0) { __tsan_mutex_post_lock(mu, flags, 0); }

bool TryLockWith(MutexTry* real, Mutex* mu, unsigned flags) {
  flags |= __tsan_mutex_try_lock;
  BeforeLock(mu, flags);
  bool locked = real(mu);
  AfterLock(mu, locked ? flags : flags | __tsan_mutex_try_lock_failed);
  return locked;
}

// Unlocks, waits, and locks again. True if the time was up.
bool WaitUntil(CondVar* cv, Mutex* mu, Time deadline) {
  static auto* real = Real<CondVarWaitUntil>(
      "_ZN" STASIS_ABSL_SYMBOL("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE"));
  BeforeUnlock(mu);
  AfterUnlock(mu);
  bool timed_out = real(cv, mu, deadline);
  BeforeLock(mu);
  AfterLock(mu);
  return timed_out;
}

bool PollUntil(Mutex* mu, const Condition& condition, Time deadline) {
  while (!condition.Eval()) {
    if (Now() >= deadline) return false;
    mu->Unlock();
    SleepFor(kPollInterval);
    mu->Lock();
  }
  return true;
}

}  // namespace

Mutex::~Mutex() {
  static auto* real = Real<MutexCall>("_ZN" STASIS_ABSL_SYMBOL("5MutexD1Ev"));
  __tsan_mutex_destroy(this, __tsan_mutex_not_static);
  real(this);
}

void Mutex::Lock() {
  static auto* real = Real<MutexCall>("_ZN" STASIS_ABSL_SYMBOL("5Mutex4LockEv"));
  BeforeLock(this);
  real(this);
  AfterLock(this);
}

void Mutex::Unlock() {
  static auto* real = Real<MutexCall>("_ZN" STASIS_ABSL_SYMBOL("5Mutex6UnlockEv"));
  BeforeUnlock(this);
  real(this);
  AfterUnlock(this);
}

bool Mutex::TryLock() {
  static auto* real = Real<MutexTry>("_ZN" STASIS_ABSL_SYMBOL("5Mutex7TryLockEv"));
  return TryLockWith(real, this, 0);
}

void Mutex::ReaderLock() {
  static auto* real = Real<MutexCall>("_ZN" STASIS_ABSL_SYMBOL("5Mutex10ReaderLockEv"));
  BeforeLock(this, __tsan_mutex_read_lock);
  real(this);
  AfterLock(this, __tsan_mutex_read_lock);
}

void Mutex::ReaderUnlock() {
  static auto* real = Real<MutexCall>("_ZN" STASIS_ABSL_SYMBOL("5Mutex12ReaderUnlockEv"));
  BeforeUnlock(this, __tsan_mutex_read_lock);
  real(this);
  AfterUnlock(this, __tsan_mutex_read_lock);
}

bool Mutex::ReaderTryLock() {
  static auto* real = Real<MutexTry>("_ZN" STASIS_ABSL_SYMBOL("5Mutex13ReaderTryLockEv"));
  return TryLockWith(real, this, __tsan_mutex_read_lock);
}

void Mutex::Await(const Condition& condition) { PollUntil(this, condition, InfiniteFuture()); }
bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  return PollUntil(this, condition, Now() + timeout);
}
bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  return PollUntil(this, condition, deadline);
}

void Mutex::LockWhen(const Condition& condition) {
  Lock();
  PollUntil(this, condition, InfiniteFuture());
}
bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  return LockWhenWithDeadline(condition, Now() + timeout);
}
bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  Lock();
  return PollUntil(this, condition, deadline);
}

void CondVar::Wait(Mutex* mu) { WaitUntil(this, mu, InfiniteFuture()); }
bool CondVar::WaitWithTimeout(Mutex* mu, Duration timeout) {
  return WaitUntil(this, mu, Now() + timeout);
}
bool CondVar::WaitWithDeadline(Mutex* mu, Time deadline) { return WaitUntil(this, mu, deadline); }

// HasBeenNotified() is inline: it loads the same address.
void Notification::Notify() {
  static auto* real =
      Real<void(Notification*)>("_ZN" STASIS_ABSL_SYMBOL("12Notification6NotifyEv"));
  __tsan_release(&notified_yet_);
  real(this);
}

void Notification::WaitForNotification() const {
  WaitForNotificationWithDeadline(InfiniteFuture());
}
bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  return WaitForNotificationWithDeadline(Now() + timeout);
}
bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  static auto* real = Real<bool(const Notification*, Time)>(
      "_ZNK" STASIS_ABSL_SYMBOL("12Notification31WaitForNotificationWithDeadlineENS0_4TimeE"));
  bool notified = real(this, deadline);
  if (notified) __tsan_acquire(const_cast<std::atomic<bool>*>(&notified_yet_));
  return notified;
}

bool BlockingCounter::DecrementCount() {
  static auto* real =
      Real<bool(BlockingCounter*)>("_ZN" STASIS_ABSL_SYMBOL("15BlockingCounter14DecrementCountEv"));
  __tsan_release(this);
  return real(this);
}

void BlockingCounter::Wait() {
  static auto* real =
      Real<void(BlockingCounter*)>("_ZN" STASIS_ABSL_SYMBOL("15BlockingCounter4WaitEv"));
  real(this);
  __tsan_acquire(this);
}

ABSL_NAMESPACE_END
}  // namespace absl
