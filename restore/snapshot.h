// SPDX-License-Identifier: Apache-2.0
//
// snapshot.h: a filesystem as it is at one moment, in memory, while the original goes on.
//
// It is what a checkpoint saves and a restore loads, without the image between: the copy shares the
// chunks of file data with the original, and whoever writes to one copies it. Host directories are
// opened once more; what is in them is the host's, and no part of the moment.

#ifndef STASIS_RESTORE_SNAPSHOT_H_
#define STASIS_RESTORE_SNAPSHOT_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "restore/freezer.h"
#include "state/base/clock.h"
#include "state/load_context.h"
#include "state/registry.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::restore {

struct SnapshotRequest {
  // Borrowed.
  vfs::VirtualFilesystem* vfs = nullptr;
  const state::Registry* registry = nullptr;
  const Clock* clock = nullptr;
  Freezer* freezer = nullptr;  // null: nobody to freeze

  // For the load hooks of filesystems; the clock is added.
  state::LoadOptions services;
  const std::atomic<bool>* cancel = nullptr;  // borrowed; true: stop, with kCancelled
};

// Owns the copy, and takes it down.
class Snapshot {
 public:
  // Requires: not called from inside the gate; no checkpoint of the original goes on.
  // Errors: of the freezer, of SaveRows; of opening host directories again; kCancelled.
  static absl::StatusOr<std::unique_ptr<Snapshot>> Take(const SnapshotRequest& request);
  ~Snapshot() { vfs_->Teardown(); }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  const RefPtr<vfs::VirtualFilesystem>& vfs() const { return vfs_; }
  int64_t pause_ns() const { return pause_ns_; }  // what programs felt

 private:
  Snapshot(RefPtr<vfs::VirtualFilesystem> vfs, int64_t pause_ns)
      : vfs_(std::move(vfs)), pause_ns_(pause_ns) {}

  const RefPtr<vfs::VirtualFilesystem> vfs_;
  const int64_t pause_ns_;
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_SNAPSHOT_H_
