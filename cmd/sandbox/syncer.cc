// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/syncer.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace stasis::sandbox {

Syncer::~Syncer() {
  if (thread_.joinable()) thread_.join();
}

absl::Status Syncer::Prepare() {
  done_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return done_.valid() ? absl::OkStatus() : absl::ErrnoToStatus(errno, "eventfd");
}

// With descriptors of its own: init may let go of a filesystem meanwhile.
absl::Status Syncer::Start(const std::vector<int>& roots) {
  std::vector<UniqueFd> own;
  for (int root : roots) {
    own.emplace_back(fcntl(root, F_DUPFD_CLOEXEC, 3));
    if (!own.back().valid()) return absl::ErrnoToStatus(errno, "cannot copy a descriptor");
  }
  try {
    thread_ = std::thread([this, own = std::move(own)] { Sync(own); });
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot make a thread: ", error.what()));
  }
  return absl::OkStatus();
}

void Syncer::Sync(const std::vector<UniqueFd>& roots) {
  error_ = 0;
  for (const UniqueFd& root : roots)
    if (syncfs(root.get()) != 0 && error_ == 0) error_ = errno;
  (void)eventfd_write(done_.get(), 1);
}

absl::Status Syncer::Finish() {
  eventfd_t count = 0;
  (void)eventfd_read(done_.get(), &count);
  thread_.join();
  return error_ == 0 ? absl::OkStatus()
                     : absl::ErrnoToStatus(error_, "cannot write the sandbox's files back");
}

}  // namespace stasis::sandbox
