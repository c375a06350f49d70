// SPDX-License-Identifier: Apache-2.0
//
// inotify.h: what inotify(7) gives a program: watches on files, and a queue of their events.
//
//   auto inotify = MakeRef<Inotify>(vfs);
//   const int wd = inotify->AddWatch(creds, {root, root, "/d"}, IN_CREATE).value();
//   vfs->MkdirAt(creds, {root, root, "/d/new"}, 0755);
//   inotify->Read(4096);                            // {wd, IN_CREATE | IN_ISDIR, 0, "new"}
//
// Masks, flags and events are those of <sys/inotify.h>, their order and merging Linux's. Saved with
// its watches and the events that nobody has read; held by whoever made it, as an open file is.
//
// Lock order: WatchTable::mu_, then mu_.

#ifndef STASIS_VFS_INOTIFY_H_
#define STASIS_VFS_INOTIFY_H_

#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "state/annotations.h"
#include "state/base/result.h"
#include "state/object.h"
#include "vfs/credentials.h"
#include "vfs/inode.h"
#include "vfs/path_operation.h"
#include "vfs/waiter.h"
#include "vfs/watches.h"

namespace stasis::vfs {

class VirtualFilesystem;

// As struct inotify_event.
struct InotifyEvent {
  int32_t wd = -1;
  uint32_t mask = 0;
  uint32_t cookie = 0;
  std::string name;

  // How many bytes of the buffer of read(2) it takes.
  size_t ReadSize() const;

  friend bool operator==(const InotifyEvent&, const InotifyEvent&) = default;

  STATE_SAVABLE(InotifyEvent);
};

// As in /proc/sys/fs/inotify.
struct InotifyLimits {
  uint32_t max_queued_events = 16384;
  uint32_t max_user_watches = 65536;  // of one Inotify

  STATE_SAVABLE(InotifyLimits);
};

// Thread-safe.
class Inotify final : public state::Object {
 public:
  explicit Inotify(RefPtr<VirtualFilesystem> vfs, const InotifyLimits& limits = {});
  ~Inotify() override;

  // As inotify_add_watch(2), with its flags; returns the watch descriptor. IN_DONT_FOLLOW says
  // whether a final symbolic link is followed, not `path`.
  // Errors: EINVAL, EEXIST, ENOSPC, ENOTDIR, EACCES, those of the walk.
  Result<int> AddWatch(const Credentials& creds, const PathOperation& path, uint32_t mask)
      ABSL_LOCKS_EXCLUDED(mu_);
  // As inotify_rm_watch(2). Errors: EINVAL.
  Result<void> RemoveWatch(int wd) ABSL_LOCKS_EXCLUDED(mu_);

  // As read(2) of an inotify descriptor: as many events as fit into `buffer_size` bytes. Without
  // any it waits, or without a waiter fails with EAGAIN.
  // Requires: with a waiter, not called from inside the gate.
  // Errors: EAGAIN, EINVAL if the buffer is too small for the next event, EINTR.
  Result<std::vector<InotifyEvent>> Read(size_t buffer_size, Waiter* waiter = nullptr)
      ABSL_LOCKS_EXCLUDED(mu_);
  // As FIONREAD: bytes that Read would return; 0 if it would wait.
  size_t BytesQueued() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class WatchTable;
  STATE_SAVABLE(Inotify);
  Inotify();

  struct Watch {
    RefPtr<Inode> inode;
    uint32_t mask = 0;  // what it waits for, and flags

    STATE_SAVABLE(Watch);
  };

  // Lets go of all watches without a word.
  void Leave() ABSL_LOCKS_EXCLUDED(mu_);
  Result<int> AddOrUpdate(Inode& inode, uint32_t mask) ABSL_LOCKS_EXCLUDED(mu_);
  // Tells a watch, if it is interested. Returns whether the watch ends with that.
  bool Tell(int32_t wd, const WatchTable::Event& event) ABSL_LOCKS_EXCLUDED(mu_);
  // Forgets a watch and queues its IN_IGNORED. Returns its file.
  RefPtr<Inode> End(int32_t wd) ABSL_LOCKS_EXCLUDED(mu_);
  void Queue(InotifyEvent event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int32_t NextWd() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes what fits. Errors: EAGAIN, EINVAL.
  Result<std::vector<InotifyEvent>> Take(size_t buffer_size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status AfterLoad(state::LoadContext& context) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status CheckLoaded(state::LoadContext& context) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LoadFailed() { Leave(); }

  // Immutable after construction.
  RefPtr<VirtualFilesystem> vfs_ STATE(wait);
  RefPtr<WatchTable> table_ STATE(nosave);
  InotifyLimits limits_;

  mutable absl::Mutex mu_ STATE(nosave);
  std::map<int32_t, Watch> watches_ ABSL_GUARDED_BY(mu_);
  std::deque<InotifyEvent> events_ ABSL_GUARDED_BY(mu_);
  int32_t last_wd_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<Waiter*> readers_ STATE(nosave) ABSL_GUARDED_BY(mu_);  // that wait
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_INOTIFY_H_
