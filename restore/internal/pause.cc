// SPDX-License-Identifier: Apache-2.0

#include "restore/internal/pause.h"

#include <utility>

#include "restore/internal/format.h"
#include "restore/internal/huge_pages.h"
#include "restore/internal/stopwatch.h"

namespace stasis::restore {

nlohmann::ordered_json PartsToJson(const PauseTimes& times) {
  return {{"freeze_ns", times.freeze_ns},    {"flush_ns", times.flush_ns},
          {"drain_ns", times.rows.drain_ns}, {"prepare_ns", times.rows.prepare_ns},
          {"rows_ns", times.rows.rows_ns},   {"resume_ns", times.rows.resume_ns},
          {"thaw_ns", times.thaw_ns}};
}

absl::Status PausedSave::Prepare() {
  Stopwatch watch;
  if (absl::Status s = freezer_.Flush(); !s.ok()) return Annotate(s, "cannot flush");
  if (request_.rows == RowsPlace::kOutsidePause) GatherHugePages();
  times_.preflush_ns = watch.Total();
  return CheckCancelled();
}

absl::Status PausedSave::Pause() {
  Stopwatch pause;
  if (absl::Status s = frozen_.Freeze(); !s.ok()) return s;
  times_.freeze_ns = pause.Lap();
  if (absl::Status s = freezer_.Flush(); !s.ok()) return Annotate(s, "cannot flush");
  times_.flush_ns = pause.Lap();
  if (absl::Status s = CheckCancelled(); !s.ok()) return s;
  moment_ = request_.clock->Now();
  if (absl::Status s = TakePoint(); !s.ok()) return s;
  pause.Lap();
  // What is saved stays good although the programs could not be woken: it is used anyway.
  if (!request_.stay_frozen) thawed_ = frozen_.Thaw();
  times_.thaw_ns = pause.Lap();
  times_.pause_ns = pause.Total();
  return absl::OkStatus();
}

absl::Status PausedSave::TakePoint() {
  if (request_.rows == RowsPlace::kInPause) {
    absl::StatusOr<Rows> rows = SaveRows(*request_.vfs, *request_.registry, request_.roots);
    if (!rows.ok()) return rows.status();
    times_.rows = rows->times;
    graph_ = std::move(rows->graph);
    return absl::OkStatus();
  }
  auto point = StatePoint::Take(*request_.vfs, *request_.registry, request_.roots);
  if (!point.ok()) return point.status();
  point_ = *std::move(point);
  times_.rows = point_->times();
  warning_ = point_->warning();
  return absl::OkStatus();
}

absl::StatusOr<state::SavedGraph> PausedSave::TakeRows() {
  if (point_ == nullptr) return std::move(graph_);
  Stopwatch watch;
  absl::StatusOr<state::SavedGraph> graph = point_->Finish(request_.cancel);
  if (!graph.ok()) point_.reset();  // else its process ends beside what comes now
  times_.build_ns = watch.Total();
  return graph;
}

absl::Status PausedSave::CheckCancelled() const {
  if (request_.cancel != nullptr && request_.cancel->load(std::memory_order_relaxed))
    return absl::CancelledError("the checkpoint was cancelled");
  return absl::OkStatus();
}

}  // namespace stasis::restore
