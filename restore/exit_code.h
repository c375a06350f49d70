// SPDX-License-Identifier: Apache-2.0
//
// exit_code.h: what a program's exit status says about an error.
//
// The numbers are part of the command line's contract (docs/checkpoint.md): scripts act on them.

#ifndef STASIS_RESTORE_EXIT_CODE_H_
#define STASIS_RESTORE_EXIT_CODE_H_

#include <absl/status/status.h>

namespace stasis::restore {

enum class ExitCode : int {
  kOk = 0,
  kFailure = 1,
  kUsage = 2,         // kInvalidArgument
  kPartial = 3,       // done, but for what was reported
  kDrift = 4,         // the host is not what the image saw (kFailedPrecondition with kDriftPayload)
  kCorrupt = 5,       // kDataLoss
  kVersion = 6,       // kUnimplemented
  kBusy = 8,          // kUnavailable
  kNoSpace = 9,       // kResourceExhausted
  kNotFound = 10,     // kNotFound
  kInterrupted = 130  // kCancelled
};

// A status with this payload is drift: the report as JSON (drift.h).
inline constexpr char kDriftPayload[] = "stasis/drift";

ExitCode ExitCodeOf(const absl::Status& status);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_EXIT_CODE_H_
