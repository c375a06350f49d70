// SPDX-License-Identifier: Apache-2.0
//
// status.h: making and passing on absl::Status within the image library.

#ifndef STASIS_RESTORE_IMAGE_INTERNAL_STATUS_H_
#define STASIS_RESTORE_IMAGE_INTERNAL_STATUS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <fmt/format.h>

#include <string>
#include <utility>

#include "state/base/result.h"

namespace stasis::image {

// kDataLoss with a formatted message.
template <typename... Args>
absl::Status DataLoss(fmt::format_string<Args...> format, Args&&... args) {
  return absl::DataLossError(fmt::format(format, std::forward<Args>(args)...));
}

// The status for a failed system call; `doing` is what it was for, such as "cannot write blob".
absl::Status ErrnoStatus(Errno e, const std::string& doing);

// The same error with `prefix` and ": " before its message.
absl::Status Prefix(const absl::Status& status, const std::string& prefix);

}  // namespace stasis::image

#define IMAGE_RETURN_IF_ERROR(expr)                                          \
  do {                                                                       \
    if (absl::Status image_status = (expr); !image_status.ok()) [[unlikely]] \
      return image_status;                                                   \
  } while (false)

#define IMAGE_ASSIGN_OR_RETURN(lhs, expr) \
  IMAGE_ASSIGN_OR_RETURN_IMPL(STASIS_CONCAT(image_result_, __LINE__), lhs, expr)
#define IMAGE_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                                \
  if (!tmp.ok()) [[unlikely]]                       \
    return tmp.status();                            \
  lhs = *std::move(tmp)

// The same for a Result: its errno becomes a status.
#define IMAGE_RETURN_IF_ERRNO(expr, doing)                      \
  do {                                                          \
    if (auto image_result = (expr); !image_result) [[unlikely]] \
      return ErrnoStatus(image_result.error(), doing);          \
  } while (false)

#define IMAGE_ASSIGN_OR_ERRNO(lhs, expr, doing) \
  IMAGE_ASSIGN_OR_ERRNO_IMPL(STASIS_CONCAT(image_result_, __LINE__), lhs, expr, doing)
#define IMAGE_ASSIGN_OR_ERRNO_IMPL(tmp, lhs, expr, doing) \
  auto tmp = (expr);                                      \
  if (!tmp) [[unlikely]]                                  \
    return ErrnoStatus(tmp.error(), doing);               \
  lhs = std::move(*tmp)

#endif  // STASIS_RESTORE_IMAGE_INTERNAL_STATUS_H_
