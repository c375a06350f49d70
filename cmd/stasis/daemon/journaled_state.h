// SPDX-License-Identifier: Apache-2.0
//
// journaled_state.h: what another daemon needs of a tree whose programs go on: the state of a
// moment, and a journal of what they have done since.

#ifndef STASIS_CMD_STASIS_DAEMON_JOURNALED_STATE_H_
#define STASIS_CMD_STASIS_DAEMON_JOURNALED_STATE_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "cmd/fuse/journal.h"
#include "cmd/sandbox/served_filesystems.h"
#include "restore/rows.h"
#include "state/saved_graph.h"

namespace stasis::cli {

class Box;

struct JournaledState {
  state::SavedGraph graph;
  uint64_t from = 0;         // where its journal begins
  restore::RowsTimes times;  // of the pause
  std::vector<sandbox::ServedFilesystems::Lent> lent;
};

// With `begin`, the servers record in `journal` from that moment on (fuse::Server::Record);
// otherwise they do so already. `cancel` may be null.
// Errors: of StatePoint, Journal::Mark and ServedFilesystems::Lend. The servers may record even so.
absl::StatusOr<JournaledState> TakeJournaledState(Box& box, fuse::Journal& journal, bool begin,
                                                  const std::atomic<bool>* cancel = nullptr);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_JOURNALED_STATE_H_
