// SPDX-License-Identifier: Apache-2.0

#include "state/stateify/source_scan.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace stasis::stateify {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

}  // namespace

std::string WithoutComments(std::string_view text) {
  std::string out(text);
  enum { kCode, kLine, kBlock, kString, kChar } in = kCode;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (in == kCode) {
      // A quote within a number is a digit separator.
      if (c == '"') in = kString;
      if (c == '\'' && (i == 0 || !IsWord(text[i - 1]))) in = kChar;
      if (c == '/' && next == '/') in = kLine;
      if (c == '/' && next == '*') in = kBlock;
      if (in == kLine || in == kBlock) out[i] = ' ';
      continue;
    }
    if (in == kLine && c == '\n') in = kCode;
    const bool ends_block = in == kBlock && c == '*' && next == '/';
    const bool ends_literal = (in == kString && c == '"') || (in == kChar && c == '\'');
    if ((in == kString || in == kChar) && c == '\\' && next != '\n') out[i++] = ' ';
    if (i < text.size() && text[i] != '\n' && !ends_literal) out[i] = ' ';
    if (ends_block) out[++i] = ' ';
    if (ends_block || ends_literal) in = kCode;
  }
  return out;
}

int CountUses(std::string_view text, std::string_view name) {
  int count = 0;
  for (size_t at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    const bool whole = (at == 0 || !IsWord(text[at - 1])) && end < text.size() && text[end] == '(';
    if (whole) ++count;
  }
  return count;
}

int FindDirective(std::string_view text, int first, int last) {
  int line = 1;
  bool blank = true;
  for (const char c : text) {
    if (blank && c == '#' && line >= first && line <= last) return line;
    if (c == '\n') {
      ++line;
      blank = true;
    } else if (std::isspace(static_cast<unsigned char>(c)) == 0) {
      blank = false;
    }
  }
  return 0;
}

std::map<std::string, SourceFile> ScanLayers(const std::string& root,
                                             const std::vector<Layer>& layers, Errors& errors) {
  std::map<std::string, SourceFile> files;
  for (const Layer& layer : layers) {
    const fs::path dir = fs::path(root) / layer.dir;
    if (!fs::is_directory(dir)) {
      errors.push_back(absl::StrCat("layer ", layer.name, ": no directory ", dir.string()));
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(dir)) {
      const std::string extension = entry.path().extension().string();
      const bool is_header = extension == ".h";
      if (!entry.is_regular_file() || (!is_header && extension != ".cc")) continue;
      SourceFile file;
      file.path = fs::relative(entry.path(), root).generic_string();
      if (absl::StrContains(file.path, "/gen/")) continue;
      file.text = ReadFile(entry.path());
      const std::string code = WithoutComments(file.text);
      file.marks = CountUses(code, "STATE_SAVABLE");
      file.tags = file.marks > 0 || CountUses(code, "STATE") > 0;
      if (!file.tags) continue;
      if (!is_header) {
        errors.push_back(absl::StrCat(file.path, ": saved classes are declared in headers"));
        continue;
      }
      files[file.path] = std::move(file);
    }
  }
  return files;
}

}  // namespace stasis::stateify
