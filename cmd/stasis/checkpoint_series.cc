// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/checkpoint_series.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "cmd/stasis/output.h"
#include "cmd/stasis/stop_sandbox.h"

namespace stasis::cli {
namespace {

// In a row.
constexpr int kMostFailures = 3;
constexpr absl::Duration kLookInterval = absl::Milliseconds(20);

// What has become of one.
struct Beat {
  absl::Status status;
  std::string tag;
  control::Report report;
  std::vector<std::string> removed;
  int64_t skipped = 0;  // beats before it
};

Beat MakeOne(const SeriesRun& run, int64_t skipped) {
  Beat beat;
  beat.skipped = skipped;
  beat.tag = SeriesTag(run.series.name, absl::Now());
  absl::StatusOr<control::Report> report = run.make(beat.tag);
  beat.status = report.status();
  if (!report.ok()) return beat;
  beat.report = *std::move(report);
  absl::StatusOr<std::vector<std::string>> removed = TurnSeries(run.series, beat.tag);
  if (removed.ok()) {
    beat.removed = *std::move(removed);
    if (!beat.removed.empty())
      if (const absl::Status collected = CollectSeries(run.series); !collected.ok())
        Warn(absl::StrCat("what only removed tags needed stays: ",
                          std::string(collected.message())));
  } else {
    beat.status = absl::Status(
        removed.status().code(),
        absl::StrCat(removed.status().message(), "; ", beat.tag, " is made, but ", run.series.name,
                     " does not name it, and no old one was removed"));
  }
  return beat;
}

int PrintBeat(const SeriesRun& run, const Beat& beat) {
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(beat.report.json, nullptr, false);
  if (run.json) {
    json["tag"] = beat.tag;
    json["removed"] = beat.removed;
    json["skipped"] = beat.skipped;
    return PrintJsonLine(json);
  }
  std::string text =
      fmt::format("{}  {}  pause {}  stored {}", json.value("reference", ""),
                  json.value("digest", ""), FormatDuration(json.value("pause_ns", int64_t{0})),
                  FormatBytes(json.value("stored_bytes", uint64_t{0})));
  if (!beat.removed.empty()) absl::StrAppend(&text, "  removed ", beat.removed.size());
  if (beat.skipped > 0) absl::StrAppend(&text, "  skipped ", beat.skipped);
  return Print(text);
}

int ReportFailure(const SeriesRun& run, const absl::Status& status) {
  const int exit_code = Fail(status);
  if (run.json) (void)PrintJsonLine(ErrorDocument(status));
  return exit_code;
}

// The exit code if the sandbox runs no more: 0 if it was stopped.
std::optional<int> Ended(const SeriesRun& run) {
  if (run.dir.Alive()) return std::nullopt;
  return run.dir.Exists() ? ReportFailure(run, DeadSandbox(run.dir)) : 0;
}

// A daemon that runs but has no socket any more is about to end: its end is what counts.
void AwaitEnd(const SeriesRun& run) {
  while (run.dir.Alive() && access(run.dir.socket_path().c_str(), F_OK) != 0 && !*run.interrupted)
    absl::SleepFor(kLookInterval);
}

// The exit code if there is no next one.
std::optional<int> WaitFor(const SeriesRun& run, absl::Time next) {
  for (absl::Time now; (now = absl::Now()) < next;
       absl::SleepFor(std::min(next - now, kLookInterval))) {
    if (*run.interrupted) return 0;
    if (const std::optional<int> ended = Ended(run); ended.has_value()) return ended;
  }
  return std::nullopt;
}

}  // namespace

int RunSeries(const SeriesRun& run) {
  Beats beats(absl::Now(), run.every);
  int64_t skipped = 0;
  for (int failures = 0;;) {
    if (const std::optional<int> end = WaitFor(run, beats.next()); end.has_value()) return *end;
    const Beat beat = MakeOne(run, skipped);
    if (beat.status.ok()) {
      failures = 0;
      if (const int failed = PrintBeat(run, beat); failed != 0) return failed;
      if (*run.interrupted) return 0;
    } else {
      if (!absl::IsCancelled(beat.status)) {
        AwaitEnd(run);
        if (*run.interrupted) return 0;
        if (const std::optional<int> ended = Ended(run); ended.has_value()) return *ended;
      }
      const int exit_code = ReportFailure(run, beat.status);
      if (absl::IsCancelled(beat.status) || ++failures == kMostFailures) return exit_code;
    }
    skipped = beats.Advance(absl::Now());
  }
}

}  // namespace stasis::cli
