// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/output.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "restore/drift.h"
#include "restore/exit_code.h"

namespace stasis::cli {
namespace {

// As of a program that SIGPIPE has ended, which what speaks to the daemon ignores.
constexpr int kReaderIsGone = 128 + SIGPIPE;

// Why the standard output could not be written first; 0: it could.
int write_error = 0;

void NoteWriteError() {
  if (write_error == 0) write_error = errno;
}

constexpr const char* kRed = "\033[31m";
constexpr const char* kYellow = "\033[33m";
constexpr const char* kPlain = "\033[0m";

void Say(const char* colour, std::string_view kind, std::string_view message) {
  const bool coloured = Coloured(STDERR_FILENO);
  fmt::print(stderr, "{}stasis{}:{} {}\n", coloured ? colour : "", kind, coloured ? kPlain : "",
             message);
}

// "not_found" for kNotFound.
std::string CodeName(absl::StatusCode code) {
  return absl::AsciiStrToLower(absl::StatusCodeToString(code));
}

// Empty if there is none.
std::string PayloadOf(const absl::Status& status, const char* url) {
  return std::string(status.GetPayload(url).value_or(absl::Cord()));
}

}  // namespace

nlohmann::ordered_json ErrorDocument(const absl::Status& status) {
  nlohmann::ordered_json document = {
      {"error",
       {{"code", CodeName(status.code())},
        {"message", std::string(status.message())},
        {"exit_code", static_cast<int>(restore::ExitCodeOf(status))}}}};
  if (const std::string drift = PayloadOf(status, restore::kDriftPayload); !drift.empty())
    document["drift"] = nlohmann::ordered_json::parse(drift, nullptr, false);
  return document;
}

absl::Status WithRemedy(const absl::Status& error, std::string_view remedy) {
  return absl::Status(error.code(), absl::StrCat(error.message(), "; ", std::string(remedy)));
}

int Fail(const absl::Status& error, bool json) {
  absl::Status status = error;
  // To absl that is the same as a full disk.
  for (int number : {EMFILE, ENFILE})
    if (absl::IsResourceExhausted(error) && absl::StrContains(error.message(), strerror(number)))
      status = WithRemedy(absl::InternalError(error.message()),
                          "raise the limit of open files, such as: ulimit -n 65536");
  const int exit_code = static_cast<int>(restore::ExitCodeOf(status));
  const std::string message(status.message());
  if (!json) fmt::print(stderr, "{}", PayloadOf(status, restore::kDriftLinesPayload));
  Say(kRed, "", message);
  if (json) (void)PrintJson(ErrorDocument(status));
  return exit_code;
}

void Warn(std::string_view message) { Say(kYellow, " warning", message); }

void PrintLine(std::string_view text) {
  const bool ended = !text.empty() && text.back() == '\n';
  if (std::fwrite(text.data(), 1, text.size(), stdout) < text.size() ||
      (!ended && std::fputc('\n', stdout) == EOF))
    NoteWriteError();
}

bool WriteLines() {
  if (std::fflush(stdout) != 0) NoteWriteError();
  return write_error == 0;
}

int FlushLines() {
  if (WriteLines()) return 0;
  if (write_error == EPIPE) return kReaderIsGone;
  return Fail(absl::ErrnoToStatus(write_error, "cannot write to the standard output"));
}

int Print(std::string_view text) {
  PrintLine(text);
  return FlushLines();
}

int PrintJson(const nlohmann::ordered_json& json) {
  return Print(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

int PrintJsonLine(const nlohmann::ordered_json& json) {
  return Print(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

bool ErrorIsTerminal() { return isatty(STDERR_FILENO) == 1; }

bool Coloured(int fd) {
  const char* no_color = getenv("NO_COLOR");
  return isatty(fd) == 1 && (no_color == nullptr || *no_color == '\0');
}

std::string FormatBytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string FormatDuration(int64_t nanoseconds) {
  const double seconds = static_cast<double>(nanoseconds) / 1e9;
  if (seconds >= 60)
    return fmt::format("{} min {} s", nanoseconds / 60000000000, nanoseconds / 1000000000 % 60);
  if (seconds >= 1) return fmt::format("{:.2f} s", seconds);
  return seconds >= 1e-3 ? fmt::format("{:.1f} ms", seconds * 1e3)
                         : fmt::format("{:.0f} us", seconds * 1e6);
}

std::string FormatTime(int64_t nanoseconds) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixNanos(nanoseconds),
                          absl::UTCTimeZone());
}

}  // namespace stasis::cli
