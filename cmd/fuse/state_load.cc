// SPDX-License-Identifier: Apache-2.0
//
// What a restored FuseState must look like. An image may hold anything.

#include <absl/strings/str_cat.h>

#include "cmd/fuse/fuse_state.h"
#include "cmd/fuse/protocol.h"
#include "state/load_context.h"

namespace stasis::fuse {

absl::Status NodeTable::LoadShards(std::vector<RefPtr<Node>> nodes, state::LoadContext& context) {
  for (RefPtr<Node>& node : nodes) {
    if (node == nullptr) return context.Invalid(*this, "shards", "has a missing node");
    if (!node->at().complete()) return context.Invalid(*node, "at", "has no mount or no dentry");
    const uint64_t number = node->number();
    const uint64_t index = number % kShards;
    const vfs::Inode& inode = node->at().inode();
    if (index != ShardOf(inode) || number / kShards == 0 ||
        number / kShards >= next_.load(std::memory_order_relaxed)) {
      return context.Invalid(*node, "number", absl::StrCat("cannot be ", number));
    }
    if (node->lookups() == 0) return context.Invalid(*node, "lookups", "is 0");
    Shard& shard = shards_[index];
    absl::MutexLock lock(&shard.mu);
    if (!shard.by_inode.try_emplace(&inode, node.get()).second) {
      return context.Invalid(*node, "at", "is a file that another node stands for");
    }
    if (!shard.by_number.try_emplace(number, std::move(node)).second) {
      return context.Invalid(*this, "shards", absl::StrCat("has node ", number, " twice"));
    }
  }
  return absl::OkStatus();
}

absl::Status NodeTable::AfterLoad(state::LoadContext& context) {
  if (root_ == nullptr) return context.Invalid(*this, "root", "is missing");
  if (root_->number() != FUSE_ROOT_ID) return context.Invalid(*root_, "number", "is not 1");
  if (!root_->at().complete()) return context.Invalid(*root_, "at", "is missing");
  if (next_.load() >= uint64_t{1} << 57) return context.Invalid(*this, "next", "is too large");
  return absl::OkStatus();
}

absl::Status HandleTable::LoadShards(std::vector<RefPtr<Handle>> handles,
                                     state::LoadContext& context) {
  for (RefPtr<Handle>& handle : handles) {
    if (handle == nullptr) return context.Invalid(*this, "shards", "has a missing handle");
    if (handle->file_ == nullptr)
      return context.Invalid(*handle, "file", "has no mount or no dentry");
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
  if (negotiated_.done() && !negotiated_.Valid()) {
    return context.Invalid(*this, "negotiated", "is nothing that this version agrees to");
  }
  initialized_.store(negotiated_.done(), std::memory_order_release);
  return absl::OkStatus();
}

}  // namespace stasis::fuse
