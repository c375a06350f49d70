// SPDX-License-Identifier: Apache-2.0

#include "state/stateify/lock_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "state/stateify/emit_schema.h"

namespace stasis::stateify {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LockFileTest : public ::testing::Test {
 protected:
  struct F {
    std::string name;
    std::string type = "u32";
    std::string was = "";
  };

  static Class MakeClass(const std::vector<F>& fields, bool is_object = true) {
    Class c;
    c.name = "l.Thing";
    c.layer = "l";
    c.where = "thing.h:1";
    c.is_object = is_object;
    for (const F& f : fields) {
      Field field;
      field.name = f.name;
      field.member = f.name + "_";
      field.type.name = f.type;
      field.was = f.was;
      field.where = "thing.h:2";
      c.fields.push_back(field);
    }
    return c;
  }

  // Merges a program with these classes; the errors.
  Errors CommitAll(std::vector<Class> classes, std::vector<Enum> enums = {}) {
    Program program;
    program.classes = std::move(classes);
    program.enums = std::move(enums);
    LockFile next = lock_;
    Errors errors;
    Merge(program, next, errors);
    if (errors.empty()) lock_ = next;
    numbers_.clear();
    for (const Class& c : program.classes)
      for (const Field& f : c.fields) numbers_.push_back(f.number);
    return errors;
  }
  Errors Commit(const std::vector<F>& fields) { return CommitAll({MakeClass(fields)}); }

  static Enum MakeEnum(std::vector<std::pair<std::string, int64_t>> values) {
    Enum e;
    e.name = "l.Kind";
    e.layer = "l";
    e.bits = 8;
    e.values = std::move(values);
    return e;
  }

