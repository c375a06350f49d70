// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/gofer/fd_cache.h"

#include "state/check.h"

namespace stasis::gofer {

struct FdCache::Entry {
  UniqueFd fd;
  Slot* slot = nullptr;  // null once dropped
  uint32_t pins = 0;
  bool kept = false;
  bool readable = false;
  bool idle = false;  // listed, at `place`
  std::list<Entry*>::iterator place = {};
};

int FdCache::Pin::fd() const { return entry_->fd.get(); }
bool FdCache::Pin::readable() const { return entry_->readable; }

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
  if (slot == nullptr) closed = Fill(slot, std::move(fd));
  ++slot->pins;
  Settle(*slot);
  return {*this, *slot};
}

UniqueFd FdCache::Fill(Slot& slot, UniqueFd fd) {
  slot = new Entry{.fd = std::move(fd), .slot = &slot};
  ++size_;
  return idle_.size() + 1 > limit_ && !idle_.empty() ? Remove(*idle_.front()) : UniqueFd();
}

FdCache::Pin FdCache::PutReader(Slot& slot, UniqueFd fd, bool again) {
  UniqueFd replaced;
  UniqueFd closed;
  absl::MutexLock lock(&mu_);
  if (slot == nullptr || !slot->readable) {
    const bool kept = slot != nullptr && slot->kept;
    if (slot != nullptr && slot->pins == 0) {
      replaced = Remove(*slot);
    } else if (slot != nullptr) {
      slot->slot = nullptr;  // closed when it is unpinned
      slot = nullptr;
    }
    closed = Fill(slot, std::move(fd));
    slot->kept = kept;
    slot->readable = again;
  }
  ++slot->pins;
  Settle(*slot);
  return {*this, *slot};
}

void FdCache::NoReader(Slot& slot) {
  absl::MutexLock lock(&mu_);
  if (slot != nullptr) slot->readable = false;
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
