// SPDX-License-Identifier: Apache-2.0
//
// saved_graph.h: the saved form of an object graph, between the engine and the image.
//
// GraphWriter makes one, LoadGraph reads one; how it is laid out on disk is the image's business
// (restore/image). Messages are flat, single-segment, uncompressed Cap'n Proto messages of type
// state/table.capnp:TableMessage.

#ifndef STASIS_STATE_SAVED_GRAPH_H_
#define STASIS_STATE_SAVED_GRAPH_H_

#include <capnp/common.h>
#include <kj/array.h>

#include <cstdint>
#include <string>
#include <vector>

#include "state/base/ref_ptr.h"
#include "state/chunk.h"

namespace stasis::state {

// Rows of one message at most: bounds what a reader holds at once and is the unit of parallel work.
inline constexpr uint32_t kRowsPerMessage = 16384;

// All objects of one type.
struct SavedTable {
  std::string type;  // such as "vfs.Dentry", as in the lock file
  uint64_t row_count = 0;
  std::vector<kj::Array<capnp::word>>
      messages;  // kRowsPerMessage rows each; the last may have fewer
};

// A named entry point into the graph.
struct SavedRoot {
  std::string name;  // such as "vfs"
  std::string type;
  uint32_t row = 0;
};

struct SavedGraph {
  std::vector<SavedTable> tables;  // sorted by type name
  std::vector<SavedRoot> roots;    // in the order in which they were added
  // The chunks that rows refer to by index, in the order of first reference. The references keep
  // their bytes as they were. Filled by a save only.
  std::vector<RefPtr<const Chunk>> chunks;
};

// Where a load gets the chunks that rows refer to.
class ChunkTable {
 public:
  virtual ~ChunkTable() = default;
  virtual uint32_t size() const = 0;
  // The chunk of that index; the same object for the same index. Requires: index < size().
  virtual RefPtr<Chunk> Get(uint32_t index) = 0;
};

}  // namespace stasis::state

#endif  // STASIS_STATE_SAVED_GRAPH_H_
