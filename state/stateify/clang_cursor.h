// SPDX-License-Identifier: Apache-2.0
//
// clang_cursor.h: libclang's C interface in the few shapes the parser needs.

#ifndef STASIS_STATE_STATEIFY_CLANG_CURSOR_H_
#define STASIS_STATE_STATEIFY_CLANG_CURSOR_H_

#include <clang-c/Index.h>

#include <string>
#include <vector>

namespace stasis::stateify {

std::string Text(CXString string);  // and disposes of it

inline std::string Spelling(CXCursor cursor) { return Text(clang_getCursorSpelling(cursor)); }
inline std::string Usr(CXCursor cursor) { return Text(clang_getCursorUSR(cursor)); }

std::vector<CXCursor> Children(CXCursor cursor);

// "stasis::vfs::Mount", without inline namespaces and template arguments.
std::string QualifiedName(CXCursor cursor);

struct Place {
  std::string file;  // as the compiler was given it; empty for none
  unsigned line = 0;
  std::string ToString() const { return file + ":" + std::to_string(line); }
};
Place PlaceOf(CXSourceLocation location);
inline Place PlaceOf(CXCursor cursor) { return PlaceOf(clang_getCursorLocation(cursor)); }

// The class that a type names, where it is defined; a null cursor if it names none.
CXCursor DefinitionOf(CXType type);
bool IsNull(CXCursor cursor);

// The annotations "state:..." of a declaration, without that prefix.
std::vector<std::string> StateAnnotations(CXCursor declaration);

}  // namespace stasis::stateify

#endif  // STASIS_STATE_STATEIFY_CLANG_CURSOR_H_
