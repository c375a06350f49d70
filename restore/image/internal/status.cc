// SPDX-License-Identifier: Apache-2.0

#include "restore/image/internal/status.h"

#include <cstring>

namespace stasis::image {
namespace {

absl::StatusCode CodeFor(Errno e) {
  switch (e.value()) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::StatusCode::kResourceExhausted;
    case ENOENT:
    case ENOTDIR:
      return absl::StatusCode::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status ErrnoStatus(Errno e, const std::string& doing) {
  return absl::Status(CodeFor(e),
                      fmt::format("{}: {} ({})", doing, std::strerror(e.value()), ErrnoName(e)));
}

absl::Status Prefix(const absl::Status& status, const std::string& prefix) {
  if (status.ok()) return status;
  return absl::Status(status.code(), fmt::format("{}: {}", prefix, std::string(status.message())));
}

}  // namespace stasis::image
