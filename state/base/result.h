// SPDX-License-Identifier: Apache-2.0
//
// result.h: the error type of the filesystem layers.
//
// `Result<T>` holds a T or an Errno. Everything below restore/ returns it: its error path costs
// under a nanosecond, and its codes are exactly the ones a system call can return. restore/ and
// cmd/, where a person reads the message, use absl::Status instead.

#ifndef STASIS_STATE_BASE_RESULT_H_
#define STASIS_STATE_BASE_RESULT_H_

#include <cerrno>
#include <ostream>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace stasis {

// A Linux error number (errno.h). Always positive.
class Errno {
 public:
  constexpr explicit Errno(int value) : value_(value) {}
  constexpr int value() const { return value_; }
  friend constexpr bool operator==(Errno a, Errno b) { return a.value_ == b.value_; }

 private:
  int value_;
};

// The symbolic name, such as "ENOENT"; "errno 4711" for a number without one.
std::string ErrnoName(Errno e);
std::ostream& operator<<(std::ostream& os, Errno e);

template <typename T>
using Result = tl::expected<T, Errno>;

// The error value of any Result: `return Err(ENOENT);`.
constexpr tl::unexpected<Errno> Err(int value) { return tl::unexpected<Errno>(Errno(value)); }
constexpr tl::unexpected<Errno> Err(Errno e) { return tl::unexpected<Errno>(e); }

}  // namespace stasis

#define STASIS_CONCAT_INNER(a, b) a##b
#define STASIS_CONCAT(a, b) STASIS_CONCAT_INNER(a, b)

// Returns the error of `expr` (a Result) from the enclosing function, if it is one.
#define STASIS_RETURN_IF_ERROR(expr)                              \
  do {                                                            \
    if (auto stasis_result = (expr); !stasis_result) [[unlikely]] \
      return ::stasis::Err(stasis_result.error());                \
  } while (false)

// STASIS_ASSIGN_OR_RETURN(auto x, F()): x gets the value of a Result, or its error is returned.
#define STASIS_ASSIGN_OR_RETURN(lhs, expr) \
  STASIS_ASSIGN_OR_RETURN_IMPL(STASIS_CONCAT(stasis_result_, __LINE__), lhs, expr)
#define STASIS_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                                 \
  if (!tmp) [[unlikely]]                             \
    return ::stasis::Err(tmp.error());               \
  lhs = std::move(*tmp)

#endif  // STASIS_STATE_BASE_RESULT_H_
