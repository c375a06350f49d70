// SPDX-License-Identifier: Apache-2.0
//
// pause.h: the state of one moment, taken while the programs wait.

#ifndef STASIS_RESTORE_INTERNAL_PAUSE_H_
#define STASIS_RESTORE_INTERNAL_PAUSE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "restore/checkpoint.h"
#include "restore/freezer.h"
#include "restore/state_point.h"
#include "state/base/clock.h"
#include "state/saved_graph.h"

namespace stasis::restore {

// The parts of the pause under the names that reports have for them.
nlohmann::ordered_json PartsToJson(const PauseTimes& times);

// One moment of what a request is about. The steps, in this order; a failed one leaves the programs
// running and the gate open. The request is borrowed.
class PausedSave {
 public:
  explicit PausedSave(const CheckpointRequest& request)
      : request_(request),
        freezer_(request.freezer != nullptr ? *request.freezer : no_freezer_),
        frozen_(freezer_) {}

  // What can be done while the programs run. Errors: of Flush; kCancelled.
  absl::Status Prepare();
  // Errors: of Freeze, Flush and StatePoint::Take; kCancelled.
  absl::Status Pause();
  // Errors: of StatePoint::Finish.
  absl::StatusOr<state::SavedGraph> TakeRows();
  // With `stay_frozen`: the programs stay so for good.
  void KeepFrozen() { frozen_.Keep(); }

  const PauseTimes& times() const { return times_; }
  TimeNs moment() const { return moment_; }
  // Whether the programs could be woken. What was taken is good all the same.
  const absl::Status& thawed() const { return thawed_; }
  // Something that the report should say; may be empty.
  const std::string& warning() const { return warning_; }

 private:
  absl::Status CheckCancelled() const;
  absl::Status TakePoint();

  const CheckpointRequest& request_;
  NoFreezer no_freezer_;
  Freezer& freezer_;
  FrozenPrograms frozen_;
  PauseTimes times_;
  TimeNs moment_ = 0;
  absl::Status thawed_;
  std::string warning_;
  std::unique_ptr<StatePoint> point_;
  state::SavedGraph graph_;
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_INTERNAL_PAUSE_H_
