// SPDX-License-Identifier: Apache-2.0
//
// checkpoint_series.h: `checkpoint --every`: one after the other, until somebody says stop.

#ifndef STASIS_CMD_STASIS_CHECKPOINT_SERIES_H_
#define STASIS_CMD_STASIS_CHECKPOINT_SERIES_H_

#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <atomic>
#include <string>

#include "cmd/control/messages.h"
#include "cmd/sandbox/runtime_dir.h"
#include "cmd/stasis/series.h"

namespace stasis::cli {

struct SeriesRun {
  sandbox::RuntimeDir dir;
  Series series;
  absl::Duration every;
  bool json = false;
  const std::atomic<bool>* interrupted;  // borrowed
  // Makes one, by that tag.
  absl::FunctionRef<absl::StatusOr<control::Report>(const std::string& tag)> make;
};

// Returns the exit code, when it was interrupted, the sandbox has ended, or several in a row have
// failed. Says of each what became of it.
int RunSeries(const SeriesRun& run);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_CHECKPOINT_SERIES_H_
