// SPDX-License-Identifier: Apache-2.0
//
// box.h: the sandbox of a daemon, and what is known of it.

#ifndef STASIS_CMD_STASIS_DAEMON_BOX_H_
#define STASIS_CMD_STASIS_DAEMON_BOX_H_

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cmd/sandbox/sandbox.h"
#include "cmd/stasis/content.h"
#include "cmd/stasis/daemon/daemon.h"
#include "cmd/stasis/types.h"
#include "restore/fork.h"
#include "restore/handover.h"
#include "state/base/clock.h"
#include "state/base/unique_fd.h"

namespace stasis::cli {

class Keeping;

// What the tree was made of.
struct Origin {
  std::string source;      // the image's "DIR:TAG", or what it is a fork of; empty: none
  std::string base_image;  // see Content
  std::optional<oci::ImageConfig> base_config;
};

// The image that the next checkpoint follows, and the layout it is in.
struct Ancestor {
  image::Digest digest;
  std::string directory;
};

// Thread-safe. The sandbox itself is there from the end of the start to the beginning of the end;
// who works on its tree says so with Begin().
class Box {
 public:
  explicit Box(const DaemonOptions& options);

  const DaemonOptions& options() const { return options_; }
  // The sandbox's own lock, held as long as it is this process's.
  void SetLock(UniqueFd lock) ABSL_LOCKS_EXCLUDED(mu_);
  UniqueFd TakeLock() ABSL_LOCKS_EXCLUDED(mu_);
  const std::string& name() const { return options_.dir.name(); }
  const Types& types() const { return types_; }
  spdlog::logger& log() const { return *log_; }
  // What hears how reading file data goes.
  DataLog NewDataLog() const;
  // How the data of the tree's image is read; null before there is a tree.
  std::shared_ptr<image::LazyImage> lazy() const ABSL_LOCKS_EXCLUDED(mu_);

  // Requires: nobody else uses it yet, or any more.
  void SetSandbox(std::unique_ptr<sandbox::Sandbox> sandbox) { sandbox_ = std::move(sandbox); }
  // Null before that. Its tree is for who has begun a work, and for LookAtTree().
  sandbox::Sandbox* sandbox() const { return sandbox_.get(); }
  // Calls `look` with a tree that stays meanwhile.
  void LookAtTree(absl::FunctionRef<void(const sandbox::Tree& tree)> look) const
      ABSL_LOCKS_EXCLUDED(tree_mu_);
  // Puts another tree in the place of the sandbox's (Sandbox::Enter has shown it to programs), and
  // takes the former one down. Requires: a work has begun.
  void ReplaceTree(sandbox::Sandbox::ServedTree tree) ABSL_LOCKS_EXCLUDED(tree_mu_);

  // Notes what a tree was made of, and keeps its lock. Takes everything of `content` but the tree.
  void SetOrigin(Content content) ABSL_LOCKS_EXCLUDED(mu_);
  Origin origin() const ABSL_LOCKS_EXCLUDED(mu_);
  // The parent of a checkpoint in `directory`, if it has one there.
  std::optional<image::Digest> ParentIn(const std::string& directory) const
      ABSL_LOCKS_EXCLUDED(mu_);
  std::optional<Ancestor> ancestor() const ABSL_LOCKS_EXCLUDED(mu_);
  void SetAncestor(Ancestor ancestor) ABSL_LOCKS_EXCLUDED(mu_);

  // Keeps what forks of it read, for as long as they do.
  void KeepOffer(std::unique_ptr<restore::ForkOffer> offer) ABSL_LOCKS_EXCLUDED(mu_);
  // Those. They live as long as the work that the caller has begun.
  // PackState, with those.
  absl::StatusOr<std::unique_ptr<restore::PackedState>> Pack(const state::SavedGraph& graph,
                                                             restore::CleanChunks clean,
                                                             restore::Parcel& parcel) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // What goes on if this daemon dies; null: nothing. Borrowed, set before anybody asks.
  Keeping* keeping() const { return keeping_; }
  void SetKeeping(Keeping* keeping) { keeping_ = keeping; }

  // Descriptors whose locks another daemon must have to go on: the sandbox's, that of its upper
  // layer (-1: none), those of the layers below it. Borrowed.
  struct Locks {
    int sandbox = -1;
    int upper = -1;
    std::vector<int> layers;
  };
  Locks locks() const ABSL_LOCKS_EXCLUDED(mu_);
  // Layers' locks that came from the daemon before this one.
  void KeepLayerLock(UniqueFd lock) ABSL_LOCKS_EXCLUDED(mu_);

