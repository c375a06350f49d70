// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/progress_line.h"

#include <absl/time/clock.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include "cmd/stasis/output.h"

namespace stasis::cli {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(100);
constexpr const char* kClearLine = "\r\033[K";

}  // namespace

ProgressLine::ProgressLine() : shown_(ErrorIsTerminal()), started_(absl::Now()) {}

ProgressLine::~ProgressLine() { Clear(); }

void ProgressLine::Update(const Step& step) {
  if (!shown_) return;
  const absl::MutexLock lock(&mu_);
  const absl::Time now = absl::Now();
  if (now - last_ < kInterval) return;
  last_ = now;
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
  const double seconds = std::max(absl::ToDoubleSeconds(elapsed), 1e-3);
  const uint64_t rate = static_cast<uint64_t>(static_cast<double>(step.bytes) / seconds);
  if (step.total == 0)
    return fmt::format("{}  {} files  {}  {}/s", step.phase, step.done, FormatBytes(step.bytes),
                       FormatBytes(rate));
  const double share = static_cast<double>(step.done) / static_cast<double>(step.total);
  const double left = share > 0 ? seconds * (1 - share) / share : 0;
  return fmt::format("{}  {:3.0f} %  {}  {}/s  {:.0f} s left", step.phase, share * 100,
                     FormatBytes(step.bytes), FormatBytes(rate), left);
}

}  // namespace stasis::cli
