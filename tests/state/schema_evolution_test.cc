// SPDX-License-Identifier: Apache-2.0
//
// Random edits of a class, each with a verdict that is known beforehand: the merge must agree, and
// what it accepts must be a schema that Cap'n Proto's own loader takes for compatible.
//
// STASIS_SEED chooses another run; the seed is printed.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "state/stateify/emit_schema.h"
#include "state/stateify/lock_file.h"
#include "tests/state/schema_compatibility.h"

namespace stasis::stateify {
namespace {

const char* const kTypes[] = {
    "bool",           "u8",        "u32",          "u64",          "i64",
    "string",         "list<u64>", "ref<l.Thing>", "any<l.Thing>", "chunk",
    "enum<l.Kind:u8>"};

// A class that is edited, beside the plainest possible record of what was ever given out.
class Evolution {
 public:
  explicit Evolution(uint64_t seed) : random_(seed) {
    for (int i = 0; i < 3; ++i) Add();
    EXPECT_TRUE(Commit()) << "the first version";
  }

  // Makes one edit; returns whether the rules allow it.
  bool Edit(std::string& description) {
    switch (Below(8)) {
      case 0:
        description = "reorder";
        std::shuffle(fields_.begin(), fields_.end(), random_);
        return true;
      case 1:
      case 2:
        description = "add " + Add();
        return true;
      case 3:
        description = "remove";
        return Remove();
      case 4:
        description = "rename";
        return Rename();
      case 5:
        description = "change type";
        return ChangeType();
      case 6:
        description = "take a retired name";
        return TakeRetiredName();
      default:
        description = "rename from nowhere";
        Add();
        for (Field& field : fields_)
          if (field.name == "field" + std::to_string(counter_ - 1)) field.was = "never";
        return false;
    }
  }

  // Merges the class as it is; false if that was refused, and the class is as before the edit then.
  bool Commit() {
    Program program;
    program.classes.push_back(Current());
    LockFile next = lock_;
    Errors errors;
    Merge(program, next, errors);
    if (!errors.empty()) {
      fields_ = committed_;
      return false;
    }
    CheckNumbers(program.classes[0]);
    lock_ = next;
    committed_ = fields_;
    for (Field& field : committed_) field.was.clear();
    fields_ = committed_;
    return true;
  }

  const LockFile& lock() const { return lock_; }

 private:
  size_t Below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

  Class Current() const {
    Class c;
    c.name = "l.Thing";
    c.layer = "l";
    c.is_object = true;
    c.fields = fields_;
    return c;
  }

  std::string Add() {
    Field field;
    field.name = "field" + std::to_string(counter_++);
    field.type.name = kTypes[Below(std::size(kTypes))];
    fields_.insert(fields_.begin() + static_cast<std::ptrdiff_t>(Below(fields_.size() + 1)), field);
    return field.name;
  }
  bool Remove() {
    if (fields_.empty()) return true;
    const size_t i = Below(fields_.size());
    removed_.push_back(fields_[i]);
    fields_.erase(fields_.begin() + static_cast<std::ptrdiff_t>(i));
    return true;
  }
  bool Rename() {
    if (fields_.empty()) return true;
    Field& field = fields_[Below(fields_.size())];
    field.was = field.name;
    field.name = "field" + std::to_string(counter_++);
    return true;
  }
  bool ChangeType() {
    if (fields_.empty()) return true;
    Field& field = fields_[Below(fields_.size())];
    const std::string old = field.type.name;
    field.type.name = kTypes[Below(std::size(kTypes))];
    return field.type.name == old;
  }
  bool TakeRetiredName() {
    if (removed_.empty()) return true;
    fields_.push_back(removed_[Below(removed_.size())]);
    fields_.back().was.clear();
    return false;
  }

  // A number, once given to a field, is that field's for ever.
  void CheckNumbers(const Class& merged) {
    std::set<uint32_t> seen;
    for (const Field& field : merged.fields) {
      EXPECT_TRUE(seen.insert(field.number).second) << "number given twice";
      const std::string key = field.was.empty() ? field.name : field.was;
      auto known = given_.find(key);
      if (known == given_.end()) {
        for (const auto& [name, number] : given_) EXPECT_NE(number, field.number) << name;
      } else {
        EXPECT_EQ(known->second, field.number) << field.name;
        if (key != field.name) given_.erase(known);
      }
      given_[field.name] = field.number;
    }
  }

  std::mt19937_64 random_;
  LockFile lock_ = NewLock("l");
  std::vector<Field> fields_;
  std::vector<Field> committed_;
  std::vector<Field> removed_;
  std::map<std::string, uint32_t> given_;
  int counter_ = 0;
};

uint64_t Seed() {
  const char* given = std::getenv("STASIS_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

TEST(SchemaEvolutionTest, RandomEditsGetTheVerdictThatTheRulesSay) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("STASIS_SEED=" + std::to_string(seed));
  std::printf("STASIS_SEED=%llu\n", static_cast<unsigned long long>(seed));
  for (uint64_t run = 0; run < 20; ++run) {
    Evolution evolution(seed + run);
    std::vector<std::string> released = {PrintLock(evolution.lock())};
    int refused = 0;
    for (int step = 0; step < 40; ++step) {
      std::string description;
      const bool allowed = evolution.Edit(description);
      ASSERT_EQ(evolution.Commit(), allowed)
          << "run " << run << " step " << step << ": " << description;
      refused += allowed ? 0 : 1;
      if (step % 10 == 0) released.push_back(PrintLock(evolution.lock()));
    }
    EXPECT_GT(refused, 0);
    for (const std::string& old : released)
      EXPECT_EQ(Incompatibility(old, PrintLock(evolution.lock())), "");
  }
}

}  // namespace
}  // namespace stasis::stateify
