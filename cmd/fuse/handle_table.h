// SPDX-License-Identifier: Apache-2.0
//
// handle_table.h: the files and directories that the kernel has open.
//
// A handle is what the kernel has for a FileDescription, from OPEN, OPENDIR or CREATE to RELEASE.
// Numbers are never used twice.
//
// References: a handle holds its FileDescription. Lock order: a shard's lock is innermost.

#ifndef STASIS_CMD_FUSE_HANDLE_TABLE_H_
#define STASIS_CMD_FUSE_HANDLE_TABLE_H_

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "state/annotations.h"
#include "state/base/ref_ptr.h"
#include "state/object.h"
#include "vfs/file_description.h"

namespace stasis::state {
class LoadContext;
}

namespace stasis::fuse {

// Immutable once it is served.
class Handle final : public state::Object {
 public:
  Handle(uint64_t number, uint32_t flags, RefPtr<vfs::FileDescription> file, uint64_t node)
      : number_(number), flags_(flags), file_(std::move(file)), node_(node) {}

  uint64_t number() const { return number_; }
  // As given to open(2). The kernel appends by itself, so the description never has O_APPEND.
  uint32_t flags() const { return flags_; }
  vfs::FileDescription& file() const { return *file_; }
  // The node whose opens the BackingTable counts; 0 if it does not count this one. Not saved: the
  // count is the connection's.
  uint64_t node() const { return node_; }

 private:
  friend class HandleTable;
  STATE_SAVABLE(Handle);
  Handle() = default;

  uint64_t number_ = 0;
  uint32_t flags_ = 0;
  RefPtr<vfs::FileDescription> file_;
  uint64_t node_ STATE(nosave) = 0;
};

// Thread-safe. Changes require: inside the operation gate.
class HandleTable final : public state::Object {
 public:
  HandleTable() = default;

  // Returns the number. `node`: Handle::node().
  uint64_t Add(RefPtr<vfs::FileDescription> file, uint32_t flags, uint64_t node = 0);
  // Null if there is no such handle.
  RefPtr<Handle> Find(uint64_t number) const;
  // The handle, which is gone from the table; null if there was none.
  RefPtr<Handle> Remove(uint64_t number);
  // Drops all: for a kernel that knows none.
  void Clear();
  // Sets Handle::node() of a handle that was loaded. Requires: nobody else uses the table yet.
  void SetNode(uint64_t number, uint64_t node);

  size_t size() const;
  // By number.
  std::vector<RefPtr<Handle>> List() const;

 private:
  STATE_SAVABLE(HandleTable);

  static constexpr uint64_t kShards = 16;

  struct Shard {
    mutable absl::Mutex mu;
    absl::flat_hash_map<uint64_t, RefPtr<Handle>> handles ABSL_GUARDED_BY(mu);
  };

  Shard& ShardOf(uint64_t number) { return shards_[number % kShards]; }
  const Shard& ShardOf(uint64_t number) const { return shards_[number % kShards]; }

  std::vector<RefPtr<Handle>> SaveShards() const { return List(); }
  absl::Status LoadShards(std::vector<RefPtr<Handle>> handles, state::LoadContext& context);

  std::atomic<uint64_t> next_{1};
  std::array<Shard, kShards> shards_ STATE(manual);
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_HANDLE_TABLE_H_
