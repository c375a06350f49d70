// SPDX-License-Identifier: Apache-2.0

#include "restore/exit_code.h"

namespace stasis::restore {

ExitCode ExitCodeOf(const absl::Status& status) {
  if (status.GetPayload(kDriftPayload).has_value()) return ExitCode::kDrift;
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
      return ExitCode::kUsage;
    case absl::StatusCode::kDataLoss:
      return ExitCode::kCorrupt;
    case absl::StatusCode::kUnimplemented:
      return ExitCode::kVersion;
    case absl::StatusCode::kUnavailable:
      return ExitCode::kBusy;
    case absl::StatusCode::kResourceExhausted:
      return ExitCode::kNoSpace;
    case absl::StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case absl::StatusCode::kCancelled:
      return ExitCode::kInterrupted;
    default:
      return ExitCode::kFailure;
  }
}

}  // namespace stasis::restore
