// SPDX-License-Identifier: Apache-2.0
//
// restore_context.h: what filesystems are told by a restore, and tell it.

#ifndef STASIS_VFS_RESTORE_CONTEXT_H_
#define STASIS_VFS_RESTORE_CONTEXT_H_

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vfs/drift.h"

namespace stasis::vfs {

// Thread-safe, but for what is said to be set before.
class RestoreContext {
 public:
  // Set before the restore: where the directories are that the image calls by name.
  std::map<std::string, std::string> roots;
  // Where those are that `roots` does not name; may be null.
  std::function<std::optional<std::string>(const std::string& name)> find_root;
  DriftChecks checks;
  int threads = 1;                            // how many may compare files at once
  const std::atomic<bool>* cancel = nullptr;  // borrowed; true: Reopen is to stop, with kCancelled

  bool cancelled() const { return cancel != nullptr && cancel->load(std::memory_order_relaxed); }

  // The directory that the image calls `root`. Filesystems ask this way only, first of all: what
  // nobody asks for is no root of the image. Errors: InvalidArgument, which names the root.
  absl::StatusOr<std::string> FindRoot(std::string_view root) ABSL_LOCKS_EXCLUDED(mu_);
  // All that were asked for, found or not. Requires: no filesystem is asking.
  const std::set<std::string>& asked_roots() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return asked_roots_;
  }
  // Those of them that were not found.
  const std::set<std::string>& missing_roots() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return missing_roots_;
  }

  void Report(Drift drift) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    drifts_.push_back(std::move(drift));
  }

  // What was reported, for who decides. Requires: no filesystem is reporting.
  std::vector<Drift>& drifts() ABSL_NO_THREAD_SAFETY_ANALYSIS { return drifts_; }
  const std::vector<Drift>& drifts() const ABSL_NO_THREAD_SAFETY_ANALYSIS { return drifts_; }

 private:
  absl::Mutex mu_;
  std::vector<Drift> drifts_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> asked_roots_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> missing_roots_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_RESTORE_CONTEXT_H_
