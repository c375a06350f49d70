// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/progress_line.h"

#include <absl/time/clock.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "cmd/stasis/output.h"

namespace stasis::cli {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(100);
constexpr const char* kClearLine = "\r\033[K";

// 0 at the start, when nothing is known of it.
uint64_t Rate(const Step& step, double seconds) {
  return seconds > 0 ? static_cast<uint64_t>(static_cast<double>(step.bytes) / seconds) : 0;
}

// Requires: the total is known.
double ShareDone(const Step& step) {
  return std::min(static_cast<double>(step.done) / static_cast<double>(step.total), 1.0);
}

}  // namespace

void AddProgressOption(CLI::App& command, ProgressMode& mode) {
  const std::map<std::string, ProgressMode> modes = {
      {"auto", ProgressMode::kAuto}, {"json", ProgressMode::kJson}, {"none", ProgressMode::kNone}};
  command
      .add_option("--progress", mode,
                  "How far it is, on the standard error: a line if that is a terminal, JSON lines, "
                  "or nothing")
      ->transform(CLI::CheckedTransformer(modes).description(""))
      ->type_name("auto|json|none")
      ->default_str("auto");
}

ProgressLine::ProgressLine(ProgressMode mode)
    : mode_(mode == ProgressMode::kAuto && !ErrorIsTerminal() ? ProgressMode::kNone : mode) {}

ProgressLine::~ProgressLine() { Clear(); }

void ProgressLine::Update(const Step& step) {
  if (mode_ == ProgressMode::kNone || step.phase.empty()) return;
  const absl::MutexLock lock(&mu_);
  const absl::Time now = absl::Now();
  if (phase_ != step.phase) {
    phase_ = step.phase;
    started_ = now;
  } else if (now - last_ < kInterval) {
    return;
  }
  last_ = now;
  if (mode_ == ProgressMode::kJson) {
    fmt::print(stderr, "{}\n", ToJson(step, now - started_));
    return;
  }
  dirty_ = true;
  fmt::print(stderr, "{}{}", kClearLine, Format(step, now - started_));
  std::fflush(stderr);
}

void ProgressLine::Clear() {
  const absl::MutexLock lock(&mu_);
  if (!dirty_) return;
  fmt::print(stderr, "{}", kClearLine);
  std::fflush(stderr);
  dirty_ = false;
}

std::string ProgressLine::Format(const Step& step, absl::Duration elapsed) {
  const double seconds = absl::ToDoubleSeconds(elapsed);
  const uint64_t rate = Rate(step, seconds);
  if (step.total == 0 && step.done == 0 && step.bytes == 0) return step.phase;
  if (step.total == 0)
    return fmt::format("{}  {} files  {}  {}/s", step.phase, step.done, FormatBytes(step.bytes),
                       FormatBytes(rate));
  const double share = ShareDone(step);
  const double left = share > 0 ? seconds * (1 - share) / share : 0;
  return fmt::format("{}  {:3.0f} %  {}  {}/s  {:.0f} s left", step.phase, share * 100,
                     FormatBytes(step.bytes), FormatBytes(rate), left);
}

std::string ProgressLine::ToJson(const Step& step, absl::Duration elapsed) {
  const double seconds = absl::ToDoubleSeconds(elapsed);
  nlohmann::ordered_json json = {
      {"phase", step.phase}, {"done", step.done},           {"total", nullptr},
      {"bytes", step.bytes}, {"rate", Rate(step, seconds)}, {"eta_ms", nullptr}};
  if (step.total != 0) {
    json["total"] = step.total;
    if (const double share = ShareDone(step); share > 0 && seconds > 0)
      json["eta_ms"] = static_cast<uint64_t>(seconds * 1000 * (1 - share) / share);
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace stasis::cli
