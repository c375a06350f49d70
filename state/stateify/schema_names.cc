// SPDX-License-Identifier: Apache-2.0

#include "state/stateify/schema_names.h"

#include <cctype>

namespace stasis::stateify {

std::string UpperCamel(const std::string& name) {
  std::string out;
  bool upper = true;
  for (const char c : name) {
    if (c == '_') {
      upper = true;
      continue;
    }
    out += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return out;
}

std::string LowerCamel(const std::string& name) {
  std::string out = UpperCamel(name);
  if (!out.empty()) out[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(out[0])));
  // Words of the schema language.
  for (const char* word :
       {"annotation", "const", "enum", "extends", "false", "group", "import", "in", "inf",
        "interface", "of", "on", "struct", "true", "union", "using", "void", "with"})
    if (out == word) return out + "Value";
  return out;
}

std::string StructName(const std::string& class_name) {
  std::string out;
  for (size_t i = class_name.find('.') + 1; i < class_name.size(); ++i)
    if (class_name[i] != '.' && class_name[i] != '_') out += class_name[i];
  return out;
}

}  // namespace stasis::stateify
