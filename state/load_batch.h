// SPDX-License-Identifier: Apache-2.0
//
// load_batch.h: the objects of one message, as generated code sees them while it fills them.

#ifndef STASIS_STATE_LOAD_BATCH_H_
#define STASIS_STATE_LOAD_BATCH_H_

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <capnp/any.h>

#include <cstdint>
#include <span>
#include <vector>

#include "state/codec/decoder.h"
#include "state/error.h"
#include "state/load_context.h"

namespace stasis::state {

class LoadBatch {
 public:
  LoadBatch(LoadContext& context, const LoadTable& table, uint32_t first_row,
            std::span<Object* const> objects)
      : context_(context), table_(table), first_row_(first_row), objects_(objects) {}

  LoadContext& context() { return context_; }
  uint32_t size() const { return static_cast<uint32_t>(objects_.size()); }
  Object& operator[](uint32_t i) const { return *objects_[i]; }

  // Checks the shape of one class's part: as many rows as objects, each of at least one word, and
  // no more fields than `known`, of which the image has `saved`.
  template <typename Rows>
  absl::Status Begin(const char* class_name, const Rows& rows, uint32_t saved, uint32_t known) {
    if (rows.size() != size())
      return PartError(class_name, absl::StrCat(rows.size(), " rows instead of ", size()));
    if (size() != 0 && capnp::AnyStruct::Reader(rows[0]).getDataSection().size() == 0)
      return PartError(class_name, "rows without content");
    if (saved > known) return NewerPart(class_name, saved, known);
    saved_fields_ = saved;
    return absl::OkStatus();
  }

  // Whether the image has the field of that number. If not, it keeps its default.
  bool Has(uint32_t number) const { return number < saved_fields_; }

  Decoder Column(capnp::Data::Reader content) { return Decoder(context_, content); }

  // The error for what `d` found at object `i`.
  absl::Status FieldError(uint32_t i, const char* field, const Decoder& d) const;
  absl::Status ColumnError(const char* field, const Decoder& d) const;

 private:
  absl::Status PartError(const char* class_name, absl::string_view what) const;
  absl::Status NewerPart(const char* class_name, uint32_t saved, uint32_t known) const;

  LoadContext& context_;
  const LoadTable& table_;
  const uint32_t first_row_;
  const std::span<Object* const> objects_;
  uint32_t saved_fields_ = 0;
};

// What an object waits for, collected by generated code.
class WaitList {
 public:
  void Reach(const Object* object) {
    if (object != nullptr) objects_.push_back(object);
  }
  void Reach(const Chunk*) {}
  std::vector<const Object*>& objects() { return objects_; }

 private:
  std::vector<const Object*> objects_;
};

}  // namespace stasis::state

#endif  // STASIS_STATE_LOAD_BATCH_H_
