// SPDX-License-Identifier: Apache-2.0
//
// data_reader.h: the chunks that another process has described (data_writer.h).

#ifndef STASIS_RESTORE_INTERNAL_DATA_READER_H_
#define STASIS_RESTORE_INTERNAL_DATA_READER_H_

#include <absl/status/status.h>

#include <cstdint>
#include <string>
#include <vector>

#include "restore/fork.capnp.h"
#include "restore/image/pack_reader.h"
#include "state/chunk.h"

namespace stasis::restore {

struct DataReader {
  // What chunks are read from, in the order of their numbers.
  using Sources = std::vector<RefPtr<state::ChunkSource>>;

  // What is read from images is leased in the name `lease`.
  DataReader(image::PackReaderOptions options, std::string lease)
      : packs(std::move(options)), lease_name(std::move(lease)) {}

  // A null memory is this process's own, taken over (ChunkMemory::Adopt).
  // Errors: those of a layout that cannot be read; kDataLoss if what was offered is not whole.
  absl::Status Read(int fd, const Sources& memories);

  const image::PackReaderOptions packs;
  const std::string lease_name;
  std::vector<RefPtr<state::Chunk>> chunks;  // the graph's
  std::vector<std::vector<RefPtr<const state::Chunk>>> lent;
  uint64_t bytes = 0;

 private:
  absl::Status ReadParts(wire::ForkData::Reader data, const Sources& sources);
  absl::Status ReadLent(wire::ForkData::Reader data);
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_INTERNAL_DATA_READER_H_
