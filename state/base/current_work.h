// SPDX-License-Identifier: Apache-2.0
//
// current_work.h: what a thread is at work for, for messages of what is far below.
//
//   const CurrentWork work([](const void* file) { return ...; }, &file);
//   ... CurrentWork::Describe() says that, if somebody asks ...
//
// Nothing is put into words unless somebody asks.

#ifndef STASIS_STATE_BASE_CURRENT_WORK_H_
#define STASIS_STATE_BASE_CURRENT_WORK_H_

#include <string>

namespace stasis {

// Of the thread that makes it, which also ends it. Of several the outermost counts.
class [[nodiscard]] CurrentWork {
 public:
  // Called in the same thread, whatever locks that has: must take none.
  using DescribeFn = std::string (*)(const void* what);

  // `what` is borrowed.
  CurrentWork(DescribeFn describe, const void* what) : describe_(describe), what_(what) {
    if (outermost_ == nullptr) outermost_ = this;
  }
  ~CurrentWork() {
    if (outermost_ == this) outermost_ = nullptr;
  }
  CurrentWork(const CurrentWork&) = delete;
  CurrentWork& operator=(const CurrentWork&) = delete;

  // Empty if nothing is known.
  static std::string Describe() {
    return outermost_ == nullptr ? std::string() : outermost_->describe_(outermost_->what_);
  }

 private:
  const DescribeFn describe_;
  const void* const what_;

  static inline constinit thread_local const CurrentWork* outermost_ = nullptr;
};

}  // namespace stasis

#endif  // STASIS_STATE_BASE_CURRENT_WORK_H_
