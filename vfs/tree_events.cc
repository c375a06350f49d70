// SPDX-License-Identifier: Apache-2.0

#include "vfs/tree_events.h"

#include <sys/inotify.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace stasis::vfs {

const uint32_t TreeEvents::kChanges =
    IN_CREATE | IN_DELETE | IN_MOVE | IN_MODIFY | IN_ATTRIB | IN_OPEN | IN_CLOSE;
const uint32_t TreeEvents::kAll = kChanges | IN_ACCESS;

namespace {

bool Repeats(const TreeEvent& event, const TreeEvent& last) {
  return event.cookie == 0 && event.events == last.events && event.dev == last.dev &&
         event.removed == last.removed && event.path == last.path;
}

}  // namespace

void TreeEvents::Add(TreeEvent event) {
  event.events &= mask_ | IN_ISDIR;
  if ((event.events & mask_) == 0) return;
  event.time = clock_.Now();
  const absl::MutexLock lock(&mu_);
  if (!ring_.empty() && Repeats(event, ring_.back())) return;
  if (ring_.size() == capacity_) {
    ring_.pop_front();
    ++lost_;
  }
  ring_.push_back(std::move(event));
}

TreeEvents::Taken TreeEvents::Take(size_t limit) {
  Taken taken;
  const absl::MutexLock lock(&mu_);
  taken.lost = std::exchange(lost_, 0);
  const auto end = ring_.begin() + static_cast<std::ptrdiff_t>(std::min(limit, ring_.size()));
  taken.events.assign(std::make_move_iterator(ring_.begin()), std::make_move_iterator(end));
  ring_.erase(ring_.begin(), end);
  return taken;
}

}  // namespace stasis::vfs
