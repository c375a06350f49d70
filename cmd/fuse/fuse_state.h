// SPDX-License-Identifier: Apache-2.0
//
// fuse_state.h: everything that the kernel's side of a mount relies on, to be saved with the tree.
//
// A server that takes a mount over from another goes on with it as it is. A mount made anew knows
// no node and no handle: there DropKernelState() comes first.

#ifndef STASIS_CMD_FUSE_FUSE_STATE_H_
#define STASIS_CMD_FUSE_FUSE_STATE_H_

#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <atomic>

#include "cmd/fuse/handle_table.h"
#include "cmd/fuse/init.h"
#include "cmd/fuse/node_table.h"
#include "state/annotations.h"
#include "state/object.h"
#include "vfs/path_operation.h"

namespace stasis::fuse {

// Thread-safe. Changes require: inside the operation gate.
class FuseState final : public state::Object {
 public:
  explicit FuseState(vfs::VirtualDentry root);

  const vfs::VirtualDentry& root() const { return nodes_->root()->at(); }
  NodeTable& nodes() const { return *nodes_; }
  HandleTable& handles() const { return *handles_; }

  // True once INIT was answered.
  bool initialized() const { return initialized_.load(std::memory_order_acquire); }
  Negotiated negotiated() const ABSL_LOCKS_EXCLUDED(mu_);
  // False if it was negotiated already.
  bool SetNegotiated(const Negotiated& negotiated) ABSL_LOCKS_EXCLUDED(mu_);

  // For a fresh mount: forgets nodes, handles and what was negotiated. Files that were deleted
  // while open are gone with their last handle.
  void DropKernelState() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  STATE_SAVABLE(FuseState);
  FuseState() = default;
  absl::Status AfterLoad(state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;

  RefPtr<NodeTable> nodes_ STATE(wait);      // immutable
  RefPtr<HandleTable> handles_ STATE(wait);  // immutable

  mutable absl::Mutex mu_ STATE(nosave);
  Negotiated negotiated_ ABSL_GUARDED_BY(mu_);

  std::atomic<bool> initialized_ STATE(nosave){false};  // negotiated_.done()
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_FUSE_STATE_H_
