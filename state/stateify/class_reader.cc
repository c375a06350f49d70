// SPDX-License-Identifier: Apache-2.0

#include "state/stateify/class_reader.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <map>
#include <vector>

#include "state/stateify/clang_cursor.h"
#include "state/stateify/schema_names.h"

namespace stasis::stateify {
namespace {

constexpr char kMark[] = "StateSavableMark";

bool IsClass(CXCursor cursor) {
  const CXCursorKind kind = clang_getCursorKind(cursor);
  return kind == CXCursor_ClassDecl || kind == CXCursor_StructDecl;
}

// What the tags of one field say.
struct Tags {
  bool nosave = false;
  bool wait = false;
  bool manual = false;
  std::string was;
};

bool ReadTag(absl::string_view tag, Tags& tags) {
  if (tag == "nosave") return tags.nosave = true;
  if (tag == "wait") return tags.wait = true;
  if (tag == "manual") return tags.manual = true;
  if (!absl::ConsumePrefix(&tag, "was")) return false;
  tag = absl::StripAsciiWhitespace(tag);
  if (!absl::ConsumePrefix(&tag, "=")) return false;
  tag = absl::StripAsciiWhitespace(tag);
  if (tag.size() < 3 || tag.front() != '"' || tag.back() != '"') return false;
  tags.was = std::string(tag.substr(1, tag.size() - 2));
  return true;
}

class BodyReader {
 public:
  BodyReader(CXCursor definition, ClassIndex& index, Class& c, Errors& errors)
      : definition_(definition), index_(index), class_(c), errors_(errors) {}

  void Read() {
    const auto children = Children(definition_);
    for (CXCursor child : children)
      if (clang_getCursorKind(child) == CXCursor_CXXMethod) methods_[Spelling(child)] = child;
    ReadHooks();
    for (CXCursor child : children) {
      const CXCursorKind kind = clang_getCursorKind(child);
      if (kind == CXCursor_FieldDecl) ReadField(child);
      if (kind == CXCursor_UnionDecl && clang_Cursor_isAnonymousRecordDecl(child) != 0)
        Say(child, "an anonymous union cannot be saved: give it a name and STATE(nosave)");
      if (IsClass(child) && clang_Cursor_isAnonymousRecordDecl(child) != 0)
        Say(child, "an anonymous struct cannot be saved");
    }
    CheckDefaultConstructor(children);
  }

 private:
  void Say(CXCursor at, const std::string& what) {
    errors_.push_back(absl::StrCat(PlaceOf(at).ToString(), ": ", class_.name, ": ", what));
  }
  void SayField(CXCursor field, const std::string& what) {
    Say(field, absl::StrCat("field ", Spelling(field), ": ", what));
  }

  bool HasMethod(const std::string& name) const { return methods_.count(name) != 0; }

  void ReadHooks() {
    class_.before_save = HasMethod("BeforeSave");
    class_.after_load = HasMethod("AfterLoad");
    class_.load_failed = HasMethod("LoadFailed");
    if (class_.is_object) {
      if (class_.after_load) CheckReturnsStatus("AfterLoad");
    } else if (class_.before_save || class_.after_load || class_.load_failed) {
      Say(definition_, "a plain struct has no hooks: those of its holder do");
    }
  }

  void CheckReturnsStatus(const std::string& method) {
    const CXType result = clang_getCanonicalType(clang_getCursorResultType(methods_[method]));
    if (QualifiedName(clang_getTypeDeclaration(result)) != "absl::Status")
      Say(methods_[method], absl::StrCat(method, " must return absl::Status"));
  }

  bool ReadTags(CXCursor field, Tags& tags) {
    const auto annotations = StateAnnotations(field);
    if (annotations.size() > 1) {
      SayField(field, "more than one STATE()");
      return false;
    }
    if (annotations.empty()) return true;
    for (absl::string_view tag : absl::StrSplit(annotations[0], ',')) {
      tag = absl::StripAsciiWhitespace(tag);
      if (ReadTag(tag, tags)) continue;
      SayField(field, absl::StrCat("unknown tag ", tag));
      return false;
    }
    if ((tags.nosave && (tags.wait || tags.manual || !tags.was.empty())) ||
        (tags.manual && tags.wait)) {
      SayField(field, "these tags exclude each other");
      return false;
    }
    return true;
  }

  void ReadField(CXCursor cursor) {
    Tags tags;
    if (!ReadTags(cursor, tags) || tags.nosave) return;
    Field field;
    field.member = Spelling(cursor);
    field.name = field.member;
    while (!field.name.empty() && field.name.back() == '_') field.name.pop_back();
    if (field.name.empty()) return Say(cursor, "a field without a name cannot be saved");
    field.wait = tags.wait;
    field.manual = tags.manual;
    field.was = tags.was;
    field.where = PlaceOf(cursor).ToString();
    CXType type = clang_getCursorType(cursor);
    if (tags.manual && !ManualType(cursor, field, type)) return;
    if (!tags.manual && !CheckShape(cursor, type)) return;
    std::string why;
    field.type = Classify(type, index_, tags.manual, why);
    if (!why.empty()) return SayField(cursor, why);
    if (tags.wait) CheckWait(cursor, field);
    class_.fields.push_back(std::move(field));
  }

