// SPDX-License-Identifier: Apache-2.0
//
// What the generator takes and what it refuses, each by a few lines of source.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "state/stateify/generator.h"
#include "state/stateify/source_scan.h"

namespace stasis::stateify {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A source tree with one layer, `l`, in a temporary folder; state/ is the real one.
class StateifyTest : public ::testing::Test {
 protected:
  StateifyTest() {
    std::string name = (fs::temp_directory_path() / "stateify_test.XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    root_ = fs::canonical(root_);
    fs::create_directories(root_ / "l");
    fs::create_directory_symlink(fs::path(STASIS_SOURCE_DIR) / "state", root_ / "state");
    options_.root = root_.string();
    options_.layers = {{"l", "l"}};
  }
  ~StateifyTest() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    std::ofstream(root_ / path, std::ios::trunc) << text;
  }
  // l/x.h with `code` in namespace stasis::l.
  void Source(const std::string& code) {
    Write("l/x.h",
          "#pragma once\n#include <map>\n#include <string>\n#include <vector>\n#include "
          "\"state/annotations.h\"\n#include \"state/object.h\"\n"
          "namespace absl { class Status; }\nnamespace stasis::l {\n" +
              code + "\n}\n");
  }
  // A savable class A with these members.
  void ClassWith(const std::string& members) {
    Source("class A final : public state::Object {\n STATE_SAVABLE(A);\n" + members + "\n};");
  }

  std::map<std::string, std::string> Run() {
    errors_.clear();
    return Generate(options_, errors_);
  }
  void ExpectRefused(const std::string& why) {
    EXPECT_THAT(Run(), IsEmpty());
    EXPECT_THAT(errors_, Contains(HasSubstr(why)));
  }
  void ExpectMembersRefused(const std::string& members, const std::string& why) {
    ClassWith(members);
    ExpectRefused(why);
  }
  // The lock file after `code`.
  std::string Lock(const std::string& code) {
    Source(code);
    auto files = Run();
    EXPECT_THAT(errors_, IsEmpty());
    return files["l/gen/l.state.lock"];
  }

