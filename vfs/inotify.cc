// SPDX-License-Identifier: Apache-2.0

#include "vfs/inotify.h"

#include <absl/container/flat_hash_set.h>
#include <sys/inotify.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "state/load_context.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {
namespace {

// What inotify_add_watch(2) takes.
constexpr uint32_t kAllBits = IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR |
                              IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_ADD | IN_MASK_CREATE |
                              IN_ISDIR | IN_ONESHOT;
// What a watch keeps of its mask.
constexpr uint32_t kKept = IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT;
// What happens to a file rather than to its content: not told with IN_ISDIR.
constexpr uint32_t kSelf = IN_DELETE_SELF | IN_MOVE_SELF;

constexpr size_t kHeaderSize = sizeof(struct inotify_event);

}  // namespace

size_t InotifyEvent::ReadSize() const {
  if (name.empty()) return kHeaderSize;
  // With a NUL, filled up to a multiple of the header.
  return kHeaderSize + (name.size() + 1 + kHeaderSize - 1) / kHeaderSize * kHeaderSize;
}

Inotify::Inotify(RefPtr<VirtualFilesystem> vfs, const InotifyLimits& limits)
    : vfs_(std::move(vfs)), table_(&vfs_->watches()), limits_(limits) {}

Inotify::Inotify() = default;

Inotify::~Inotify() { Leave(); }

void Inotify::Leave() {
  if (!table_) return;
  std::map<int32_t, Watch> ended;  // released after the locks
  absl::MutexLock table_lock(&table_->mu_);
  {
    absl::MutexLock lock(&mu_);
    ended.swap(watches_);
  }
  for (auto& [wd, watch] : ended) table_->Remove(*watch.inode, {this, wd});
}

Result<int> Inotify::AddWatch(const Credentials& creds, const PathOperation& path, uint32_t mask) {
  if ((mask & ~kAllBits) != 0 || (mask & kAllBits) == 0) return Err(EINVAL);
  if ((mask & IN_MASK_ADD) != 0 && (mask & IN_MASK_CREATE) != 0) return Err(EINVAL);
  Operation operation(vfs_->gate());
  const bool follow = (mask & IN_DONT_FOLLOW) == 0;
  STASIS_ASSIGN_OR_RETURN(const VirtualDentry at,
                          vfs_->GetDentryAt(creds, {path.root, path.start, path.path, follow}));
  if ((mask & IN_ONLYDIR) != 0 && !at.inode().is_dir()) return Err(ENOTDIR);
  STASIS_RETURN_IF_ERROR(at.inode().CheckAccess(creds, kRead));
  return AddOrUpdate(at.inode(), mask);
}

Result<int> Inotify::AddOrUpdate(Inode& inode, uint32_t mask) {
  absl::MutexLock table_lock(&table_->mu_);
  int32_t wd = 0;
  {
    absl::MutexLock lock(&mu_);
    wd = table_->Find(inode, *this);
    if (wd != 0) {
      if ((mask & IN_MASK_CREATE) != 0) return Err(EEXIST);
      Watch& watch = watches_[wd];
      watch.mask = ((mask & IN_MASK_ADD) != 0 ? watch.mask : 0) | (mask & kKept);
      return wd;
    }
    if (watches_.size() >= limits_.max_user_watches) return Err(ENOSPC);
    wd = NextWd();
    watches_[wd] = {.inode = RefPtr<Inode>(&inode), .mask = mask & kKept};
  }
  table_->Add(inode, {this, wd});
  return wd;
}

// Numbers are used again only when all are used up.
int32_t Inotify::NextWd() {
  do {
    last_wd_ = last_wd_ == std::numeric_limits<int32_t>::max() ? 1 : last_wd_ + 1;
  } while (watches_.contains(last_wd_));
  return last_wd_;
}

Result<void> Inotify::RemoveWatch(int wd) {
  RefPtr<Inode> inode;  // released after the locks
  Operation operation(vfs_->gate());
  absl::MutexLock table_lock(&table_->mu_);
  inode = End(wd);
  if (!inode) return Err(EINVAL);
  table_->Remove(*inode, {this, wd});
  return {};
}

RefPtr<Inode> Inotify::End(int32_t wd) {
  absl::MutexLock lock(&mu_);
  const auto it = watches_.find(wd);
  if (it == watches_.end()) return nullptr;
  RefPtr<Inode> inode = std::move(it->second.inode);
  watches_.erase(it);
  Queue({.wd = wd, .mask = IN_IGNORED, .name = {}});
  return inode;
}

