// SPDX-License-Identifier: Apache-2.0
//
// generator.h: from annotated headers to lock files, schemas and code.

#ifndef STASIS_STATE_STATEIFY_GENERATOR_H_
#define STASIS_STATE_STATEIFY_GENERATOR_H_

#include <map>
#include <string>
#include <vector>

#include "state/stateify/model.h"

namespace stasis::stateify {

struct GeneratorOptions {
  std::string root;           // of the sources, absolute
  std::vector<Layer> layers;  // a layer comes after those it includes
  std::vector<std::string> compiler_arguments;
};

// Everything that is to be in the layers' gen/ folders, by path relative to the root. The lock
// files that are there now are read and brought up to date. Empty, with the reasons in `errors`, if
// the sources break a rule.
std::map<std::string, std::string> Generate(const GeneratorOptions& options, Errors& errors);

// Finds what classes may not be to each other: wait edges in a circle, plain structs that contain
// themselves.
void CheckProgram(const Program& program, Errors& errors);

// Compares `files` with what is on disk: a sentence for each that differs, is missing or is there
// and should not be.
Errors Differences(const GeneratorOptions& options,
                   const std::map<std::string, std::string>& files);

// Writes `files`, and removes generated files that are not among them.
Errors WriteFiles(const GeneratorOptions& options, const std::map<std::string, std::string>& files);

}  // namespace stasis::stateify

#endif  // STASIS_STATE_STATEIFY_GENERATOR_H_
