// SPDX-License-Identifier: Apache-2.0
//
// output.h: how commands speak to people and to scripts.
//
// Results go to the standard output, as text or (--json) as one JSON document; everything else goes
// to the standard error.

#ifndef STASIS_CMD_STASIS_OUTPUT_H_
#define STASIS_CMD_STASIS_OUTPUT_H_

#include <absl/status/status.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace stasis::cli {

// Prints "stasis: MESSAGE" (and {"error": ...} with `json`); returns the exit code. If the error
// carries a report of drift, that comes with it: its lines before the message, or as "drift".
int Fail(const absl::Status& status, bool json = false);
void Warn(std::string_view message);
// The same error, with what can be done about it after the reason.
absl::Status WithRemedy(const absl::Status& error, std::string_view remedy);

// Prints a line, or a JSON document. 0 if it could be written, otherwise the exit code of a
// failure; if nobody reads it any more, which is no error, that of SIGPIPE.
int Print(std::string_view text);
int PrintJson(const nlohmann::ordered_json& json);
// One of several documents, in a line of its own.
int PrintJsonLine(const nlohmann::ordered_json& json);
// {"error": ...}, as Fail prints it.
nlohmann::ordered_json ErrorDocument(const absl::Status& status);
// One of many lines, and the end of them, which is as Print's.
void PrintLine(std::string_view text);
int FlushLines();
// Has whoever reads them have those that there are; false if there is no use in more.
bool WriteLines();

// True if people see the standard error.
bool ErrorIsTerminal();
// True if colours are welcome on descriptor `fd`: a terminal, and no NO_COLOR.
bool Coloured(int fd);

// "1.5 GiB"; "2.3 s", "14 ms".
std::string FormatBytes(uint64_t bytes);
std::string FormatDuration(int64_t nanoseconds);
// RFC 3339 in UTC.
std::string FormatTime(int64_t nanoseconds);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_OUTPUT_H_
