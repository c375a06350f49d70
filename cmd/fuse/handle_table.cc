// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/handle_table.h"

#include <algorithm>

namespace stasis::fuse {

uint64_t HandleTable::Add(RefPtr<vfs::FileDescription> file, uint32_t flags, uint64_t node) {
  const uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
  auto handle = MakeRef<Handle>(number, flags, std::move(file), node);
  Shard& shard = ShardOf(number);
  absl::MutexLock lock(&shard.mu);
  shard.handles.emplace(number, std::move(handle));
  return number;
}

RefPtr<Handle> HandleTable::Find(uint64_t number) const {
  const Shard& shard = ShardOf(number);
  absl::ReaderMutexLock lock(&shard.mu);
  auto it = shard.handles.find(number);
  return it == shard.handles.end() ? nullptr : it->second;
}

RefPtr<Handle> HandleTable::Remove(uint64_t number) {
  Shard& shard = ShardOf(number);
  absl::MutexLock lock(&shard.mu);
  auto it = shard.handles.find(number);
  if (it == shard.handles.end()) return nullptr;
  RefPtr<Handle> handle = std::move(it->second);
  shard.handles.erase(it);
  return handle;
}

void HandleTable::SetNode(uint64_t number, uint64_t node) {
  if (const RefPtr<Handle> handle = Find(number)) handle->node_ = node;
}

void HandleTable::Clear() {
  for (Shard& shard : shards_) {
    absl::flat_hash_map<uint64_t, RefPtr<Handle>> dropped;
    absl::MutexLock lock(&shard.mu);
    dropped.swap(shard.handles);
  }
}

size_t HandleTable::size() const {
  size_t size = 0;
  for (const Shard& shard : shards_) {
    absl::ReaderMutexLock lock(&shard.mu);
    size += shard.handles.size();
  }
  return size;
}

std::vector<RefPtr<Handle>> HandleTable::List() const {
  std::vector<RefPtr<Handle>> handles;
  for (const Shard& shard : shards_) {
    absl::ReaderMutexLock lock(&shard.mu);
    for (const auto& [number, handle] : shard.handles) handles.push_back(handle);
  }
  std::sort(handles.begin(), handles.end(), [](const RefPtr<Handle>& a, const RefPtr<Handle>& b) {
    return a->number() < b->number();
  });
  return handles;
}

}  // namespace stasis::fuse
