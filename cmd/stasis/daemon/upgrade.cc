// SPDX-License-Identifier: Apache-2.0

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "cmd/stasis/daemon/description.h"
#include "cmd/stasis/daemon/keeping.h"
#include "cmd/stasis/daemon/successor.h"
#include "cmd/stasis/daemon/tasks.h"
#include "restore/handover.h"
#include "state/chunk.h"

namespace stasis::cli {
namespace {

// For the answer to get out. The caller then asks for the end itself.
constexpr absl::Duration kAnswerTime = absl::Seconds(2);
constexpr absl::Duration kSettleTime = absl::Seconds(2);
// For requests that were taken to get their replies: some wait for the host's disk.
constexpr absl::Duration kPauseTime = absl::Seconds(10);

// One upgrade. Requires: its work has begun.
class Upgrade {
 public:
  Upgrade(Box& box, const control::UpgradeParams& params, const std::atomic<bool>* cancel)
      : box_(box), params_(params), cancel_(cancel) {}
  // Whatever was paused goes on, unless it is another process's.
  ~Upgrade();
  Upgrade(const Upgrade&) = delete;
  Upgrade& operator=(const Upgrade&) = delete;

  // Starts the other process. Programs notice nothing.
  absl::Status StartSuccessor();
  // Requires: that was done.
  absl::StatusOr<control::Report> Run();

 private:
  absl::Status Pause();
  absl::Status Pack();
  absl::Status Offer();
  absl::Status Commit();
  control::Report Report() const;
  absl::Status CheckCancelled() const;
  absl::Time Deadline() const { return absl::Now() + params_.timeout; }
  // Nanoseconds since the last call.
  int64_t Lap();

