// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/node_table.h"

#include <algorithm>

#include "cmd/fuse/protocol.h"

namespace stasis::fuse {

NodeTable::NodeTable(vfs::VirtualDentry root)
    : root_(MakeRef<Node>(FUSE_ROOT_ID, uint64_t{0}, std::move(root))),
      vfs_(&root_->at().mount().filesystem().vfs()) {}

bool NodeTable::IsConsistent(const vfs::VirtualDentry& at) const {
  return at.complete() && at.IsConsistent() && &at.mount().filesystem().vfs() == vfs_;
}

uint64_t NodeTable::ShardOf(const vfs::Inode& inode) {
  // Numbers are mostly consecutive, and those of different filesystems alike.
  return (inode.ino() + uint64_t{inode.filesystem().dev()} * 17) % kShards;
}

RefPtr<Node> NodeTable::Find(uint64_t number) const {
  if (number == FUSE_ROOT_ID) return root_;
  const Shard& shard = shards_[number % kShards];
  absl::ReaderMutexLock lock(&shard.mu);
  auto it = shard.by_number.find(number);
  return it == shard.by_number.end() ? nullptr : it->second;
}

RefPtr<Node> NodeTable::FindFile(const vfs::VirtualDentry& at) const {
  const Key key = KeyOf(at);
  if (key == KeyOf(root_->at())) return root_;
  const Shard& shard = shards_[ShardOf(at.inode())];
  absl::ReaderMutexLock lock(&shard.mu);
  auto it = shard.by_key.find(key);
  return it == shard.by_key.end() ? nullptr : RefPtr<Node>(it->second);
}

RefPtr<Node> NodeTable::Replace(Shard& shard, Node& node, const vfs::VirtualDentry& at) {
  auto fresh = MakeRef<Node>(node.number(), node.generation(), at);
  fresh->lookups_.store(node.lookups(), std::memory_order_relaxed);
  fresh->SetTold();
  fresh->had_links_.store(node.had_links(), std::memory_order_relaxed);
  fresh->mapped_.store(node.mapped());
  shard.by_key[KeyOf(at)] = fresh.get();
  RefPtr<Node>& slot = shard.by_number[node.number()];
  std::swap(slot, fresh);
  return fresh;  // the old one, for the caller to drop without the lock
}

RefPtr<Node> NodeTable::Remember(const vfs::VirtualDentry& at) {
  const Key key = KeyOf(at);
  if (key == KeyOf(root_->at())) return root_;
  const uint64_t index = ShardOf(at.inode());
  Shard& shard = shards_[index];
  RefPtr<Node> dropped;
  absl::MutexLock lock(&shard.mu);
  auto [it, is_new] = shard.by_key.try_emplace(key, nullptr);
  if (is_new) {
    const uint64_t number = next_.fetch_add(1, std::memory_order_relaxed) * kShards + index;
    auto node = MakeRef<Node>(number, generation_.load(std::memory_order_relaxed), at);
    it->second = node.get();
    shard.by_number.emplace(number, std::move(node));
  } else if (it->second->at().dentry().disconnected() && !at.dentry().disconnected()) {
    // The name under which it was first found is gone: go on under one that still leads there.
    dropped = Replace(shard, *it->second, at);
    it = shard.by_key.find(key);
  }
  it->second->lookups_.fetch_add(1, std::memory_order_relaxed);
  return RefPtr<Node>(it->second);
}

void NodeTable::SetMapped(uint64_t number) {
  Shard& shard = shards_[number % kShards];
  absl::MutexLock lock(&shard.mu);
  auto it = shard.by_number.find(number);
  if (it != shard.by_number.end()) it->second->mapped_.store(true);
}

bool NodeTable::Forget(uint64_t number, uint64_t count) {
  if (number == FUSE_ROOT_ID) return false;
  Shard& shard = shards_[number % kShards];
  RefPtr<Node> dropped;  // may free a file: not under the lock
  absl::MutexLock lock(&shard.mu);
  auto it = shard.by_number.find(number);
  if (it == shard.by_number.end()) return false;
  Node& node = *it->second;
  const uint64_t left = node.lookups() - std::min(count, node.lookups());
  node.lookups_.store(left, std::memory_order_relaxed);
  if (left != 0) return false;
  shard.by_key.erase(KeyOf(node.at()));
  dropped = std::move(it->second);
  shard.by_number.erase(it);
  return true;
}

void NodeTable::Clear() {
  generation_.fetch_add(1, std::memory_order_relaxed);
  for (Shard& shard : shards_) {
    absl::flat_hash_map<uint64_t, RefPtr<Node>> dropped;
    absl::MutexLock lock(&shard.mu);
    dropped.swap(shard.by_number);
    shard.by_key.clear();
  }
}

size_t NodeTable::size() const {
  size_t size = 0;
  for (const Shard& shard : shards_) {
    absl::ReaderMutexLock lock(&shard.mu);
    size += shard.by_number.size();
  }
  return size;
}

std::vector<RefPtr<Node>> NodeTable::SaveShards() const {
  // Sorted without a look at the nodes, of which there may be millions.
  std::vector<std::pair<uint64_t, Node*>> numbered;
  for (const Shard& shard : shards_) {
    absl::ReaderMutexLock lock(&shard.mu);
    for (const auto& [number, node] : shard.by_number) numbered.emplace_back(number, node.get());
  }
  std::sort(numbered.begin(), numbered.end());
  std::vector<RefPtr<Node>> nodes;
  nodes.reserve(numbered.size());
  for (const auto& [number, node] : numbered) nodes.emplace_back(node);
  return nodes;
}

}  // namespace stasis::fuse
