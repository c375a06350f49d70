// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/journaled_state.h"

#include <absl/time/time.h>

#include <memory>
#include <utility>

#include "cmd/stasis/daemon/box.h"
#include "cmd/stasis/daemon/host_files.h"
#include "cmd/stasis/daemon/tasks.h"
#include "restore/state_point.h"

namespace stasis::cli {
namespace {

// For replies that are on their way: no program holds them up.
constexpr absl::Duration kReplyTime = absl::Seconds(10);

}  // namespace

absl::StatusOr<JournaledState> TakeJournaledState(Box& box, fuse::Journal& journal, bool begin,
                                                  const std::atomic<bool>* cancel) {
  JournaledState taken;
  sandbox::ServedFilesystems& served = box.sandbox()->served();
  const auto mark = [&]() -> absl::Status {
    const absl::StatusOr<uint64_t> from = journal.Mark(kReplyTime);
    if (!from.ok()) return from.status();
    taken.from = *from;
    auto lent = served.Lend();
    if (!lent.ok()) return lent.status();
    taken.lent = *std::move(lent);
    served.KeepReplies(journal);
    if (begin) served.Record(&journal);
    return absl::OkStatus();
  };
  const restore::CheckpointRequest request = RequestFor(box);
  LookAgain(*request.vfs);
  auto point = restore::StatePoint::Take(*request.vfs, *request.registry, request.roots, mark);
  if (!point.ok()) return point.status();
  taken.times = (*point)->times();
  absl::StatusOr<state::SavedGraph> graph = (*point)->Finish(cancel);
  if (!graph.ok()) return graph.status();
  taken.graph = *std::move(graph);
  return taken;
}

}  // namespace stasis::cli