  fs::path root_;
  GeneratorOptions options_;
  Errors errors_;
};

TEST_F(StateifyTest, WritesAllFiles) {
  ClassWith("int a_ = 0;");
  const auto files = Run();
  EXPECT_THAT(errors_, IsEmpty());
  EXPECT_EQ(files.size(), 5u);
  EXPECT_EQ(files.count("l/gen/types.h"), 1u);
}

TEST_F(StateifyTest, NamesTypesByTheirSavedForm) {
  const std::string lock = Lock(
      "enum class E : uint8_t { kA = 3 };\n"
      "class B : public state::Object { STATE_SAVABLE(B); virtual void F() = 0; };\n"
      "class A final : public B {\n"
      "  struct S { STATE_SAVABLE(S); int16_t i; };\n"
      "  void F() override;\n STATE_SAVABLE(A);\n"
      "  E e_; RefPtr<A> a_; B* b_; std::map<std::string, std::vector<S>> m_;\n"
      "  std::vector<unsigned char> v_; int n_ STATE(nosave) = 1;\n};");
  EXPECT_THAT(lock, HasSubstr("enum l.E u8\n  kA = 3\n"));
  EXPECT_THAT(lock, HasSubstr("class l.A : l.B\n"
                              "  0 e : enum<l.E:u8>\n"
                              "  1 a : ref<l.A>\n"
                              "  2 b : any<l.B>\n"
                              "  3 m : map<string,list<struct<l.A.S>>>\n"
                              "  4 v : bytes\n"));
  EXPECT_THAT(lock, HasSubstr("struct l.A.S\n  0 i : i16\n"));
}

TEST_F(StateifyTest, FollowsReferencesInNestedStructs) {
  Source(
      "class A final : public state::Object {\n"
      "  struct Inner { STATE_SAVABLE(Inner); RefPtr<A> a; };\n"
      "  struct Outer { STATE_SAVABLE(Outer); std::vector<Inner> v; };\n"
      "  STATE_SAVABLE(A);\n  Outer at_; std::vector<Outer> all_;\n};");
  const auto files = Run();
  EXPECT_THAT(errors_, IsEmpty());
  const std::string& code = files.at("l/gen/l.state.cc");
  EXPECT_THAT(code, HasSubstr("VisitField(w, o.at_)"));
  EXPECT_THAT(code, HasSubstr("VisitField(w, o.all_)"));
  EXPECT_THAT(code, HasSubstr("ClearField(o.at_)"));
  EXPECT_THAT(code, HasSubstr("VisitField(w, o.v)"));
}

TEST_F(StateifyTest, TagsStandBesideThreadAnnotations) {
  Source(
      "struct __attribute__((capability(\"mutex\"))) M {};\n"
      "class A final : public state::Object { STATE_SAVABLE(A);\n  M m_ STATE(nosave);\n"
      "  int a_ STATE(nosave) __attribute__((guarded_by(m_))) = 1;\n"
      "  int b_ __attribute__((guarded_by(m_))) STATE(nosave) = 1;\n"
      "  int c_ __attribute__((guarded_by(m_))) STATE(nosave){1};\n"
      "  char d_[8] STATE(nosave) = {};\n};");
  EXPECT_EQ(Run().size(), 5u);
  EXPECT_THAT(errors_, IsEmpty());
}

TEST_F(StateifyTest, RefusesUnknownTags) {
  ExpectMembersRefused("int a_ STATE(nosafe) = 0;", "field a_: unknown tag nosafe");
  ExpectMembersRefused("int a_ STATE(was = old) = 0;", "field a_: unknown tag was = old");
  ExpectMembersRefused("int a_ STATE() = 0;", "field a_: unknown tag");
}

TEST_F(StateifyTest, RefusesTagsThatExcludeEachOther) {
  ExpectMembersRefused("int a_ STATE(nosave, manual) = 0;", "field a_: these tags exclude");
  ExpectMembersRefused("int a_ STATE(nosave) STATE(manual) = 0;", "field a_: more than one STATE");
}

TEST_F(StateifyTest, RefusesTypesWithoutACodec) {
  ExpectMembersRefused("void* a_ = nullptr;", "field a_: void is not a savable class");
  ExpectMembersRefused("int a_[3] = {};", "field a_: there is no codec for int[3]");
  ExpectMembersRefused("long double a_ = 0;", "field a_: there is no codec for long double");
  ExpectMembersRefused("void (*a_)() = nullptr;", "field a_:");
  ExpectMembersRefused("std::wstring a_;", "field a_:");
  ExpectMembersRefused("std::vector<std::vector<void*>> a_;", "field a_: void");
}

TEST_F(StateifyTest, RefusesReachableTypesThatAreNotSavable) {
  Source("struct P { int x; };\nclass A final : public state::Object { STATE_SAVABLE(A); P p_; };");
  ExpectRefused("field p_: stasis::l::P has no codec and is not savable");
  Source(
      "class O : public state::Object {};\n"
      "class A final : public state::Object { STATE_SAVABLE(A); RefPtr<O> o_; };");
  ExpectRefused("field o_: stasis::l::O is not a savable class");
  Source("class O;\nclass A final : public state::Object { STATE_SAVABLE(A); O* o_; };");
  ExpectRefused("field o_: stasis::l::O is only declared");
}

TEST_F(StateifyTest, RefusesObjectsByValue) {
  Source(
      "class O final : public state::Object { STATE_SAVABLE(O); };\n"
      "class A final : public state::Object { STATE_SAVABLE(A); O o_; };");
  ExpectRefused("field o_: l.O is an object: hold it by RefPtr or pointer");
}

TEST_F(StateifyTest, RefusesMembersThatCannotBeAssigned) {
  ExpectMembersRefused("const int a_ = 0;", "field a_: a const member cannot be loaded");
  ExpectMembersRefused("int x_ = 0; int& a_ = x_;", "field a_: a reference cannot be loaded");
  ExpectMembersRefused("int a_ : 3 = 0;", "field a_: a bit-field cannot be loaded");
  ExpectMembersRefused("union { int a_; float b_; };", "an anonymous union");
}

TEST_F(StateifyTest, TakesThemIfTheyAreNotSaved) {
  // A bit-field's tag stands after its width.
  ClassWith(
      "const int a_ STATE(nosave) = 0; int& b_ STATE(nosave); A() : b_(c_) {}\n"
      "int c_ STATE(nosave) = 0; int d_ : 3 STATE(nosave) = 0;");
  EXPECT_EQ(Run().size(), 5u);
  EXPECT_THAT(errors_, IsEmpty());
}

TEST_F(StateifyTest, RefusesPreprocessorLinesInAClass) {
  ExpectMembersRefused("\n#if 1\nint a_ = 0;\n#endif\n", "l.A: a preprocessor line");
}

TEST_F(StateifyTest, RefusesWhatClangRefuses) {
  Write("l/x.h", "#include \"not/there.h\"\nSTATE_SAVABLE(X)\n");
  ExpectRefused("'not/there.h' file not found");
  ExpectMembersRefused("Unheard a_;", "unknown type name 'Unheard'");
}

TEST_F(StateifyTest, RefusesClassesThatTheParseDoesNotSee) {
  Source("#if 0\nclass A final : public state::Object { STATE_SAVABLE(A); };\n#endif");
  ExpectRefused("l/x.h: 1 uses of STATE_SAVABLE in the text, 0 savable classes in the parse");
}

TEST_F(StateifyTest, CommentsAndStringsAreNoClasses) {
  ClassWith("// STATE_SAVABLE(B);\n/* STATE_SAVABLE(C); */ int a_ = '\\'' + 1'000;");
  EXPECT_EQ(Run().size(), 5u);
  EXPECT_THAT(errors_, IsEmpty());
}

TEST_F(StateifyTest, RefusesClassesInSourceFiles) {
  ClassWith("");
  Write("l/y.cc", "STATE_SAVABLE(Y)");
  ExpectRefused("l/y.cc: saved classes are declared in headers");
}

TEST_F(StateifyTest, RefusesTagsWithoutAMark) {
  Source("class A { int a_ STATE(nosave) = 0; };");
  ExpectRefused("a_: STATE() in a class without STATE_SAVABLE");
}

TEST_F(StateifyTest, RefusesTheMarkOfAnotherClass) {
  Source("class B;\nclass A final : public state::Object { STATE_SAVABLE(B); };\nclass B {};");
  ExpectRefused("STATE_SAVABLE names another class");
}

TEST_F(StateifyTest, RefusesTemplates) {
  Source("template <typename T> class A : public state::Object { STATE_SAVABLE(A); T t_; };");
  ExpectRefused("A: a class template cannot be savable");
}

TEST_F(StateifyTest, RefusesWaitsInACircle) {
  Source(
      "class B;\n"
      "class A final : public state::Object { STATE_SAVABLE(A); RefPtr<B> b_ STATE(wait); };\n"
      "class B final : public state::Object { STATE_SAVABLE(B); RefPtr<A> a_ STATE(wait); };");
  ExpectRefused("STATE(wait) goes in a circle: l.A -> l.B -> l.A");
}

TEST_F(StateifyTest, ATreeMayWaitForItsParents) {
  ClassWith("RefPtr<A> parent_ STATE(wait);");
  EXPECT_EQ(Run().size(), 5u);
  EXPECT_THAT(errors_, IsEmpty());
}

TEST_F(StateifyTest, RefusesWaitsForNothing) {
  ExpectMembersRefused("int a_ STATE(wait) = 0;", "field a_: there is nothing to wait for");
  ExpectMembersRefused("RefPtr<state::Object> a_ STATE(wait);",
                       "field a_: cannot wait for just any object");
}

TEST_F(StateifyTest, RefusesStructsThatContainThemselves) {
  Source("struct S { STATE_SAVABLE(S); std::vector<S> s; };");
  ExpectRefused("plain structs contain themselves: l.S -> l.S");
}

TEST_F(StateifyTest, RefusesClassesThatCannotBeMade) {
  ExpectMembersRefused("explicit A(int);", "l.A: needs a default constructor");
  ExpectMembersRefused("A() = delete;", "l.A: needs a default constructor");
}

TEST_F(StateifyTest, RefusesBasesWithFieldsThatAreNotSavable) {
  Source(
      "class B : public state::Object { int b_; };\nclass A final : public B { STATE_SAVABLE(A); "
      "};");
  ExpectRefused("base class stasis::l::B has fields but is not savable");
  Source("class B : public virtual state::Object { STATE_SAVABLE(B); };");
  ExpectRefused("a virtual base cannot be saved");
}

TEST_F(StateifyTest, RefusesManualFieldsWithoutTheirHooks) {
  ExpectMembersRefused("int a_ STATE(manual) = 0;", "the class needs SaveA() and LoadA()");
  ExpectMembersRefused("int a_ STATE(manual) = 0; int SaveA(); absl::Status LoadA(int);",
                       "SaveA() must be const");
  ExpectMembersRefused("int a_ STATE(manual) = 0; int SaveA() const; void LoadA(int);",
                       "LoadA must return absl::Status");
  ExpectMembersRefused("void AfterLoad(int);", "AfterLoad must return absl::Status");
}

TEST_F(StateifyTest, RefusesHooksOfPlainStructs) {
  Source("struct S { STATE_SAVABLE(S); absl::Status AfterLoad(int); };");
  ExpectRefused("a plain struct has no hooks");
}

TEST_F(StateifyTest, RefusesKeysThatLeadToObjects) {
  ExpectMembersRefused("std::map<A*, int> a_;", "keys must not lead to objects");
}

TEST_F(StateifyTest, RefusesEnumsFromOutside) {
  ExpectMembersRefused("std::memory_order a_;", "its values are not defined in any layer");
}

TEST_F(StateifyTest, FollowsTheLockFileThatIsThere) {
  ClassWith("int a_ = 0; int b_ = 0;");
  EXPECT_THAT(WriteFiles(options_, Run()), IsEmpty());
  EXPECT_THAT(Differences(options_, Run()), IsEmpty());
  ClassWith("int b_ = 0; int c_ = 0;");
  const auto files = Run();
  EXPECT_THAT(files.at("l/gen/l.state.lock"), HasSubstr("  0 retired0 : i32 was a\n  1 b : i32\n"));
  EXPECT_THAT(Differences(options_, files),
              Contains("l/gen/l.state.lock: is not what the headers say"));
  EXPECT_THAT(WriteFiles(options_, files), IsEmpty());
  ExpectMembersRefused("int a_ = 0; int b_ = 0;", "l.A field a: a retired field");
  ExpectMembersRefused("long b_ = 0;", "l.A field b: its type was i32 and is now i64");
}

TEST_F(StateifyTest, CheckFindsFilesThatAreNotGenerated) {
  ClassWith("int a_ = 0;");
  WriteFiles(options_, Run());
  Write("l/gen/old.cc", "");
  EXPECT_THAT(Differences(options_, Run()), ElementsAre("l/gen/old.cc: is not generated"));
  WriteFiles(options_, Run());
  EXPECT_FALSE(fs::exists(root_ / "l/gen/old.cc"));
}

}  // namespace
}  // namespace stasis::stateify
