// SPDX-License-Identifier: Apache-2.0
//
// format.h: numbers as people read them, and strings between two libraries' string views.

#ifndef STASIS_RESTORE_INTERNAL_FORMAT_H_
#define STASIS_RESTORE_INTERNAL_FORMAT_H_

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "state/base/clock.h"

namespace stasis::restore {

inline absl::string_view Absl(std::string_view s) { return {s.data(), s.size()}; }
inline std::string Text(absl::string_view s) { return {s.data(), s.size()}; }

// "850 ns", "3.2 us", "12.5 ms", "1.84 s".
std::string FormatDuration(int64_t ns);
// "512 B", "1.5 KiB", "3.2 GiB".
std::string FormatBytes(uint64_t bytes);
// "2026-01-01T00:00:00.000000001Z"; whole seconds without the fraction.
std::string FormatTime(TimeNs time);
// Compact JSON; bytes that are not UTF-8 are replaced.
std::string DumpJson(const nlohmann::ordered_json& json, int indent = -1);

// `path` with bytes outside of printable UTF-8 escaped as "\xNN", for messages and listings.
std::string PrintablePath(std::string_view path);
bool IsUtf8(std::string_view s);

// The same error with `what` in front of its message.
absl::Status Annotate(const absl::Status& status, std::string_view what);

// The error for a failed call: "cannot DO PATH: REASON", with the code that fits.
absl::Status ErrnoStatus(int error, std::string_view what);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_INTERNAL_FORMAT_H_
