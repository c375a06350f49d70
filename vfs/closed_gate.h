// SPDX-License-Identifier: Apache-2.0
//
// closed_gate.h: a closed operation gate.

#ifndef STASIS_VFS_CLOSED_GATE_H_
#define STASIS_VFS_CLOSED_GATE_H_

#include "state/graph_writer.h"
#include "vfs/operation_gate.h"

namespace stasis::vfs {

// The gate is closed for as long as this lives. Requires: as OperationGate::Close.
class ClosedGate final : public state::Quiescence {
 public:
  explicit ClosedGate(OperationGate& gate) : gate_(gate) { gate_.Close(); }
  ~ClosedGate() override { gate_.Open(); }
  ClosedGate(const ClosedGate&) = delete;
  ClosedGate& operator=(const ClosedGate&) = delete;

  bool Quiesced() const override { return gate_.closed(); }

 private:
  OperationGate& gate_;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_CLOSED_GATE_H_
