// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/takeover.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "cmd/stasis/daemon/description.h"
#include "cmd/stasis/daemon/host_files.h"
#include "cmd/stasis/daemon/keeping.h"
#include "cmd/stasis/daemon/life.h"
#include "cmd/stasis/daemon/options_json.h"
#include "fsimpl/gofer/filesystem.h"
#include "restore/restore.h"
#include "state/base/prefault.h"
#include "state/chunk_reclaim.h"

namespace stasis::cli {
namespace {

constexpr int kFailed = 1;  // exit code
constexpr int64_t kSkippedIds = 1'000'000;
// Bytes of a journal that can be done again in the pause.
constexpr uint64_t kLittle = uint64_t{64} << 10;
// Half of what the other has is malloc's, about; the rest is in slabs.
constexpr uint64_t kMostPrefault = uint64_t{1} << 30;

// One takeover, by the process that takes. Until Serve() nothing outside of it is changed.
class Takeover {
 public:
  // The box's keeping has the journal if there is one.
  Takeover(TakeoverChannel& channel, restore::Parcel parcel, Life& life, TakenJournal journal)
      : channel_(channel),
        parcel_(std::move(parcel)),
        life_(life),
        box_(life.box()),
        own_journal_(std::move(journal.journal)),
        journal_(own_journal_ != nullptr ? *own_journal_ : box_.keeping()->journal()),
        replayed_(journal.from),
        recovery_(parcel_.json.contains("recovery")) {}

  // Loads the state, and does again what was done since.
  absl::Status Load();
  // Does the rest, and what is to be done when nothing changes any more.
  absl::Status Finish(const nlohmann::json& end, restore::Parcel late);
  // What the last of them took.
  const nlohmann::json& times() const { return times_; }
  void Serve();

 private:
  void Keep();
  void HoldChunks(restore::ForkedState& state);
  absl::StatusOr<restore::RestoredImage> Restore(const image::LazyImage& lazy);
  absl::Status MakeSandbox(restore::RestoredImage restored, sandbox::Tree tree);
  absl::Status CatchUp();

