// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/durations.h"

#include <absl/strings/str_cat.h>

namespace stasis::cli {
namespace {

constexpr absl::Duration kLongest = absl::Hours(24 * 366);

}  // namespace

absl::StatusOr<absl::Duration> ReadDuration(const char* option, const std::string& text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration <= absl::ZeroDuration() ||
      duration > kLongest)
    return absl::InvalidArgumentError(absl::StrCat(
        option, " '", text, "' is no length of time; write one such as 500ms, 5s, 2m, 1h"));
  return absl::Ceil(duration, absl::Milliseconds(1));
}

}  // namespace stasis::cli
