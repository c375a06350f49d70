// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/keeper.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <signal.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "cmd/stasis/daemon/successor.h"
#include "cmd/stasis/types.h"

namespace stasis::cli {
namespace {

// One that dies again and again is not helped.
constexpr char kLimitVariable[] = "STASIS_KEEPER_LIMIT";
constexpr int kMostPerMinute = 30;
constexpr absl::Duration kRetryTime = absl::Milliseconds(100);
constexpr absl::Duration kStartTime = absl::Seconds(60);
// To load the checkpoint and to run the journal.
constexpr absl::Duration kLoadTime = absl::Minutes(10);

class Keeper {
 public:
  Keeper(TakeoverChannel channel, const sandbox::RuntimeDir& dir, pid_t daemon)
      : channel_(std::move(channel)),
        dir_(dir),
        daemon_(daemon),
        log_(spdlog::basic_logger_st("keeper", dir.log_path())) {
    log_->flush_on(spdlog::level::info);
  }

  int Run();

 private:
  absl::Status Keep();
  absl::Status Recover(const std::string& reason);
  absl::Status StartDaemon(const std::string& reason);
  void GiveUp(const absl::Status& why);
  // How the daemon ended. Not known of one that is not this process's child.
  std::string EndOfDaemon();
  absl::StatusOr<std::unique_ptr<Successor>> StartBinary() const;

