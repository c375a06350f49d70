// SPDX-License-Identifier: Apache-2.0

#include "state/stateify/clang_parser.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/strip.h>
#include <clang-c/Index.h>

#include <algorithm>
#include <memory>
#include <set>

#include "state/stateify/clang_cursor.h"
#include "state/stateify/class_reader.h"
#include "state/stateify/type_names.h"

namespace stasis::stateify {
namespace {

bool IsRecordKind(CXCursorKind kind) {
  return kind == CXCursor_ClassDecl || kind == CXCursor_StructDecl;
}

// One parse and what is read out of it.
class ProgramReader final : public ClassIndex {
 public:
  ProgramReader(const ParseInput& input, Errors& errors) : input_(input), errors_(errors) {}
  ~ProgramReader() override {
    if (unit_ != nullptr) clang_disposeTranslationUnit(unit_);
    if (index_ != nullptr) clang_disposeIndex(index_);
  }

  Program Read() {
    if (!ParseUnit()) return {};
    FindClasses(clang_getTranslationUnitCursor(unit_));
    CheckMarks();
    for (Found& found : found_) ReadHeadOf(found);
    // Heads of all before the body of any: fields refer to classes that come later.
    for (Found& found : found_) by_usr_[Usr(found.definition)] = found.c.get();
    for (Found& found : found_) ReadBody(found.definition, *this, *found.c, errors_);
    Program program;
    for (Found& found : found_) program.classes.push_back(*found.c);
    for (auto& [usr, e] : enums_) program.enums.push_back(e);
    const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
    std::sort(program.classes.begin(), program.classes.end(), by_name);
    std::sort(program.enums.begin(), program.enums.end(), by_name);
    return program;
  }

  const Class* FindSavable(CXCursor definition) const override {
    auto it = by_usr_.find(Usr(definition));
    return it == by_usr_.end() ? nullptr : it->second;
  }

  std::string UseEnum(CXCursor declaration) override;

 private:
  struct Found {
    CXCursor definition;
    std::unique_ptr<Class> c;
  };

  bool ParseUnit();
  void FindClasses(CXCursor parent);
  void LookAt(CXCursor cursor);
  void CheckMarks();
  void ReadHeadOf(Found& found);
  std::string Relative(const std::string& file) const {
    absl::string_view path = file;
    absl::ConsumePrefix(&path, input_.root + "/");
    return std::string(path);
  }
  const Layer* LayerOf(const std::string& file) const;
  static std::string SavedName(const Layer& layer, const std::string& qualified);
  void CheckDirectives(const Found& found);

