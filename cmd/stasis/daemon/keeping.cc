// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/keeping.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "cmd/stasis/daemon/box.h"
#include "cmd/stasis/daemon/description.h"
#include "cmd/stasis/daemon/journaled_state.h"
#include "cmd/stasis/daemon/keeper.h"
#include "fsimpl/gofer/filesystem.h"
#include "fsimpl/overlay/filesystem.h"

namespace stasis::cli {
namespace {

constexpr absl::Duration kAnswerTime = absl::Seconds(30);
constexpr absl::Duration kLookInterval = absl::Milliseconds(200);
constexpr absl::Duration kRetryTime = absl::Seconds(1);

absl::Status HostIsChanged(const std::string& directory) {
  return absl::FailedPreconditionError(absl::StrCat(
      "programs change the host's ", directory,
      ", and what they do there cannot be done again; mount it with :ro, or an upper layer "
      "with --upper memory"));
}

absl::Status OthersChange(const std::string& where) {
  return absl::FailedPreconditionError(
      absl::StrCat("others change files below ", where,
                   " (interop=shared), and a request would not give again what it gave"));
}

absl::Status NoKeeper(const absl::Status& why) {
  return absl::Status(why.code(), absl::StrCat("--keeper cannot be: ", why.message()));
}

std::string OwnBinary() {
  std::array<char, 4096> path;
  const ssize_t size = readlink("/proc/self/exe", path.data(), path.size());
  return size <= 0 ? "" : std::string(path.data(), static_cast<size_t>(size));
}

}  // namespace

// What is served counts, also if it is mounted nowhere any more: programs may be in it still.
absl::Status CanBeDoneAgain(const Box& box, std::set<std::string>* asked) {
  const sandbox::Tree& tree = box.sandbox()->tree();
  const auto places = tree.vfs->MountPlaces(*tree.ns);
  for (const auto& [name, state] : box.sandbox()->served().States()) {
    vfs::Filesystem* fs = &state->root().mount().filesystem();
    bool mounted = false, writable = false;
    std::string where = "what was unmounted";
    for (const auto& place : places) {
      if (&place.mount->filesystem() != fs) continue;
      writable = writable || !place.mount->read_only();
      if (!std::exchange(mounted, true)) where = place.path;
    }
    if (!fs->exclusive()) return OthersChange(where);
    if (mounted && !writable) continue;
    if (const auto* host = dynamic_cast<const gofer::GoferFilesystem*>(fs);
        host != nullptr && asked != nullptr) {
      asked->insert(host->root_name());
      continue;
    }
    if (const auto* overlay = dynamic_cast<overlay::OverlayFilesystem*>(fs);
        overlay != nullptr && overlay->upper().ok())
      fs = &overlay->upper().mount().filesystem();
    if (const auto* host = dynamic_cast<const gofer::GoferFilesystem*>(fs); host != nullptr)
      return HostIsChanged(host->directory());
  }
  return absl::OkStatus();
}

absl::Status CanBeKept(const Box& box) {
  if (absl::Status possible = CanBeDoneAgain(box); !possible.ok()) return NoKeeper(possible);
  for (const auto& [name, state] : box.sandbox()->served().States())
    if (state->initialized() && !state->negotiated().Has(fuse::kHasResend))
      return absl::FailedPreconditionError(
          "--keeper takes Linux 6.9 or later: this kernel does not send FUSE requests again");
  return absl::OkStatus();
}

absl::Status CanBeKept(const ContentOptions& content) {
  if (const auto limit = KeeperLimit(); !limit.ok()) return limit.status();
  const RootfsOptions& rootfs = content.rootfs;
  if (!rootfs.in_memory())
    return NoKeeper(HostIsChanged(rootfs.changes_base() ? rootfs.base : rootfs.upper));
  for (const HostMount& mount : content.host.mounts) {
    if (mount.mode.interop == gofer::Interop::kShared) return NoKeeper(OthersChange(mount.target));
    if (!mount.flags.read_only) return NoKeeper(HostIsChanged(content.host.roots.at(mount.root)));
  }
  return absl::OkStatus();
}

void EndUnusedFilesystems(Box& box) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  std::optional<absl::MutexLock> quiet;
  if (const Keeping* keeping = box.keeping(); keeping != nullptr) quiet.emplace(&keeping->quiet());
  box.sandbox()->served().EndUnused(box.sandbox()->vfs());
}