  TakeoverChannel channel_;
  const sandbox::RuntimeDir dir_;
  pid_t daemon_;
  const std::shared_ptr<spdlog::logger> log_;
  std::optional<restore::Parcel> kept_;
  bool armed_ = false;
  const int limit_ = KeeperLimit().value_or(kMostPerMinute);
  std::deque<absl::Time> recoveries_;
};

int Keeper::Run() {
  for (;;) {
    const absl::StatusOr<std::string> word = channel_.HearAny(absl::InfiniteFuture());
    absl::Status done;
    if (!word.ok()) {
      if (!armed_) return 0;
      done = Recover(EndOfDaemon());
    } else if (*word == "arm") {
      armed_ = true;
    } else if (*word == "keep") {
      // If the daemon dies meanwhile, what there was is kept.
      (void)Keep();
    } else if (*word == "forget") {
      kept_.reset();
    } else {
      return 0;
    }
    if (!done.ok()) {
      GiveUp(done);
      return 1;
    }
  }
}

absl::Status Keeper::Keep() {
  absl::StatusOr<restore::Parcel> parcel = channel_.ReceiveParcel(absl::InfiniteFuture());
  if (!parcel.ok()) return parcel.status();
  kept_ = *std::move(parcel);
  // After an upgrade it is another one.
  daemon_ = kept_->json["keeper"].value("daemon", daemon_);
  return channel_.Say("kept");
}

std::string Keeper::EndOfDaemon() {
  int status = 0;
  const std::string name = absl::StrCat("the daemon (process ", daemon_, ") ");
  // All its descriptors are closed: it ends in a moment.
  if (waitpid(daemon_, &status, 0) != daemon_) return name + "has died";
  if (WIFSIGNALED(status))
    return absl::StrCat(name, "was ended by signal ", WTERMSIG(status), " (",
                        strsignal(WTERMSIG(status)), ")");
  return absl::StrCat(name, "ended with code ", WEXITSTATUS(status));
}

// The daemon's own, which may be another than this process's, after an upgrade, and another than
// what is at its path by now.
absl::StatusOr<std::unique_ptr<Successor>> Keeper::StartBinary() const {
  const nlohmann::json& keeper = kept_->json["keeper"];
  const std::string binary = keeper.value("binary", "");
  const auto opened = keeper.value("executable", kept_->fds.size());
  if (opened < kept_->fds.size())
    return Successor::Start(binary, nullptr, kept_->fds[opened].get());
  // Of a daemon that did not give it.
  return Successor::Start(access(binary.c_str(), X_OK) == 0 ? binary : "/proc/self/exe");
}

absl::Status Keeper::Recover(const std::string& reason) {
  log_->error("{}", reason);
  if (!kept_.has_value())
    return absl::FailedPreconditionError(absl::StrCat(reason, "; there is no checkpoint of it"));
  absl::Status failed;  // the last attempt of these
  for (;;) {
    const absl::Time now = absl::Now();
    while (!recoveries_.empty() && recoveries_.front() < now - absl::Minutes(1))
      recoveries_.pop_front();
    const bool too_many = static_cast<int>(recoveries_.size()) >= limit_;
    if (too_many && !failed.ok())
      return absl::Status(failed.code(),
                          absl::StrCat(reason, "; no other can go on: ", failed.message()));
    if (too_many)
      return absl::ResourceExhaustedError(
          absl::StrCat(reason, ", for the ", limit_ + 1, ". time in a minute"));
    recoveries_.push_back(now);
    const absl::Status started = StartDaemon(reason);
    if (started.ok()) {
      log_->info("recovered in {} ms", absl::ToInt64Milliseconds(absl::Now() - now));
      return absl::OkStatus();
    }
    // What is damaged, or of another version, stays so. One that was killed as well, or found no
    // memory, says nothing about the next.
    if (absl::IsDataLoss(started) || absl::IsUnimplemented(started))
      return absl::Status(started.code(),
                          absl::StrCat(reason, "; no other can go on: ", started.message()));
    log_->error("{}", std::string(started.message()));
    failed = started;
    absl::SleepFor(kRetryTime);
  }
}

absl::Status Keeper::StartDaemon(const std::string& reason) {
  absl::StatusOr<std::pair<TakeoverChannel, TakeoverChannel>> ends = TakeoverChannel::MakePair();
  if (!ends.ok()) return ends.status();
  absl::StatusOr<std::unique_ptr<Successor>> successor = StartBinary();
  if (!successor.ok()) return successor.status();
  if (absl::Status met = (*successor)->Greet(Types().registry(), absl::Now() + kStartTime);
      !met.ok())
    return met;
  if (absl::Status prepared = (*successor)->Prepare(absl::Now() + kStartTime); !prepared.ok())
    return prepared;
  const absl::StatusOr<int> channel = kept_->AddCopy(ends->second.fd());
  if (!channel.ok()) return channel.status();
  nlohmann::json& json = kept_->json;
  json["keeper"]["channel"] = *channel;
  json["keeper"]["pid"] = getpid();
  json["recovery"] = {{"reason", reason}};
  auto loaded = (*successor)->Offer(*kept_, absl::Now() + kLoadTime, absl::OkStatus);
  kept_->fds.pop_back();
  if (!loaded.ok()) return loaded.status();
  const auto ready =
      (*successor)->Finish(nlohmann::json::object(), nullptr, absl::Now() + kLoadTime);
  if (!ready.ok()) return ready.status();
  loaded->update(*ready);
  {
    // Only the new daemon has the other end from now on.
    const TakeoverChannel other = std::move(ends->second);
  }
  const absl::Status going = (*successor)->Commit(absl::Now() + kStartTime);
  // If it has ended since, the channel says so.
  if (!going.ok() && !(*successor)->serves()) return going;
  channel_ = std::move(ends->first);
  daemon_ = (*successor)->pid();
  log_->info("process {} goes on: {}", daemon_, loaded->dump());
  return absl::OkStatus();
}

// Loudly: every open file fails from now on.
void Keeper::GiveUp(const absl::Status& why) {
  log_->error("the sandbox ends: {}", std::string(why.message()));
  if (absl::StatusOr<sandbox::Record> record = dir_.ReadRecord(); record.ok()) {
    record->lost = std::string(why.message());
    (void)dir_.WriteRecord(*record);
  }
}

}  // namespace

absl::StatusOr<int> KeeperLimit() {
  const char* wanted = std::getenv(kLimitVariable);  // NOLINT(concurrency-mt-unsafe)
  if (wanted == nullptr || *wanted == '\0') return kMostPerMinute;
  int limit = 0;
  if (absl::SimpleAtoi(wanted, &limit) && limit >= 0) return limit;
  return absl::InvalidArgumentError(absl::StrCat(kLimitVariable, "=", wanted,
                                                 " is no number of daemons, such as ",
                                                 kMostPerMinute, "; with 0 it gives up at once"));
}

int RunKeeper(TakeoverChannel channel, const sandbox::RuntimeDir& dir, pid_t daemon) {
  prctl(PR_SET_NAME, "stasis-keeper");
  const auto own = static_cast<unsigned int>(channel.fd());
  if (own > 3) (void)close_range(3, own - 1, 0);
  (void)close_range(own + 1, ~0U, 0);
  return Keeper(std::move(channel), dir, daemon).Run();
}

}  // namespace stasis::cli
