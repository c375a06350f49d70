// SPDX-License-Identifier: Apache-2.0

#include "state/load_context.h"

#include <absl/strings/str_cat.h>

#include <typeinfo>

#include "state/error.h"
#include "state/load_batch.h"

namespace stasis::state {
namespace {

absl::string_view Absl(std::string_view s) { return {s.data(), s.size()}; }

}  // namespace

LoadContext::LoadContext(const Registry& registry, const SavedGraph& saved, ChunkTable& chunks,
                         const LoadOptions& options)
    : registry_(registry), saved_(saved), chunks_(chunks), options_(options) {}

absl::Status LoadContext::Invalid(const Object& object, absl::string_view field,
                                  absl::string_view message) const {
  const TypeDescriptor* type = registry_.Find(typeid(object));
  return CorruptError(absl::StrCat("table ",
                                   type != nullptr ? Absl(type->name) : typeid(object).name(),
                                   " row ", RowOf(object), " field ", field, ": ", message));
}

LoadTable* LoadContext::FindTable(const TypeDescriptor& type) {
  for (LoadTable& table : tables_)
    if (table.type == &type) return &table;
  return nullptr;
}

absl::Status LoadBatch::FieldError(uint32_t i, const char* field, const Decoder& d) const {
  const std::string what = absl::StrCat("table ", table_.saved->type, " row ", first_row_ + i,
                                        " field ", field, ": ", d.error());
  return d.newer() ? NewerError(what) : CorruptError(what);
}

absl::Status LoadBatch::ColumnError(const char* field, const Decoder& d) const {
  return CorruptError(absl::StrCat("table ", table_.saved->type, " rows ", first_row_, " to ",
                                   first_row_ + size() - 1, " field ", field, ": ", d.error()));
}

absl::Status LoadBatch::PartError(const char* class_name, absl::string_view what) const {
  return CorruptError(absl::StrCat("table ", table_.saved->type, " rows from ", first_row_,
                                   " class ", class_name, ": ", what));
}

absl::Status LoadBatch::NewerPart(const char* class_name, uint32_t saved, uint32_t known) const {
  return NewerError(absl::StrCat("table ", table_.saved->type, " class ", class_name,
                                 " was saved with ", saved, " fields, of which this version knows ",
                                 known));
}

}  // namespace stasis::state
