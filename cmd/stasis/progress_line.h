// SPDX-License-Identifier: Apache-2.0
//
// progress_line.h: says on the standard error how far a command is: in one line, or for programs.

#ifndef STASIS_CMD_STASIS_PROGRESS_LINE_H_
#define STASIS_CMD_STASIS_PROGRESS_LINE_H_

#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>

namespace stasis::cli {

// How far something is.
struct Step {
  std::string phase;   // such as "import"
  uint64_t done = 0;   // of `total`, in any unit
  uint64_t total = 0;  // 0: unknown
  uint64_t bytes = 0;  // moved so far
};

using StepCallback = std::function<void(const Step&)>;

enum class ProgressMode {
  kAuto,  // one line that changes, if the standard error is a terminal
  kJson,  // JSON lines
  kNone,
};
void AddProgressOption(CLI::App& command, ProgressMode& mode);

// Thread-safe.
class ProgressLine {
 public:
  explicit ProgressLine(ProgressMode mode);
  // Clears the line.
  ~ProgressLine();

  void Update(const Step& step) ABSL_LOCKS_EXCLUDED(mu_);
  void Clear() ABSL_LOCKS_EXCLUDED(mu_);

  // "import  1204 files  300.1 MiB  120.0 MiB/s", or with a share and the time that is left.
  // `elapsed` is since the phase began.
  static std::string Format(const Step& step, absl::Duration elapsed);
  // {"phase": ..., "done": ..., "total": ..., "bytes": ..., "rate": ..., "eta_ms": ...}: bytes per
  // second; null for what is not known.
  static std::string ToJson(const Step& step, absl::Duration elapsed);

 private:
  const ProgressMode mode_;  // kNone if nobody would see it
  absl::Mutex mu_;
  std::string phase_ ABSL_GUARDED_BY(mu_);
  absl::Time started_ ABSL_GUARDED_BY(mu_);  // the phase
  absl::Time last_ ABSL_GUARDED_BY(mu_);
  bool dirty_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_PROGRESS_LINE_H_
