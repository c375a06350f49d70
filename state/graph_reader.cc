// SPDX-License-Identifier: Apache-2.0

#include "state/graph_reader.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <span>

#include "state/check.h"
#include "state/load_batch.h"
#include "state/load_order.h"
#include "state/table.capnp.h"

namespace stasis::state {
namespace {

absl::string_view Absl(std::string_view s) { return {s.data(), s.size()}; }

// Runs `f`, which reads a message; Cap'n Proto's exceptions go no further.
template <typename F>
absl::Status Guarded(const SavedTable& table, uint64_t first_row, const F& f) {
  try {
    return f();
  } catch (const kj::Exception& e) {
    return CorruptError(absl::StrCat("table ", table.type, " rows from ", first_row,
                                     ": malformed message: ", e.getDescription().cStr()));
  }
}

// Pointers deep, which no message of ours is.
constexpr int kNestingLimit = 8;

capnp::ReaderOptions OptionsFor(const kj::Array<capnp::word>& message) {
  capnp::ReaderOptions options;
  // Every word once, and once more for the checks; a message that reads its words again and again
  // by overlapping pointers is refused.
  options.traversalLimitInWords = message.size() * 2 + 64;
  options.nestingLimit = kNestingLimit;
  return options;
}

}  // namespace

// One load. On failure everything made so far is freed by its destructor.
class GraphReader {
 public:
  GraphReader(const Registry& registry, const SavedGraph& saved, ChunkTable& chunks,
              const LoadOptions& options)
      : context_(registry, saved, chunks, options), epoch_(NextEpoch()) {}
  ~GraphReader() { Abandon(); }

  absl::StatusOr<LoadedGraph> Load() {
    if (absl::Status s = OpenTables(); !s.ok()) return s;
    if (absl::Status s = Allocate(); !s.ok()) return s;
    if (absl::Status s = Fill(&LevelDescriptor::load); !s.ok()) return s;
    if (absl::Status s = Fill(&LevelDescriptor::load_manual); !s.ok()) return s;
    if (absl::Status s = RunAfterLoad(); !s.ok()) return s;
    if (absl::Status s = FindRoots(); !s.ok()) return s;
    if (absl::Status s = CheckBorrowed(); !s.ok()) return s;
    return TakeGraph();
  }

 private:
  using LoadPart = absl::Status (*LevelDescriptor::*)(LoadBatch&, capnp::AnyPointer::Reader);

  absl::Status OpenTables();
  absl::Status OpenTable(const SavedTable& saved);
  absl::Status Allocate();
  absl::Status Fill(LoadPart part);
  absl::Status FillMessage(const LoadTable& table, const kj::Array<capnp::word>& message,
                           uint32_t& first_row, LoadPart part);
  absl::Status RunAfterLoad();
  absl::Status AfterLoadFrom(Object& start);
  absl::Status FindRoots();
  absl::Status CheckBorrowed();
  LoadedGraph TakeGraph();
  void Abandon();

  LoadTable& TableOf(const Object& object) {
    const TypeDescriptor* type = context_.registry_.Find(typeid(object));
    return *context_.FindTable(*type);
  }

