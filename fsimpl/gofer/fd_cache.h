// SPDX-License-Identifier: Apache-2.0
//
// fd_cache.h: descriptors that may be closed when others are needed more.
//
// Each belongs to a *slot*, a pointer in its owner, which is null while there is none. Whoever uses
// a descriptor pins it; one that is kept is not closed either (a deleted file could not be opened
// again). Of the others the one that was used longest ago goes when there are more than the limit.

#ifndef STASIS_FSIMPL_GOFER_FD_CACHE_H_
#define STASIS_FSIMPL_GOFER_FD_CACHE_H_

#include <absl/synchronization/mutex.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <utility>

#include "state/base/unique_fd.h"

namespace stasis::gofer {

inline constexpr uint32_t kDefaultFdLimit = 1024;

// Thread-safe. Innermost lock but for none.
class FdCache {
 public:
  struct Entry;
  // Null, or the descriptor's entry. Read and written by the cache alone.
  using Slot = Entry*;

  // Keeps a descriptor open while it lives. Empty if there is none.
  class Pin {
   public:
    Pin() = default;
    Pin(Pin&& other) noexcept
        : cache_(other.cache_), entry_(std::exchange(other.entry_, nullptr)) {}
    Pin& operator=(Pin&& other) noexcept {
      std::swap(cache_, other.cache_);
      std::swap(entry_, other.entry_);
      return *this;
    }
    ~Pin() {
      if (entry_ != nullptr) cache_->Unpin(*entry_);
    }
    explicit operator bool() const { return entry_ != nullptr; }
    int fd() const;
    // Whether the file's data may be read through it.
    bool readable() const;

   private:
    friend class FdCache;
    Pin(FdCache& cache, Entry& entry) : cache_(&cache), entry_(&entry) {}

    FdCache* cache_ = nullptr;
    Entry* entry_ = nullptr;
  };

  // At most `limit` that are neither pinned nor kept stay open.
  explicit FdCache(uint32_t limit) : limit_(limit) {}
  // Requires: all slots were dropped, nothing is pinned.
  ~FdCache();
  FdCache(const FdCache&) = delete;
  FdCache& operator=(const FdCache&) = delete;

  // The slot's descriptor, if it is open.
  Pin Find(Slot& slot) ABSL_LOCKS_EXCLUDED(mu_);
  // Fills the slot, unless somebody was faster: then with his. Closes what is too many.
  Pin Put(Slot& slot, UniqueFd fd) ABSL_LOCKS_EXCLUDED(mu_);
  // Puts a descriptor opened for reading in place of the slot's, unless that is one already: then
  // it is taken. `again`: the next reader may have it, too.
  Pin PutReader(Slot& slot, UniqueFd fd, bool again) ABSL_LOCKS_EXCLUDED(mu_);
  // The slot's descriptor, if it has one, is not for readers to come.
  void NoReader(Slot& slot) ABSL_LOCKS_EXCLUDED(mu_);
  // Keeps the slot's descriptor, if it has one, or lets it be closed again.
  void Keep(Slot& slot, bool on) ABSL_LOCKS_EXCLUDED(mu_);
  // Closes the slot's descriptor; a pinned one when it is unpinned.
  void Drop(Slot& slot) ABSL_LOCKS_EXCLUDED(mu_);

  // All that are open.
  size_t size() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Unpin(Entry& entry) ABSL_LOCKS_EXCLUDED(mu_);
  // Fills an empty slot, and returns what is too many, to be closed without the lock.
  UniqueFd Fill(Slot& slot, UniqueFd fd) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes a descriptor out of the cache. Returns it, to be closed without the lock.
  UniqueFd Remove(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Puts it among those that may be closed, if it may.
  void Settle(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const uint32_t limit_;

  mutable absl::Mutex mu_;
  size_t size_ ABSL_GUARDED_BY(mu_) = 0;
  std::list<Entry*> idle_ ABSL_GUARDED_BY(mu_);  // most recently used last
};

}  // namespace stasis::gofer

#endif  // STASIS_FSIMPL_GOFER_FD_CACHE_H_
