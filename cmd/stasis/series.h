// SPDX-License-Identifier: Apache-2.0
//
// series.h: checkpoints of one sandbox that are made again and again: when, by which tags, and
// which of them stay.

#ifndef STASIS_CMD_STASIS_SERIES_H_
#define STASIS_CMD_STASIS_SERIES_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "restore/image/layout.h"

namespace stasis::cli {

// The name of the series that a checkpoint is one of.
inline constexpr char kAnnotationSeries[] = "vnd.stasis.checkpoint.series";

// When checkpoints are due: at the start, and every so often after that.
class Beats {
 public:
  // Requires: `every` is positive.
  Beats(absl::Time start, absl::Duration every) : next_(start), every_(every) {}

  absl::Time next() const { return next_; }
  // What was due is over at `now`. Beats that have passed meanwhile are left out; how many.
  int64_t Advance(absl::Time now);

 private:
  absl::Time next_;
  const absl::Duration every_;
};

// "NAME-20260101T120000.000Z": sorted as the times are.
std::string SeriesTag(const std::string& name, absl::Time time);
// Whether it is one of that name.
bool IsSeriesTag(const std::string& tag, const std::string& name);

struct Series {
  std::string directory;  // the layout
  std::string name;
  std::string sandbox;
  uint64_t keep = 0;  // 0: all
};

// Lets the tag `series.name` name what `newest` names and, if that is more than there shall be,
// takes away the oldest tags of the series: those of its form whose image says that it is of this
// series and this sandbox. Waits a moment for another writer. Returns the tags that are gone.
// Errors: those of image/layout.h.
absl::StatusOr<std::vector<std::string>> TurnSeries(const Series& series,
                                                    const std::string& newest);
// Removes the data that only tags which are gone needed. Errors: of image/gc.h.
absl::Status CollectSeries(const Series& series);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_SERIES_H_
