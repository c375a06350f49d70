// SPDX-License-Identifier: Apache-2.0
//
// backing_table.h: files that the kernel reads and writes without asking (FUSE passthrough).
//
// Where an open file is one of the host's, the kernel can be given that: it is the *backing* of the
// node, by a number that the connection has for it. The kernel wants all opens of a node at one
// time to be alike: through one and the same backing, or all through its page cache. So the first
// open of a node decides for all until the last one is closed, and the table counts them.
//
// A mapping outlives the file that it was made through. A node that was opened for reading and
// writing therefore counts as changed by others until the kernel forgets it, which it does after
// the last mapping.
//
// Nothing of this is saved: numbers are the connection's. A mount made anew starts with none; a
// server that takes over a running mount gets them from the one before it (connection.h), and of
// what that has done since then from the journal (Give): until it has the connection it asks the
// kernel for none and gives none back.
//
// References: an entry holds the inode, which it has told that passthrough has begun.
// Lock order: the table's lock comes before those of vfs/; callers hold none of them.

#ifndef STASIS_CMD_FUSE_BACKING_TABLE_H_
#define STASIS_CMD_FUSE_BACKING_TABLE_H_

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cmd/fuse/connection.h"
#include "state/base/ref_ptr.h"
#include "vfs/file_description.h"
#include "vfs/inode.h"

namespace stasis::fuse {

class Channel;
class NodeTable;

// Thread-safe.
class BackingTable {
 public:
  BackingTable() = default;
  // Tells the inodes that it is over.
  ~BackingTable();
  BackingTable(const BackingTable&) = delete;
  BackingTable& operator=(const BackingTable&) = delete;

  // The connection, borrowed. Call it before any other thread is there. Gives back to the kernel
  // what it has no more; `died`: also what the server before this one may have got, and told
  // nobody.
  void SetChannel(const Channel* channel, bool died) ABSL_LOCKS_EXCLUDED(mu_);
  // What the kernel said to the request that is done again next (Outcome::backing).
  void Give(int32_t said) { given_ = said; }
  // Whether asking for passthrough makes sense: on a device, with the right to make backings.
  bool available() const;
  // Passthrough was agreed upon, with this server. Before, there are no backings.
  void Enable() { enabled_.store(true, std::memory_order_relaxed); }
  bool enabled() const { return enabled_.load(std::memory_order_relaxed); }

  struct Opened {
    int32_t backing = 0;  // 0: none, the file goes through the page cache
    bool mappable = false;
  };
  // A regular file is opened at a node. To be followed by Close.
  Opened Open(uint64_t node, vfs::FileDescription& file) ABSL_LOCKS_EXCLUDED(mu_);
  void Close(uint64_t node) ABSL_LOCKS_EXCLUDED(mu_);
  // The kernel does not know the node any more.
  void Forget(uint64_t node) ABSL_LOCKS_EXCLUDED(mu_);

  // For a server that goes on in another process. Import requires: an empty table; nodes that
  // `nodes` does not have are left out.
  void Export(Connection& connection) const ABSL_LOCKS_EXCLUDED(mu_);
  void Import(const Connection& connection, const NodeTable& nodes) ABSL_LOCKS_EXCLUDED(mu_);

  // Nodes that are open, or may be mapped.
  size_t size() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Entry {
    uint32_t opens = 0;
    int32_t backing = 0;
    bool mapped = false;
    RefPtr<vfs::Inode> inode;  // null if passthrough has not begun
  };

  void CloseBacking(int32_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // 0 if there can be none.
  int32_t MakeBacking(const vfs::FileDescription& file) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Channel* channel_ = nullptr;
  int32_t given_ = 0;  // without one
  std::atomic<bool> enabled_{false};

  mutable absl::Mutex mu_;
  absl::flat_hash_map<uint64_t, Entry> entries_ ABSL_GUARDED_BY(mu_);  // by node
  int32_t last_ ABSL_GUARDED_BY(mu_) = 0;                              // the highest number so far
  std::vector<int32_t> closed_ ABSL_GUARDED_BY(mu_);                   // without a connection
  // What the kernel has refused: all, or the files of a filesystem (Filesystem::dev).
  bool refused_ ABSL_GUARDED_BY(mu_) = false;
  absl::flat_hash_set<uint32_t> stacked_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_BACKING_TABLE_H_
