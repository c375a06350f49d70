// SPDX-License-Identifier: Apache-2.0
//
// data_writer.h: where the chunks of a graph are, for another process of this host (fork.capnp).

#ifndef STASIS_RESTORE_INTERNAL_DATA_WRITER_H_
#define STASIS_RESTORE_INTERNAL_DATA_WRITER_H_

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "restore/fork.capnp.h"
#include "restore/fork.h"
#include "restore/image/pack_reader.h"
#include "state/chunk.h"
#include "state/chunk_memory_view.h"
#include "state/saved_graph.h"

namespace stasis::restore {

// A nameless file in memory.
absl::StatusOr<UniqueFd> NewMemoryFile(const char* name);

// Chunks that another process reads where they are.
using LentChunks = std::vector<RefPtr<const state::Chunk>>;

// One time. Keeps what it has found until that is taken.
class DataWriter {
 public:
  // Which slots of this process's memory the other one is to have.
  enum class Slots {
    kRead,   // it reads what is only there
    kDirty,  // the same, and they will be its own
    kAll,    // those of copies of stored data, too
  };
  explicit DataWriter(Slots slots = Slots::kRead);
  ~DataWriter();
  DataWriter(const DataWriter&) = delete;
  DataWriter& operator=(const DataWriter&) = delete;

  // Writes where the chunks of a graph are to the empty file `fd`, and those of `lent`, which other
  // processes read. Pins what is in this process's own memory: what a checkpoint makes clean must
  // not leave it.
  absl::Status Write(std::span<const RefPtr<const state::Chunk>> chunks, int fd,
                     const std::vector<LentChunks>& lent = {});
  std::vector<RefPtr<const state::Chunk>> TakePinned() { return std::move(pinned_); }
  // Keep open what is offered.
  std::vector<RefPtr<state::ChunkSource>> TakeSources() { return std::move(sources_); }
  // The first one is this process's own; its token is not known here.
  const std::vector<ForkPlaces::Memory>& memories() const { return memories_; }
  uint64_t shared_bytes() const { return shared_bytes_; }

 private:
  // What a row says.
  struct Place {
    bool in_memory = false;
    uint32_t source = 0;  // row of packs_ or memories_
    state::ChunkLocation at;
    state::Chunk::Slot slot;
  };

  absl::StatusOr<Place> PlaceOf(const state::Chunk& chunk);
  absl::StatusOr<Place> PlaceOfOwn(const state::Chunk& chunk);
  uint32_t RowOf(image::PackReader& packs);
  uint32_t RowOf(state::ChunkMemoryView& view);
  absl::StatusOr<std::vector<Place>> PlacesOf(std::span<const RefPtr<const state::Chunk>> chunks);
  void WriteParts(std::span<const RefPtr<const state::Chunk>> chunks,
                  const std::vector<Place>& places, wire::ForkData::Builder data) const;
  static void WritePacks(const image::PackReader& packs, wire::PackSource::Builder out);

  const Slots slots_;

  std::vector<const image::PackReader*> packs_;
  std::vector<ForkPlaces::Memory> memories_;
  absl::flat_hash_map<const state::ChunkSource*, uint32_t> rows_;
  std::vector<RefPtr<const state::Chunk>> pinned_;
  std::vector<RefPtr<state::ChunkSource>> sources_;
  uint64_t shared_bytes_ = 0;
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_INTERNAL_DATA_WRITER_H_