  TakeoverChannel& channel_;
  restore::Parcel parcel_;
  Life& life_;
  Box& box_;
  std::vector<sandbox::Cgroup> cgroups_;
  nlohmann::json times_;
  std::unique_ptr<fuse::Journal> own_journal_;
  fuse::Journal& journal_;
  uint64_t replayed_;  // where what was not done again begins
  // They are the other one's still: whoever changes one copies it.
  std::vector<RefPtr<const state::Chunk>> held_;
  uint32_t spans_ = 0;   // of the memory
  const bool recovery_;  // the other one has died
};

// The directories are those of a moment ago: nothing has changed but what others have.
absl::StatusOr<restore::RestoredImage> Takeover::Restore(const image::LazyImage& lazy) {
  const DaemonOptions& options = life_.options();
  restore::RestoreRequest request;
  request.registry = &box_.types().registry();
  request.clock = &box_.types().clock();
  request.packs = lazy.RestoreOptions();
  request.lease_name = box_.name();
  HostRoots roots = options.content.roots;
  parcel_.json.at("roots").get_to(roots.directories);
  roots.spare_roots = true;
  roots.rules = restore::DriftRules(vfs::DriftPolicy::kIgnore);
  roots.ApplyTo(request);
  gofer::GoferServices services;
  services.fd_limit = options.content.host.fd_limit;
  services.owners = {options.content.own_as_root, geteuid(), getegid()};
  if (parcel_.json.contains("asked")) parcel_.json["asked"].get_to(services.live);
  request.services.Provide(&services);
  absl::StatusOr<restore::UnpackedState> state = restore::UnpackState(
      parcel_, MemoryOptionsOf(options.memory), request.packs, request.lease_name);
  if (!state.ok()) return state.status();
  for (auto& offer : state->offers) {
    // If the last that reads them ends meanwhile, they would not be freed: it is too early for
    // that.
    for (auto& chunk : offer->pinned()) held_.push_back(std::move(chunk));
    box_.KeepOffer(std::move(offer));
  }
  HoldChunks(*state->forked);
  return restore::RestoreFork(std::move(state->forked), request);
}

// If this process dies after a recovery, too, the next one begins with them.
void Takeover::HoldChunks(restore::ForkedState& state) {
  held_.reserve(held_.size() + state.size());
  for (uint32_t i = 0; i < state.size(); ++i) held_.emplace_back(state.Get(i));
  if (recovery_ && box_.keeping() != nullptr) box_.keeping()->Hold(std::move(held_));
}

absl::Status Takeover::MakeSandbox(restore::RestoredImage restored, sandbox::Tree tree) {
  absl::StatusOr<sandbox::InitLine> line = TakeInit(parcel_);
  if (!line.ok()) return line.status();
  // Nobody knows how many requests the other one has made since.
  if (recovery_) line->next_id += kSkippedIds;
  // Until all is well nobody owns it: who does ends it.
  sandbox::Init* init = sandbox::Init::Adopt(*std::move(line)).release();
  std::map<std::string, RefPtr<fuse::FuseState>> states;
  for (const std::string& name : restored.root_names())
    if (auto state = restored.Root<fuse::FuseState>(name)) states[name] = std::move(state);
  if (absl::Status same = CheckHostFiles(*tree.vfs, states, parcel_.json); !same.ok()) return same;
  auto served = TakeServed(parcel_);
  if (!served.ok()) return served.status();
  const sandbox::SandboxOptions& options = life_.options().sandbox;
  auto filesystems = std::make_unique<sandbox::ServedFilesystems>(
      *init, options.name, options.staging, parcel_.json.at("next_filesystem").get<int>());
  filesystems->set_kept(tree.kept);
  filesystems->SetJournal(options.journal);
  if (absl::Status adopted = filesystems->Adopt(*std::move(served), states, recovery_);
      !adopted.ok())
    return adopted;
  std::optional<sandbox::Cgroup> cgroup;
  if (const nlohmann::json& group = parcel_.json.at("cgroup"); !group.is_null())
    cgroup = sandbox::Cgroup::Adopt(group.at("path"), group.at("version"));
  box_.SetSandbox(sandbox::Sandbox::Adopt(std::unique_ptr<sandbox::Init>(init), std::move(tree),
                                          std::move(filesystems), std::move(cgroup)));
  return absl::OkStatus();
}

absl::Status Takeover::Load() {
  if (absl::Status watching = life_.WatchSignals(); !watching.ok()) return watching;
  if (const auto record = life_.options().dir.ReadRecord(); record.ok()) cgroups_ = record->cgroups;
  Content content;
  ContentOptions lazy;
  lazy.share_in = life_.options().content.share_in;
  content.lazy = MakeLazy(lazy, box_.NewDataLog(), "");
  if (absl::Status taken = TakeOrigin(parcel_, content); !taken.ok()) return taken;
  if (absl::Status taken = TakeBox(parcel_, box_); !taken.ok()) return taken;
  absl::StatusOr<restore::RestoredImage> restored = Restore(*content.lazy);
  if (!restored.ok()) return restored.status();
  const restore::RestoreReport& report = restored->report();
  times_ = {{"load_ns", report.load_ns},
            {"reopen_ns", report.reopen_ns},
            {"complete_ns", report.complete_ns},
            {"objects", report.objects},
            {"files", report.files},
            {"dentries", report.dentries},
            {"chunks", report.chunks}};
  sandbox::Tree tree;
  tree.vfs = restored->TakeVfs();
  if (tree.vfs->namespaces().empty()) return absl::DataLossError("there is no mount namespace");
  tree.ns = tree.vfs->namespaces().front();
  tree.kept = restored->Root<sandbox::KeptFiles>(sandbox::kKeptFiles);
  box_.SetOrigin(std::move(content));
  if (absl::Status made = MakeSandbox(*std::move(restored), std::move(tree)); !made.ok())
    return made;
  if (absl::Status prepared = life_.PrepareControl(); !prepared.ok()) return prepared;
  times_["replayed"] = 0;
  times_["replay_ns"] = 0;
  // Where programs are about as fast as this is, the pause makes an end of it.
  for (uint64_t left = UINT64_MAX;;) {
    const uint64_t before = replayed_;
    if (absl::Status done = CatchUp(); !done.ok()) return done;
    const uint64_t had = std::exchange(left, replayed_ - before);
    if (left < kLittle || left > had / 4 * 3) return absl::OkStatus();
  }
}

absl::Status Takeover::CatchUp() {
  const absl::Time begin = absl::Now();
  const auto report = box_.sandbox()->served().RunAgain(journal_, replayed_);
  if (!report.ok()) return report.status();
  replayed_ = report->end;
  times_["replayed"] = times_["replayed"].get<uint64_t>() + report->records;
  times_["replay_ns"] =
      times_["replay_ns"].get<int64_t>() + absl::ToInt64Nanoseconds(absl::Now() - begin);
  return absl::OkStatus();
}

absl::Status Takeover::Finish(const nlohmann::json& end, restore::Parcel late) {
  if (absl::Status done = CatchUp(); !done.ok()) return done;
  if (const uint64_t wanted = end.value("journal_end", replayed_); replayed_ != wanted)
    return absl::DataLossError(
        absl::StrCat("the journal ends at ", replayed_, ", and was written up to ", wanted));
  const absl::Time begin = absl::Now();
  if (absl::Status going = GoOnWithHosts(box_.sandbox()->vfs(), late); !going.ok()) return going;
  times_["hosts_ns"] = absl::ToInt64Nanoseconds(absl::Now() - begin);
  if (absl::Status goes_on = journal_.GoOn(replayed_); !goes_on.ok()) return goes_on;
  spans_ = end.value("spans", uint32_t{0});
  box_.sandbox()->init().SkipTo(end.value("next_id", int64_t{0}));
  return box_.sandbox()->served().Connect();
}

// What the keeper has is no checkpoint of this process's memory; after a recovery it is.
void Takeover::Keep() {
  Keeping* keeping = box_.keeping();
  if (keeping == nullptr) return;
  if (absl::Status kept = keeping->Begin(box_); !kept.ok()) keeping->Abandon(kept);
}

// The other one has given up the sandbox; nothing is left that may fail.
void Takeover::Serve() {
  state::ChunkMemory::Get().EndAdoption(spans_);
  (void)channel_.Say("serving");
  // It may have died while it held programs still.
  if (recovery_) (void)box_.sandbox()->freezer().Thaw();
  box_.sandbox()->served().Resume();
  Keep();
  if (absl::Status published = life_.PublishControl(); !published.ok())
    box_.log().error("{}", std::string(published.message()));
  if (absl::Status written = life_.WriteRecord(std::move(cgroups_)); !written.ok())
    box_.log().error("{}", std::string(written.message()));
  (void)channel_.Say("settled");
  box_.lazy()->Start();
  state::ChunkMemory::Get().DropUnclaimed();
  held_.clear();
  own_journal_.reset();
  state::ChunkReclaim::SetLimit(life_.options().memory.limit);
  box_.log().info("took sandbox {} over as process {}, version {}", box_.name(), getpid(),
                  Version());
}

nlohmann::json Hello() {
  nlohmann::json types = nlohmann::json::array();
  const Types known;
  for (const state::TypeDescriptor* type : known.registry().types())
    types.push_back(std::string(type->name));
  return {{"protocol", kTakeoverProtocol},
          {"version", Version()},
          {"types", std::move(types)},
          {"answers", true}};
}

// As Launch (launch.h) does for a daemon that makes its sandbox.
void BecomeDaemon() {
  prctl(PR_SET_NAME, "stasis-daemon");
  (void)!chdir("/");
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  for (int signal : {SIGPIPE, SIGHUP, SIGINT}) ::signal(signal, SIG_IGN);
}

absl::StatusOr<std::unique_ptr<Takeover>> LoadAll(TakeoverChannel& channel, restore::Parcel parcel,
                                                  std::unique_ptr<Life>& life) {
  try {
    DaemonOptions options = OptionsFromJson(parcel.json.at("options"));
    absl::StatusOr<TakenJournal> journal = TakeJournal(parcel);
    if (!journal.ok()) return journal.status();
    std::unique_ptr<Keeping> keeping;
    if (parcel.json.contains("keeper")) {
      auto taken = Keeping::Take(parcel, std::move(journal->journal));
      if (!taken.ok()) return taken.status();
      keeping = *std::move(taken);
      options.sandbox.journal = &keeping->journal();
    }
    life = std::make_unique<Life>(options, std::move(keeping));
    auto takeover =
        std::make_unique<Takeover>(channel, std::move(parcel), *life, *std::move(journal));
    if (absl::Status loaded = takeover->Load(); !loaded.ok()) return loaded;
    return takeover;
  } catch (const std::exception& error) {
    return absl::DataLossError(error.what());
  }
}

absl::Status FinishAll(Takeover& takeover, TakeoverChannel& channel, const nlohmann::json& end) {
  try {
    restore::Parcel late;
    if (end.value("late", false)) {
      absl::StatusOr<restore::Parcel> parcel = channel.ReceiveParcel(absl::InfiniteFuture());
      if (!parcel.ok()) return parcel.status();
      late = *std::move(parcel);
    }
    return takeover.Finish(end, std::move(late));
  } catch (const std::exception& error) {
    return absl::DataLossError(error.what());
  }
}

[[noreturn]] void GiveUp(TakeoverChannel& channel, const absl::Status& why) {
  (void)channel.Say("failed", FailureOf(why));
  _exit(kFailed);  // everything that this process has is the other one's
}

}  // namespace

int RunTakeover(TakeoverChannel channel) {
  BecomeDaemon();
  if (!channel.Say("hello", Hello()).ok()) return kFailed;
  const absl::StatusOr<nlohmann::json> prepare = channel.Hear("prepare", absl::InfiniteFuture());
  if (!prepare.ok()) return kFailed;
  auto memory =
      std::make_unique<Prefault>(std::min(prepare->value("bytes", uint64_t{0}) / 2, kMostPrefault));
  if (!channel.Say("prepared").ok()) return kFailed;
  absl::StatusOr<restore::Parcel> parcel = channel.ReceiveParcel(absl::InfiniteFuture());
  if (!parcel.ok()) return kFailed;
  std::unique_ptr<Life> life;
  absl::StatusOr<std::unique_ptr<Takeover>> takeover = LoadAll(channel, *std::move(parcel), life);
  if (!takeover.ok()) GiveUp(channel, takeover.status());
  absl::Status said = channel.Say("loaded", (*takeover)->times());
  const absl::StatusOr<nlohmann::json> end = channel.Hear("finish", absl::InfiniteFuture());
  said.Update(end.status());
  if (!said.ok()) GiveUp(channel, said);
  if (absl::Status finished = FinishAll(**takeover, channel, *end); !finished.ok())
    GiveUp(channel, finished);
  said = channel.Say("ready", (*takeover)->times());
  said.Update(channel.Hear("commit", absl::InfiniteFuture()).status());
  if (!said.ok()) GiveUp(channel, said);
  (*takeover)->Serve();
  takeover->reset();
  memory.reset();
  life->Wait();
  life->End();
  UniqueFd lock = life->box().TakeLock();
  const sandbox::RuntimeDir dir = life->options().dir;
  life.reset();
  (void)dir.CleanUp(lock);
  return 0;
}

}  // namespace stasis::cli
