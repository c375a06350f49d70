// SPDX-License-Identifier: Apache-2.0

#include "state/graph_writer.h"

#include <absl/strings/str_cat.h>
#include <capnp/message.h>
#include <kj/exception.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "state/check.h"
#include "state/save_batch.h"
#include "state/table.capnp.h"

namespace stasis::state {
namespace {

// A message of one segment, built in memory that is used again for the next one.
class OneSegmentBuilder final : public capnp::MessageBuilder {
 public:
  // `space` is zeroed and stays so: Wipe() cleans what was used.
  explicit OneSegmentBuilder(kj::ArrayPtr<capnp::word> space) : space_(space) {}

  kj::ArrayPtr<capnp::word> allocateSegment(capnp::uint minimum) override {
    if (!given_ && minimum <= space_.size()) {
      given_ = true;
      return space_;
    }
    spilled_ += minimum;
    return extra_.add(Zeros(minimum)).asPtr();
  }

  // Words that did not fit; the message is useless then.
  size_t spilled() const { return spilled_; }

 private:
  static kj::Array<capnp::word> Zeros(size_t size) {
    auto array = kj::heapArray<capnp::word>(size);
    std::memset(array.begin(), 0, size * sizeof(capnp::word));
    return array;
  }

  kj::ArrayPtr<capnp::word> space_;
  bool given_ = false;
  size_t spilled_ = 0;
  kj::Vector<kj::Array<capnp::word>> extra_;
};

constexpr size_t kInitialWords = size_t{1} << 17;  // 1 MiB
constexpr size_t kMaxWords = size_t{1} << 29;      // a Cap'n Proto segment

}  // namespace

struct GraphWriter::Scratch {
  explicit Scratch(const GraphWriter& graph) : batch(graph) {}

  void Reserve(size_t words) {
    if (words <= space.size()) return;
    space = kj::heapArray<capnp::word>(words);
    std::memset(space.begin(), 0, words * sizeof(capnp::word));
  }

  SaveBatch batch;
  kj::Array<capnp::word> space;  // all zeros between messages
};

GraphWriter::GraphWriter(const Registry& registry, const Quiescence& quiescence)
    : registry_(registry),
      quiescence_(quiescence),
      epoch_(NextEpoch()),
      scratch_(std::make_unique<Scratch>(*this)) {
  tables_.reserve(registry.types().size());
  for (const TypeDescriptor* type : registry.types()) tables_.push_back({type, {}});
}

GraphWriter::~GraphWriter() = default;

void GraphWriter::CheckQuiesced() const {
  Require(quiescence_.Quiesced(), "state is saved only while nothing can change it");
}

void GraphWriter::VisitLast(const std::type_info& type) {
  const uint32_t table = FindTable(&type);
  if (table != kUnknownTable) tables_[table].visit_last = true;
}

void GraphWriter::AddRoot(std::string_view name, const Object* root) {
  CheckQuiesced();
  Require(root != nullptr, "a root is an object");
  for (const SavedRoot& other : saved_.roots)
    Require(other.name != name, "a root's name is unique");
  Reach(root);
  Walk();
  const uint32_t table = TableOf(*root);
  if (table == kUnknownTable) return;  // Finish reports it
  saved_.roots.push_back(
      {std::string(name), std::string(tables_[table].type->name), root->save_row_});
}

uint32_t GraphWriter::FindTable(const std::type_info* type) const {
  const TypeDescriptor* descriptor = registry_.Find(*type);
  for (uint32_t i = 0; i < tables_.size(); ++i) {
    if (tables_[i].type != descriptor) continue;
    CacheSlot(type) = {type, i};
    return i;
  }
  return kUnknownTable;
}

void GraphWriter::Number(const Object* object) {
  const uint32_t table = TableOf(*object);
  if (table == kUnknownTable) {
    if (status_.ok())
      status_ = absl::InternalError(
          absl::StrCat("an object of type ", typeid(*object).name(), " cannot be saved"));
    return;
  }
  // The caller gave read access, but BeforeSave may bring fields up to date.
  auto* mutable_object = const_cast<Object*>(object);
  object->save_epoch_ = epoch_;
  object->save_row_ = static_cast<uint32_t>(tables_[table].objects.size());
  tables_[table].objects.push_back(mutable_object);
  const Pending pending{mutable_object, table};
  if (tables_[table].visit_last) [[unlikely]]
    last_.push_back(pending);
  else
    queue_.push_back(pending);
}

void GraphWriter::NumberChunk(const Chunk* chunk) {
  chunk->save_epoch_ = epoch_;
  chunk->save_index_ = static_cast<uint32_t>(saved_.chunks.size());
  saved_.chunks.emplace_back(chunk);
}

void GraphWriter::Walk() {
  for (;;) {
    for (size_t head = 0; head < queue_.size(); ++head) {
      const Pending pending = queue_[head];
      tables_[pending.table].type->visit(*this, *pending.object);
    }
    queue_.clear();
    if (last_.empty()) return;
    queue_.push_back(last_.front());
    last_.pop_front();
  }
}

std::vector<uint32_t> GraphWriter::OrderTables() {
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < tables_.size(); ++i)
    if (!tables_[i].objects.empty()) order.push_back(i);
  std::sort(order.begin(), order.end(), [this](uint32_t a, uint32_t b) {
    return tables_[a].type->name < tables_[b].type->name;
  });
  for (uint32_t i = 0; i < order.size(); ++i) tables_[order[i]].image_index = i;
  return order;
}