  bool CheckShape(CXCursor cursor, CXType type) {
    const CXType canonical = clang_getCanonicalType(type);
    const char* what = nullptr;
    if (clang_Cursor_isBitField(cursor) != 0) what = "a bit-field";
    if (clang_isConstQualifiedType(canonical) != 0) what = "a const member";
    if (canonical.kind == CXType_LValueReference || canonical.kind == CXType_RValueReference)
      what = "a reference";
    if (what == nullptr) return true;
    SayField(cursor, absl::StrCat(what, " cannot be loaded: give it STATE(nosave) or change it"));
    return false;
  }

  // The form that SaveFoo() returns, for a field tagged `manual`.
  bool ManualType(CXCursor cursor, const Field& field, CXType& type) {
    if (!class_.is_object) {
      SayField(cursor, "a plain struct has no manual fields");
      return false;
    }
    const std::string save = absl::StrCat("Save", UpperCamel(field.name));
    const std::string load = absl::StrCat("Load", UpperCamel(field.name));
    if (!HasMethod(save) || !HasMethod(load)) {
      SayField(cursor, absl::StrCat("is manual, so the class needs ", save, "() and ", load, "()"));
      return false;
    }
    if (clang_CXXMethod_isConst(methods_[save]) == 0) {
      SayField(cursor, absl::StrCat(save, "() must be const"));
      return false;
    }
    CheckReturnsStatus(load);
    type = clang_getCursorResultType(methods_[save]);
    if (clang_getCanonicalType(type).kind == CXType_LValueReference)
      type = clang_getPointeeType(clang_getCanonicalType(type));
    return true;
  }

  void CheckWait(CXCursor cursor, const Field& field) {
    if (!class_.is_object) return SayField(cursor, "a plain struct waits for nothing");
    if (field.type.targets.empty()) return SayField(cursor, "there is nothing to wait for");
    for (const std::string& target : field.type.targets)
      if (target == "state.Object") return SayField(cursor, "cannot wait for just any object");
  }

  void CheckDefaultConstructor(const std::vector<CXCursor>& children) {
    if (class_.is_object && class_.is_abstract) return;
    bool any = false;
    for (CXCursor child : children) {
      if (clang_getCursorKind(child) != CXCursor_Constructor) continue;
      any = true;
      if (clang_CXXConstructor_isDefaultConstructor(child) != 0 &&
          clang_CXXMethod_isDeleted(child) == 0)
        return;
    }
    if (any) Say(definition_, "needs a default constructor, which may be private");
  }

  const CXCursor definition_;
  ClassIndex& index_;
  Class& class_;
  Errors& errors_;
  std::map<std::string, CXCursor> methods_;
};

bool IsEngineClass(const std::string& name) {
  return name == "stasis::state::Object" || name == "stasis::RefCounted";
}

}  // namespace

bool IsMarked(CXCursor definition) {
  for (CXCursor child : Children(definition))
    if (clang_getCursorKind(child) == CXCursor_TypeAliasDecl && Spelling(child) == kMark)
      return true;
  return false;
}

CXCursor SavableBase(CXCursor definition, bool& is_object, Errors& errors) {
  CXCursor found = clang_getNullCursor();
  for (CXCursor child : Children(definition)) {
    if (clang_getCursorKind(child) != CXCursor_CXXBaseSpecifier) continue;
    const CXCursor base = DefinitionOf(clang_getCursorType(child));
    const std::string where = PlaceOf(child).ToString();
    if (IsNull(base)) continue;
    const std::string name = QualifiedName(base);
    if (name == "stasis::state::Object") is_object = true;
    if (clang_isVirtualBase(child) != 0)
      errors.push_back(absl::StrCat(where, ": ", name, ": a virtual base cannot be saved"));
    if (IsEngineClass(name)) continue;
    CXCursor savable = base;
    if (!IsMarked(base)) {
      for (CXCursor member : Children(base))
        if (clang_getCursorKind(member) == CXCursor_FieldDecl) {
          errors.push_back(
              absl::StrCat(where, ": base class ", name, " has fields but is not savable"));
          break;
        }
      savable = SavableBase(base, is_object, errors);
    } else {
      Errors ignored;  // said when that class is read
      SavableBase(base, is_object, ignored);
    }
    if (IsNull(savable)) continue;
    if (!IsNull(found))
      errors.push_back(absl::StrCat(where, ": ", name, ": a second savable base class"));
    found = savable;
  }
  return found;
}

void ReadHead(CXCursor definition, Class& c, Errors& errors) {
  c.cpp_name = absl::StrCat("::", QualifiedName(definition));
  c.where = PlaceOf(definition).ToString();
  c.is_abstract = clang_CXXRecord_isAbstract(definition) != 0;
  for (CXCursor child : Children(definition)) {
    if (clang_getCursorKind(child) == CXCursor_CXXFinalAttr) c.is_final = true;
    if (clang_getCursorKind(child) != CXCursor_TypeAliasDecl || Spelling(child) != kMark) continue;
    const CXCursor marked = DefinitionOf(clang_getTypedefDeclUnderlyingType(child));
    if (IsNull(marked) || Usr(marked) != Usr(definition))
      errors.push_back(absl::StrCat(PlaceOf(child).ToString(), ": ", c.name,
                                    ": STATE_SAVABLE names another class"));
  }
}

void ReadBody(CXCursor definition, ClassIndex& index, Class& c, Errors& errors) {
  BodyReader(definition, index, c, errors).Read();
}

}  // namespace stasis::stateify
