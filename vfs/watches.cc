// SPDX-License-Identifier: Apache-2.0

#include "vfs/watches.h"

#include <sys/inotify.h>

#include <algorithm>

#include "vfs/filesystem.h"
#include "vfs/inotify.h"
#include "vfs/tree_events.h"

namespace stasis::vfs {
namespace {

uint32_t WithType(const Inode& inode, uint32_t events) {
  return inode.is_dir() ? events | IN_ISDIR : events;
}

}  // namespace

// As fsnotify_change() of Linux.
uint32_t EventsOf(const SetStat& set) {
  uint32_t events = 0;
  if (set.mode || set.uid || set.gid || (set.atime && set.mtime)) events |= IN_ATTRIB;
  if (set.size || (set.mtime && !set.atime)) events |= IN_MODIFY;
  if (set.atime && !set.mtime) events |= IN_ACCESS;
  return events;
}

WatchTable::~WatchTable() = default;

void WatchTable::ReportFile(const Dentry& dentry, uint32_t events, bool unlinked) {
  if (events == 0) return;
  TellListeners(dentry, {}, events, 0);
  const Inode& inode = dentry.inode();
  const Dentry* parent = dentry.parent();
  const bool parent_watched = parent != nullptr && parent->inode().watched();
  if (!parent_watched && !inode.watched()) return;
  Event event{.mask = WithType(inode, events), .unlinked = unlinked};
  absl::MutexLock lock(&mu_);
  if (parent_watched) {
    event.name = dentry.name();
    Deliver(parent->inode(), event);
    event.name = {};
  }
  Deliver(inode, event);
}

void WatchTable::ReportOpenFile(const Dentry& dentry, uint32_t events) {
  ReportFile(dentry, events, dentry.disconnected());
}

void WatchTable::ReportInode(const Inode& inode, uint32_t events) {
  if (!inode.watched()) return;
  absl::MutexLock lock(&mu_);
  Deliver(inode, {.mask = WithType(inode, events)});
}

void WatchTable::ReportEntry(const Dentry& dir, std::string_view name, const Inode& child,
                             uint32_t events, uint32_t cookie) {
  TellListeners(dir, name, WithType(child, events), cookie);
  if (!dir.inode().watched()) return;
  absl::MutexLock lock(&mu_);
  Deliver(dir.inode(), {.mask = WithType(child, events), .cookie = cookie, .name = name});
}

void WatchTable::OnClose(const Dentry& dentry, bool writable) {
  Operation operation(gate_);
  ReportOpenFile(dentry, writable ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
}

void WatchTable::OnDeleted(const Inode& inode) {
  Operation operation(gate_);
  absl::MutexLock lock(&mu_);
  Deliver(inode, {.mask = IN_DELETE_SELF});
  EndWatches(inode);
}

void WatchTable::OnUnmount(const Filesystem& filesystem) {
  std::vector<RefPtr<const Inode>> inodes;  // released after the lock
  absl::MutexLock lock(&mu_);
  for (const auto& [inode, watches] : watches_) {
    if (inode->IsOf(filesystem)) inodes.emplace_back(inode);
  }
  std::sort(inodes.begin(), inodes.end(),
            [](const auto& a, const auto& b) { return a->ino() < b->ino(); });
  for (const RefPtr<const Inode>& inode : inodes) {
    Deliver(*inode, {.mask = WithType(*inode, IN_UNMOUNT)});
    EndWatches(*inode);
  }
}

void WatchTable::Clear() {
  std::vector<RefPtr<Inode>> released;  // after the lock
  absl::MutexLock lock(&mu_);
  while (!watches_.empty()) {
    const auto [inotify, wd] = watches_.begin()->second.back();
    RefPtr<Inode> inode = inotify->End(wd);
    Remove(*inode, {inotify, wd});
    released.push_back(std::move(inode));
  }
}

void WatchTable::AddListener(std::shared_ptr<TreeEvents> listener) {
  absl::MutexLock lock(&mu_);
  listened_to_.fetch_or(listener->mask(), std::memory_order_relaxed);
  count_.fetch_add(1, std::memory_order_relaxed);
  listeners_.push_back(std::move(listener));
}

void WatchTable::RemoveListener(const TreeEvents& listener) {
  absl::MutexLock lock(&mu_);
  count_.fetch_sub(static_cast<uint32_t>(std::erase_if(
                       listeners_, [&](const auto& each) { return each.get() == &listener; })),
                   std::memory_order_relaxed);
  uint32_t wanted = 0;
  for (const auto& each : listeners_) wanted |= each->mask();
  listened_to_.store(wanted, std::memory_order_relaxed);
}

void WatchTable::TellListeners(const Dentry& dentry, std::string_view name, uint32_t events,
                               uint32_t cookie) {
  if ((events & listened_to_.load(std::memory_order_relaxed)) == 0) return;
  const Inode& inode = dentry.inode();
  if (name.empty()) events = WithType(inode, events);
  std::string path = dentry.Path();
  if (!name.empty()) {
    if (path != "/") path += '/';
    path += name;
  }
  absl::MutexLock lock(&mu_);
  for (const auto& listener : listeners_)
    listener->Add({.dev = inode.filesystem().dev(),
                   .events = events,
                   .cookie = cookie,
                   .removed = dentry.disconnected(),
                   .path = path});
}

void WatchTable::Deliver(const Inode& inode, const Event& event) {
  const auto it = watches_.find(&inode);
  if (it == watches_.end()) return;
  const std::vector<Watch> watches = it->second;  // one that ends goes from the list
  for (const Watch& watch : watches) {
    if (!watch.inotify->Tell(watch.wd, event)) continue;
    const RefPtr<Inode> held = watch.inotify->End(watch.wd);
    Remove(*held, watch);
  }
}

void WatchTable::EndWatches(const Inode& inode) {
  for (auto it = watches_.find(&inode); it != watches_.end(); it = watches_.find(&inode)) {
    const Watch watch = it->second.front();
    const RefPtr<Inode> held = watch.inotify->End(watch.wd);
    Remove(*held, watch);
  }
}

void WatchTable::Add(Inode& inode, Watch watch) {
  watches_[&inode].push_back(watch);
  count_.fetch_add(1, std::memory_order_relaxed);
  inode.SetWatched(true);
}

void WatchTable::Remove(Inode& inode, Watch watch) {
  const auto it = watches_.find(&inode);
  if (it == watches_.end()) return;
  count_.fetch_sub(
      static_cast<uint32_t>(std::erase_if(
          it->second,
          [&](const Watch& w) { return w.inotify == watch.inotify && w.wd == watch.wd; })),
      std::memory_order_relaxed);
  if (!it->second.empty()) return;
  watches_.erase(it);
  inode.SetWatched(false);
}

int32_t WatchTable::Find(const Inode& inode, const Inotify& inotify) const {
  const auto it = watches_.find(&inode);
  if (it == watches_.end()) return 0;
  const auto watch = std::find_if(it->second.begin(), it->second.end(),
                                  [&](const Watch& w) { return w.inotify == &inotify; });
  return watch == it->second.end() ? 0 : watch->wd;
}

}  // namespace stasis::vfs
