// SPDX-License-Identifier: Apache-2.0
//
// progress_line.h: one line on the standard error that says how far a command is.

#ifndef STASIS_CMD_STASIS_PROGRESS_LINE_H_
#define STASIS_CMD_STASIS_PROGRESS_LINE_H_

#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

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

// Silent unless the standard error is a terminal. Thread-safe.
class ProgressLine {
 public:
  ProgressLine();
  // Clears the line.
  ~ProgressLine();

  void Update(const Step& step) ABSL_LOCKS_EXCLUDED(mu_);
  void Clear() ABSL_LOCKS_EXCLUDED(mu_);

  // "import  1204 files  300.1 MiB  120.0 MiB/s", or with a share and the time that is left.
  static std::string Format(const Step& step, absl::Duration elapsed);

 private:
  const bool shown_;
  const absl::Time started_;
  absl::Mutex mu_;
  absl::Time last_ ABSL_GUARDED_BY(mu_);
  bool dirty_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_PROGRESS_LINE_H_
