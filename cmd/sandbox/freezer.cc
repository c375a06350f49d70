// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/freezer.h"

namespace stasis::sandbox {
namespace {

constexpr absl::Duration kFlushTimeout = absl::Seconds(60);
constexpr absl::Duration kFreezeTimeout = absl::Seconds(10);

}  // namespace

absl::Status SandboxFreezer::Flush() { return init_.Sync(kFlushTimeout); }

absl::Status SandboxFreezer::Stop() {
  return cgroup_.has_value() ? cgroup_->Freeze(kFreezeTimeout) : init_.StopAll(kFreezeTimeout);
}

absl::Status SandboxFreezer::Freeze() {
  absl::Status stopped = Stop();
  if (!stopped.ok()) (void)Thaw();
  return stopped;
}

absl::Status SandboxFreezer::Thaw() {
  return cgroup_.has_value() ? cgroup_->Thaw() : init_.ContinueAll();
}

}  // namespace stasis::sandbox
