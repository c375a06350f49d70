// SPDX-License-Identifier: Apache-2.0

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "cmd/fuse/journal.h"
#include "cmd/stasis/daemon/description.h"
#include "cmd/stasis/daemon/host_files.h"
#include "cmd/stasis/daemon/journaled_state.h"
#include "cmd/stasis/daemon/keeping.h"
#include "cmd/stasis/daemon/successor.h"
#include "cmd/stasis/daemon/tasks.h"
#include "restore/handover.h"
#include "state/chunk.h"
#include "state/chunk_memory.h"
#include "vfs/closed_gate.h"

namespace stasis::cli {
namespace {

// For the answer to get out. The caller then asks for the end itself.
constexpr absl::Duration kAnswerTime = absl::Seconds(2);
constexpr absl::Duration kSettleTime = absl::Seconds(2);
// For requests that were taken to get their replies: some wait for the host's disk.
constexpr absl::Duration kPauseTime = absl::Seconds(10);
// Of which only what is written takes memory. When half of it is, programs wait for the rest.
constexpr uint64_t kJournalSize = uint64_t{256} << 20;
// For what is written to files meanwhile, in the other process: 1 GiB, of addresses.
constexpr uint32_t kReservedSpans = 16 * 1024;

constexpr uint64_t kMuchUnread = uint64_t{64} << 10;  // bytes of the journal
constexpr absl::Duration kSlowDown = absl::Milliseconds(2);

// When programs stop: with the other process loading what they had done so far, and then what they
// have done meanwhile; or for all of that.
enum class Stop { kAfterLoading, kBeforeLoading };

// Has programs wait when half of a journal is used, so that there is room for what they are at.
class JournalWatch {
 public:
  // Both are borrowed.
  JournalWatch(const fuse::Journal& journal, sandbox::ServedFilesystems& served)
      : thread_([this, &journal, &served] {
          while (!stop_)
            if (journal.AwaitCheckpoint(kLook)) {
              if (!journal.broken()) Pause(served);
              return;
            }
        }) {}
  ~JournalWatch() { Stop(); }
  JournalWatch(const JournalWatch&) = delete;
  JournalWatch& operator=(const JournalWatch&) = delete;

  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  // Since when programs wait; nothing: they do not. Requires: stopped.
  std::optional<absl::Time> paused() const { return paused_; }

 private:
  static constexpr absl::Duration kLook = absl::Milliseconds(2);

  void Pause(sandbox::ServedFilesystems& served) {
    const absl::Time now = absl::Now();
    if (served.PauseFor(kPauseTime)) paused_ = now;
  }

  std::atomic<bool> stop_{false};
  std::optional<absl::Time> paused_;
  std::thread thread_;
};

// How, if it can be, programs go on while the other process loads.
struct Meanwhile {
  // Host directories that they change.
  std::set<std::string> asked;
  // It must know of that, or of files that the kernel reads and writes by itself.
  bool takes_answers = false;
};

// One upgrade. Requires: its work has begun.
class Upgrade {
 public:
  Upgrade(Box& box, const control::UpgradeParams& params, Stop stop, Meanwhile how,
          const std::atomic<bool>* cancel)
      : box_(box), params_(params), stop_(stop), how_(std::move(how)), cancel_(cancel) {}
  // Whatever was paused goes on, unless it is another process's.
  ~Upgrade();
  Upgrade(const Upgrade&) = delete;
  Upgrade& operator=(const Upgrade&) = delete;

  // Starts the other process. Programs notice nothing.
  absl::Status StartSuccessor();
  // Requires: that was done.
  absl::StatusOr<control::Report> Run();
  // Run() failed as something came between that could not be done again: in a pause nothing does.
  bool may_do_in_a_pause() const { return may_do_in_a_pause_; }

 private:
  sandbox::ServedFilesystems& served() const { return box_.sandbox()->served(); }
  // That of the keeper, or one of this upgrade's own.
  fuse::Journal& journal() const;
  bool kept() const { return box_.keeping() != nullptr && box_.keeping()->keeper() != 0; }

