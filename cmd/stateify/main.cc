// SPDX-License-Identifier: Apache-2.0
//
// stateify: writes the code that saves and loads the classes marked STATE_SAVABLE.
//
//   stateify [--root DIR] [--check] [--layer NAME=FOLDER...] [-- COMPILER-ARGUMENT...]
//
// DIR is the top of the sources, the current folder by default. Without --layer, the layers are
// those of DIR/state/stateify/layers.txt.
//
// Exit code: 0 done, or nothing to do; 1 the sources break a rule, or --check found a difference;
// 2 wrong command line.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "state/stateify/generator.h"

namespace {

using stasis::stateify::Errors;
using stasis::stateify::GeneratorOptions;

struct CommandLine {
  GeneratorOptions options;
  bool check = false;
  std::string wrong;
};

void ReadLayers(CommandLine& line) {
  const std::string path = line.options.root + "/state/stateify/layers.txt";
  std::ifstream in(path);
  for (std::string text; std::getline(in, text);) {
    std::istringstream words(text);
    std::string what;
    std::string name;
    std::string folder;
    words >> what >> name >> folder;
    if (what == "layer") line.options.layers.push_back({name, folder});
    if (what == "argument") line.options.compiler_arguments.push_back(name);
  }
  if (line.options.layers.empty()) line.wrong = path + ": no layers";
}

CommandLine Read(const std::vector<std::string>& arguments) {
  CommandLine line;
  line.options.root = std::filesystem::current_path().string();
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const bool has_value = i + 1 < arguments.size();
    if (argument == "--") {
      line.options.compiler_arguments.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                             arguments.end());
      break;
    }
    if (argument == "--check") {
      line.check = true;
    } else if (argument == "--root" && has_value) {
      line.options.root = std::filesystem::canonical(arguments[++i]).string();
    } else if (argument == "--layer" && has_value) {
      const std::string& layer = arguments[++i];
      const size_t equals = layer.find('=');
      if (equals == std::string::npos) line.wrong = "--layer " + layer + ": no =";
      line.options.layers.push_back({layer.substr(0, equals), layer.substr(equals + 1)});
    } else {
      line.wrong = argument + ": not understood";
    }
  }
  if (line.wrong.empty() && line.options.layers.empty()) ReadLayers(line);
  return line;
}

int Report(const Errors& errors, const char* summary) {
  for (const std::string& error : errors) std::fprintf(stderr, "stateify: %s\n", error.c_str());
  if (!errors.empty()) std::fprintf(stderr, "stateify: %s\n", summary);
  return errors.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const CommandLine line = Read({argv + 1, argv + argc});
  if (!line.wrong.empty()) {
    std::fprintf(stderr,
                 "stateify: %s\n"
                 "usage: stateify [--root DIR] [--check] [--layer NAME=FOLDER...] "
                 "[-- COMPILER-ARGUMENT...]\n",
                 line.wrong.c_str());
    return 2;
  }
  Errors errors;
  const auto files = stasis::stateify::Generate(line.options, errors);
  if (!errors.empty()) return Report(errors, "nothing was written");
  if (line.check)
    return Report(stasis::stateify::Differences(line.options, files),
                  "run ./dev stateify and commit what it writes");
  return Report(stasis::stateify::WriteFiles(line.options, files), "not everything was written");
}
