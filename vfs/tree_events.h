// SPDX-License-Identifier: Apache-2.0
//
// tree_events.h: what happens in all trees of a VirtualFilesystem, for one who looks on.
//
//   auto events = std::make_shared<TreeEvents>(clock, TreeEvents::kChanges, 65536);
//   vfs->watches().AddListener(events);
//   ...
//   const TreeEvents::Taken taken = events->Take(1000);   // again and again
//   vfs->watches().RemoveListener(*events);
//
// Whoever does something puts the event into a ring and goes on; if nobody takes them, the oldest
// are lost, and counted. Not saved: it is of one who looks on, and not of the programs.

#ifndef STASIS_VFS_TREE_EVENTS_H_
#define STASIS_VFS_TREE_EVENTS_H_

#include <absl/synchronization/mutex.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "state/base/clock.h"

namespace stasis::vfs {

struct TreeEvent {
  TimeNs time = 0;
  uint32_t dev = 0;      // of the filesystem
  uint32_t events = 0;   // IN_... bits of inotify(7), with IN_ISDIR
  uint32_t cookie = 0;   // the same of the two sides of a rename; else 0
  bool removed = false;  // done to a file, or in a directory, whose name is gone
  std::string path;      // from the root of the filesystem
};

// Thread-safe.
class TreeEvents {
 public:
  // All but reads.
  static const uint32_t kChanges;
  // With reads of files and directories.
  static const uint32_t kAll;

  // `mask`: the events that it wants. `clock` is borrowed; `capacity` is at least 1.
  TreeEvents(const Clock& clock, uint32_t mask, size_t capacity)
      : clock_(clock), mask_(mask), capacity_(capacity) {}

  uint32_t mask() const { return mask_; }

  // For WatchTable. One that repeats the event before it, and has not been taken, is dropped.
  void Add(TreeEvent event) ABSL_LOCKS_EXCLUDED(mu_);

  struct Taken {
    std::vector<TreeEvent> events;  // the oldest first
    uint64_t lost = 0;              // before them, since the last time
  };
  // Those that are there, at most `limit`.
  Taken Take(size_t limit) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const Clock& clock_;
  const uint32_t mask_;
  const size_t capacity_;

  absl::Mutex mu_;
  std::deque<TreeEvent> ring_ ABSL_GUARDED_BY(mu_);
  uint64_t lost_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_TREE_EVENTS_H_