absl::StatusOr<SavedGraph> GraphWriter::Finish() {
  queue_ = {};
  if (!status_.ok()) return status_;
  try {
    for (uint32_t i : OrderTables()) {
      const Table& table = tables_[i];
      SavedTable out;
      out.type = std::string(table.type->name);
      out.row_count = table.objects.size();
      if (absl::Status saved = SaveTable(table, out); !saved.ok()) return saved;
      saved_.tables.push_back(std::move(out));
    }
  } catch (const kj::Exception& e) {
    return absl::InternalError(absl::StrCat("Cap'n Proto: ", e.getDescription().cStr()));
  }
  if (!status_.ok()) return status_;
  CheckQuiesced();
  return std::move(saved_);
}

absl::Status GraphWriter::SaveTable(const Table& table, SavedTable& out) {
  std::span<Object* const> rest(table.objects);
  size_t limit = kRowsPerMessage;
  while (!rest.empty()) {
    CheckQuiesced();
    const size_t n = std::min(limit, rest.size());
    if (SaveMessage(table, rest.first(n), out)) {
      rest = rest.subspan(n);
      limit = kRowsPerMessage;
    } else if (n == 1) {
      return absl::ResourceExhaustedError(absl::StrCat("table ", std::string(table.type->name),
                                                       " row ", table.objects.size() - rest.size(),
                                                       ": larger than a message can be"));
    } else {
      limit = n / 2;
    }
  }
  return absl::OkStatus();
}

// False if the objects' content is too large for one message.
bool GraphWriter::SaveMessage(const Table& table, std::span<Object* const> objects,
                              SavedTable& out) {
  scratch_->Reserve(kInitialWords);
  SaveBatch& batch = scratch_->batch;
  batch.SetObjects(objects);
  for (;;) {
    OneSegmentBuilder builder(scratch_->space);
    auto message = builder.initRoot<schema::TableMessage>();
    message.setRowCount(static_cast<uint32_t>(objects.size()));
    auto parts = message.initParts(static_cast<uint32_t>(table.type->levels.size()));
    batch.ResetTooLarge();
    for (uint32_t i = 0; i < parts.size(); ++i)
      table.type->levels[i]->save(batch, parts[i].getColumns());

    auto segment = builder.getSegmentsForOutput()[0];
    const size_t needed = segment.size() + builder.spilled();
    const bool fits = builder.spilled() == 0 && !batch.too_large();
    if (fits) {
      // The standard framing of a message with one segment: their number less one, and its size.
      auto flat = kj::heapArray<capnp::word>(segment.size() + 1);
      const uint32_t header[2] = {0, static_cast<uint32_t>(segment.size())};
      std::memcpy(flat.begin(), header, sizeof(header));
      std::memcpy(flat.begin() + 1, segment.begin(), segment.size() * sizeof(capnp::word));
      out.messages.push_back(std::move(flat));
    }
    std::memset(scratch_->space.begin(), 0, segment.size() * sizeof(capnp::word));
    if (fits) return true;
    if (batch.too_large() || scratch_->space.size() >= kMaxWords) return false;
    // Once or twice per save: the next message will be about as large.
    scratch_->Reserve(std::min(kMaxWords, needed * 2));
  }
}

uint32_t GraphWriter::NoteUnreached(const Object& object) const {
  if (status_.ok())
    status_ = absl::InternalError(absl::StrCat("a reference to a ", typeid(object).name(),
                                               " appeared after its holder was visited"));
  return 0;
}

uint32_t GraphWriter::NoteUnreachedChunk() const {
  if (status_.ok()) status_ = absl::InternalError("a chunk appeared after its holder was visited");
  return 0;
}

}  // namespace stasis::state