bool Inotify::Tell(int32_t wd, const WatchTable::Event& event) {
  absl::MutexLock lock(&mu_);
  const auto it = watches_.find(wd);
  if (it == watches_.end()) return false;
  const uint32_t wanted = it->second.mask | IN_UNMOUNT;
  if ((wanted & event.mask & (IN_ALL_EVENTS | IN_UNMOUNT)) == 0) return false;
  if (event.unlinked && (wanted & IN_EXCL_UNLINK) != 0) return false;
  uint32_t mask = event.mask;
  if ((mask & kSelf) != 0) mask &= ~static_cast<uint32_t>(IN_ISDIR);
  Queue({.wd = wd, .mask = mask, .cookie = event.cookie, .name = std::string(event.name)});
  return (wanted & IN_ONESHOT) != 0;
}

void Inotify::Queue(InotifyEvent event) {
  if (events_.size() >= limits_.max_queued_events) {
    const bool told = std::any_of(events_.rbegin(), events_.rend(), [](const InotifyEvent& queued) {
      return queued.mask == IN_Q_OVERFLOW;
    });
    if (told) return;
    event = {.wd = -1, .mask = IN_Q_OVERFLOW, .name = {}};
  } else if (!events_.empty() && event.mask != IN_IGNORED) {
    const InotifyEvent& last = events_.back();
    if (last.mask == event.mask && last.wd == event.wd && last.name == event.name) return;
  }
  events_.push_back(std::move(event));
  for (Waiter* reader : readers_) reader->Wake();
}

Result<std::vector<InotifyEvent>> Inotify::Take(size_t buffer_size) {
  std::vector<InotifyEvent> taken;
  if (events_.empty()) return Err(EAGAIN);
  while (!events_.empty() && events_.front().ReadSize() <= buffer_size) {
    buffer_size -= events_.front().ReadSize();
    taken.push_back(std::move(events_.front()));
    events_.pop_front();
  }
  if (taken.empty()) return Err(EINVAL);
  return taken;
}

Result<std::vector<InotifyEvent>> Inotify::Read(size_t buffer_size, Waiter* waiter) {
  for (;;) {
    {
      Operation operation(vfs_->gate());
      absl::MutexLock lock(&mu_);
      std::erase(readers_, waiter);
      auto taken = Take(buffer_size);
      if (taken || taken.error() != Errno(EAGAIN) || waiter == nullptr) return taken;
      readers_.push_back(waiter);
    }
    if (waiter->Await()) continue;
    absl::MutexLock lock(&mu_);
    std::erase(readers_, waiter);
    return Err(EINTR);
  }
}

size_t Inotify::BytesQueued() const {
  absl::MutexLock lock(&mu_);
  size_t bytes = 0;
  for (const InotifyEvent& event : events_) bytes += event.ReadSize();
  return bytes;
}

absl::Status Inotify::AfterLoad(state::LoadContext& context) {
  if (!vfs_) return context.Invalid(*this, "vfs", "is missing");
  RefPtr<WatchTable> table(&vfs_->watches());
  std::vector<int32_t> unused;
  {
    absl::MutexLock table_lock(&table->mu_);
    absl::MutexLock lock(&mu_);
    if (absl::Status status = CheckLoaded(context); !status.ok()) return status;
    for (const auto& [wd, watch] : watches_) {
      if (watch.inode->is_unused()) {
        unused.push_back(wd);
      } else {
        table->Add(*watch.inode, {this, wd});
      }
    }
  }
  table_ = std::move(table);
  // Who used the file was not saved, or was about to let go of it.
  for (const int32_t wd : unused) {
    Tell(wd, {.mask = IN_DELETE_SELF});
    End(wd);
  }
  return absl::OkStatus();
}

absl::Status Inotify::CheckLoaded(state::LoadContext& context) {
  if (watches_.size() > limits_.max_user_watches)
    return context.Invalid(*this, "watches", "are more than its limit");
  if (last_wd_ < 0) return context.Invalid(*this, "last_wd", "is negative");
  // The overflow event comes on top.
  if (events_.size() > size_t{limits_.max_queued_events} + 1)
    return context.Invalid(*this, "events", "are more than its limit");
  for (const InotifyEvent& event : events_) {
    if (!event.name.empty() && !IsValidName(event.name))
      return context.Invalid(*this, "events", "has a name that no file can have");
  }
  absl::flat_hash_set<const Inode*> seen;
  for (const auto& [wd, watch] : watches_) {
    if (wd <= 0 || (watch.mask & ~kKept) != 0 || !watch.inode)
      return context.Invalid(*this, "watches", "has one without number, file or events");
    if (watch.inode->FileLocksInLoad() != &vfs_->file_locks())
      return context.Invalid(*this, "watches", "has a file of another vfs");
    if (!seen.insert(watch.inode.get()).second)
      return context.Invalid(*this, "watches", "has two of one file");
  }
  return absl::OkStatus();
}

}  // namespace stasis::vfs
