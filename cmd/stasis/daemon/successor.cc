// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/successor.h"

#include <absl/container/flat_hash_set.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <utility>

namespace stasis::cli {
namespace {

constexpr int kChannel = 3;  // its number in the new process
// For a process that has closed its channel to end by itself, so that it can be told how.
constexpr absl::Duration kEndTime = absl::Milliseconds(200);
constexpr absl::Duration kLookInterval = absl::Milliseconds(2);
// After a cancel, to one that was told to serve: nothing of that takes long.
constexpr absl::Duration kServeTime = absl::Seconds(2);
constexpr char kTakingOver[] = "cannot take over";

class SpawnSettings {
 public:
  explicit SpawnSettings(int channel) {
    posix_spawnattr_init(&attributes_);
    posix_spawn_file_actions_init(&actions_);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    // A group of its own: what it starts is ended with it.
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    // Or what is no daemon may fill the log.
    posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    // If it has that number already, this takes its close-on-exec flag.
    posix_spawn_file_actions_adddup2(&actions_, channel, kChannel);
  }
  ~SpawnSettings() {
    posix_spawnattr_destroy(&attributes_);
    posix_spawn_file_actions_destroy(&actions_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  const posix_spawnattr_t& attributes() const { return attributes_; }
  const posix_spawn_file_actions_t& actions() const { return actions_; }

 private:
  posix_spawnattr_t attributes_;
  posix_spawn_file_actions_t actions_;
};

// Of this process's memory, what no other one has.
uint64_t PrivateBytes() {
  uint64_t size = 0, resident = 0, shared = 0;
  std::ifstream("/proc/self/statm") >> size >> resident >> shared;
  return (resident - std::min(shared, resident)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string EndOf(int wait_status) {
  if (WIFSIGNALED(wait_status))
    return absl::StrCat("was ended by signal ", WTERMSIG(wait_status), " (",
                        strsignal(WTERMSIG(wait_status)), ")");
  return absl::StrCat("ended with code ", WEXITSTATUS(wait_status));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Successor>> Successor::Start(const std::string& binary,
                                                            const std::atomic<bool>* cancel,
                                                            int opened) {
  absl::StatusOr<std::pair<TakeoverChannel, TakeoverChannel>> ends = TakeoverChannel::MakePair();
  if (!ends.ok()) return ends.status();
  const SpawnSettings settings(ends->second.fd());
  const std::string number = std::to_string(kChannel);
  std::string arguments[] = {binary, "takeover", "--fd", number};
  char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(),
                  arguments[3].data(), nullptr};
  pid_t pid = 0;
  const std::string file = opened < 0 ? binary : absl::StrCat("/proc/self/fd/", opened);
  const int error =
      posix_spawn(&pid, file.c_str(), &settings.actions(), &settings.attributes(), argv, environ);
  if (error != 0)
    return absl::FailedPreconditionError(
        absl::StrCat("cannot start ", binary, ": ", strerror(error)));
  return std::unique_ptr<Successor>(new Successor(binary, pid, std::move(ends->first), cancel));
}

Successor::~Successor() {
  if (!serves_) End();
}

void Successor::End() {
  if (std::exchange(ended_, true)) return;
  const absl::Time deadline = absl::Now() + kEndTime;
  while (waitpid(pid_, &wait_status_, WNOHANG) == 0) {
    if (absl::Now() > deadline || killed_) {
      killed_ = true;
      kill(-pid_, SIGKILL);
      kill(pid_, SIGKILL);
      while (waitpid(pid_, &wait_status_, 0) < 0 && errno == EINTR) {
      }
      return;
    }
    absl::SleepFor(absl::Milliseconds(1));
  }
  kill(-pid_, SIGKILL);  // what it has left behind
}

absl::Status Successor::Fail(const absl::Status& error, const char* when) {
  // Only one that has closed its channel ends by itself.
  killed_ = !absl::IsAborted(error);
  End();
  if (!absl::IsAborted(error))
    return absl::Status(error.code(), absl::StrCat(binary_, " ", when, ": ", error.message()));
  if (killed_) return absl::InternalError(absl::StrCat(binary_, " ", when, ": it gave up"));
  return absl::InternalError(absl::StrCat(binary_, " ", when, ": it ", EndOf(wait_status_)));
}

absl::StatusOr<nlohmann::json> Successor::Await(const char* what, absl::Time deadline,
                                                absl::FunctionRef<absl::Status()> meanwhile) {
  for (;;) {
    absl::StatusOr<nlohmann::json> heard =
        channel_.Hear(what, std::min(deadline, absl::Now() + kLookInterval));
    if (!absl::IsDeadlineExceeded(heard.status()) || absl::Now() >= deadline) return heard;
    if (cancel_ != nullptr && *cancel_) return absl::CancelledError("the upgrade was cancelled");
    if (absl::Status goes_on = meanwhile(); !goes_on.ok()) return goes_on;
  }
}

absl::Status Successor::Greet(const state::Registry& registry, absl::Time deadline) {
  constexpr char kWhen[] = "does not start as a daemon that takes over";
  const absl::StatusOr<nlohmann::json> hello = Await("hello", deadline);
  if (absl::IsAborted(hello.status())) {
    const absl::Status failed = Fail(hello.status(), kWhen);
    return absl::FailedPreconditionError(failed.message());
  }
  if (!hello.ok()) return Fail(hello.status(), kWhen);
  version_ = hello->value("version", "");
  takes_answers_ = hello->value("answers", false);
  if (const int protocol = hello->value("protocol", 0); protocol != kTakeoverProtocol)
    return Fail(
        absl::UnimplementedError(absl::StrCat("it speaks version ", protocol,
                                              " of the protocol, this daemon ", kTakeoverProtocol)),
        "cannot take over");
  absl::flat_hash_set<std::string> known;
  for (const nlohmann::json& type : hello->value("types", nlohmann::json::array()))
    if (type.is_string()) known.insert(type.get<std::string>());
  for (const state::TypeDescriptor* type : registry.types())
    if (!known.contains(std::string(type->name)))
      return Fail(
          absl::UnimplementedError(absl::StrCat("it is ", version_.empty() ? "a version" : version_,
                                                " that does not know ", std::string(type->name))),
          "cannot read the state");
  return absl::OkStatus();
}

absl::Status Successor::Prepare(absl::Time deadline) {
  absl::Status prepared = channel_.Say("prepare", {{"bytes", PrivateBytes()}});
  if (prepared.ok()) prepared = Await("prepared", deadline).status();
  return prepared.ok() ? prepared : Fail(prepared, kTakingOver);
}

absl::StatusOr<nlohmann::json> Successor::Offer(const restore::Parcel& parcel, absl::Time deadline,
                                                absl::FunctionRef<absl::Status()> meanwhile) {
  if (absl::Status sent = channel_.SendParcel(parcel); !sent.ok()) return Fail(sent, kTakingOver);
  absl::StatusOr<nlohmann::json> loaded = Await("loaded", deadline, meanwhile);
  if (!loaded.ok()) return Fail(loaded.status(), kTakingOver);
  return loaded;
}

absl::StatusOr<nlohmann::json> Successor::Finish(nlohmann::json end, const restore::Parcel* late,
                                                 absl::Time deadline) {
  if (late != nullptr) end["late"] = true;
  absl::Status said = channel_.Say("finish", std::move(end));
  if (said.ok() && late != nullptr) said = channel_.SendParcel(*late);
  if (!said.ok()) return Fail(said, kTakingOver);
  absl::StatusOr<nlohmann::json> ready = Await("ready", deadline);
  if (!ready.ok()) return Fail(ready.status(), kTakingOver);
  return ready;
}

// Whether it serves is known from what it has said by the time when it can say nothing any more.
absl::Status Successor::Commit(absl::Time deadline) {
  constexpr char kWhen[] = "did not begin to serve";
  absl::Status committed = channel_.Say("commit");
  if (committed.ok()) committed = Await("serving", deadline).status();
  if (absl::IsCancelled(committed))
    committed = channel_.Hear("serving", std::min(deadline, absl::Now() + kServeTime)).status();
  if (!committed.ok()) {
    committed = Fail(committed, kWhen);
    serves_ = channel_.Hear("serving", absl::Now()).ok();
    return committed;
  }
  serves_ = true;
  return absl::OkStatus();
}

absl::Status Successor::AwaitSettled(absl::Time deadline) {
  return channel_.Hear("settled", deadline).status();
}

}  // namespace stasis::cli
