// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/gofer/fd_cache.h"

#include "state/check.h"

namespace stasis::gofer {

struct FdCache::Entry {
  UniqueFd fd;
  Slot* slot;  // null once dropped
  uint32_t pins = 0;
  bool kept = false;
  bool idle = false;  // listed, at `place`
  std::list<Entry*>::iterator place;
};

int FdCache::Pin::fd() const { return entry_->fd.get(); }

FdCache::~FdCache() {
  absl::MutexLock lock(&mu_);
  state::Require(size_ == 0, "a descriptor cache ends before its users");
}

FdCache::Pin FdCache::Find(Slot& slot) {
  absl::MutexLock lock(&mu_);
  if (slot == nullptr) return {};
  ++slot->pins;
  Settle(*slot);
  return {*this, *slot};
}

FdCache::Pin FdCache::Put(Slot& slot, UniqueFd fd) {
  UniqueFd closed;  // outside of the lock
  absl::MutexLock lock(&mu_);
  if (slot == nullptr) {
    slot = new Entry{std::move(fd), &slot, 0, false, false, {}};
    ++size_;
    if (idle_.size() + 1 > limit_ && !idle_.empty()) closed = Remove(*idle_.front());
  }
  ++slot->pins;
  Settle(*slot);
  return {*this, *slot};
}

void FdCache::Keep(Slot& slot, bool on) {
  absl::MutexLock lock(&mu_);
  if (slot == nullptr) return;
  slot->kept = on;
  Settle(*slot);
}

void FdCache::Drop(Slot& slot) {
  UniqueFd closed;
  absl::MutexLock lock(&mu_);
  if (slot == nullptr) return;
  if (slot->pins == 0) {
    closed = Remove(*slot);
    return;
  }
  slot->slot = nullptr;
  slot = nullptr;
}

void FdCache::Unpin(Entry& entry) {
  UniqueFd closed;
  absl::MutexLock lock(&mu_);
  if (--entry.pins > 0) return;
  if (entry.slot == nullptr) {
    closed = Remove(entry);
    return;
  }
  Settle(entry);
  if (idle_.size() > limit_) closed = Remove(*idle_.front());
}

UniqueFd FdCache::Remove(Entry& entry) {
  if (entry.idle) idle_.erase(entry.place);
  if (entry.slot != nullptr) *entry.slot = nullptr;
  --size_;
  UniqueFd fd = std::move(entry.fd);
  delete &entry;
  return fd;
}

void FdCache::Settle(Entry& entry) {
  const bool idle = entry.pins == 0 && !entry.kept && entry.slot != nullptr;
  if (idle == entry.idle) return;
  entry.idle = idle;
  if (idle) {
    entry.place = idle_.insert(idle_.end(), &entry);
  } else {
    idle_.erase(entry.place);
  }
}

size_t FdCache::size() const {
  absl::MutexLock lock(&mu_);
  return size_;
}

}  // namespace stasis::gofer
