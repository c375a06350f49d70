// SPDX-License-Identifier: Apache-2.0
//
// handover.h: a live filesystem, given to another process of this host that goes on in the place of
// the one that has it.
//
//   auto rows = SaveRows(vfs, registry, roots);               // or StatePoint, while it is in use
//   Parcel parcel;
//   auto packed = PackState(rows->graph, CleanChunks::kInMemory, offers, parcel);
//   ... parcel goes to the other process ...
//   auto state = UnpackState(parcel, memory, packs, name);    // there
//   auto restored = RestoreFork(std::move(state->forked), request);
//
// The other process has the same ChunkMemory then, as its own: no data is copied, and nothing of
// it is written to until the two have agreed who goes on (ChunkMemory::EndAdoption).

#ifndef STASIS_RESTORE_HANDOVER_H_
#define STASIS_RESTORE_HANDOVER_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "restore/fork.h"
#include "state/base/unique_fd.h"
#include "state/chunk_memory.h"
#include "state/saved_graph.h"

namespace stasis::restore {

// A description, and descriptors that it refers to by their numbers in `fds`.
struct Parcel {
  nlohmann::json json = nlohmann::json::object();
  std::vector<UniqueFd> fds;

  // Its number.
  int Add(UniqueFd fd);
  // Of a copy of it; -1 for -1. Errors: no descriptor is left.
  absl::StatusOr<int> AddCopy(int fd);
  // Takes one out. Errors: kDataLoss if there is none of that number.
  absl::StatusOr<UniqueFd> Take(int number);
};

// Where the other process is to have data from that is stored in images, too.
enum class CleanChunks { kInMemory, kWhereStored };

// What was packed stays where it is in memory until this goes: chunks are not dropped.
class PackedState {
 public:
  ~PackedState();
  PackedState(const PackedState&) = delete;
  PackedState& operator=(const PackedState&) = delete;

 private:
  friend absl::StatusOr<std::unique_ptr<PackedState>> PackState(
      const state::SavedGraph&, CleanChunks, const std::vector<const ForkOffer*>&, Parcel&);
  PackedState() = default;

  std::vector<RefPtr<const state::Chunk>> pinned_;
  std::vector<RefPtr<state::ChunkSource>> sources_;
};

// Adds to the parcel, as "state":
//   rows, data   the graph (internal/graph_transfer.h), and where its chunks are (fork.capnp)
//   memories     [{memory, token}]: this process's ChunkMemory, and those that it reads
//   lent         descriptors that hang up when forks that read the former have ended
//   reserved     [first, end): see ChunkMemory::Adopt. Whoever lives on adds it
// Errors: those of the system.
absl::StatusOr<std::unique_ptr<PackedState>> PackState(const state::SavedGraph& graph,
                                                       CleanChunks clean,
                                                       const std::vector<const ForkOffer*>& offers,
                                                       Parcel& parcel);

struct UnpackedState {
  std::unique_ptr<ForkedState> forked;
  std::vector<std::unique_ptr<ForkOffer>> offers;
};
// Makes the ChunkMemory of this process out of the other's, with `memory` for its options. What is
// read from images is leased in the name `lease_name`. Takes descriptors out of the parcel.
// Errors: kDataLoss if it is not whole; kFailedPrecondition if this process has file data already;
// those of layouts and of the system.
absl::StatusOr<UnpackedState> UnpackState(Parcel& parcel, const state::ChunkMemoryOptions& memory,
                                          const image::PackReaderOptions& packs,
                                          const std::string& lease_name);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_HANDOVER_H_
