// SPDX-License-Identifier: Apache-2.0
//
// state_point.h: the state of one moment, turned into rows while the filesystem is in use.
//
// Take() closes the gate, lets every filesystem prepare, freezes the chunks, and forks: the child
// has the state of that moment, whatever happens in this process from then on. It builds the rows
// and hands them over in shared memory; Finish() waits for that. So the gate is closed for as long
// as a fork takes, which copies the page tables of everything but file data (decision 0008).

#ifndef STASIS_RESTORE_STATE_POINT_H_
#define STASIS_RESTORE_STATE_POINT_H_

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "restore/rows.h"
#include "state/base/unique_fd.h"
#include "state/chunk.h"
#include "state/graph_writer.h"
#include "state/registry.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::restore {

// For one thread, whose end is also the child's. There may be several, of one filesystem, too.
class StatePoint {
 public:
  // Requires: as SaveRows. If no process can be made, the rows are built at once, in the pause.
  // `at_point`, if any, is called at the moment itself, with the gate closed.
  // Errors: of PrepareSave; of `at_point`; of GraphWriter if the rows are built at once. The gate
  // is open again in any case.
  static absl::StatusOr<std::unique_ptr<StatePoint>> Take(
      vfs::VirtualFilesystem& vfs, const state::Registry& registry,
      const std::vector<ExtraRoot>& roots = {},
      const std::function<absl::Status()>& at_point = nullptr);
  // Ends the child.
  ~StatePoint();
  StatePoint(const StatePoint&) = delete;
  StatePoint& operator=(const StatePoint&) = delete;

  // Of what the pause consisted; `rows_ns` is the fork.
  const RowsTimes& times() const { return times_; }
  // Why the rows were built in the pause; empty if they were not.
  const std::string& warning() const { return warning_; }

  // Waits for the rows, but not for the child's end, which takes a while. Called once.
  // Errors: of GraphWriter; kCancelled; kInternal if the child died or stands still.
  absl::StatusOr<state::SavedGraph> Finish(const std::atomic<bool>* cancel = nullptr);

 private:
  StatePoint() = default;

  absl::Status Split(const vfs::VirtualFilesystem& vfs, const state::Registry& registry,
                     const std::vector<ExtraRoot>& roots, const state::Quiescence& gate);
  absl::Status MakeChannels();
  [[noreturn]] void RunChild(const vfs::VirtualFilesystem& vfs, const state::Registry& registry,
                             const std::vector<ExtraRoot>& roots) noexcept;
  absl::Status WaitForChild(const std::atomic<bool>* cancel);
  absl::Status Reap();
  void EndChild();

  struct Progress;
  struct Unmap {
    void operator()(Progress* progress) const;
  };

  RowsTimes times_;
  std::string warning_;
  std::optional<absl::StatusOr<state::SavedGraph>> built_;  // without a child
  std::unique_ptr<state::ChunkFreeze> freeze_;
  UniqueFd rows_;                              // what the child writes
  UniqueFd sent_;                              // an eventfd: readable when that is whole
  std::unique_ptr<Progress, Unmap> progress_;  // shared with the child
  pid_t child_ = -1;
  UniqueFd child_fd_;  // readable when it has ended
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_STATE_POINT_H_