  absl::Status CheckSuccessor() const;
  absl::Status Pause();
  void StopWatch();
  absl::Status TakeState();
  void SlowDown();
  absl::Status Offer();
  absl::Status Finish();
  absl::Status Commit();
  void StopRecording();
  control::Report Report() const;
  absl::Status CheckCancelled() const;
  absl::Time Deadline() const { return absl::Now() + params_.timeout; }
  // Nanoseconds since the last call.
  int64_t Lap();

  Box& box_;
  const control::UpgradeParams& params_;
  const Stop stop_;
  const Meanwhile how_;
  const std::atomic<bool>* const cancel_;
  const absl::Time began_ = absl::Now();
  absl::Time lap_ = began_;
  absl::Time stalled_;  // when programs began to wait
  std::unique_ptr<Successor> successor_;
  bool paused_ = false;
  bool loaded_in_pause_ = false;
  bool may_do_in_a_pause_ = false;
  std::unique_ptr<fuse::Journal> own_journal_;
  std::optional<JournalWatch> watch_;
  state::SpanRange reserved_;
  std::unique_ptr<JournaledState> state_;
  restore::Parcel parcel_;
  std::unique_ptr<restore::PackedState> packed_;
  std::unique_ptr<vfs::ClosedGate> gate_;
  std::unique_ptr<state::ChunkHold> hold_;
  nlohmann::json loaded_;  // what the successor said
  nlohmann::ordered_json times_;
};

int64_t Upgrade::Lap() {
  const absl::Time now = absl::Now();
  return absl::ToInt64Nanoseconds(now - std::exchange(lap_, now));
}

fuse::Journal& Upgrade::journal() const {
  return own_journal_ != nullptr ? *own_journal_ : box_.keeping()->journal();
}

absl::Status Upgrade::CheckCancelled() const {
  if (cancel_ != nullptr && *cancel_) return absl::CancelledError("the upgrade was cancelled");
  return absl::OkStatus();
}

absl::Status Upgrade::StartSuccessor() {
  auto successor = Successor::Start(params_.binary, cancel_);
  if (!successor.ok()) return successor.status();
  successor_ = *std::move(successor);
  if (absl::Status greeted = successor_->Greet(box_.types().registry(), Deadline()); !greeted.ok())
    return greeted;
  if (absl::Status prepared = successor_->Prepare(Deadline()); !prepared.ok()) return prepared;
  times_["start_ns"] = Lap();
  return CheckCancelled();
}

absl::Status Upgrade::Pause() {
  stalled_ = absl::Now();
  paused_ = served().PauseFor(std::min(params_.timeout, kPauseTime));
  if (!paused_)
    return absl::DeadlineExceededError(
        "the programs' requests are not done in time; try again, or with a longer --timeout");
  times_["pause_ns"] = absl::ToInt64Nanoseconds(absl::Now() - stalled_);
  return absl::OkStatus();
}

void Upgrade::StopWatch() {
  if (!watch_.has_value()) return;
  watch_->Stop();
  if (const std::optional<absl::Time> since = watch_->paused(); since.has_value()) {
    paused_ = true;
    stalled_ = *since;
    times_["pause_ns"] = 0;  // part of the loading
  }
  watch_.reset();
}

absl::Status Upgrade::TakeState() {
  if (!kept()) {
    auto journal = fuse::Journal::Create(kJournalSize);
    if (!journal.ok()) return journal.status();
    own_journal_ = *std::move(journal);
    own_journal_->CloseWhenFull();
    if (!how_.asked.empty()) own_journal_->KeepAnswers();
  }
  KeepAnswers(box_.sandbox()->vfs(), how_.asked, true);
  try {
    if (!paused_) watch_.emplace(journal(), served());
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat("no thread for an upgrade: ", error.what()));
  }
  auto state = TakeJournaledState(box_, journal(), own_journal_ != nullptr, cancel_);
  if (!state.ok()) return state.status();
  state_ = std::make_unique<JournaledState>(*std::move(state));
  const restore::RowsTimes& times = state_->times;
  times_["point_ns"] = times.drain_ns + times.prepare_ns + times.rows_ns + times.resume_ns;
  times_["state_ns"] = Lap();
  absl::Status described = DescribeBox(box_, std::move(state_->lent), parcel_);
  if (!how_.asked.empty()) parcel_.json["asked"] = how_.asked;
  if (described.ok() && kept())
    described = box_.keeping()->Describe(Keeping::For::kDaemon, parcel_);
  if (described.ok()) described = DescribeJournal(journal(), state_->from, parcel_);
  if (!described.ok()) return described;
  auto packed = box_.Pack(state_->graph, restore::CleanChunks::kInMemory, parcel_);
  if (!packed.ok()) return packed.status();
  packed_ = *std::move(packed);
  reserved_ = state::ChunkMemory::Get().Reserve(kReservedSpans);
  parcel_.json["state"]["reserved"] = {reserved_.first, reserved_.end};
  times_["pack_ns"] = Lap();
  return CheckCancelled();
}

// If programs change files as fast as that can be done again, the other process is never done: then
// they wait for half of the time.
void Upgrade::SlowDown() {
  if (journal().unread() < kMuchUnread) return;
  const absl::MutexLock order(&journal().order());
  absl::SleepFor(kSlowDown);
}

absl::Status Upgrade::Offer() {
  const auto meanwhile = [this] {
    if (paused_) return absl::OkStatus();
    if (journal().broken())
      return absl::FailedPreconditionError("a program did what cannot be done again");
    SlowDown();
    return absl::OkStatus();
  };
  absl::StatusOr<nlohmann::json> loaded = successor_->Offer(parcel_, Deadline(), meanwhile);
  if (!loaded.ok()) return loaded.status();
  loaded_ = *std::move(loaded);
  StopWatch();
  times_["take_ns"] = Lap();
  return CheckCancelled();
}

absl::Status Upgrade::Finish() {
  Lap();
  gate_ = std::make_unique<vfs::ClosedGate>(box_.sandbox()->vfs().gate());
  hold_ = std::make_unique<state::ChunkHold>();
  restore::Parcel late;
  if (!how_.asked.empty())
    if (absl::Status described = DescribeHosts(box_.sandbox()->vfs(), late); !described.ok())
      return described;
  const auto ready = successor_->Finish({{"journal_end", journal().end()},
                                         {"spans", state::ChunkMemory::Get().span_count()},
                                         {"next_id", box_.sandbox()->init().HoldRequests()}},
                                        how_.asked.empty() ? nullptr : &late, Deadline());
  if (!ready.ok()) return ready.status();
  loaded_.update(*ready);
  times_["finish_ns"] = Lap();
  for (const char* part :
       {"load_ns", "reopen_ns", "complete_ns", "replay_ns", "hosts_ns", "replayed"})
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
  (void)packed_.release();
  (void)state_.release();
  (void)gate_.release();
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
  StopWatch();
  if (successor_ != nullptr && successor_->serves()) return;
  successor_.reset();  // first: it must not read what changes again
  box_.sandbox()->init().GoOn();
  hold_.reset();
  gate_.reset();
  packed_.reset();
  state_.reset();
  state::ChunkMemory::Get().Unreserve(reserved_);
  KeepAnswers(box_.sandbox()->vfs(), how_.asked, false);
  if (own_journal_ != nullptr) StopRecording();
  if (paused_) served().Resume();
}

// A request that has run marks its record after the reply: in a pause there is none.
void Upgrade::StopRecording() {
  own_journal_->Close();
  if (!paused_) paused_ = served().PauseFor(kPauseTime);
  served().Record(nullptr);
  if (paused_) return;
  box_.log().warn("upgrade: the programs' requests are not done, the journal stays");
  (void)own_journal_.release();
}

control::Report Upgrade::Report() const {
  nlohmann::ordered_json json = {{"name", box_.name()},
                                 {"binary", params_.binary},
                                 {"version", successor_->version()},
                                 {"daemon_pid", successor_->pid()},
                                 {"upgrades", box_.upgrades() + 1},
                                 {"loaded_in_pause", loaded_in_pause_}};
  for (const char* count : {"objects", "files", "dentries", "chunks"})
    json[count] = loaded_.value(count, uint64_t{0});
  json.update(times_);
  return {json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), ""};
}

