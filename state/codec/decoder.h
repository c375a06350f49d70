// SPDX-License-Identifier: Apache-2.0
//
// decoder.h: bytes of one column, read.
//
// The bytes are hostile. Every function returns false at what is wrong and leaves a description in
// error(); the decoder must not be used after that.

#ifndef STASIS_STATE_CODEC_DECODER_H_
#define STASIS_STATE_CODEC_DECODER_H_

#include <absl/strings/str_cat.h>
#include <capnp/blob.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "state/load_context.h"

namespace stasis::state {

class Decoder {
 public:
  Decoder(LoadContext& graph, capnp::Data::Reader column)
      : graph_(graph), cur_(column.begin()), end_(column.end()), column_end_(column.end()) {
    end_ = cur_;
  }

  const std::string& error() const { return error_; }
  size_t remaining() const { return static_cast<size_t>(end_ - cur_); }

  // Starts the slice of the next row. Slices follow each other; each must be used up.
  bool BeginSlice(uint32_t length) {
    if (cur_ != end_) return Fail(absl::StrCat(remaining(), " bytes left over"));
    if (length > static_cast<size_t>(column_end_ - cur_))
      return Fail(absl::StrCat("length ", length, " is more than the ", column_end_ - cur_,
                               " bytes left in the column"));
    end_ = cur_ + length;
    return true;
  }
  bool SliceUsedUp() { return cur_ == end_ || Fail(absl::StrCat(remaining(), " bytes left over")); }
  bool ColumnUsedUp() {
    return cur_ == column_end_ || Fail(absl::StrCat(column_end_ - cur_, " bytes left over"));
  }

  bool Byte(uint8_t& value) {
    if (cur_ == end_) return Fail("ends too early");
    value = *cur_++;
    return true;
  }
  bool Varint(uint64_t& value) {
    if (cur_ != end_ && *cur_ < 0x80) [[likely]] {
      value = *cur_++;
      return true;
    }
    return LongVarint(value);
  }
  bool Signed(int64_t& value) {
    uint64_t zigzag;
    if (!Varint(zigzag)) return false;
    value = static_cast<int64_t>((zigzag >> 1) ^ (~(zigzag & 1) + 1));
    return true;
  }
  bool Raw(size_t size, const uint8_t*& data) {
    if (size > remaining()) return Fail(absl::StrCat("length ", size, " is out of range"));
    data = cur_;
    cur_ += size;
    return true;
  }
  // The number of elements that follow, each of at least one byte.
  bool Count(uint64_t& count) {
    if (!Varint(count)) return false;
    return count <= remaining() || Fail(absl::StrCat("count ", count, " is out of range"));
  }

  // Narrows what can be read to the next `length` bytes; Leave undoes it.
  bool Enter(uint64_t length, const uint8_t*& outer_end) {
    if (length > remaining()) return Fail(absl::StrCat("length ", length, " is out of range"));
    outer_end = end_;
    end_ = cur_ + length;
    return true;
  }
  bool Leave(const uint8_t* outer_end) {
    if (cur_ != end_) return Fail(absl::StrCat(remaining(), " bytes left over"));
    end_ = outer_end;
    return true;
  }
  void SkipRest() { cur_ = end_; }

  // Stores the object that a reference stands for; see GraphWriter::ExactId and AnyId.
  template <typename T>
  bool Exact(uint64_t id, T*& object, bool borrowed);
  template <typename T>
  bool Any(uint64_t id, T*& object, bool borrowed);
  bool ChunkAt(uint64_t id, RefPtr<Chunk>& chunk);

  bool Fail(std::string error) {
    if (error_.empty()) error_ = std::move(error);
    return false;
  }
  // The bytes may be fine, but a newer version wrote them.
  bool FailNewer(std::string error) {
    newer_ = true;
    return Fail(std::move(error));
  }
  bool newer() const { return newer_; }
  // Says where in a nested value the error is.
  void Prefix(absl::string_view where) { error_.insert(0, where.data(), where.size()); }

 private:
  bool LongVarint(uint64_t& value);

  LoadContext& graph_;
  const uint8_t* cur_;
  const uint8_t* end_;
  const uint8_t* column_end_;
  // The table that the last exact reference led to.
  const TypeDescriptor* last_type_ = nullptr;
  LoadTable* last_table_ = nullptr;
  std::string error_;
  bool newer_ = false;
};

template <typename T>
bool Decoder::Exact(uint64_t id, T*& object, bool borrowed) {
  object = nullptr;
  if (id == 0) return true;
  const TypeDescriptor& type = Access::Type<std::remove_const_t<T>>::kType;
  if (last_type_ != &type) {
    last_type_ = &type;
    last_table_ = graph_.FindTable(type);
  }
  if (last_table_ == nullptr || id > last_table_->objects.size())
    return Fail(absl::StrCat("row ", id - 1, " of table ",
                             absl::string_view(type.name.data(), type.name.size()),
                             " does not exist"));
  object = static_cast<T*>(last_table_->objects[id - 1]);
  if (borrowed) last_table_->borrowed[id - 1] = true;
  return true;
}

template <typename T>
bool Decoder::Any(uint64_t id, T*& object, bool borrowed) {
  object = nullptr;
  if (id == 0) return true;
  LoadTable* table = graph_.TableAt((id >> 32) - 1);
  const uint32_t row = static_cast<uint32_t>(id);
  if (table == nullptr || row >= table->objects.size())
    return Fail(absl::StrCat("row ", row, " of table number ", static_cast<int64_t>(id >> 32) - 1,
                             " does not exist"));
  if constexpr (!std::is_same_v<std::remove_const_t<T>, Object>) {
    if (!table->type->IsA(Access::Type<std::remove_const_t<T>>::kLevel))
      return Fail(absl::StrCat(table->saved->type, " row ", row, " is of the wrong type"));
  }
  object = static_cast<T*>(table->objects[row]);
  if (borrowed) table->borrowed[row] = true;
  return true;
}

}  // namespace stasis::state

#endif  // STASIS_STATE_CODEC_DECODER_H_
