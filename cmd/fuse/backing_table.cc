// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/backing_table.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "cmd/fuse/channel.h"
#include "cmd/fuse/node_table.h"
#include "vfs/filesystem.h"

namespace stasis::fuse {
namespace {

// In this process's user namespace; the kernel wants it in the first one, and says so later.
bool HasSysAdmin() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  return (data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN)) != 0;
}

}  // namespace

BackingTable::~BackingTable() {
  absl::MutexLock lock(&mu_);
  for (auto& [node, entry] : entries_)
    if (entry.inode != nullptr) entry.inode->EndPassthrough();
}

bool BackingTable::available() const {
  if (channel_ == nullptr) return given_ != 0;
  return !channel_->is_socket() && HasSysAdmin();
}

// The kernel gives numbers in turn, and one request at a time is recorded: so one can be lost.
void BackingTable::SetChannel(const Channel* channel, bool died) {
  absl::MutexLock lock(&mu_);
  channel_ = channel;
  for (const int32_t number : closed_) channel_->CloseBacking(number);
  closed_.clear();
  if (died && enabled()) channel_->CloseBacking(last_ + 1);
}

int32_t BackingTable::MakeBacking(const vfs::FileDescription& file) {
  if (channel_ == nullptr) return given_;
  const int fd = file.backing_fd();
  const uint32_t dev = file.inode().filesystem().dev();
  if (fd < 0 || refused_ || stacked_.contains(dev)) return 0;
  const Result<int32_t> backing = channel_->OpenBacking(fd);
  if (backing) return *backing;
  const Errno error = backing.error();
  if (error == Errno(ELOOP)) stacked_.insert(dev);
  refused_ = error == Errno(EPERM) || error == Errno(ENOTTY) || error == Errno(EOPNOTSUPP);
  return 0;
}

BackingTable::Opened BackingTable::Open(uint64_t node, vfs::FileDescription& file) {
  absl::MutexLock lock(&mu_);
  Entry& entry = entries_[node];
  if (entry.opens++ == 0) entry.backing = MakeBacking(file);
  if (entry.backing == 0) return {};
  last_ = std::max(last_, entry.backing);
  if (entry.inode == nullptr) {
    entry.inode = RefPtr<vfs::Inode>(&file.inode());
    entry.inode->BeginPassthrough();
  }
  const bool mappable = file.readable() && file.writable();
  entry.mapped = entry.mapped || mappable;
  return {entry.backing, mappable};
}

void BackingTable::CloseBacking(int32_t number) {
  if (channel_ == nullptr) {
    closed_.push_back(number);
  } else {
    channel_->CloseBacking(number);
  }
}

void BackingTable::Close(uint64_t node) {
  RefPtr<vfs::Inode> ended;
  {
    absl::MutexLock lock(&mu_);
    auto it = entries_.find(node);
    if (it == entries_.end()) return;
    Entry& entry = it->second;
    if (--entry.opens != 0) return;
    if (entry.backing != 0) CloseBacking(std::exchange(entry.backing, 0));
    if (entry.mapped) return;
    ended = std::move(entry.inode);
    entries_.erase(it);
  }
  if (ended != nullptr) ended->EndPassthrough();
}

void BackingTable::Forget(uint64_t node) {
  RefPtr<vfs::Inode> ended;
  {
    absl::MutexLock lock(&mu_);
    auto it = entries_.find(node);
    if (it == entries_.end()) return;
    it->second.mapped = false;
    // Only a peer that is no kernel forgets what it has open.
    if (it->second.opens != 0) return;
    ended = std::move(it->second.inode);
    entries_.erase(it);
  }
  if (ended != nullptr) ended->EndPassthrough();
}

void BackingTable::Export(Connection& connection) const {
  absl::MutexLock lock(&mu_);
  connection.passthrough = enabled();
  connection.refused = refused_;
  connection.last = last_;
  connection.stacked.assign(stacked_.begin(), stacked_.end());
  for (const auto& [node, entry] : entries_)
    connection.backings.push_back(
        {node, entry.opens, entry.backing, entry.mapped, entry.inode != nullptr});
}

void BackingTable::Import(const Connection& connection, const NodeTable& nodes) {
  if (connection.passthrough) Enable();
  absl::MutexLock lock(&mu_);
  refused_ = connection.refused;
  last_ = connection.last;
  stacked_.insert(connection.stacked.begin(), connection.stacked.end());
  for (const Connection::Backing& backing : connection.backings) {
    const RefPtr<Node> node = nodes.Find(backing.node);
    if (node == nullptr) continue;
    Entry& entry = entries_[backing.node];
    entry.opens = backing.opens;
    entry.backing = backing.number;
    entry.mapped = backing.mapped;
    if (!backing.begun) continue;
    entry.inode = RefPtr<vfs::Inode>(&node->at().inode());
    entry.inode->BeginPassthrough();
  }
}

size_t BackingTable::size() const {
  absl::MutexLock lock(&mu_);
  return entries_.size();
}

}  // namespace stasis::fuse
