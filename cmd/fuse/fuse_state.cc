// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/fuse_state.h"

#include <utility>

namespace stasis::fuse {

FuseState::FuseState(vfs::VirtualDentry root)
    : nodes_(MakeRef<NodeTable>(std::move(root))), handles_(MakeRef<HandleTable>()) {}

Negotiated FuseState::negotiated() const {
  absl::MutexLock lock(&mu_);
  return negotiated_;
}

bool FuseState::SetNegotiated(const Negotiated& negotiated) {
  absl::MutexLock lock(&mu_);
  if (negotiated_.done()) return false;
  negotiated_ = negotiated;
  initialized_.store(true, std::memory_order_release);
  return true;
}

void FuseState::DropKernelState() {
  handles_->Clear();
  nodes_->Clear();
  absl::MutexLock lock(&mu_);
  negotiated_ = Negotiated();
  initialized_.store(false, std::memory_order_release);
}

}  // namespace stasis::fuse
