// SPDX-License-Identifier: Apache-2.0
//
// What a restored FuseState must look like. An image may hold anything.

#include <absl/strings/str_cat.h>

#include "cmd/fuse/fuse_state.h"
#include "cmd/fuse/protocol.h"
#include "state/load_context.h"

namespace stasis::fuse {

namespace {

// Beyond it a number would run over before the mount ends.
constexpr uint64_t kMaxCount = uint64_t{1} << 62;

constexpr char kNoPlace[] = "has no mount, no dentry, or one of another filesystem than its mount";

}  // namespace

absl::Status NodeTable::LoadShards(std::vector<RefPtr<Node>> nodes, state::LoadContext& context) {
  for (Shard& shard : shards_) {
    absl::MutexLock lock(&shard.mu);
    shard.by_number.reserve(nodes.size() / kShards);
    shard.by_key.reserve(nodes.size() / kShards);
  }
  for (RefPtr<Node>& node : nodes) {
    if (node == nullptr) return context.Invalid(*this, "shards", "has a missing node");
    const uint64_t number = node->number();
    Shard& shard = shards_[number % kShards];
    absl::MutexLock lock(&shard.mu);
    if (!shard.by_number.try_emplace(number, std::move(node)).second) {
      return context.Invalid(*this, "shards", absl::StrCat("has node ", number, " twice"));
    }
  }
  return absl::OkStatus();
}

absl::Status NodeTable::AfterLoad(state::LoadContext& context) {
  if (root_ == nullptr) return context.Invalid(*this, "root", "is missing");
  if (root_->number() != FUSE_ROOT_ID) return context.Invalid(*root_, "number", "is not 1");
  // Older images do not say it.
  if (vfs_ == nullptr && root_->at().complete()) vfs_ = &root_->at().mount().filesystem().vfs();
  if (!IsConsistent(root_->at())) return context.Invalid(*root_, "at", kNoPlace);
  const uint64_t next = next_.load();
  if (next >= uint64_t{1} << 57) return context.Invalid(*this, "next", "is too large");
  // In the order of their numbers, in which what they lead to was made: neighbours in memory.
  for (const RefPtr<Node>& node : SaveShards()) {
    const uint64_t number = node->number();
    if (!IsConsistent(node->at())) return context.Invalid(*node, "at", kNoPlace);
    if (number % kShards != ShardOf(node->at().inode()) || number / kShards == 0 ||
        number / kShards >= next) {
      return context.Invalid(*node, "number", absl::StrCat("cannot be ", number));
    }
    if (node->lookups() == 0 || node->lookups() > kMaxCount)
      return context.Invalid(*node, "lookups", "is 0 or too large");
    Shard& shard = shards_[number % kShards];
    absl::MutexLock lock(&shard.mu);
    if (!shard.by_key.try_emplace(KeyOf(node->at()), node.get()).second)
      return context.Invalid(*node, "at", "is a file that another node stands for");
  }
  return absl::OkStatus();
}

absl::Status HandleTable::LoadShards(std::vector<RefPtr<Handle>> handles,
                                     state::LoadContext& context) {
  if (next_.load(std::memory_order_relaxed) > kMaxCount)
    return context.Invalid(*this, "next", "is too large");
  for (RefPtr<Handle>& handle : handles) {
    if (handle == nullptr) return context.Invalid(*this, "shards", "has a missing handle");
    if (handle->file_ == nullptr) return context.Invalid(*handle, "file", "is missing");
    const uint64_t number = handle->number();
    if (number == 0 || number >= next_.load(std::memory_order_relaxed)) {
      return context.Invalid(*handle, "number", absl::StrCat("cannot be ", number));
    }
    Shard& shard = ShardOf(number);
    absl::MutexLock lock(&shard.mu);
    if (!shard.handles.try_emplace(number, std::move(handle)).second) {
      return context.Invalid(*this, "shards", absl::StrCat("has handle ", number, " twice"));
    }
  }
  return absl::OkStatus();
}

absl::Status FuseState::AfterLoad(state::LoadContext& context) {
  if (nodes_ == nullptr) return context.Invalid(*this, "nodes", "is missing");
  if (handles_ == nullptr) return context.Invalid(*this, "handles", "is missing");
  for (const RefPtr<Handle>& handle : handles_->List()) {
    if (!nodes_->IsConsistent(handle->file().at()))
      return context.Invalid(*handle, "file", kNoPlace);
  }
  if (negotiated_.done() && !negotiated_.Valid()) {
    return context.Invalid(*this, "negotiated", "is nothing that this version agrees to");
  }
  initialized_.store(negotiated_.done(), std::memory_order_release);
  return absl::OkStatus();
}

}  // namespace stasis::fuse