// What the keeper's checkpoint consists of: no byte of it may change.
struct Keeping::Kept {
  std::vector<RefPtr<const state::Chunk>> chunks;
  std::unique_ptr<restore::PackedState> packed;
};

Keeping::Keeping(TakeoverChannel channel, pid_t keeper, std::unique_ptr<fuse::Journal> journal)
    : keeper_(keeper), journal_(std::move(journal)), channel_(std::move(channel)) {}

absl::StatusOr<std::unique_ptr<Keeping>> Keeping::Start(const sandbox::RuntimeDir& dir) {
  absl::StatusOr<std::unique_ptr<fuse::Journal>> journal = fuse::Journal::Create();
  if (!journal.ok()) return journal.status();
  absl::StatusOr<std::pair<TakeoverChannel, TakeoverChannel>> ends = TakeoverChannel::MakePair();
  if (!ends.ok()) return ends.status();
  const pid_t daemon = getpid();
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "cannot start a keeper");
  if (pid == 0) _exit(RunKeeper(std::move(ends->second), dir, daemon));
  return std::unique_ptr<Keeping>(new Keeping(std::move(ends->first), pid, *std::move(journal)));
}

absl::StatusOr<std::unique_ptr<Keeping>> Keeping::Take(restore::Parcel& parcel,
                                                       std::unique_ptr<fuse::Journal> journal) {
  const nlohmann::json& json = parcel.json["keeper"];
  absl::StatusOr<UniqueFd> channel = parcel.Take(json.at("channel").get<int>());
  if (!channel.ok()) return channel.status();
  return std::unique_ptr<Keeping>(new Keeping(TakeoverChannel(*std::move(channel)),
                                              json.at("pid").get<pid_t>(), std::move(journal)));
}

Keeping::~Keeping() {
  StopThread();
  const absl::MutexLock lock(&mu_);
  for (const auto& chunk : held_) chunk->Unpin();
}

void Keeping::StopThread() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void Keeping::Hold(std::vector<RefPtr<const state::Chunk>> chunks) {
  const absl::MutexLock lock(&mu_);
  for (const auto& chunk : chunks) chunk->Pin();
  held_ = std::move(chunks);
}

absl::Status Keeping::Begin(Box& box) {
  const absl::MutexLock lock(&mu_);
  box_ = &box;
  if (absl::Status kept = KeepLocked(); !kept.ok()) return kept;
  if (!thread_.joinable()) thread_ = std::thread([this] { Watch(); });
  return absl::OkStatus();
}

void Keeping::Arm() {
  const absl::MutexLock lock(&mu_);
  (void)channel_.Say("arm");
}

void Keeping::End() {
  StopThread();
  const absl::MutexLock lock(&mu_);
  box_ = nullptr;
  given_up_ = true;
  journal_->Close();
  if (!channel_.Say("end").ok()) return;
  // It lets go of everything before it closes this.
  (void)channel_.HearAny(absl::Now() + kAnswerTime);
}

absl::Status Keeping::Describe(For whom,
                               restore::Parcel& parcel) const ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const absl::StatusOr<int> channel = parcel.AddCopy(whom == For::kDaemon ? channel_.fd() : -1);
  if (!channel.ok()) return channel.status();
  nlohmann::json& json = parcel.json["keeper"] = {
      {"channel", *channel}, {"pid", keeper_}, {"daemon", getpid()}, {"binary", OwnBinary()}};
  if (whom == For::kDaemon) return absl::OkStatus();
  if (UniqueFd own(open("/proc/self/exe", O_PATH | O_CLOEXEC)); own.valid())
    json["executable"] = parcel.Add(std::move(own));
  return absl::OkStatus();
}

