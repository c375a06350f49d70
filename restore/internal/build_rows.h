// SPDX-License-Identifier: Apache-2.0
//
// build_rows.h: what taking the state of a moment consists of, wherever it is turned into rows.

#ifndef STASIS_RESTORE_INTERNAL_BUILD_ROWS_H_
#define STASIS_RESTORE_INTERNAL_BUILD_ROWS_H_

#include <absl/status/statusor.h>

#include <vector>

#include "restore/internal/stopwatch.h"
#include "restore/rows.h"
#include "state/graph_writer.h"
#include "vfs/operation_gate.h"

namespace stasis::restore {

// The gate, closed for as long as this lives.
class ClosedGate final : public state::Quiescence {
 public:
  explicit ClosedGate(vfs::OperationGate& gate) : gate_(gate) { gate_.Close(); }
  ~ClosedGate() override { gate_.Open(); }
  ClosedGate(const ClosedGate&) = delete;
  ClosedGate& operator=(const ClosedGate&) = delete;

  bool Quiesced() const override { return gate_.closed(); }

 private:
  vfs::OperationGate& gate_;
};

// BeforeResume for every way out, also if PrepareSave failed half-way.
class Prepared {
 public:
  Prepared(vfs::VirtualFilesystem& vfs, int64_t& resume_ns) : vfs_(vfs), resume_ns_(resume_ns) {}
  ~Prepared() {
    Stopwatch watch;
    vfs_.BeforeResume();
    resume_ns_ = watch.Total();
  }
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;

 private:
  vfs::VirtualFilesystem& vfs_;
  int64_t& resume_ns_;
};

// Errors: of GraphWriter::Finish.
absl::StatusOr<state::SavedGraph> BuildRows(const vfs::VirtualFilesystem& vfs,
                                            const state::Registry& registry,
                                            const std::vector<ExtraRoot>& roots,
                                            const state::Quiescence& quiescence);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_INTERNAL_BUILD_ROWS_H_
