// SPDX-License-Identifier: Apache-2.0
//
// structs.h: the codec of plain savable structs, those without identity.
//
// The length of all that follows; then for each field, in the order of field numbers, its number,
// its length and its value. A field that is missing keeps the value of the default constructor; a
// number that was retired is skipped; one that is still unknown means that the image is newer.

#ifndef STASIS_STATE_CODEC_STRUCTS_H_
#define STASIS_STATE_CODEC_STRUCTS_H_

#include <cstddef>
#include <cstdint>

#include "state/access.h"
#include "state/codec/codec.h"

namespace stasis::state {

// Used by generated Encode functions:
//   StructEncoder s(e);  s.Field(0, o.a_);  s.Field(1, o.b_);  s.Finish();
class StructEncoder {
 public:
  explicit StructEncoder(Encoder& e) : e_(e), begin_(e.BeginLength()) {}
  template <typename T>
  void Field(uint32_t number, const T& value) {
    e_.Varint(number);
    const size_t begin = e_.BeginLength();
    Codec<T>::Encode(e_, value);
    e_.EndLength(begin);
  }
  void Finish() { e_.EndLength(begin_); }

 private:
  Encoder& e_;
  const size_t begin_;
};

// Used by generated Decode functions:
//   StructDecoder s(d, "vfs.Times", 2);
//   while (s.Next()) {
//     switch (s.number()) {
//       case 0: s.Field("a", o.a_); break;
//       default: s.Skip();
//     }
//   }
//   return s.Done();
class StructDecoder {
 public:
  StructDecoder(Decoder& d, const char* type, uint32_t field_count)
      : d_(d), type_(type), field_count_(field_count) {
    uint64_t length = 0;
    ok_ = d_.Varint(length) && d_.Enter(length, struct_end_);
  }

  bool Next() {
    if (!ok_ || d_.remaining() == 0) return false;
    uint64_t number = 0;
    uint64_t length = 0;
    ok_ = d_.Varint(number) && d_.Varint(length) && CheckNumber(number) &&
          d_.Enter(length, field_end_);
    return ok_;
  }
  uint64_t number() const { return number_; }

  template <typename T>
  void Field(const char* name, T& value) {
    ok_ = Codec<T>::Decode(d_, value) && d_.Leave(field_end_);
    if (!ok_) NameField(name);
  }
  void Skip() {
    d_.SkipRest();
    ok_ = d_.Leave(field_end_);
  }
  bool Done() { return ok_ && d_.Leave(struct_end_); }

 private:
  bool CheckNumber(uint64_t number) {
    if (!first_ && number <= number_)
      return d_.Fail(absl::StrCat(type_, ": field number ", number, " out of order"));
    if (number >= field_count_)
      return d_.FailNewer(absl::StrCat(type_, ": field number ", number, " is not known"));
    first_ = false;
    number_ = number;
    return true;
  }
  void NameField(const char* name) { d_.Prefix(absl::StrCat(type_, ".", name, ": ")); }

  Decoder& d_;
  const char* type_;
  const uint32_t field_count_;
  const uint8_t* struct_end_ = nullptr;
  const uint8_t* field_end_ = nullptr;
  uint64_t number_ = 0;
  bool first_ = true;
  bool ok_;
};

template <typename T>
concept PlainStruct = requires(Encoder& e, const T& t) {
  Access::Type<T>::Encode(e, t);
};

template <PlainStruct T>
struct Codec<T> {
  static constexpr bool kHasRefs = Access::Type<T>::kHasRefs;
  static void Encode(Encoder& e, const T& value) { Access::Type<T>::Encode(e, value); }
  static bool Decode(Decoder& d, T& value) { return Access::Type<T>::Decode(d, value); }
  template <typename W>
  static void Visit(W& w, const T& value) {
    Access::Type<T>::Visit(w, value);
  }
  static void ClearReferences(T& value) { Access::Type<T>::ClearReferences(value); }
};

}  // namespace stasis::state

#endif  // STASIS_STATE_CODEC_STRUCTS_H_
