// SPDX-License-Identifier: Apache-2.0
//
// source_scan.h: savable classes as plain text sees them.
//
// A second opinion beside the compiler's: a missing -D, a header that is not included, or a macro
// that hides a class would make the parse find less than is there, without any error.

#ifndef STASIS_STATE_STATEIFY_SOURCE_SCAN_H_
#define STASIS_STATE_STATEIFY_SOURCE_SCAN_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "state/stateify/model.h"

namespace stasis::stateify {

struct SourceFile {
  std::string path;  // relative to the root
  std::string text;
  int marks = 0;      // uses of STATE_SAVABLE
  bool tags = false;  // whether it uses STATE() or STATE_SAVABLE
};

// Every header of the layers that uses STATE_SAVABLE or STATE, by path. A source file that does is
// an error: what is saved stands in headers.
std::map<std::string, SourceFile> ScanLayers(const std::string& root,
                                             const std::vector<Layer>& layers, Errors& errors);

// `text` with comments and the content of literals replaced by blanks; lines stay.
std::string WithoutComments(std::string_view text);

// Counts uses of the macro `name` in text without comments.
int CountUses(std::string_view text, std::string_view name);

// The number of the first line from `first` to `last` that is a preprocessor line; 0 if there is
// none.
int FindDirective(std::string_view text, int first, int last);

}  // namespace stasis::stateify

#endif  // STASIS_STATE_STATEIFY_SOURCE_SCAN_H_
