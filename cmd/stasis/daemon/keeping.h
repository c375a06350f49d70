// SPDX-License-Identifier: Apache-2.0
//
// keeping.h: a daemon's side of its keeper (keeper.h).
//
// The keeper has what another daemon needs to go on: a checkpoint in memory, the descriptors of all
// that is served, and the journal of requests since. It gets a new checkpoint at the start, when
// the journal is half full, after a checkpoint or a fork, and when the tree was changed by
// something else than requests.

#ifndef STASIS_CMD_STASIS_DAEMON_KEEPING_H_
#define STASIS_CMD_STASIS_DAEMON_KEEPING_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <sys/types.h>

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cmd/fuse/journal.h"
#include "cmd/sandbox/runtime_dir.h"
#include "cmd/stasis/daemon/takeover_channel.h"
#include "restore/handover.h"
#include "state/base/ref_ptr.h"
#include "state/base/unique_fd.h"
#include "state/chunk.h"

namespace stasis::cli {

class Box;
struct ContentOptions;

// Whether what its programs do can be done again. Errors: kFailedPrecondition, with the reason.
// With `asked` it can also be if they change directories of the host, whose names are added: with
// what the host has answered to them (host_files.h).
absl::Status CanBeDoneAgain(const Box& box, std::set<std::string>* asked = nullptr);
// Whether there can be a keeper. Errors: likewise.
absl::Status CanBeKept(const Box& box);
// The same of a new tree that is to be made so: nothing of it is there yet. Errors: likewise;
// kInvalidArgument for a limit that is none.
absl::Status CanBeKept(const ContentOptions& content);
// Ends filesystems that are mounted nowhere and that nobody uses; not while the keeper gets a
// checkpoint. Requires: the caller's work has begun.
void EndUnusedFilesystems(Box& box);

// Thread-safe, but for what says so.
class Keeping {
 public:
  // Starts a keeper. Requires: one thread.
  static absl::StatusOr<std::unique_ptr<Keeping>> Start(const sandbox::RuntimeDir& dir);
  // Goes on with that of the daemon before this one, as Describe() has put it into a parcel, and
  // its journal. Requires: there is one. Errors: kDataLoss.
  static absl::StatusOr<std::unique_ptr<Keeping>> Take(restore::Parcel& parcel,
                                                       std::unique_ptr<fuse::Journal> journal);
  ~Keeping();
  Keeping(const Keeping&) = delete;
  Keeping& operator=(const Keeping&) = delete;

  fuse::Journal& journal() const { return *journal_; }
  // 0: there is none any more.
  pid_t keeper() const { return given_up_ ? 0 : keeper_; }

  // What the checkpoint of the daemon before this one is made of. It is kept until the keeper has
  // another. Requires: before Begin().
  void Hold(std::vector<RefPtr<const state::Chunk>> chunks) ABSL_LOCKS_EXCLUDED(mu_);
  // Gives the keeper a checkpoint of `box`, which is borrowed, and others as need be.
  // Errors: of CanBeKept; those of the checkpoint. Then it can be called again.
  absl::Status Begin(Box& box) ABSL_LOCKS_EXCLUDED(mu_);
  // Goes on without: nobody goes on if this daemon dies, and `why` is in the log.
  void Abandon(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);
  // From now on another daemon goes on if this one dies. Before, whoever starts it is to be told.
  void Arm() ABSL_LOCKS_EXCLUDED(mu_);
  // The sandbox ends: so does the keeper.
  void End() ABSL_LOCKS_EXCLUDED(mu_);

  // Of what another daemon needs: the keeper itself, without the journal. The keeper is not given
  // the daemon's end of their channel: it is to see that nobody has it any more.
  enum class For { kDaemon, kKeeper };
  absl::Status Describe(For whom, restore::Parcel& parcel) const;
  // Has the keeper forget its checkpoint: another daemon takes over, which gives it the next.
  // Requires: the caller holds quiet().
  void Forget() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // Another daemon has it now: this one leaves keeper and journal alone. Requires: as Forget.
  void HandOver() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // Held while the tree is another daemon's to take: no checkpoint is taken meanwhile.
  absl::Mutex& quiet() const ABSL_LOCK_RETURNED(mu_) { return mu_; }
  // Gives the keeper a checkpoint; if that cannot be, goes on without.
  void KeepNow() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class TreeChange;
  struct Kept;

  Keeping(TakeoverChannel channel, pid_t keeper, std::unique_ptr<fuse::Journal> journal);
  absl::Status KeepLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Give(const restore::Parcel& parcel) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void GiveUp(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StopThread();
  void Watch();

  const pid_t keeper_;
  const std::unique_ptr<fuse::Journal> journal_;

  mutable absl::Mutex mu_;  // comes before every lock of the box
  TakeoverChannel channel_ ABSL_GUARDED_BY(mu_);
  Box* box_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::unique_ptr<Kept> kept_ ABSL_GUARDED_BY(mu_);
  std::vector<RefPtr<const state::Chunk>> held_ ABSL_GUARDED_BY(mu_);
  std::atomic<bool> given_up_{false};  // changed with mu_ held

  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// A change of the tree that is no request of its programs. While it lives, no checkpoint is taken;
// a daemon that dies meanwhile is not followed by another. Ends with a checkpoint.
class TreeChange {
 public:
  // `keeping` may be null.
  TreeChange(Keeping* keeping, const char* what) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  ~TreeChange() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  TreeChange(const TreeChange&) = delete;
  TreeChange& operator=(const TreeChange&) = delete;

 private:
  Keeping* const keeping_;
};

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_KEEPING_H_
