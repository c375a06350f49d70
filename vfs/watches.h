// SPDX-License-Identifier: Apache-2.0
//
// watches.h: who is told what happens to which file.
//
// The operations report events here once they have succeeded; the table passes them to the Inotify
// objects that watch the file, or the directory that it is in, and to those that listen to the
// whole tree (tree_events.h). Without any of them an operation pays one load (active()); with some,
// one more for the file and one for its directory, whose modes say whether they are watched.
//
// Lock order: mu_ comes after all locks of directories and files, those of an overlay included,
// whose layers may be watched themselves; before Inotify::mu_.

#ifndef STASIS_VFS_WATCHES_H_
#define STASIS_VFS_WATCHES_H_

#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "state/base/ref_ptr.h"
#include "vfs/operation_gate.h"

namespace stasis::vfs {

class Dentry;
class Filesystem;
class Inode;
class Inotify;
class TreeEvents;
struct SetStat;

// What is reported of a change of attributes.
uint32_t EventsOf(const SetStat& set);

// The watches of a VirtualFilesystem. Thread-safe.
//
// `events` are IN_... bits of inotify(7); IN_ISDIR is added where it belongs.
class WatchTable final : public RefCounted {
 public:
  explicit WatchTable(OperationGate& gate) : gate_(gate) {}
  ~WatchTable() override;

  // Whether anybody watches or listens.
  bool active() const { return count_.load(std::memory_order_relaxed) != 0; }

  // Something happened to a file: its directory hears of it by name, it itself without.
  void OnFile(const Dentry& dentry, uint32_t events) ABSL_LOCKS_EXCLUDED(mu_) {
    if (active()) [[unlikely]]
      ReportFile(dentry, events, /*unlinked=*/false);
  }
  // The same for what a description of it was used for: of a name that is removed, watches with
  // IN_EXCL_UNLINK do not hear.
  void OnOpenFile(const Dentry& dentry, uint32_t events) ABSL_LOCKS_EXCLUDED(mu_) {
    if (active()) [[unlikely]]
      ReportOpenFile(dentry, events);
  }
  // To a file, whatever its name.
  void OnInode(const Inode& inode, uint32_t events) ABSL_LOCKS_EXCLUDED(mu_) {
    if (active()) [[unlikely]]
      ReportInode(inode, events);
  }
  // To an entry of a directory. `cookie` connects the two sides of a rename.
  void OnEntry(const Dentry& dir, std::string_view name, const Inode& child, uint32_t events,
               uint32_t cookie = 0) ABSL_LOCKS_EXCLUDED(mu_) {
    if (active()) [[unlikely]]
      ReportEntry(dir, name, child, events, cookie);
  }

  // A description of the file ends. May be outside of the gate, and then enters it.
  void OnClose(const Dentry& dentry, bool writable) ABSL_LOCKS_EXCLUDED(mu_);
  // The file has no link any more, and one of its names no user; its watches end. As OnClose.
  void OnDeleted(const Inode& inode) ABSL_LOCKS_EXCLUDED(mu_);
  // The filesystem is mounted nowhere any more; the watches of its files end.
  void OnUnmount(const Filesystem& filesystem) ABSL_LOCKS_EXCLUDED(mu_);
  // The tree ends. Nobody is told.
  void Clear() ABSL_LOCKS_EXCLUDED(mu_);

  // From now on `listener` hears of what happens in all trees, until it is taken away again.
  void AddListener(std::shared_ptr<TreeEvents> listener) ABSL_LOCKS_EXCLUDED(mu_);
  void RemoveListener(const TreeEvents& listener) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class Inotify;

  struct Watch {
    Inotify* inotify;
    int32_t wd;
  };
  struct Event {
    uint32_t mask;
    uint32_t cookie;
    std::string_view name;  // empty: of the file itself
    bool unlinked;          // done with a description of a name that is removed
  };

  void ReportFile(const Dentry& dentry, uint32_t events, bool unlinked) ABSL_LOCKS_EXCLUDED(mu_);
  void ReportOpenFile(const Dentry& dentry, uint32_t events) ABSL_LOCKS_EXCLUDED(mu_);
  void ReportInode(const Inode& inode, uint32_t events) ABSL_LOCKS_EXCLUDED(mu_);
  void ReportEntry(const Dentry& dir, std::string_view name, const Inode& child, uint32_t events,
                   uint32_t cookie) ABSL_LOCKS_EXCLUDED(mu_);
  // Tells those that listen, if they want to know. `name` is of an entry of `dentry`; empty: of
  // itself.
  void TellListeners(const Dentry& dentry, std::string_view name, uint32_t events, uint32_t cookie)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Passes an event to the watches of a file, and ends those that wanted just one.
  void Deliver(const Inode& inode, const Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends all watches of a file, with IN_IGNORED.
  void EndWatches(const Inode& inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // For Inotify, who keeps the watch itself.
  void Add(Inode& inode, Watch watch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Remove(Inode& inode, Watch watch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The watch that `inotify` has on a file; 0 if none.
  int32_t Find(const Inode& inode, const Inotify& inotify) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  OperationGate& gate_;                   // borrowed; of use as long as there are watches
  std::atomic<uint32_t> count_{0};        // of watches and listeners
  std::atomic<uint32_t> listened_to_{0};  // events that a listener wants
  absl::Mutex mu_;
  std::vector<std::shared_ptr<TreeEvents>> listeners_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<const Inode*, std::vector<Watch>> watches_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_WATCHES_H_