absl::Status Upgrade::CheckSuccessor() const {
  if (stop_ == Stop::kBeforeLoading || !how_.takes_answers || successor_->takes_answers())
    return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the new version cannot do again what programs do in host directories");
}

absl::StatusOr<control::Report> Upgrade::Run() {
  absl::Status done = CheckSuccessor();
  if (done.ok() && stop_ == Stop::kBeforeLoading) done = Pause();
  Lap();
  if (done.ok()) done = TakeState();
  if (done.ok()) done = Offer();
  loaded_in_pause_ = paused_;
  if (done.ok() && !paused_) done = Pause();
  if (done.ok()) done = Finish();
  if (done.ok()) done = Commit();
  if (done.ok()) return Report();
  StopWatch();
  may_do_in_a_pause_ =
      stop_ == Stop::kAfterLoading && !successor_->serves() &&
      (absl::IsDataLoss(done) || absl::IsFailedPrecondition(done) ||
       (!how_.asked.empty() && !absl::IsCancelled(done) && !absl::IsDeadlineExceeded(done)));
  return done;
}

// Nothing: they cannot. What a keeper's journal has is without answers.
std::optional<Meanwhile> HowToLoadMeanwhile(const Box& box) {
  Meanwhile how;
  if (!CanBeDoneAgain(box, &how.asked).ok()) return std::nullopt;
  if (!how.asked.empty() && box.keeping() != nullptr) return std::nullopt;
  how.takes_answers = !how.asked.empty();
  for (const auto& [name, state] : box.sandbox()->served().States()) {
    if (!state->initialized()) return std::nullopt;
    if (state->negotiated().passthrough()) how.takes_answers = true;
  }
  return how;
}

