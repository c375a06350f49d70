// SPDX-License-Identifier: Apache-2.0
//
// durations.h: times on the command line.

#ifndef STASIS_CMD_STASIS_DURATIONS_H_
#define STASIS_CMD_STASIS_DURATIONS_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>

namespace stasis::cli {

// "500ms", "5s", "2m", "1h30m"; longer than nothing, in whole milliseconds, at least one. `option`
// is what it is the value of. Errors: kInvalidArgument.
absl::StatusOr<absl::Duration> ReadDuration(const char* option, const std::string& text);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DURATIONS_H_
