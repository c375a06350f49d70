// SPDX-License-Identifier: Apache-2.0
//
// ref_ptr.h: intrusive reference counting.
//
// A class derives from RefCounted and is held by RefPtr. A raw pointer beside it is borrowed. An
// object is born with one reference, which `MakeRef` hands to its RefPtr.
//
// Objects that lock-free readers may find without a reference override OnZeroRefs() to put their
// destruction off until those readers have left (rcu::Retire); such readers use TryRef().

#ifndef STASIS_STATE_BASE_REF_PTR_H_
#define STASIS_STATE_BASE_REF_PTR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace stasis {

// Thread-safe.
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  void Ref() const { refs_.fetch_add(1, std::memory_order_relaxed); }

  // Takes a reference unless the last one is already gone.
  [[nodiscard]] bool TryRef() const {
    uint32_t refs = refs_.load(std::memory_order_relaxed);
    while (refs != 0) {
      if (refs_.compare_exchange_weak(refs, refs + 1, std::memory_order_acquire,
                                      std::memory_order_relaxed))
        return true;
    }
    return false;
  }

  void Unref() const {
    if (DropRef()) const_cast<RefCounted*>(this)->OnZeroRefs();
  }

  // True if the caller's reference is the only one. Orders everything that former holders did
  // before the answer.
  bool HasOneRef() const { return refs_.load(std::memory_order_acquire) == 1; }

  uint32_t RefsRacy() const { return refs_.load(std::memory_order_relaxed); }

 protected:
  // Unref without OnZeroRefs(). Returns whether the reference was the last: then the rest is the
  // caller's.
  [[nodiscard]] bool DropRef() const { return refs_.fetch_sub(1, std::memory_order_acq_rel) == 1; }

  virtual ~RefCounted() = default;
  virtual void OnZeroRefs() { delete this; }

 private:
  mutable std::atomic<uint32_t> refs_{1};
};

template <typename T>
class RefPtr {
 public:
  using element_type = T;

  constexpr RefPtr() = default;
  constexpr RefPtr(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  // Takes a new reference.
  explicit RefPtr(T* object) : object_(object) {
    if (object_ != nullptr) object_->Ref();
  }
  RefPtr(const RefPtr& other) : RefPtr(other.object_) {}
  RefPtr(RefPtr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <typename U, typename = std::enable_if_t<std::is_convertible_v<U*, T*>>>
  RefPtr(const RefPtr<U>& other) : RefPtr(other.get()) {}  // NOLINT(google-explicit-constructor)
  template <typename U, typename = std::enable_if_t<std::is_convertible_v<U*, T*>>>
  RefPtr(RefPtr<U>&& other) noexcept : object_(other.release()) {}  // NOLINT
  ~RefPtr() { reset(); }

  RefPtr& operator=(RefPtr other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }

  // Wraps a reference that the caller owns already.
  static RefPtr Adopt(T* object) {
    RefPtr ptr;
    ptr.object_ = object;
    return ptr;
  }

  T* get() const { return object_; }
  T& operator*() const { return *object_; }
  T* operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

  void reset() {
    if (T* object = std::exchange(object_, nullptr); object != nullptr) object->Unref();
  }
  // Gives the reference to the caller.
  [[nodiscard]] T* release() { return std::exchange(object_, nullptr); }

  friend bool operator==(const RefPtr& a, const RefPtr& b) { return a.object_ == b.object_; }
  friend bool operator==(const RefPtr& a, const T* b) { return a.object_ == b; }

 private:
  T* object_ = nullptr;
};

template <typename T, typename... Args>
RefPtr<T> MakeRef(Args&&... args) {
  return RefPtr<T>::Adopt(new T(std::forward<Args>(args)...));
}

}  // namespace stasis

#endif  // STASIS_STATE_BASE_REF_PTR_H_