void Keeping::Forget() { (void)channel_.Say("forget"); }

void Keeping::HandOver() {
  given_up_ = true;
  box_ = nullptr;
}

void Keeping::Abandon(const absl::Status& why) {
  const absl::MutexLock lock(&mu_);
  GiveUp(why);
}

void Keeping::KeepNow() {
  const absl::MutexLock lock(&mu_);
  if (const absl::Status kept = KeepLocked(); !kept.ok()) GiveUp(kept);
}

absl::Status Keeping::Give(const restore::Parcel& parcel) {
  if (absl::Status said = channel_.Say("keep"); !said.ok()) return said;
  if (absl::Status sent = channel_.SendParcel(parcel); !sent.ok()) return sent;
  return channel_.Hear("kept", absl::Now() + kAnswerTime).status();
}

// The description is of a moment after that of the state: what it says changes only with the
// mounts.
absl::Status Keeping::KeepLocked() {
  if (given_up_ || box_ == nullptr) return absl::OkStatus();
  if (absl::Status possible = CanBeKept(*box_); !possible.ok()) return possible;
  absl::StatusOr<JournaledState> state = TakeJournaledState(*box_, *journal_, false);
  if (!state.ok()) return state.status();
  restore::Parcel parcel;
  absl::Status described = DescribeBox(*box_, std::move(state->lent), parcel);
  if (described.ok()) described = Describe(For::kKeeper, parcel);
  if (described.ok()) described = DescribeJournal(*journal_, state->from, parcel);
  if (!described.ok()) return described;
  auto kept = std::make_unique<Kept>();
  kept->chunks = state->graph.chunks;
  absl::StatusOr<std::unique_ptr<restore::PackedState>> packed =
      box_->Pack(state->graph, restore::CleanChunks::kWhereStored, parcel);
  if (!packed.ok()) return packed.status();
  kept->packed = *std::move(packed);
  if (absl::Status given = Give(parcel); !given.ok()) return given;
  journal_->Release(state->from);
  kept_ = std::move(kept);
  for (const auto& chunk : held_) chunk->Unpin();
  held_.clear();
  return absl::OkStatus();
}

// Programs come first: they go on without a keeper.
void Keeping::GiveUp(const absl::Status& why) {
  if (given_up_.exchange(true)) return;
  if (box_ != nullptr)
    box_->log().warn("nobody would go on if this daemon died: {}", std::string(why.message()));
  journal_->Close();
  // Or it would take the daemon's end for a death, after an upgrade too.
  (void)channel_.Say("end");
  kept_.reset();
  for (const auto& chunk : held_) chunk->Unpin();
  held_.clear();
}

void Keeping::Watch() {
  while (!stop_) {
    (void)journal_->AwaitCheckpoint(kLookInterval);
    const absl::MutexLock lock(&mu_);
    if (given_up_ || stop_) return;
    const bool full = journal_->AwaitCheckpoint(absl::ZeroDuration());
    pollfd entry{channel_.fd(), POLLIN, 0};
    if (poll(&entry, 1, 0) > 0) return GiveUp(absl::UnavailableError("its keeper has ended"));
    if (!full) continue;
    const absl::Time deadline = absl::Now() + kRetryTime;
    absl::Status kept = KeepLocked();
    while (!kept.ok() && !absl::IsFailedPrecondition(kept) && !absl::IsAborted(kept) &&
           absl::Now() < deadline) {
      absl::SleepFor(kLookInterval);
      kept = KeepLocked();
    }
    if (!kept.ok()) return GiveUp(kept);
  }
}

TreeChange::TreeChange(Keeping* keeping, const char* what) : keeping_(keeping) {
  if (keeping_ == nullptr) return;
  keeping_->mu_.Lock();
  keeping_->journal_->AppendBarrier(what);
}

TreeChange::~TreeChange() {
  if (keeping_ == nullptr) return;
  const absl::Status kept = keeping_->KeepLocked();
  if (!kept.ok()) keeping_->GiveUp(kept);
  keeping_->mu_.Unlock();
}

}  // namespace stasis::cli
