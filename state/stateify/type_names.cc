// SPDX-License-Identifier: Apache-2.0

#include "state/stateify/type_names.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <map>
#include <vector>

#include "state/stateify/clang_cursor.h"

namespace stasis::stateify {
namespace {

using Kind = SavedType::Kind;

// Templates whose arguments are saved one after the other, and what the form is called.
struct Container {
  const char* form;
  int arguments;  // how many of the template's count; -1: all
  bool keyed;     // the first must not lead to objects
};
const std::map<std::string, Container>& Containers() {
  static const auto* containers =
      new std::map<std::string, Container>{{"std::vector", {"list", 1, false}},
                                           {"std::deque", {"list", 1, false}},
                                           {"absl::InlinedVector", {"list", 1, false}},
                                           {"std::optional", {"optional", 1, false}},
                                           {"std::unique_ptr", {"optional", 1, false}},
                                           {"std::pair", {"tuple", 2, false}},
                                           {"std::tuple", {"tuple", -1, false}},
                                           {"std::variant", {"variant", -1, false}},
                                           {"std::map", {"map", 2, true}},
                                           {"std::unordered_map", {"map", 2, true}},
                                           {"absl::btree_map", {"map", 2, true}},
                                           {"absl::flat_hash_map", {"map", 2, true}},
                                           {"std::set", {"set", 1, true}},
                                           {"std::unordered_set", {"set", 1, true}},
                                           {"absl::btree_set", {"set", 1, true}},
                                           {"absl::flat_hash_set", {"set", 1, true}}};
  return *containers;
}

void Append(std::vector<std::string>& to, const std::vector<std::string>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

class Classifier {
 public:
  Classifier(ClassIndex& index, bool viewable, std::string& why)
      : index_(index), viewable_(viewable), why_(why) {}

  // Types nest as deep as the source says.
  SavedType Classify(CXType type) {
    const CXType canonical = clang_getUnqualifiedType(clang_getCanonicalType(type));
    switch (canonical.kind) {
      case CXType_Bool:
        return Scalar(Kind::kBool, "bool", 8, false);
      case CXType_Char_S:
      case CXType_SChar:
      case CXType_Short:
      case CXType_Int:
      case CXType_Long:
      case CXType_LongLong:
        return Int(canonical, true);
      case CXType_Char_U:
      case CXType_UChar:
      case CXType_UShort:
      case CXType_UInt:
      case CXType_ULong:
      case CXType_ULongLong:
        return Int(canonical, false);
      case CXType_Float:
        return Scalar(Kind::kFloat, "f32", 32, true);
      case CXType_Double:
        return Scalar(Kind::kFloat, "f64", 64, true);
      case CXType_Enum:
        return EnumType(canonical);
      case CXType_Pointer:
        return Reference(clang_getPointeeType(canonical));
      case CXType_Record:
        return Record(canonical);
      default:
        return Refuse(canonical);
    }
  }

 private:
  SavedType Refuse(CXType type, const std::string& what = "") {
    if (why_.empty())
      why_ = what.empty()
                 ? absl::StrCat("there is no codec for ", Text(clang_getTypeSpelling(type)))
                 : what;
    return {};
  }

  static SavedType Scalar(Kind kind, const std::string& name, int bits, bool is_signed) {
    SavedType saved;
    saved.kind = kind;
    saved.name = name;
    saved.bits = bits;
    saved.is_signed = is_signed;
    return saved;
  }

  static SavedType Int(CXType type, bool is_signed) {
    const int bits = static_cast<int>(clang_Type_getSizeOf(type)) * 8;
    return Scalar(Kind::kInt, absl::StrCat(is_signed ? "i" : "u", bits), bits, is_signed);
  }

  SavedType EnumType(CXType type) {
    const CXCursor declaration = clang_getTypeDeclaration(type);
    if (QualifiedName(declaration) == "std::byte") return Scalar(Kind::kInt, "u8", 8, false);
    SavedType number = Classify(clang_getEnumDeclIntegerType(declaration));
    number.kind = Kind::kEnum;
    number.name = absl::StrCat("enum<", index_.UseEnum(declaration), ":", number.name, ">");
    return number;
  }

  SavedType Reference(CXType target) {
    const CXType canonical = clang_getUnqualifiedType(clang_getCanonicalType(target));
    const CXCursor declaration = clang_getTypeDeclaration(canonical);
    const std::string name = QualifiedName(declaration);
    SavedType saved;
    saved.has_refs = true;
    if (name == "stasis::state::Object") {
      saved.kind = Kind::kAnyRef;
      saved.name = "any<state.Object>";
      saved.targets = {"state.Object"};
      return saved;
    }
    const CXCursor definition = DefinitionOf(canonical);
    const Class* c = IsNull(definition) ? nullptr : index_.FindSavable(definition);
    const bool only_declared = canonical.kind == CXType_Record && IsNull(definition);
    if (c == nullptr || !c->is_object)
      return Refuse(canonical, absl::StrCat(Text(clang_getTypeSpelling(canonical)),
                                            only_declared ? " is only declared, and" : "",
                                            " is not a savable class derived from state::Object"));
    saved.kind = c->is_final ? Kind::kExactRef : Kind::kAnyRef;
    saved.name = absl::StrCat(c->is_final ? "ref<" : "any<", c->name, ">");
    saved.targets = {c->name};
    return saved;
  }

  SavedType RefPtrTo(CXType target) {
    const CXCursor declaration = clang_getTypeDeclaration(clang_getCanonicalType(target));
    if (QualifiedName(declaration) != "stasis::state::Chunk") return Reference(target);
    SavedType saved;
    saved.kind = Kind::kChunk;
    saved.name = "chunk";
    saved.has_refs = true;
    return saved;
  }

  SavedType Record(CXType type) {
    const CXCursor declaration = clang_getTypeDeclaration(type);
    const std::string name = QualifiedName(declaration);
    const auto argument = [&](unsigned i) { return clang_Type_getTemplateArgumentAsType(type, i); };
    if (name == "std::basic_string" || (viewable_ && name == "std::basic_string_view"))
      return argument(0).kind == CXType_Char_S ? Variable("string") : Refuse(type);
    if (name == "std::monostate") return Variable("empty");
    if (name == "stasis::RefPtr") return RefPtrTo(argument(0));
    if (name == "std::atomic") return Atomic(type, argument(0));
    if (name == "std::array") return Array(type, argument(0));
    if (auto it = Containers().find(name); it != Containers().end())
      return Contained(type, it->second);
    const CXCursor definition = DefinitionOf(type);
    const Class* c = IsNull(definition) ? nullptr : index_.FindSavable(definition);
    if (c == nullptr)
      return Refuse(type, absl::StrCat(Text(clang_getTypeSpelling(type)),
                                       " has no codec and is not savable"));
    if (c->is_object)
      return Refuse(type, absl::StrCat(c->name, " is an object: hold it by RefPtr or pointer"));
    SavedType saved = Variable(absl::StrCat("struct<", c->name, ">"));
    saved.structs = {c->name};
    return saved;
  }

  static SavedType Variable(const std::string& name) {
    SavedType saved;
    saved.name = name;
    return saved;
  }

  SavedType Atomic(CXType type, CXType inner) {
    SavedType saved = Classify(inner);
    if (why_.empty() && (saved.kind == Kind::kVariable || saved.kind == Kind::kChunk))
      return Refuse(type);
    return saved;
  }

  SavedType Array(CXType type, CXType element) {
    SavedType saved = Classify(element);
    const long long size = clang_Type_getSizeOf(element);
    const long long count = size > 0 ? clang_Type_getSizeOf(type) / size : 0;
    if (count <= 0) return Refuse(type);
    saved.kind = Kind::kVariable;
    saved.name = absl::StrCat("array<", saved.name, ",", count, ">");
    return saved;
  }

  SavedType Contained(CXType type, const Container& container) {
    SavedType saved;
    std::vector<std::string> names;
    const int given = clang_Type_getNumTemplateArguments(type);
    const int count = container.arguments < 0 ? given : container.arguments;
    if (count <= 0) return Refuse(type);
    for (int i = 0; i < count && why_.empty(); ++i) {
      const SavedType inner =
          Classify(clang_Type_getTemplateArgumentAsType(type, static_cast<unsigned>(i)));
      if (i == 0 && container.keyed && inner.has_refs)
        return Refuse(type, "keys must not lead to objects: use STATE(manual)");
      names.push_back(inner.name);
      saved.has_refs |= inner.has_refs;
      Append(saved.targets, inner.targets);
      Append(saved.structs, inner.structs);
    }
    saved.name = absl::StrCat(container.form, "<", absl::StrJoin(names, ","), ">");
    const bool is_vector = QualifiedName(clang_getTypeDeclaration(type)) == "std::vector";
    if (is_vector && saved.name == "list<u8>") saved.name = "bytes";
    return saved;
  }

  ClassIndex& index_;
  const bool viewable_;
  std::string& why_;
};

}  // namespace

SavedType Classify(CXType type, ClassIndex& index, bool viewable, std::string& why) {
  return Classifier(index, viewable, why).Classify(type);
}

}  // namespace stasis::stateify
