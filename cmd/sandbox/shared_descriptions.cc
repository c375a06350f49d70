// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/shared_descriptions.h"

#include <absl/time/clock.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace stasis::sandbox {

// Where it is among those that are known to differ. Programs may run, so the order may not be one;
// the search ends all the same.
bool SharedDescriptions::Add(OpenFile& file) {
  size_t low = 0, high = groups_.size();
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const OpenFile& other = *groups_[middle].front();
    const long order =
        syscall(SYS_kcmp, file.host_pid, other.host_pid, KCMP_FILE, file.fd, other.fd);
    // One of the two was closed meanwhile: of the other nothing is said.
    if (order < 0 && (errno == ESRCH || errno == EBADF)) return true;
    if (order < 0 || absl::Now() > deadline_) return false;
    if (order == 0) {
      groups_[middle].push_back(&file);
      return true;
    }
    if (order == 1)
      high = middle;
    else
      low = middle + 1;
  }
  groups_.insert(groups_.begin() + static_cast<std::ptrdiff_t>(low), {&file});
  return true;
}

void SharedDescriptions::Number(uint32_t& last) {
  std::sort(groups_.begin(), groups_.end(),
            [](const auto& a, const auto& b) { return a.front() < b.front(); });
  for (const std::vector<OpenFile*>& group : groups_) {
    if (group.size() < 2) continue;
    ++last;
    for (OpenFile* file : group) file->shared = last;
  }
}

}  // namespace stasis::sandbox
