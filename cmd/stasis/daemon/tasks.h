// SPDX-License-Identifier: Apache-2.0
//
// tasks.h: what callers have done to a running sandbox, and the files it is in.
//
// One at a time: kUnavailable, with what is being done, while another goes on. Each gives up with
// kCancelled when `cancel` becomes true, and tells `on_progress` how far it is.

#ifndef STASIS_CMD_STASIS_DAEMON_TASKS_H_
#define STASIS_CMD_STASIS_DAEMON_TASKS_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <map>
#include <string>

#include "cmd/control/messages.h"
#include "cmd/stasis/daemon/box.h"
#include "restore/checkpoint.h"

namespace stasis::cli {

// checkpoint.cc. Errors: also kDeadlineExceeded, if the time was over or programs did not stand
// still.
absl::StatusOr<control::Report> CheckpointBox(Box& box, const control::CheckpointParams& params,
                                              const control::ProgressCallback& on_progress,
                                              const std::atomic<bool>* cancel);
// The tree, who holds its programs still, and what is saved with it.
restore::CheckpointRequest RequestFor(Box& box);
// The same for a caller whose work has begun.
absl::StatusOr<restore::CheckpointReport> SaveBox(Box& box, const control::CheckpointParams& params,
                                                  const control::ProgressCallback& on_progress,
                                                  const std::atomic<bool>* cancel);

// rollback.cc.
absl::StatusOr<control::Report> RollBackBox(Box& box, const control::RollbackParams& params,
                                            const control::ProgressCallback& on_progress,
                                            const std::atomic<bool>* cancel);

// changes.cc.
absl::StatusOr<control::Report> DiffBox(Box& box, const control::ProgressCallback& on_progress,
                                        const std::atomic<bool>* cancel);
absl::StatusOr<control::Report> CommitBox(Box& box, const control::CommitParams& params,
                                          const control::ProgressCallback& on_progress,
                                          const std::atomic<bool>* cancel);

// fork.cc. The report is JSON for another process of this host, which `stasis fork` starts:
//   version                      of this daemon; the other must be of the same
//   offer                        see restore/fork.h
//   roots                        host directories by name
//   layer_cache                  where the layers of container images are; empty: the default
//   base_image, base_settings    see Content; may be absent
//   ancestor {digest, directory} of the next checkpoint; may be absent
//   pause_ns, pause, ...         ForkReport: what it took
// Errors: kFailedPrecondition if the upper layer is a directory, which one sandbox has alone.
absl::StatusOr<control::Report> ForkBox(Box& box, const std::atomic<bool>* cancel);

// upgrade.cc. After success the sandbox is another process's; this one ends in a moment. The report
// is JSON: name, binary, version and daemon_pid of the new one, upgrades, files, chunks,
// loaded_in_pause, and in nanoseconds start_ns until it had started, point_ns and stall_ns while
// programs had to wait, with the parts.
// Errors: kUnimplemented if the new one cannot read the state; kDeadlineExceeded; others if it
// cannot be started, or says so, or ends. Then this one goes on.
absl::StatusOr<control::Report> UpgradeBox(Box& box, const control::UpgradeParams& params,
                                           const std::atomic<bool>* cancel);

// mounts.cc.
absl::StatusOr<control::Report> AddMountToBox(Box& box, const control::MountParams& params);
absl::StatusOr<control::Report> RemoveMountOfBox(Box& box, const std::string& target, bool detach);

// The host directories that a tree has, by name; without the layers of container images, which are
// found, and locked, in their cache.
std::map<std::string, std::string> HostDirectories(const vfs::VirtualFilesystem& vfs);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_TASKS_H_
