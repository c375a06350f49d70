// SPDX-License-Identifier: Apache-2.0
//
// graph_transfer.h: a SavedGraph from one process to another of the same host and version.
//
// The file has a header, the names and sizes of everything, the messages, and the addresses of the
// chunks, which mean something to the process that the sender was forked from. It is never stored,
// so it has no versions.

#ifndef STASIS_RESTORE_INTERNAL_GRAPH_TRANSFER_H_
#define STASIS_RESTORE_INTERNAL_GRAPH_TRANSFER_H_

#include <absl/status/statusor.h>

#include "state/chunk.h"
#include "state/saved_graph.h"

namespace stasis::restore {

// Writes the graph, or why there is none, to the empty file `fd`.
absl::Status SendGraph(int fd, const state::SavedGraph& graph);
absl::Status SendError(int fd, const absl::Status& error);

// The graph, or the error, that was written. Its messages are the file's pages, mapped. A reference
// is taken to each chunk; `freeze` is that of the moment of the fork.
// Errors: the error that was sent; kInternal if the file is not whole.
absl::StatusOr<state::SavedGraph> ReceiveGraph(int fd, state::ChunkFreeze& freeze);

// The same without the chunks, for whoever learns of them elsewhere.
// Errors: kInternal if the file is not whole.
absl::StatusOr<state::SavedGraph> ReceiveTables(int fd);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_INTERNAL_GRAPH_TRANSFER_H_
