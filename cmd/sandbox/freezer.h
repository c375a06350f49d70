// SPDX-License-Identifier: Apache-2.0
//
// freezer.h: holds a sandbox's processes still while it is saved.

#ifndef STASIS_CMD_SANDBOX_FREEZER_H_
#define STASIS_CMD_SANDBOX_FREEZER_H_

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <optional>

#include "cmd/sandbox/cgroup.h"
#include "cmd/sandbox/init.h"
#include "cmd/sandbox/served_filesystems.h"
#include "restore/freezer.h"

namespace stasis::sandbox {

// How long things may take. Each has a limit of its own besides.
struct FreezeLimits {
  absl::Time deadline = absl::InfiniteFuture();  // for all of it
  absl::Duration freeze;                         // until all stand still; zero: the default
};

// Freezes the cgroup; without one, has init send signals.
class SandboxFreezer final : public restore::Freezer {
 public:
  // `init` and `served` are borrowed.
  SandboxFreezer(Init& init, const ServedFilesystems& served, std::optional<Cgroup> cgroup)
      : init_(init), served_(served), cgroup_(std::move(cgroup)) {}

  // For what comes next.
  void set_limits(const FreezeLimits& limits) { limits_ = limits; }

  absl::Status Flush() override;
  absl::Status Freeze() override;
  absl::Status Thaw() override;

 private:
  absl::Status Stop();
  absl::Status FlushAll();
  absl::Duration Limit(absl::Duration limit) const;

  Init& init_;
  const ServedFilesystems& served_;
  const std::optional<Cgroup> cgroup_;
  FreezeLimits limits_;
  bool frozen_ = false;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_FREEZER_H_
