// SPDX-License-Identifier: Apache-2.0
//
// operation_gate.h: the gate that every operation passes and a checkpoint closes.
//
// An operation is inside while it holds an Operation. That is a read-copy-update section and one
// load, so it costs nothing more than the path walk needs anyway. Close() returns when nobody is
// inside and lets nobody in until Open(): nothing saved in between can be torn.
//
// An operation that may block for long (a lock wait, a FIFO read) leaves the gate while it waits,
// so it must not keep borrowed pointers across the wait. It may wait for mutexes: their holders are
// inside too, or wait for nobody.

#ifndef STASIS_VFS_OPERATION_GATE_H_
#define STASIS_VFS_OPERATION_GATE_H_

#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstdint>

#include "state/base/rcu.h"

namespace stasis::vfs {

// Thread-safe.
class OperationGate {
 public:
  OperationGate() = default;
  OperationGate(const OperationGate&) = delete;
  OperationGate& operator=(const OperationGate&) = delete;

  // Waits for the operations that are inside to leave; those that come wait outside.
  // Of two threads that close, the second waits for the first's Open().
  // Requires: not closed by this thread already, and not called from inside.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);
  void Open() ABSL_LOCKS_EXCLUDED(mu_);
  bool closed() const { return closed_.load(std::memory_order_acquire); }
  // How many operations wait outside.
  uint32_t waiting() const { return waiting_.load(std::memory_order_acquire); }

 private:
  friend class Operation;

  // Waits outside until the gate is open, and enters. Requires: inside one read-side section.
  void LeaveAndReenter() ABSL_LOCKS_EXCLUDED(mu_);

  std::atomic<bool> closed_{false};
  std::atomic<uint32_t> waiting_{0};
  absl::Mutex mu_;
};

// One operation inside the gate. Nests: an operation may call another.
class [[nodiscard]] Operation {
 public:
  explicit Operation(OperationGate& gate) {
    const bool nested = rcu::InReadSection();
    rcu::Lock();
    // Whoever is inside already must not wait: Close() waits for him.
    if (!nested && gate.closed()) [[unlikely]]
      gate.LeaveAndReenter();
  }
  ~Operation() { rcu::Unlock(); }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_OPERATION_GATE_H_
