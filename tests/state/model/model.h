// SPDX-License-Identifier: Apache-2.0
//
// model.h: saved classes that have one of everything, for the tests of the engine.
//
// Their fields are public: the tests are about the engine.

#ifndef STASIS_TESTS_STATE_MODEL_MODEL_H_
#define STASIS_TESTS_STATE_MODEL_MODEL_H_

#include <absl/container/btree_map.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "state/annotations.h"
#include "state/base/ref_ptr.h"
#include "state/chunk.h"
#include "state/load_context.h"
#include "state/object.h"

namespace stasis::model {

enum class Color : uint8_t { kRed = 1, kGreen = 2, kBlue = 7 };
enum class Signed : int32_t { kLow = -2'000'000'000, kZero = 0, kHigh = 2'000'000'000 };
enum class Flags : uint16_t { kNone = 0, kA = 1, kB = 2, kC = 8 };
constexpr Flags operator|(Flags a, Flags b) {
  return static_cast<Flags>(static_cast<uint16_t>(a) | static_cast<uint16_t>(b));
}

struct Point {
  STATE_SAVABLE(Point);
  int32_t x = 0;
  int32_t y = -1;
  std::string label;
  friend bool operator==(const Point&, const Point&) = default;
};

// Counts live objects, so that tests see whether all are freed.
class Counted : public state::Object {
 public:
  static inline std::atomic<int> live{0};
  Counted() { ++live; }
  ~Counted() override { --live; }
};

class Shape;

// A plain struct with references in it.
struct Link {
  STATE_SAVABLE(Link);
  RefPtr<Shape> shape;
  std::vector<RefPtr<Shape>> more;
  std::optional<Color> color;
};

// One field for each kind that stands in the row.
class Scalars final : public Counted {
 public:
  STATE_SAVABLE(Scalars);
  bool flag = false;
  int8_t i8 = 0;
  int16_t i16 = 0;
  int32_t i32 = 0;
  int64_t i64 = 0;
  uint8_t u8 = 0;
  uint16_t u16 = 0;
  uint32_t u32 = 0;
  uint64_t u64 = 5;
  float f32 = 0;
  double f64 = 0;
  Color color = Color::kRed;
  Signed number = Signed::kZero;
  Flags flags = Flags::kNone;
  std::byte byte{};
  std::atomic<uint64_t> atomic_u64{0};
  std::atomic<bool> atomic_flag{false};
  std::atomic<Color> atomic_color{Color::kGreen};
  int scratch STATE(nosave) = 42;
};

// One field for each codec of a column.
class Columns final : public Counted {
 public:
  STATE_SAVABLE(Columns);
  std::string text;
  std::vector<std::byte> bytes;
  std::vector<uint8_t> octets;
  std::vector<uint64_t> numbers;
  std::vector<int32_t> signed_numbers;
  std::vector<bool> bits;
  std::vector<std::string> texts;
  std::vector<Color> colors;
  std::array<uint16_t, 4> fixed{};
  std::optional<int64_t> maybe;
  std::unique_ptr<Point> point;
  std::variant<std::monostate, uint32_t, std::string, Point> choice;
  std::pair<uint32_t, std::string> both;
  std::map<std::string, uint32_t> ordered;
  absl::btree_map<int64_t, Point> tree;
  absl::flat_hash_map<std::string, std::vector<uint32_t>> hashed;
  absl::flat_hash_set<uint64_t> set;
  Point nested;
  std::optional<Flags> flags;
  double ratio = 0;
};

// Polymorphism: abstract base with fields, two final classes.
class Shape : public Counted {
 public:
  virtual uint64_t Area() const = 0;
  std::string name;

 private:
  STATE_SAVABLE(Shape);
};

class Circle final : public Shape {
 public:
  uint64_t Area() const override { return 3 * radius * radius; }
  uint64_t radius = 0;

 private:
  STATE_SAVABLE(Circle);
};

class Square final : public Shape {
 public:
  uint64_t Area() const override { return side * side; }
  uint64_t side = 0;
  RefPtr<Shape> inner;

 private:
  STATE_SAVABLE(Square);
};

// Where AfterLoad hooks say that they ran; a service of the load.
struct LoadLog {
  std::vector<std::string> lines;
};

// A tree with cycles: parent and children hold each other.
class TreeNode final : public Counted {
 public:
  std::string name;
  RefPtr<TreeNode> parent STATE(wait);
  std::vector<RefPtr<TreeNode>> children;
  TreeNode* next = nullptr;  // borrowed
  RefPtr<Shape> shape STATE(wait);
  int depth STATE(nosave) = 0;  // by AfterLoad

  void BeforeSave() { ++saves; }
  absl::Status AfterLoad(state::LoadContext& context);
  int saves STATE(nosave) = 0;

 private:
  STATE_SAVABLE(TreeNode);
};

// Hooks of manual fields, chunks, and every way to refer to an object.
class Holder final : public Counted {
 public:
  RefPtr<TreeNode> tree;
  std::atomic<TreeNode*> current{nullptr};  // borrowed
  RefPtr<state::Object> anything;
  Shape* shape = nullptr;  // borrowed
  RefPtr<const Circle> circle;
  std::vector<RefPtr<Shape>> shapes;
  std::map<std::string, RefPtr<TreeNode>> by_name;
  std::vector<TreeNode*> nodes;
  Link link;
  std::vector<Link> links;
  std::vector<RefPtr<state::Chunk>> chunks;
  RefPtr<const state::Chunk> chunk;

  std::string_view title() const { return title_; }
  void set_title(std::string title) { title_ = std::move(title); }
  uint64_t secret() const { return secret_; }
  void set_secret(uint64_t secret) { secret_ = secret; }

 private:
  STATE_SAVABLE(Holder);
  std::string_view SaveTitle() const { return title_; }
  absl::Status LoadTitle(std::string_view title, state::LoadContext& context);
  uint64_t SaveSecret() const { return ~secret_; }
  absl::Status LoadSecret(uint64_t saved, state::LoadContext& context);
  void LoadFailed() { self_.reset(); }

  std::string title_ STATE(manual);
  uint64_t secret_ STATE(manual) = 0;
  RefPtr<Holder> self_ STATE(nosave);  // made by LoadTitle: a cycle that only LoadFailed can break
};

// No fields at all.
class Empty final : public Counted {
  STATE_SAVABLE(Empty);
};

}  // namespace stasis::model

#endif  // STASIS_TESTS_STATE_MODEL_MODEL_H_
