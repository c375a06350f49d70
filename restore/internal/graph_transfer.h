// SPDX-License-Identifier: Apache-2.0
//
// graph_transfer.h: a SavedGraph from one process to the one that it was forked from.
//
// The file has a header, the names and sizes of everything, the messages, and the addresses of the
// chunks, which are the same in both processes. It never leaves them, so it has no versions.

#ifndef STASIS_RESTORE_INTERNAL_GRAPH_TRANSFER_H_
#define STASIS_RESTORE_INTERNAL_GRAPH_TRANSFER_H_

#include <absl/status/statusor.h>

#include "state/chunk.h"
#include "state/saved_graph.h"

namespace stasis::restore {

// Writes the graph, or why there is none, to the empty file `fd`.
absl::Status SendGraph(int fd, const absl::StatusOr<state::SavedGraph>& graph);

// The graph, or the error, that was written. Its messages are the file's pages, mapped. A reference
// is taken to each chunk; `freeze` is that of the moment of the fork.
// Errors: the error that was sent; kInternal if the file is not whole.
absl::StatusOr<state::SavedGraph> ReceiveGraph(int fd, state::ChunkFreeze& freeze);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_INTERNAL_GRAPH_TRANSFER_H_