// The keeper gets nothing meanwhile; after a failure, a checkpoint. `once_more`: Upgrade::
// may_do_in_a_pause.
absl::StatusOr<control::Report> RunUpgrade(Box& box, const control::UpgradeParams& params,
                                           Stop stop, Meanwhile how,
                                           const std::atomic<bool>* cancel,
                                           bool& once_more) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Keeping* keeping = box.keeping();
  std::optional<Upgrade> upgrade;
  upgrade.emplace(box, params, stop, std::move(how), cancel);
  if (absl::Status started = upgrade->StartSuccessor(); !started.ok()) return started;
  EndUnusedFilesystems(box);
  // So that there is room for what programs do meanwhile.
  if (keeping != nullptr) keeping->KeepNow();
  absl::StatusOr<control::Report> report;
  {
    std::optional<absl::MutexLock> quiet;
    if (keeping != nullptr) quiet.emplace(&keeping->quiet());
    report = upgrade->Run();
    once_more = upgrade->may_do_in_a_pause();
    upgrade.reset();  // programs go on, if they are ours still
  }
  if (keeping != nullptr && box.successor() == 0) keeping->KeepNow();
  return report;
}

absl::StatusOr<control::Report> RunUpgrade(Box& box, const control::UpgradeParams& params,
                                           const std::atomic<bool>* cancel) {
  bool once_more = false;
  if (auto how = HowToLoadMeanwhile(box); how.has_value()) {
    auto report = RunUpgrade(box, params, Stop::kAfterLoading, *std::move(how), cancel, once_more);
    if (!once_more) return report;
    box.log().info("upgrade: {}; once more, in a pause", std::string(report.status().message()));
    auto again = RunUpgrade(box, params, Stop::kBeforeLoading, {}, cancel, once_more);
    if (again.ok()) return again;
    return absl::Status(again.status().code(),
                        absl::StrCat(std::string(report.status().message()),
                                     "; and in a pause: ", std::string(again.status().message())));
  }
  return RunUpgrade(box, params, Stop::kBeforeLoading, {}, cancel, once_more);
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