  LockFile lock_ = NewLock("l");
  std::vector<uint32_t> numbers_;
};

TEST_F(LockFileTest, NumbersFollowTheFirstDeclaration) {
  EXPECT_THAT(Commit({{"a"}, {"b"}, {"c"}}), IsEmpty());
  EXPECT_THAT(numbers_, ElementsAre(0, 1, 2));
}

TEST_F(LockFileTest, ReorderingChangesNothing) {
  Commit({{"a"}, {"b"}, {"c"}});
  const LockFile before = lock_;
  EXPECT_THAT(Commit({{"c"}, {"a"}, {"b"}}), IsEmpty());
  EXPECT_THAT(numbers_, ElementsAre(2, 0, 1));
  EXPECT_EQ(lock_, before);
}

TEST_F(LockFileTest, NewFieldTakesTheNextNumber) {
  Commit({{"a"}, {"b"}});
  EXPECT_THAT(Commit({{"x"}, {"a"}, {"b"}}), IsEmpty());
  EXPECT_THAT(numbers_, ElementsAre(2, 0, 1));
}

TEST_F(LockFileTest, RemovedFieldStaysRetired) {
  Commit({{"a"}, {"b"}});
  EXPECT_THAT(Commit({{"b"}}), IsEmpty());
  EXPECT_THAT(PrintLock(lock_), HasSubstr("  0 retired0 : u32 was a\n  1 b : u32\n"));
  EXPECT_THAT(Commit({{"b"}, {"c"}}), IsEmpty());
  EXPECT_THAT(numbers_, ElementsAre(1, 2));
}

TEST_F(LockFileTest, RetiredNameIsNotUsedAgain) {
  Commit({{"a"}, {"b"}});
  Commit({{"b"}});
  EXPECT_THAT(Commit({{"a"}, {"b"}}), ElementsAre(HasSubstr("l.Thing field a: a retired field")));
}

TEST_F(LockFileTest, TypeNeverChanges) {
  Commit({{"a"}});
  EXPECT_THAT(Commit({{"a", "u64"}}),
              ElementsAre(HasSubstr("l.Thing field a: its type was u32 and is now u64")));
}

TEST_F(LockFileTest, RenamedFieldKeepsItsNumber) {
  Commit({{"a"}, {"b"}});
  EXPECT_THAT(Commit({{"z", "u32", "a"}, {"b"}}), IsEmpty());
  EXPECT_THAT(numbers_, ElementsAre(0, 1));
  // The tag may stay.
  EXPECT_THAT(Commit({{"z", "u32", "a"}, {"b"}}), IsEmpty());
  EXPECT_THAT(numbers_, ElementsAre(0, 1));
}

TEST_F(LockFileTest, RenameFromNowhereIsRefused) {
  Commit({{"a"}});
  EXPECT_THAT(Commit({{"a"}, {"z", "u32", "q"}}),
              ElementsAre(HasSubstr("was \"q\", which the lock file does not have")));
}

TEST_F(LockFileTest, RenameFromAFieldThatStaysIsRefused) {
  Commit({{"a"}});
  EXPECT_THAT(Commit({{"a"}, {"z", "u32", "a"}}),
              ElementsAre(HasSubstr("which another field is called now")));
}

TEST_F(LockFileTest, RenameWithAnotherTypeIsRefused) {
  Commit({{"a"}});
  EXPECT_THAT(Commit({{"z", "string", "a"}}), ElementsAre(HasSubstr("its type was u32")));
}

TEST_F(LockFileTest, RemovedClassStaysRetired) {
  Commit({{"a"}});
  EXPECT_THAT(CommitAll({}), IsEmpty());
  EXPECT_THAT(PrintLock(lock_), HasSubstr("retired class l.Thing"));
  EXPECT_THAT(Commit({{"a"}}), ElementsAre(HasSubstr("a retired class had that name")));
}

TEST_F(LockFileTest, BaseAndKindNeverChange) {
  Commit({{"a"}});
  Class c = MakeClass({{"a"}});
  c.base = "l.Base";
  EXPECT_THAT(CommitAll({c}), ElementsAre(HasSubstr("its savable base class changed")));
  EXPECT_THAT(CommitAll({MakeClass({{"a"}}, false)}),
              ElementsAre(HasSubstr("a class and a plain struct")));
}

TEST_F(LockFileTest, EnumValuesNeverChange) {
  EXPECT_THAT(CommitAll({}, {MakeEnum({{"kA", 1}, {"kB", 2}})}), IsEmpty());
  EXPECT_THAT(CommitAll({}, {MakeEnum({{"kB", 2}, {"kA", 1}, {"kC", 3}})}), IsEmpty());
  EXPECT_THAT(CommitAll({}, {MakeEnum({{"kA", 2}, {"kB", 1}, {"kC", 3}})}),
              ElementsAre(HasSubstr("kA was 1, and is now 2"), HasSubstr("kB was 2")));
  EXPECT_THAT(CommitAll({}, {MakeEnum({{"kA", 1}, {"kC", 3}})}), IsEmpty());
  EXPECT_THAT(CommitAll({}, {MakeEnum({{"kA", 1}, {"kC", 3}, {"kD", 2}})}),
              ElementsAre(HasSubstr("kD takes the value 2 of a retired one")));
}

TEST_F(LockFileTest, PrintsAndParsesBack) {
  CommitAll({MakeClass({{"a"}, {"b", "list<string>"}})}, {MakeEnum({{"kA", -1}})});
  CommitAll({MakeClass({{"b", "list<string>"}})}, {MakeEnum({{"kB", 5}})});
  LockFile parsed;
  Errors errors;
  ASSERT_TRUE(ParseLock(PrintLock(lock_), parsed, errors)) << errors[0];
  EXPECT_EQ(parsed, lock_);
}

TEST_F(LockFileTest, RefusesWhatIsNoLockFile) {
  for (const char* text : {"", "layer l", "layer l 0x1", "nonsense here now",
                           "layer l 0x8000000000000000\n  0 a : u32",
                           "layer l 0x8000000000000000\nclass l.A\n  1 a : u32",
                           "layer l 0x8000000000000000\nclass l.A\n  0 a u32 :"}) {
    LockFile lock;
    Errors errors;
    EXPECT_FALSE(ParseLock(text, lock, errors)) << text;
    EXPECT_FALSE(errors.empty());
  }
}

TEST_F(LockFileTest, SchemaKeepsRetiredFieldsInPlace) {
  Commit({{"a", "string"}, {"b", "ref<l.Thing>"}, {"c", "list<u32>"}});
  Commit({{"b", "ref<l.Thing>"}, {"c", "list<u32>"}});
  Errors errors;
  const std::string schema = EmitSchema(lock_, errors);
  EXPECT_THAT(errors, IsEmpty());
  EXPECT_THAT(schema, HasSubstr("retired0 @0 :UInt32;"));
  EXPECT_THAT(schema, HasSubstr("b @1 :UInt32;"));
  EXPECT_THAT(schema, HasSubstr("retired0Column @2 :Data;"));
  EXPECT_THAT(schema, HasSubstr("cColumn @3 :Data;"));
}

TEST_F(LockFileTest, NamesThatBecomeOneInTheSchemaAreRefused) {
  Commit({{"foo_bar"}, {"fooBar"}});
  Errors errors;
  EmitSchema(lock_, errors);
  EXPECT_THAT(errors, ElementsAre(HasSubstr("another has the same name in the schema, fooBar")));
}

}  // namespace
}  // namespace stasis::stateify
