// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "state/codec/fields.h"
#include "tests/state/engine_fixture.h"
#include "tests/state/model/gen/model.state.h"

namespace stasis::state {
namespace {

using model::Color;
using model::Columns;
using model::Flags;
using model::Point;
using model::Scalars;
using model::Signed;

class CodecTest : public EngineTest {
 protected:
  template <typename T>
  std::string Encode(const T& value) {
    GraphWriter writer(registry_, quiescence_);
    Encoder e(writer);
    Codec<T>::Encode(e, value);
    return {reinterpret_cast<const char*>(e.data()), e.size()};
  }
  // The error; empty if `bytes` are exactly one T.
  template <typename T>
  std::string Decode(std::string_view bytes, T& value) {
    SavedGraph saved;
    LoadContext context(registry_, saved, chunks_, options_);
    Decoder d(context,
              capnp::Data::Reader(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
    const bool ok = d.BeginSlice(static_cast<uint32_t>(bytes.size())) &&
                    Codec<T>::Decode(d, value) && d.SliceUsedUp();
    EXPECT_EQ(ok, d.error().empty());
    return d.error();
  }
  template <typename T>
  void ExpectRoundTrip(const T& value) {
    T copy{};
    EXPECT_EQ(Decode(Encode(value), copy), "");
    EXPECT_EQ(copy, value);
  }
  template <typename T>
  std::string Refusal(std::string_view bytes) {
    T value{};
    return Decode(bytes, value);
  }
};

TEST_F(CodecTest, Integers) {
  for (const uint64_t v : {uint64_t{0}, uint64_t{1}, uint64_t{127}, uint64_t{128}, uint64_t{16384},
                           std::numeric_limits<uint64_t>::max()})
    ExpectRoundTrip(v);
  for (const int64_t v : {int64_t{0}, int64_t{-1}, int64_t{1}, std::numeric_limits<int64_t>::min(),
                          std::numeric_limits<int64_t>::max()})
    ExpectRoundTrip(v);
  ExpectRoundTrip<int8_t>(-7);
  ExpectRoundTrip<uint16_t>(65535);
  ExpectRoundTrip(true);
  ExpectRoundTrip(2.5);
  ExpectRoundTrip(-0.25f);
}

TEST_F(CodecTest, SmallNumbersTakeOneByte) {
  EXPECT_EQ(Encode<uint64_t>(5), "\x05");
  EXPECT_EQ(Encode<int64_t>(-1), "\x01");
  EXPECT_EQ(Encode(std::string("ab")), std::string("\x02"
                                                   "ab"));
}

TEST_F(CodecTest, ConsecutiveNumbersAreOnesThatCompress) {
  EXPECT_EQ(Encode(std::vector<uint64_t>{1000, 1001, 1002, 1003}), "\x04\xd0\x0f\x02\x02\x02");
}

TEST_F(CodecTest, DifferencesMayWrap) {
  ExpectRoundTrip(std::vector<uint64_t>{0, std::numeric_limits<uint64_t>::max(), 1});
  ExpectRoundTrip(std::vector<int64_t>{std::numeric_limits<int64_t>::min(),
                                       std::numeric_limits<int64_t>::max()});
}

TEST_F(CodecTest, Containers) {
  ExpectRoundTrip(std::vector<std::string>{"", "a", std::string(1000, 'x')});
  ExpectRoundTrip(std::vector<bool>{true, false, true});
  ExpectRoundTrip(std::optional<std::string>());
  ExpectRoundTrip(std::optional<std::string>("x"));
  ExpectRoundTrip(std::map<std::string, uint32_t>{{"a", 1}, {"b", 2}});
  ExpectRoundTrip(absl::flat_hash_map<std::string, uint32_t>{{"a", 1}, {"b", 2}});
  ExpectRoundTrip(absl::flat_hash_set<uint64_t>{5, 1, 3});
  ExpectRoundTrip(std::tuple<uint32_t, std::string, bool>{1, "x", true});
  ExpectRoundTrip(std::variant<uint32_t, std::string>("x"));
  ExpectRoundTrip(std::array<uint16_t, 3>{3, 2, 1});
}

TEST_F(CodecTest, HashedContainersAreWrittenInTheOrderOfKeys) {
  EXPECT_EQ(Encode(absl::flat_hash_set<uint8_t>{9, 3, 5}), "\x03\x03\x05\x09");
}

TEST_F(CodecTest, Structs) {
  ExpectRoundTrip(Point{1, -2, "x"});
  ExpectRoundTrip(Point{1, -2, std::string(500, 'x')});  // a length of two bytes
  ExpectRoundTrip(std::vector<Point>{{1, 2, "a"}, {}});
}

TEST_F(CodecTest, MissingFieldOfAStructKeepsItsDefault) {
  Point point{7, 7, "old"};
  // Length 3; field 0, one byte, zigzag 1. The decoder is given a default-constructed value.
  point = Point();
  EXPECT_EQ(Decode(std::string_view("\x03\x00\x01\x02", 4), point), "");
  EXPECT_EQ(point, (Point{1, -1, ""}));
}

TEST_F(CodecTest, RefusesMalformedNumbers) {
  EXPECT_EQ(Refusal<uint64_t>(""), "ends too early");
  EXPECT_EQ(Refusal<uint64_t>("\x80"), "ends too early");
  EXPECT_EQ(Refusal<uint64_t>(std::string_view("\x80\x00", 2)), "malformed number");
  EXPECT_EQ(Refusal<uint64_t>("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "malformed number");
  EXPECT_EQ(Refusal<uint16_t>("\x80\x80\x04"), "number out of range");
  EXPECT_EQ(Refusal<bool>("\x02"), "boolean of value 2");
  EXPECT_EQ(Refusal<uint64_t>("\x01\x01"), "1 bytes left over");
}

TEST_F(CodecTest, RefusesCountsAndLengthsThatTheBytesDoNotPayFor) {
  EXPECT_EQ(Refusal<std::vector<uint64_t>>("\xff\xff\xff\xff\x0f\x01"),
            "count 4294967295 is out of range");
  EXPECT_EQ(Refusal<std::string>("\x05"
                                 "ab"),
            "length 5 is out of range");
  EXPECT_EQ((Refusal<std::map<uint8_t, uint8_t>>("\x09\x01\x01")), "count 9 is out of range");
}

TEST_F(CodecTest, RefusesUnknownValues) {
  EXPECT_EQ(Refusal<Color>("\x03"), "unknown value 3");
  EXPECT_EQ(Refusal<Flags>("\x04"), "unknown value 4");
  EXPECT_EQ(Refusal<Flags>("\x0b"), "");
  EXPECT_EQ((Refusal<std::variant<bool, uint8_t>>("\x02\x00")), "unknown alternative 2");
  EXPECT_EQ((Refusal<absl::flat_hash_set<uint8_t>>("\x02\x05\x05")), "duplicate element");
  EXPECT_EQ((Refusal<std::map<uint8_t, bool>>(std::string_view("\x02\x05\x00\x05\x00", 5))),
            "duplicate key");
}

TEST_F(CodecTest, RefusesBrokenStructs) {
  EXPECT_EQ(Refusal<Point>("\x09\x01"), "length 9 is out of range");
  EXPECT_EQ(Refusal<Point>(std::string_view("\x06\x01\x01\x02\x00\x01\x02", 7)),
            "model.Point: field number 0 out of order");
  EXPECT_EQ(Refusal<Point>("\x03\x09\x01\x02"), "model.Point: field number 9 is not known");
  EXPECT_EQ(Refusal<Point>("\x03\x01\x05\x02"), "length 5 is out of range");
  EXPECT_EQ(Refusal<Point>("\x04\x01\x02\x02\x02"), "model.Point.y: 1 bytes left over");
}

TEST_F(CodecTest, EveryScalarOfARow) {
  auto o = MakeRef<Scalars>();
  o->flag = true;
  o->i8 = -8;
  o->i16 = -16;
  o->i32 = -32;
  o->i64 = std::numeric_limits<int64_t>::min();
  o->u8 = 8;
  o->u16 = 16;
  o->u32 = 32;
  o->u64 = std::numeric_limits<uint64_t>::max();
  o->f32 = 0.5f;
  o->f64 = -1e300;
  o->color = Color::kBlue;
  o->number = Signed::kLow;
  o->flags = Flags::kA | Flags::kC;
  o->byte = std::byte{0xfe};
  o->atomic_u64 = 64;
  o->atomic_flag = true;
  o->atomic_color = Color::kBlue;
  o->scratch = 1;
  auto loaded = RoundTrip(o.get());
  ASSERT_NE(loaded.get(), nullptr);
  EXPECT_TRUE(loaded->flag);
  EXPECT_EQ(loaded->i8, -8);
  EXPECT_EQ(loaded->i16, -16);
  EXPECT_EQ(loaded->i32, -32);
  EXPECT_EQ(loaded->i64, o->i64);
  EXPECT_EQ(loaded->u8, 8);
  EXPECT_EQ(loaded->u16, 16);
  EXPECT_EQ(loaded->u32, 32u);
  EXPECT_EQ(loaded->u64, o->u64);
  EXPECT_EQ(loaded->f32, 0.5f);
  EXPECT_EQ(loaded->f64, -1e300);
  EXPECT_EQ(loaded->color, Color::kBlue);
  EXPECT_EQ(loaded->number, Signed::kLow);
  EXPECT_EQ(loaded->flags, Flags::kA | Flags::kC);
  EXPECT_EQ(loaded->byte, std::byte{0xfe});
  EXPECT_EQ(loaded->atomic_u64, 64u);
  EXPECT_TRUE(loaded->atomic_flag);
  EXPECT_EQ(loaded->atomic_color, Color::kBlue);
  EXPECT_EQ(loaded->scratch, 42);  // nosave
}

TEST_F(CodecTest, EveryColumn) {
  auto o = MakeRef<Columns>();
  o->text = "text";
  o->bytes = {std::byte{0}, std::byte{255}};
  o->octets = {1, 2, 3};
  o->numbers = {10, 11, 12};
  o->signed_numbers = {-1, 5};
  o->bits = {true, false};
  o->texts = {"a", ""};
  o->colors = {Color::kGreen};
  o->fixed = {1, 2, 3, 4};
  o->maybe = -5;
  o->point = std::make_unique<Point>(Point{1, 2, "p"});
  o->choice = Point{3, 4, "c"};
  o->both = {9, "b"};
  o->ordered = {{"k", 1}};
  o->tree = {{-1, {}}, {1, {5, 5, "t"}}};
  o->hashed = {{"h", {1, 2}}};
  o->set = {1, 2};
  o->nested = {6, 7, "n"};
  o->flags = Flags::kB;
  o->ratio = 0.1;
  auto loaded = RoundTrip(o.get());
  ASSERT_NE(loaded.get(), nullptr);
  EXPECT_EQ(loaded->text, o->text);
  EXPECT_EQ(loaded->bytes, o->bytes);
  EXPECT_EQ(loaded->octets, o->octets);
  EXPECT_EQ(loaded->numbers, o->numbers);
  EXPECT_EQ(loaded->signed_numbers, o->signed_numbers);
  EXPECT_EQ(loaded->bits, o->bits);
  EXPECT_EQ(loaded->texts, o->texts);
  EXPECT_EQ(loaded->colors, o->colors);
  EXPECT_EQ(loaded->fixed, o->fixed);
  EXPECT_EQ(loaded->maybe, o->maybe);
  EXPECT_EQ(*loaded->point, *o->point);
  EXPECT_EQ(loaded->choice, o->choice);
  EXPECT_EQ(loaded->both, o->both);
  EXPECT_EQ(loaded->ordered, o->ordered);
  EXPECT_EQ(loaded->tree, o->tree);
  EXPECT_EQ(loaded->hashed, o->hashed);
  EXPECT_EQ(loaded->set, o->set);
  EXPECT_EQ(loaded->nested, o->nested);
  EXPECT_EQ(loaded->flags, o->flags);
  EXPECT_EQ(loaded->ratio, o->ratio);
}

}  // namespace
}  // namespace stasis::state
