// SPDX-License-Identifier: Apache-2.0
//
// clang_parser.h: the savable classes of all layers, by one parse of one file that includes every
// header of the scan.

#ifndef STASIS_STATE_STATEIFY_CLANG_PARSER_H_
#define STASIS_STATE_STATEIFY_CLANG_PARSER_H_

#include <map>
#include <string>
#include <vector>

#include "state/stateify/model.h"
#include "state/stateify/source_scan.h"

namespace stasis::stateify {

struct ParseInput {
  std::string root;  // absolute
  std::vector<Layer> layers;
  std::map<std::string, SourceFile> files;
  std::vector<std::string> compiler_arguments;  // such as -I, beyond the generator's own
};

// Whatever is not as it must be is said in `errors`.
Program Parse(const ParseInput& input, Errors& errors);

}  // namespace stasis::stateify

#endif  // STASIS_STATE_STATEIFY_CLANG_PARSER_H_