  Box& box_;
  const control::UpgradeParams& params_;
  const std::atomic<bool>* const cancel_;
  const absl::Time began_ = absl::Now();
  absl::Time lap_ = began_;
  absl::Time stalled_;  // when programs began to wait
  std::unique_ptr<Successor> successor_;
  bool paused_ = false;
  std::unique_ptr<restore::HeldMoment> moment_;
  restore::Parcel parcel_;
  std::unique_ptr<restore::PackedState> packed_;
  std::unique_ptr<state::ChunkHold> hold_;  // released before what is below it is freed
  nlohmann::json loaded_;                   // what the successor said
  nlohmann::ordered_json times_;
};

int64_t Upgrade::Lap() {
  const absl::Time now = absl::Now();
  return absl::ToInt64Nanoseconds(now - std::exchange(lap_, now));
}

absl::Status Upgrade::CheckCancelled() const {
  if (cancel_ != nullptr && *cancel_) return absl::CancelledError("the upgrade was cancelled");
  return absl::OkStatus();
}

absl::Status Upgrade::StartSuccessor() {
  auto successor = Successor::Start(params_.binary);
  if (!successor.ok()) return successor.status();
  successor_ = *std::move(successor);
  if (absl::Status greeted = successor_->Greet(box_.types().registry(), Deadline()); !greeted.ok())
    return greeted;
  if (absl::Status prepared = successor_->Prepare(Deadline()); !prepared.ok()) return prepared;
  times_["start_ns"] = Lap();
  return CheckCancelled();
}

absl::Status Upgrade::Pause() {
  sandbox::Sandbox& sandbox = *box_.sandbox();
  sandbox.served().EndUnused(sandbox.vfs());
  Lap();
  stalled_ = absl::Now();
  paused_ = sandbox.served().PauseFor(std::min(params_.timeout, kPauseTime));
  if (!paused_)
    return absl::DeadlineExceededError(
        "the programs' requests are not done in time; try again, or with a longer --timeout");
  times_["pause_ns"] = Lap();
  return absl::OkStatus();
}

absl::Status Upgrade::Pack() {
  const restore::CheckpointRequest request = RequestFor(box_);
  auto moment = restore::HeldMoment::Take(*request.vfs, *request.registry, request.roots);
  if (!moment.ok()) return moment.status();
  moment_ = *std::move(moment);
  const restore::RowsTimes& rows = moment_->times();
  times_["drain_ns"] = rows.drain_ns;
  times_["prepare_ns"] = rows.prepare_ns;
  times_["rows_ns"] = rows.rows_ns;
  Lap();
  auto packed = box_.Pack(moment_->graph(), restore::CleanChunks::kInMemory, parcel_);
  if (!packed.ok()) return packed.status();
  packed_ = *std::move(packed);
  if (absl::Status described = DescribeBox(box_, parcel_); !described.ok()) return described;
  if (Keeping* keeping = box_.keeping(); keeping != nullptr && keeping->keeper() != 0)
    if (absl::Status described = keeping->Describe(Keeping::For::kDaemon, parcel_); !described.ok())
      return described;
  hold_ = std::make_unique<state::ChunkHold>();
  parcel_.json["state"]["spans"] = state::ChunkMemory::Get().span_count();
  times_["pack_ns"] = Lap();
  return CheckCancelled();
}

absl::Status Upgrade::Offer() {
  absl::StatusOr<nlohmann::json> ready = successor_->Offer(parcel_, Deadline());
  if (!ready.ok()) return ready.status();
  loaded_ = *std::move(ready);
  times_["take_ns"] = Lap();
  for (const char* part : {"load_ns", "reopen_ns", "complete_ns"})
    times_[part] = loaded_.value(part, int64_t{0});
  return CheckCancelled();
}

absl::Status Upgrade::Commit() {
  Keeping* const keeping = box_.keeping();
  if (keeping != nullptr) keeping->Forget();
  const absl::Status committed = successor_->Commit(Deadline());
  if (!successor_->serves()) return committed;
  if (keeping != nullptr) keeping->HandOver();
  times_["commit_ns"] = Lap();
  times_["stall_ns"] = absl::ToInt64Nanoseconds(absl::Now() - stalled_);
  // For ever: everything that they hold still is the other process's now.
  (void)moment_.release();
  (void)packed_.release();
  (void)hold_.release();
  box_.HandOver(successor_->pid());
  box_.EndAt(absl::Now() + kAnswerTime, absl::ZeroDuration());
  if (!committed.ok()) return committed;
  const absl::Status settled = successor_->AwaitSettled(absl::Now() + kSettleTime);
  if (!settled.ok()) box_.log().warn("upgrade: {}", std::string(settled.message()));
  times_["wall_ns"] = absl::ToInt64Nanoseconds(absl::Now() - began_);
  return absl::OkStatus();
}

Upgrade::~Upgrade() {
  if (successor_ != nullptr && successor_->serves()) return;
  successor_.reset();  // first: it must not read what changes again
  hold_.reset();
  packed_.reset();
  moment_.reset();
  if (paused_) box_.sandbox()->served().Resume();
}

control::Report Upgrade::Report() const {
  nlohmann::ordered_json json = {{"name", box_.name()},
                                 {"binary", params_.binary},
                                 {"version", successor_->version()},
                                 {"daemon_pid", successor_->pid()},
                                 {"upgrades", box_.upgrades() + 1}};
  for (const char* count : {"objects", "files", "dentries", "chunks"})
    json[count] = loaded_.value(count, uint64_t{0});
  json.update(times_);
  return {json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), ""};
}

absl::StatusOr<control::Report> Upgrade::Run() {
  absl::Status done = Pause();
  if (done.ok()) done = Pack();
  if (done.ok()) done = Offer();
  if (done.ok()) done = Commit();
  if (!done.ok()) return done;
  return Report();
}

}  // namespace

namespace {

// The keeper gets nothing meanwhile; after a failure, a checkpoint.
absl::StatusOr<control::Report> RunUpgrade(Box& box, const control::UpgradeParams& params,
                                           const std::atomic<bool>* cancel)
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Keeping* keeping = box.keeping();
  std::optional<Upgrade> upgrade;
  upgrade.emplace(box, params, cancel);
  if (absl::Status started = upgrade->StartSuccessor(); !started.ok()) return started;
  if (keeping == nullptr) return upgrade->Run();
  absl::StatusOr<control::Report> report;
  {
    const absl::MutexLock quiet(&keeping->quiet());
    report = upgrade->Run();
    upgrade.reset();  // programs go on, if they are ours still
    if (box.successor() != 0) return report;
  }
  keeping->KeepNow();
  return report;
}

}  // namespace

absl::StatusOr<control::Report> UpgradeBox(Box& box, const control::UpgradeParams& params,
                                           const std::atomic<bool>* cancel) {
  if (absl::Status begun = box.Begin("being upgraded"); !begun.ok()) return begun;
  absl::Cleanup done = [&box] { box.Done(); };
  absl::StatusOr<control::Report> report = RunUpgrade(box, params, cancel);
  if (box.successor() != 0) std::move(done).Cancel();
  if (report.ok())
    box.log().info("upgrade {}", report->json);
  else
    box.log().warn("upgrade to {}: {}", params.binary, std::string(report.status().message()));
  return report;
}

}  // namespace stasis::cli
