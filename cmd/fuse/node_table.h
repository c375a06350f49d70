// SPDX-License-Identifier: Apache-2.0
//
// node_table.h: the files that the kernel knows by number.
//
// A Node stands for an Inode as seen through a Mount: hard links share one, two mounts of a tree do
// not. The kernel counts how often it was told of a node and gives the count back with FORGET; at
// zero the node goes.
//
// The table is in shards. A shard is chosen by the inode's number, which a restore keeps, and is
// the remainder of the node's number: both directions of a lookup find it without asking another.
// Numbers are never used twice.
//
// References: a node holds the mount and the dentry where the file was found, hence the inode.
// Callers of Find and Remember hold the node while they use it.
//
// Lock order: a shard's lock comes after every lock of vfs/; nothing is locked under it.

#ifndef STASIS_CMD_FUSE_NODE_TABLE_H_
#define STASIS_CMD_FUSE_NODE_TABLE_H_

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
#include "vfs/path_operation.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::state {
class LoadContext;
}

namespace stasis::fuse {

// Immutable, but for the count and what the kernel was told.
class Node final : public state::Object {
 public:
  Node(uint64_t number, uint64_t generation, vfs::VirtualDentry at)
      : number_(number),
        generation_(generation),
        at_(std::move(at)),
        told_(false),
        had_links_(false),
        mapped_(false) {}

  uint64_t number() const { return number_; }
  // Which fresh mount it was made for.
  uint64_t generation() const { return generation_; }
  const vfs::VirtualDentry& at() const { return at_; }
  // How often the kernel was told of it.
  uint64_t lookups() const { return lookups_.load(std::memory_order_relaxed); }

  // Notes that the kernel is told the file's attributes. Call it before they are read.
  void SetTold() { told_.store(true); }
  // For an operation that has changed attributes which its reply does not tell: whether the kernel
  // may have old ones, or get them from a reply that is under way.
  bool TakeTold() { return told_.exchange(false); }

  // Whether the kernel was ever told of several links. It counts down by itself when a name goes;
  // told the new number before it does, it counts down once too often, to a file that it takes for
  // deleted until it looks again.
  bool had_links() const { return had_links_.load(std::memory_order_relaxed); }
  void NoteLinks(uint32_t told) {
    if (told > 1) had_links_.store(true, std::memory_order_relaxed);
  }

  // Whether a mapping of a backing may change the file, of which neither the kernel's attributes
  // nor we hear.
  bool mapped() const { return mapped_.load(); }

 private:
  friend class NodeTable;
  STATE_SAVABLE(Node);
  Node() = default;

  uint64_t number_ = 0;
  uint64_t generation_ = 0;
  vfs::VirtualDentry at_;
  std::atomic<uint64_t> lookups_{0};  // written under the shard's lock
  // Of a restored node it is not known.
  std::atomic<bool> told_ STATE(nosave){true};
  std::atomic<bool> had_links_ STATE(nosave){true};
  std::atomic<bool> mapped_ STATE(nosave){false};  // written under the shard's lock
};

// Thread-safe. Changes require: inside the operation gate.
class NodeTable final : public state::Object {
 public:
  // `root` is node 1 and stays.
  explicit NodeTable(vfs::VirtualDentry root);

  const RefPtr<Node>& root() const { return root_; }

  // Null if the kernel was not told of such a node.
  RefPtr<Node> Find(uint64_t number) const;

  // The node of a file, or null if the kernel was not told of it.
  RefPtr<Node> FindFile(const vfs::VirtualDentry& at) const;

  // The node of a file that the kernel is told of now: counted once more, made if need be.
  RefPtr<Node> Remember(const vfs::VirtualDentry& at);

  // Sets Node::mapped(), for as long as the kernel knows the node.
  void SetMapped(uint64_t number);

  // The kernel lets go of `count` lookups; more than there were are ignored. True if the node is
  // gone with them.
  bool Forget(uint64_t number, uint64_t count);

  // Forgets all but the root: for a kernel that knows nothing.
  void Clear();

  // Without the root.
  size_t size() const;
  // Those, by number.
  std::vector<RefPtr<Node>> List() const { return SaveShards(); }

  // Whether a place that an image describes is one that a walk from the root could have led to.
  bool IsConsistent(const vfs::VirtualDentry& at) const;

 private:
  STATE_SAVABLE(NodeTable);
  NodeTable() = default;

  static constexpr uint64_t kShards = 64;

  using Key = std::pair<const vfs::Mount*, const vfs::Inode*>;

  struct Shard {
    mutable absl::Mutex mu;
    absl::flat_hash_map<uint64_t, RefPtr<Node>> by_number ABSL_GUARDED_BY(mu);
    absl::flat_hash_map<Key, Node*> by_key ABSL_GUARDED_BY(mu);
  };

  static Key KeyOf(const vfs::VirtualDentry& at) { return {&at.mount(), &at.inode()}; }
  static uint64_t ShardOf(const vfs::Inode& inode);
  RefPtr<Node> Replace(Shard& shard, Node& node, const vfs::VirtualDentry& at)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mu);

  std::vector<RefPtr<Node>> SaveShards() const;  // by number
  absl::Status LoadShards(std::vector<RefPtr<Node>> nodes, state::LoadContext& context);
  absl::Status AfterLoad(state::LoadContext& context);

  RefPtr<Node> root_ STATE(wait);  // immutable
  // Of all nodes; borrowed, immutable. What they lead to is complete before AfterLoad looks at it.
  vfs::VirtualFilesystem* vfs_ STATE(wait) = nullptr;
  std::atomic<uint64_t> next_{1};        // upper part of the next number
  std::atomic<uint64_t> generation_{1};  // of nodes made from now on
  std::array<Shard, kShards> shards_ STATE(manual);
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_NODE_TABLE_H_
