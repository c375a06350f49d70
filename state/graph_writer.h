// SPDX-License-Identifier: Apache-2.0
//
// graph_writer.h: an object graph into tables.
//
//   GraphWriter writer(registry, gate);
//   writer.AddRoot("vfs", vfs);
//   absl::StatusOr<SavedGraph> saved = writer.Finish();
//
// AddRoot walks everything that the root refers to, breadth first, and numbers it: parents get
// lower rows than children, and everything found from one root lower rows than what only a later
// root leads to. Finish builds the rows. The same state gives the same bytes.
//
// Nothing may change between the first AddRoot and the end of Finish; the Quiescence is asked again
// and again, and the program stopped if it says no: torn state must never reach an image.

#ifndef STASIS_STATE_GRAPH_WRITER_H_
#define STASIS_STATE_GRAPH_WRITER_H_

#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "state/chunk.h"
#include "state/object.h"
#include "state/registry.h"
#include "state/saved_graph.h"

namespace stasis::state {

// Proof that nobody changes saved state at the moment: the closed operation gate.
class Quiescence {
 public:
  virtual ~Quiescence() = default;
  virtual bool Quiesced() const = 0;
};

// For one thread; one save. `registry` and `quiescence` are borrowed.
class GraphWriter {
 public:
  GraphWriter(const Registry& registry, const Quiescence& quiescence);
  ~GraphWriter();
  GraphWriter(const GraphWriter&) = delete;
  GraphWriter& operator=(const GraphWriter&) = delete;

  // Objects of this class are visited after all else that a root leads to, one by one in the order
  // in which they are found, each with what it leads to: what only they lead to gets higher rows.
  // Requires: before the first root.
  void VisitLast(const std::type_info& type);

  // Requires: `name` not used before; `root` not null.
  void AddRoot(std::string_view name, const Object* root);

  // Requires: called once.
  // Errors: Internal if a reachable object's type is not registered, or if a BeforeSave or SaveFoo
  // made references that were not there when their object was visited; ResourceExhausted if one row
  // is larger than a message can be.
  absl::StatusOr<SavedGraph> Finish();

  // --- for generated code and codecs ---

  // Says that the object being visited refers to `object` (may be null).
  void Reach(const Object* object) {
    if (object != nullptr && object->save_epoch_ != epoch_) Number(object);
  }
  void Reach(const Chunk* chunk) {
    if (chunk != nullptr && chunk->save_epoch_ != epoch_) NumberChunk(chunk);
  }

  // The saved form of a reference to an object of a final class: row + 1, 0 for null.
  uint32_t ExactId(const Object* object) const {
    if (object == nullptr) return 0;
    if (object->save_epoch_ != epoch_) [[unlikely]]
      return NoteUnreached(*object);
    return object->save_row_ + 1;
  }
  // That of any other reference: (table + 1) << 32 | row, 0 for null.
  uint64_t AnyId(const Object* object) const {
    if (object == nullptr) return 0;
    if (object->save_epoch_ != epoch_) [[unlikely]]
      return NoteUnreached(*object);
    return (uint64_t{tables_[TableOf(*object)].image_index + 1} << 32) | object->save_row_;
  }
  // That of a chunk: index + 1, 0 for null (a hole).
  uint32_t ChunkId(const Chunk* chunk) const {
    if (chunk == nullptr) return 0;
    if (chunk->save_epoch_ != epoch_) [[unlikely]]
      return NoteUnreachedChunk();
    return chunk->save_index_ + 1;
  }

 private:
  struct Table {
    const TypeDescriptor* type;
    std::vector<Object*> objects;
    uint32_t image_index = 0;  // among the saved tables, sorted by name
    bool visit_last = false;
  };
  struct Pending {
    Object* object;
    uint32_t table;
  };
  struct CachedType {
    const std::type_info* type = nullptr;
    uint32_t table = 0;
  };
  struct Scratch;

  static constexpr uint32_t kUnknownTable = ~uint32_t{0};

  uint32_t TableOf(const Object& object) const {
    const std::type_info* type = &typeid(object);
    const CachedType& cached = CacheSlot(type);
    return cached.type == type ? cached.table : FindTable(type);
  }
  CachedType& CacheSlot(const std::type_info* type) const {
    return type_cache_[(reinterpret_cast<uintptr_t>(type) >> 4) % type_cache_.size()];
  }
  uint32_t FindTable(const std::type_info* type) const;

  void Number(const Object* object);
  void NumberChunk(const Chunk* chunk);
  void Walk();
  void CheckQuiesced() const;
  std::vector<uint32_t> OrderTables();
  absl::Status SaveTable(const Table& table, SavedTable& out);
  bool SaveMessage(const Table& table, std::span<Object* const> objects, SavedTable& out);

  uint32_t NoteUnreached(const Object& object) const;
  uint32_t NoteUnreachedChunk() const;

  const Registry& registry_;
  const Quiescence& quiescence_;
  const uint32_t epoch_;
  std::vector<Table> tables_;  // one for each registered type
  std::vector<Pending> queue_;
  std::deque<Pending> last_;  // what is to be visited when queue_ is empty
  SavedGraph saved_;
  mutable std::array<CachedType, 64> type_cache_;
  mutable absl::Status status_;  // the first thing that went wrong
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace stasis::state

#endif  // STASIS_STATE_GRAPH_WRITER_H_