  const ParseInput& input_;
  Errors& errors_;
  CXIndex index_ = nullptr;
  CXTranslationUnit unit_ = nullptr;
  std::vector<Found> found_;
  std::map<std::string, int> marks_;  // by file
  std::map<std::string, const Class*> by_usr_;
  std::map<std::string, Enum> enums_;  // by USR
  std::set<std::string> flag_enums_;   // USRs of those with an operator|
};

bool ProgramReader::ParseUnit() {
  std::string umbrella;
  for (const auto& [path, file] : input_.files)
    absl::StrAppend(&umbrella, "#include \"", path, "\"\n");
  const std::string name = input_.root + "/stateify_umbrella.cc";
  std::vector<std::string> arguments = {"-x",
                                        "c++",
                                        "-std=c++20",
                                        "-DSTASIS_STATEIFY",
                                        "-D_FILE_OFFSET_BITS=64",
                                        "-ferror-limit=20",
                                        "-I",
                                        input_.root,
                                        "-resource-dir",
                                        STASIS_CLANG_RESOURCE_DIR,
                                        "-working-directory",
                                        input_.root};
  arguments.insert(arguments.end(), input_.compiler_arguments.begin(),
                   input_.compiler_arguments.end());
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  CXUnsavedFile unsaved = {name.c_str(), umbrella.data(),
                           static_cast<unsigned long>(umbrella.size())};
  index_ = clang_createIndex(0, 0);
  const CXErrorCode code = clang_parseTranslationUnit2(
      index_, name.c_str(), pointers.data(), static_cast<int>(pointers.size()), &unsaved, 1,
      CXTranslationUnit_SkipFunctionBodies, &unit_);
  if (code != CXError_Success) {
    errors_.push_back("clang cannot parse at all");
    return false;
  }
  bool ok = true;
  for (unsigned i = 0; i < clang_getNumDiagnostics(unit_); ++i) {
    CXDiagnostic diagnostic = clang_getDiagnostic(unit_, i);
    if (clang_getDiagnosticSeverity(diagnostic) >= CXDiagnostic_Error) {
      errors_.push_back(
          Text(clang_formatDiagnostic(diagnostic, clang_defaultDiagnosticDisplayOptions())));
      ok = false;
    }
    clang_disposeDiagnostic(diagnostic);
  }
  return ok;
}

// Namespaces and classes nest as deep as the source says.
void ProgramReader::FindClasses(CXCursor parent) {
  for (CXCursor cursor : Children(parent)) {
    if (clang_Location_isInSystemHeader(clang_getCursorLocation(cursor)) != 0) continue;
    LookAt(cursor);
  }
}

void ProgramReader::LookAt(CXCursor cursor) {
  const CXCursorKind kind = clang_getCursorKind(cursor);
  if (kind == CXCursor_Namespace || kind == CXCursor_LinkageSpec) return FindClasses(cursor);
  if (kind == CXCursor_FriendDecl) return FindClasses(cursor);
  if (kind == CXCursor_FunctionDecl && Spelling(cursor) == "operator|") {
    const CXCursor argument = clang_Cursor_getArgument(cursor, 0);
    const CXType type = clang_getCanonicalType(clang_getCursorType(argument));
    if (type.kind == CXType_Enum) flag_enums_.insert(Usr(clang_getTypeDeclaration(type)));
  }
  const bool is_template =
      kind == CXCursor_ClassTemplate || kind == CXCursor_ClassTemplatePartialSpecialization;
  if (is_template && IsMarked(cursor)) {
    errors_.push_back(absl::StrCat(PlaceOf(cursor).ToString(), ": ", Spelling(cursor),
                                   ": a class template cannot be savable"));
    marks_[Relative(PlaceOf(cursor).file)]++;
  }
  if (!IsRecordKind(kind) || clang_isCursorDefinition(cursor) == 0) return;
  if (IsMarked(cursor)) {
    marks_[Relative(PlaceOf(cursor).file)]++;
    found_.push_back({cursor, std::make_unique<Class>()});
  } else {
    for (CXCursor child : Children(cursor))
      if (clang_getCursorKind(child) == CXCursor_FieldDecl && !StateAnnotations(child).empty())
        errors_.push_back(absl::StrCat(PlaceOf(child).ToString(), ": ", Spelling(child),
                                       ": STATE() in a class without STATE_SAVABLE"));
  }
  FindClasses(cursor);
}

void ProgramReader::CheckMarks() {
  for (const auto& [path, file] : input_.files) {
    const int parsed = marks_[path];
    if (parsed != file.marks)
      errors_.push_back(absl::StrCat(path, ": ", file.marks, " uses of STATE_SAVABLE in the text, ",
                                     parsed, " savable classes in the parse"));
    marks_.erase(path);
  }
  for (const auto& [path, count] : marks_)
    errors_.push_back(absl::StrCat(path, ": savable classes outside the layers"));
}

const Layer* ProgramReader::LayerOf(const std::string& file) const {
  const Layer* best = nullptr;
  for (const Layer& layer : input_.layers)
    if (absl::StartsWith(file, layer.dir + "/") &&
        (best == nullptr || layer.dir.size() > best->dir.size()))
      best = &layer;
  return best;
}

std::string ProgramReader::SavedName(const Layer& layer, const std::string& qualified) {
  absl::string_view name = qualified;
  absl::ConsumePrefix(&name, "stasis::");
  absl::ConsumePrefix(&name, layer.name + "::");
  return absl::StrCat(layer.name, ".", absl::StrReplaceAll(name, {{"::", "."}}));
}

void ProgramReader::ReadHeadOf(Found& found) {
  Class& c = *found.c;
  const std::string file = Relative(PlaceOf(found.definition).file);
  const Layer* layer = LayerOf(file);
  if (layer == nullptr) return;  // said by CheckMarks
  c.file = file;
  c.layer = layer->name;
  c.name = SavedName(*layer, QualifiedName(found.definition));
  ReadHead(found.definition, c, errors_);
  const CXCursor base = SavableBase(found.definition, c.is_object, errors_);
  if (!IsNull(base)) {
    const Layer* base_layer = LayerOf(Relative(PlaceOf(base).file));
    if (base_layer != nullptr) c.base = SavedName(*base_layer, QualifiedName(base));
    if (!c.is_object)
      errors_.push_back(
          absl::StrCat(c.where, ": ", c.name, ": a plain struct cannot have a savable base class"));
  }
  for (const Found& other : found_)
    if (other.c != found.c && other.c->name == c.name && !c.name.empty())
      errors_.push_back(absl::StrCat(c.where, ": ", c.name, ": another class has that name"));
  CheckDirectives(found);
}

void ProgramReader::CheckDirectives(const Found& found) {
  auto file = input_.files.find(found.c->file);
  if (file == input_.files.end()) return;
  const CXSourceRange extent = clang_getCursorExtent(found.definition);
  const auto first = static_cast<int>(PlaceOf(clang_getRangeStart(extent)).line);
  const auto last = static_cast<int>(PlaceOf(clang_getRangeEnd(extent)).line);
  const int line = FindDirective(WithoutComments(file->second.text), first, last);
  if (line != 0)
    errors_.push_back(absl::StrCat(found.c->file, ":", line, ": ", found.c->name,
                                   ": a preprocessor line in a savable class"));
}

std::string ProgramReader::UseEnum(CXCursor declaration) {
  const CXCursor definition = clang_getCursorDefinition(declaration);
  const std::string usr = Usr(declaration);
  if (auto it = enums_.find(usr); it != enums_.end()) return it->second.name;
  Enum& e = enums_[usr];
  e.cpp_name = absl::StrCat("::", QualifiedName(declaration));
  e.file = Relative(PlaceOf(declaration).file);
  const Layer* layer = LayerOf(e.file);
  if (layer == nullptr || IsNull(definition)) {
    errors_.push_back(absl::StrCat(PlaceOf(declaration).ToString(), ": enum ", e.cpp_name,
                                   " is saved, but its values are not defined in any layer"));
    return e.cpp_name;
  }
  e.layer = layer->name;
  e.name = SavedName(*layer, QualifiedName(declaration));
  const CXType number = clang_getCanonicalType(clang_getEnumDeclIntegerType(definition));
  e.bits = static_cast<int>(clang_Type_getSizeOf(number)) * 8;
  e.is_signed = number.kind == CXType_SChar || number.kind == CXType_Char_S ||
                (number.kind >= CXType_Short && number.kind <= CXType_Int128);
  e.is_flags = flag_enums_.count(usr) != 0;
  for (CXCursor child : Children(definition))
    if (clang_getCursorKind(child) == CXCursor_EnumConstantDecl)
      e.values.emplace_back(Spelling(child), clang_getEnumConstantDeclValue(child));
  return e.name;
}

}  // namespace

Program Parse(const ParseInput& input, Errors& errors) {
  return ProgramReader(input, errors).Read();
}

}  // namespace stasis::stateify
