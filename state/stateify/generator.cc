// SPDX-License-Identifier: Apache-2.0

#include "state/stateify/generator.h"

#include <absl/strings/str_cat.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "state/stateify/clang_parser.h"
#include "state/stateify/emit_code.h"
#include "state/stateify/emit_schema.h"
#include "state/stateify/lock_file.h"
#include "state/stateify/source_scan.h"

namespace stasis::stateify {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string LockPath(const Layer& layer) {
  return absl::StrCat(layer.dir, "/gen/", layer.name, ".state.lock");
}

// Files in a layer's gen/ folder that are ours.
std::vector<std::string> GeneratedFiles(const GeneratorOptions& options, const Layer& layer) {
  std::vector<std::string> paths;
  std::error_code ignored;
  for (const auto& entry :
       fs::directory_iterator(fs::path(options.root) / layer.dir / "gen", ignored))
    paths.push_back(absl::StrCat(layer.dir, "/gen/", entry.path().filename().string()));
  return paths;
}

void GenerateLayer(const GeneratorOptions& options, const Layer& layer, Program& program,
                   std::map<std::string, std::string>& files, Errors& errors) {
  LockFile lock = NewLock(layer.name);
  if (auto text = ReadFile(fs::path(options.root) / LockPath(layer))) {
    lock = {};
    if (!ParseLock(*text, lock, errors)) return;
  }
  Merge(program, lock, errors);
  if (!errors.empty()) return;
  files[LockPath(layer)] = PrintLock(lock);
  files[absl::StrCat(layer.dir, "/gen/", layer.name, ".state.capnp")] = EmitSchema(lock, errors);
  files.merge(EmitCode(program, layer, lock, options.layers));
}

// Depth-first search for a circle over at most a few hundred nodes.
class CircleFinder {
 public:
  explicit CircleFinder(std::map<std::string, std::set<std::string>> edges)
      : edges_(std::move(edges)) {}

  // The nodes of a circle, "a -> b -> a"; empty if there is none.
  std::string Find() {
    for (const auto& [node, targets] : edges_) {
      path_.clear();
      if (Visit(node)) return Describe();
    }
    return "";
  }

 private:
  bool Visit(const std::string& node) {
    for (const std::string& p : path_)
      if (p == node) {
        path_.push_back(node);
        return true;
      }
    if (!done_.insert(node).second) return false;
    path_.push_back(node);
    for (const std::string& target : edges_[node])
      if (Visit(target)) return true;
    path_.pop_back();
    done_.insert(node);
    return false;
  }

  std::string Describe() const {
    size_t first = 0;
    while (path_[first] != path_.back()) ++first;
    std::string out = path_[first];
    for (size_t i = first + 1; i < path_.size(); ++i) absl::StrAppend(&out, " -> ", path_[i]);
    return out;
  }

  std::map<std::string, std::set<std::string>> edges_;
  std::vector<std::string> path_;
  std::set<std::string> done_;
};

// A field that holds a plain struct leads to objects if the struct does: known only when all
// classes are. Structs contain each other without circles, so this ends.
void MarkReferencesInStructs(Program& program) {
  std::set<std::string> leading;  // structs that lead to objects
  for (bool changed = true; changed;) {
    changed = false;
    for (Class& c : program.classes) {
      for (Field& field : c.fields) {
        for (const std::string& name : field.type.structs)
          field.type.has_refs |= leading.count(name) != 0;
        if (field.type.has_refs && !c.is_object) changed |= leading.insert(c.name).second;
      }
    }
  }
}

}  // namespace

void CheckProgram(const Program& program, Errors& errors) {
  std::map<std::string, std::set<std::string>> waits;
  std::map<std::string, std::set<std::string>> contains;
  for (const Class& c : program.classes) {
    for (const Field& field : c.fields) {
      if (!c.is_object)
        contains[c.name].insert(field.type.structs.begin(), field.type.structs.end());
      if (!field.wait) continue;
      const std::string from = program.Family(c.name);
      for (const std::string& target : field.type.targets)
        if (const std::string to = program.Family(target); to != from) waits[from].insert(to);
    }
  }
  if (const std::string circle = CircleFinder(waits).Find(); !circle.empty())
    errors.push_back(absl::StrCat("STATE(wait) goes in a circle: ", circle));
  if (const std::string circle = CircleFinder(contains).Find(); !circle.empty())
    errors.push_back(absl::StrCat("plain structs contain themselves: ", circle));
}

std::map<std::string, std::string> Generate(const GeneratorOptions& options, Errors& errors) {
  ParseInput input;
  input.root = options.root;
  input.layers = options.layers;
  input.compiler_arguments = options.compiler_arguments;
  input.files = ScanLayers(options.root, options.layers, errors);
  if (!errors.empty()) return {};
  Program program = Parse(input, errors);
  if (errors.empty()) CheckProgram(program, errors);
  if (!errors.empty()) return {};
  MarkReferencesInStructs(program);
  std::map<std::string, std::string> files;
  for (const Layer& layer : options.layers) GenerateLayer(options, layer, program, files, errors);
  if (!errors.empty()) files.clear();
  return files;
}

Errors Differences(const GeneratorOptions& options,
                   const std::map<std::string, std::string>& files) {
  Errors differences;
  for (const auto& [path, content] : files) {
    const auto now = ReadFile(fs::path(options.root) / path);
    if (!now.has_value()) {
      differences.push_back(absl::StrCat(path, ": is missing"));
    } else if (*now != content) {
      differences.push_back(absl::StrCat(path, ": is not what the headers say"));
    }
  }
  for (const Layer& layer : options.layers)
    for (const std::string& path : GeneratedFiles(options, layer))
      if (files.count(path) == 0) differences.push_back(absl::StrCat(path, ": is not generated"));
  return differences;
}

Errors WriteFiles(const GeneratorOptions& options,
                  const std::map<std::string, std::string>& files) {
  Errors errors;
  for (const auto& [path, content] : files) {
    const fs::path full = fs::path(options.root) / path;
    // Unchanged files keep their time, so that nothing is built again.
    if (ReadFile(full) == content) continue;
    std::error_code failed;
    fs::create_directories(full.parent_path(), failed);
    std::ofstream out(full, std::ios::binary | std::ios::trunc);
    out << content;
    out.close();
    if (!out) errors.push_back(absl::StrCat(path, ": cannot be written"));
  }
  for (const Layer& layer : options.layers)
    for (const std::string& path : GeneratedFiles(options, layer)) {
      std::error_code failed;
      if (files.count(path) == 0) fs::remove(fs::path(options.root) / path, failed);
    }
  return errors;
}

}  // namespace stasis::stateify