  LoadContext context_;
  const uint32_t epoch_;
  std::vector<LoadedGraph::NamedRoot> roots_;
};

absl::Status GraphReader::OpenTables() {
  const std::string* last = nullptr;
  for (const SavedTable& saved : context_.saved_.tables) {
    if (last != nullptr && saved.type <= *last)
      return CorruptError(absl::StrCat("table ", saved.type, " is out of order"));
    last = &saved.type;
    if (absl::Status s = OpenTable(saved); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status GraphReader::OpenTable(const SavedTable& saved) {
  const TypeDescriptor* type = context_.registry_.Find(saved.type);
  if (type == nullptr)
    return NewerError(absl::StrCat("table ", saved.type, ": this version does not know the type"));
  uint64_t rows = 0;
  for (const auto& words : saved.messages) {
    uint32_t n = 0;
    absl::Status s = Guarded(saved, rows, [&] {
      capnp::FlatArrayMessageReader reader(words, OptionsFor(words));
      n = reader.getRoot<schema::TableMessage>().getRowCount();
      return absl::OkStatus();
    });
    if (!s.ok()) return s;
    // A row takes at least a word; Begin() sees to it that these are really there.
    if (n == 0 || n > kRowsPerMessage || n > words.size())
      return CorruptError(absl::StrCat("table ", saved.type, " message from row ", rows, ": ", n,
                                       " rows in ", words.size(), " words"));
    rows += n;
  }
  if (rows != saved.row_count || rows > std::numeric_limits<uint32_t>::max() - 1)
    return CorruptError(absl::StrCat("table ", saved.type, ": ", saved.row_count,
                                     " rows promised, ", rows, " found"));
  LoadTable table;
  table.type = type;
  table.saved = &saved;
  context_.tables_.push_back(std::move(table));
  return absl::OkStatus();
}

absl::Status GraphReader::Allocate() {
  for (LoadTable& table : context_.tables_) {
    const auto rows = static_cast<uint32_t>(table.saved->row_count);
    table.objects.reserve(rows);
    table.borrowed.resize(rows);
    for (uint32_t row = 0; row < rows; ++row) {
      Object* object = table.type->create();
      object->save_epoch_ = epoch_;
      object->save_row_ = row;
      table.objects.push_back(object);
    }
  }
  return absl::OkStatus();
}

absl::Status GraphReader::Fill(LoadPart part) {
  for (const LoadTable& table : context_.tables_) {
    const bool needed =
        std::any_of(table.type->levels.begin(), table.type->levels.end(),
                    [part](const LevelDescriptor* level) { return level->*part != nullptr; });
    if (!needed) continue;
    uint32_t first_row = 0;
    for (const auto& message : table.saved->messages) {
      absl::Status s = Guarded(*table.saved, first_row,
                               [&] { return FillMessage(table, message, first_row, part); });
      if (!s.ok()) return s;
    }
  }
  return absl::OkStatus();
}

absl::Status GraphReader::FillMessage(const LoadTable& table, const kj::Array<capnp::word>& message,
                                      uint32_t& first_row, LoadPart part) {
  capnp::FlatArrayMessageReader reader(message, OptionsFor(message));
  auto root = reader.getRoot<schema::TableMessage>();
  const uint32_t n = root.getRowCount();
  auto parts = root.getParts();
  const auto levels = table.type->levels;
  if (parts.size() != levels.size())
    return CorruptError(absl::StrCat("table ", table.saved->type, " rows from ", first_row, ": ",
                                     parts.size(), " parts instead of ", levels.size()));
  const std::span<Object* const> objects(table.objects.data() + first_row, n);
  LoadBatch batch(context_, table, first_row, objects);
  for (uint32_t i = 0; i < levels.size(); ++i) {
    if (levels[i]->*part == nullptr) continue;
    absl::Status s = (levels[i]->*part)(batch, parts[i].getColumns());
    if (!s.ok()) return s;
  }
  first_row += n;
  return absl::OkStatus();
}

absl::Status GraphReader::RunAfterLoad() {
  std::vector<const TypeDescriptor*> types;
  for (LoadTable& table : context_.tables_) {
    types.push_back(table.type);
    table.after.assign(table.objects.size(), 0);
  }
  for (const size_t index : LoadOrder(types)) {
    const LoadTable& table = context_.tables_[index];
    const TypeDescriptor& type = *table.type;
    if (type.after_load == nullptr && type.waits == nullptr) continue;
    for (Object* object : table.objects) {
      absl::Status s =
          type.waits == nullptr ? type.after_load(*object, context_) : AfterLoadFrom(*object);
      if (!s.ok()) return s;
    }
  }
  return absl::OkStatus();
}

// Runs AfterLoad of `start` and, before, of what it waits for and has not had it. Depth first, by a
// stack of our own: a chain may be as long as the image is large.
absl::Status GraphReader::AfterLoadFrom(Object& start) {
  enum : uint8_t { kNotYet, kWaiting, kDone };
  std::vector<Object*> stack = {&start};
  WaitList waits;
  while (!stack.empty()) {
    Object& object = *stack.back();
    LoadTable& table = TableOf(object);
    uint8_t& state = table.after[object.save_row_];
    if (state == kNotYet && table.type->waits != nullptr) {
      state = kWaiting;
      waits.objects().clear();
      table.type->waits(object, waits);
      for (const Object* other : waits.objects()) {
        if (other == &object) continue;  // the root of a tree may be its own parent
        LoadTable& other_table = TableOf(*other);
        if (other_table.type->waits == nullptr) continue;  // its type came before
        const uint8_t other_state = other_table.after[other->save_row_];
        if (other_state == kWaiting)
          return CorruptError(absl::StrCat("table ", table.saved->type, " row ", object.save_row_,
                                           ": waits for itself"));
        if (other_state == kNotYet) stack.push_back(const_cast<Object*>(other));
      }
      if (stack.back() != &object) continue;
    }
    stack.pop_back();
    if (state == kDone) continue;
    state = kDone;
    if (table.type->after_load == nullptr) continue;
    absl::Status s = table.type->after_load(object, context_);
    if (!s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status GraphReader::FindRoots() {
  for (const SavedRoot& saved : context_.saved_.roots) {
    for (const auto& other : roots_)
      if (other.name == saved.name)
        return CorruptError(absl::StrCat("root ", saved.name, " appears twice"));
    const TypeDescriptor* type = context_.registry_.Find(saved.type);
    LoadTable* table = type == nullptr ? nullptr : context_.FindTable(*type);
    if (table == nullptr || saved.row >= table->objects.size())
      return CorruptError(absl::StrCat("root ", saved.name, ": row ", saved.row, " of table ",
                                       saved.type, " does not exist"));
    roots_.push_back({saved.name, table->objects[saved.row]});
  }
  return absl::OkStatus();
}

// A plain pointer does not keep its object alive: something else has to.
absl::Status GraphReader::CheckBorrowed() {
  for (const LoadTable& table : context_.tables_) {
    for (size_t row = 0; row < table.objects.size(); ++row) {
      const Object* object = table.objects[row];
      if (!table.borrowed[row] || object->RefsRacy() > 1) continue;
      const bool is_root = std::any_of(roots_.begin(), roots_.end(),
                                       [object](const auto& r) { return r.object == object; });
      if (!is_root)
        return CorruptError(absl::StrCat("table ", Absl(table.type->name), " row ", row,
                                         ": is pointed to, but nothing holds it"));
    }
  }
  return absl::OkStatus();
}

LoadedGraph GraphReader::TakeGraph() {
  LoadedGraph graph;
  size_t count = 0;
  for (const LoadTable& table : context_.tables_) count += table.objects.size();
  graph.objects_.reserve(count);
  for (LoadTable& table : context_.tables_) {
    graph.objects_.insert(graph.objects_.end(), table.objects.begin(), table.objects.end());
    graph.stretches_.push_back({table.type, graph.objects_.size()});
  }
  graph.roots_ = std::move(roots_);
  context_.tables_.clear();
  return graph;
}

void GraphReader::Abandon() {
  // First no object refers to another any more, then each loses its last reference.
  for (const LoadTable& table : context_.tables_)
    for (Object* object : table.objects) table.type->clear_references(*object);
  for (const LoadTable& table : context_.tables_)
    for (Object* object : table.objects) object->Unref();
  context_.tables_.clear();
}

LoadedGraph& LoadedGraph::operator=(LoadedGraph&& other) {
  Release();
  objects_ = std::move(other.objects_);
  stretches_ = std::move(other.stretches_);
  roots_ = std::move(other.roots_);
  other.objects_.clear();
  return *this;
}

const LoadedGraph::NamedRoot* LoadedGraph::FindRoot(std::string_view name) const {
  for (const NamedRoot& root : roots_)
    if (root.name == name) return &root;
  return nullptr;
}

void LoadedGraph::Discard() {
  size_t i = 0;
  for (const Stretch& stretch : stretches_)
    for (; i < stretch.end; ++i) stretch.type->clear_references(*objects_[i]);
  Release();
}

void LoadedGraph::Release() {
  for (Object* object : objects_) object->Unref();
  objects_.clear();
  stretches_.clear();
  roots_.clear();
}

absl::StatusOr<LoadedGraph> LoadGraph(const Registry& registry, const SavedGraph& saved,
                                      ChunkTable& chunks, const LoadOptions& options) {
  return GraphReader(registry, saved, chunks, options).Load();
}

}  // namespace stasis::state