  // Whether its tree is out of an image, or a fork's: whether its options are those of a restore.
  bool IsRestored() const ABSL_LOCKS_EXCLUDED(mu_) { return !origin().source.empty(); }
  // The options it runs with (config_file.h).
  nlohmann::ordered_json config() const ABSL_LOCKS_EXCLUDED(mu_);
  void SetConfig(nlohmann::ordered_json config) ABSL_LOCKS_EXCLUDED(mu_);

  // How often its programs were ended to roll it back.
  uint32_t rollbacks() const ABSL_LOCKS_EXCLUDED(mu_);
  void CountRollback() ABSL_LOCKS_EXCLUDED(mu_);
  // When it was started, and how often another daemon has taken over since.
  TimeNs created() const ABSL_LOCKS_EXCLUDED(mu_);
  uint32_t upgrades() const ABSL_LOCKS_EXCLUDED(mu_);
  // Of a sandbox that came from another daemon.
  void SetHistory(TimeNs created, uint32_t rollbacks, uint32_t upgrades) ABSL_LOCKS_EXCLUDED(mu_);
  // How often another daemon went on after one had died, and why that died.
  struct Recoveries {
    uint32_t count = 0;
    std::string last_reason;
  };
  Recoveries recoveries() const ABSL_LOCKS_EXCLUDED(mu_);
  void SetRecoveries(Recoveries recoveries) ABSL_LOCKS_EXCLUDED(mu_);

  // Works on the tree exclude each other. `work` says what the caller does ("checkpointing").
  // Errors: kUnavailable, with what is being done.
  absl::Status Begin(const char* work) ABSL_LOCKS_EXCLUDED(mu_);
  void Done() ABSL_LOCKS_EXCLUDED(mu_);
  // That of the work, or "running".
  std::string activity() const ABSL_LOCKS_EXCLUDED(mu_);

  // The sandbox is that process's now: lets go of it and of the lock. This daemon has to end, and
  // touch nothing. Requires: a work has begun, and does not end.
  void HandOver(pid_t successor) ABSL_LOCKS_EXCLUDED(mu_);
  // 0: it is this one's.
  pid_t successor() const ABSL_LOCKS_EXCLUDED(mu_);

  // Has the sandbox end, with that much time for its programs after a SIGTERM.
  void EndAt(absl::Time when, absl::Duration grace) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Duration TimeLeft() const ABSL_LOCKS_EXCLUDED(mu_);
  absl::Duration grace() const ABSL_LOCKS_EXCLUDED(mu_);
  // An eventfd: EndAt() was called.
  const UniqueFd& wake() const { return wake_; }

 private:
  const DaemonOptions options_;
  const std::shared_ptr<spdlog::logger> log_;
  const Types types_;
  const UniqueFd wake_;
  std::unique_ptr<sandbox::Sandbox> sandbox_;
  Keeping* keeping_ = nullptr;

  mutable absl::Mutex tree_mu_;  // written by who puts another tree in the sandbox

  mutable absl::Mutex mu_;
  const char* busy_with_ ABSL_GUARDED_BY(mu_) = nullptr;  // null: nothing
  nlohmann::ordered_json config_ ABSL_GUARDED_BY(mu_);
  Origin origin_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<image::LazyImage> lazy_ ABSL_GUARDED_BY(mu_);
  UniqueFd upper_lock_ ABSL_GUARDED_BY(mu_);
  std::vector<oci::BaseLayer> base_layers_ ABSL_GUARDED_BY(mu_);   // kept locked
  std::shared_ptr<LayerLocks> found_layers_ ABSL_GUARDED_BY(mu_);  // likewise
  std::optional<Ancestor> ancestor_ ABSL_GUARDED_BY(mu_);
  std::vector<std::unique_ptr<restore::ForkOffer>> offers_ ABSL_GUARDED_BY(mu_);
  UniqueFd lock_ ABSL_GUARDED_BY(mu_);
  std::vector<UniqueFd> layer_locks_ ABSL_GUARDED_BY(mu_);
  TimeNs created_ ABSL_GUARDED_BY(mu_);
  uint32_t rollbacks_ ABSL_GUARDED_BY(mu_) = 0;
  uint32_t upgrades_ ABSL_GUARDED_BY(mu_) = 0;
  Recoveries recoveries_ ABSL_GUARDED_BY(mu_);
  pid_t successor_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time end_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  absl::Duration grace_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_BOX_H_
