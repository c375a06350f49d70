// SPDX-License-Identifier: Apache-2.0

#include "state/stateify/clang_cursor.h"

namespace stasis::stateify {

std::string Text(CXString string) {
  const char* text = clang_getCString(string);
  std::string out = text == nullptr ? "" : text;
  clang_disposeString(string);
  return out;
}

std::vector<CXCursor> Children(CXCursor cursor) {
  std::vector<CXCursor> children;
  clang_visitChildren(
      cursor,
      [](CXCursor child, CXCursor, CXClientData data) {
        static_cast<std::vector<CXCursor>*>(data)->push_back(child);
        return CXChildVisit_Continue;
      },
      &children);
  return children;
}

std::string QualifiedName(CXCursor cursor) {
  std::string name = Spelling(cursor);
  for (CXCursor parent = clang_getCursorSemanticParent(cursor);
       !IsNull(parent) && clang_getCursorKind(parent) != CXCursor_TranslationUnit;
       parent = clang_getCursorSemanticParent(parent)) {
    // Inline and anonymous namespaces, and extern "C++" blocks.
    if (clang_Cursor_isInlineNamespace(parent) != 0 || Spelling(parent).empty()) continue;
    name = Spelling(parent) + "::" + name;
  }
  return name;
}

Place PlaceOf(CXSourceLocation location) {
  CXFile file = nullptr;
  Place place;
  clang_getExpansionLocation(location, &file, &place.line, nullptr, nullptr);
  if (file != nullptr) place.file = Text(clang_getFileName(file));
  return place;
}

bool IsNull(CXCursor cursor) { return clang_Cursor_isNull(cursor) != 0; }

CXCursor DefinitionOf(CXType type) {
  const CXCursor declaration = clang_getTypeDeclaration(clang_getCanonicalType(type));
  if (clang_getCursorKind(declaration) == CXCursor_NoDeclFound) return clang_getNullCursor();
  return clang_getCursorDefinition(declaration);
}

std::vector<std::string> StateAnnotations(CXCursor declaration) {
  constexpr char kPrefix[] = "state:";
  std::vector<std::string> found;
  for (CXCursor child : Children(declaration)) {
    if (clang_getCursorKind(child) != CXCursor_AnnotateAttr) continue;
    const std::string text = Spelling(child);
    if (text.rfind(kPrefix, 0) == 0) found.push_back(text.substr(sizeof(kPrefix) - 1));
  }
  return found;
}

}  // namespace stasis::stateify
