// SPDX-License-Identifier: Apache-2.0

#include "state/stateify/emit_schema.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <map>
#include <set>

#include "state/stateify/schema_names.h"

namespace stasis::stateify {
namespace {

const std::map<std::string, std::string>& Scalars() {
  static const auto* scalars = new std::map<std::string, std::string>{
      {"bool", "Bool"},  {"i8", "Int8"},     {"i16", "Int16"},   {"i32", "Int32"},
      {"i64", "Int64"},  {"u8", "UInt8"},    {"u16", "UInt16"},  {"u32", "UInt32"},
      {"u64", "UInt64"}, {"f32", "Float32"}, {"f64", "Float64"}, {"chunk", "UInt32"}};
  return *scalars;
}

// The Cap'n Proto type of a field in the row; empty if it has a column.
std::string RowType(const std::string& type) {
  if (auto it = Scalars().find(type); it != Scalars().end()) return it->second;
  if (absl::StartsWith(type, "ref<")) return "UInt32";
  if (absl::StartsWith(type, "any<")) return "UInt64";
  if (absl::StartsWith(type, "enum<")) {
    // "enum<vfs.FileKind:u8>"
    const std::string number = type.substr(type.rfind(':') + 1);
    if (auto it = Scalars().find(number.substr(0, number.size() - 1)); it != Scalars().end())
      return it->second;
  }
  return "";
}

std::string SchemaName(const LockedField& field) {
  return field.retired ? absl::StrCat("retired", field.number) : LowerCamel(field.name);
}

void EmitClass(const LockedClass& c, std::string& out, Errors& errors) {
  const std::string name = StructName(c.name);
  std::string columns;
  uint32_t next_column = 2;
  std::set<std::string> names;
  absl::StrAppend(&out, "\n# ", c.name, "\nstruct ", name, "Row {\n");
  for (const LockedField& field : c.fields) {
    const std::string field_name = SchemaName(field);
    if (!names.insert(field_name).second)
      errors.push_back(absl::StrCat(c.name, " field ", field.name,
                                    ": another has the same name in the schema, ", field_name));
    const std::string row_type = RowType(field.type);
    const std::string note = absl::StrCat("  # ", field.type, "\n");
    if (!row_type.empty()) {
      absl::StrAppend(&out, "  ", field_name, " @", field.number, " :", row_type, ";", note);
      continue;
    }
    absl::StrAppend(&out, "  ", field_name, " @", field.number,
                    " :UInt32;  # bytes of its column\n");
    absl::StrAppend(&columns, "  ", field_name, "Column @", next_column++, " :Data;", note);
  }
  absl::StrAppend(&out, "}\nstruct ", name, "Columns {\n  rows @0 :List(", name,
                  "Row);\n  fieldCount @1 :UInt32;  # the writer's, retired ones included\n",
                  columns, "}\n");
}

}  // namespace

bool IsRowType(const std::string& type) { return !RowType(type).empty(); }

std::string EmitSchema(const LockFile& lock, Errors& errors) {
  std::string out = absl::StrFormat(
      "# SPDX-License-Identifier: Apache-2.0\n#\n"
      "# Saved classes of %s. Made by stateify from %s.state.lock; do not edit.\n\n"
      "@0x%016x;\n\nusing Cxx = import \"/capnp/c++.capnp\";\n"
      "$Cxx.namespace(\"stasis::%s::schema\");\n",
      lock.layer, lock.layer, lock.schema_id, lock.layer);
  std::set<std::string> names;
  for (const LockedClass& c : lock.classes) {
    if (!c.is_object) continue;
    if (!names.insert(StructName(c.name)).second)
      errors.push_back(absl::StrCat(c.name, ": another class has the same name in the schema"));
    EmitClass(c, out, errors);
  }
  return out;
}

}  // namespace stasis::stateify
