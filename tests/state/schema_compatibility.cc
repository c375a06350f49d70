// SPDX-License-Identifier: Apache-2.0

#include "tests/state/schema_compatibility.h"

#include <capnp/schema-loader.h>
#include <capnp/schema-parser.h>
#include <kj/exception.h>
#include <kj/filesystem.h>

#include <algorithm>
#include <vector>

#include "state/stateify/emit_schema.h"
#include "state/stateify/lock_file.h"
#include "state/stateify/schema_names.h"

namespace stasis::stateify {
namespace {

// Loads the nodes of every struct of a lock file's schema.
void LoadSchema(const LockFile& lock, capnp::SchemaLoader& loader) {
  Errors errors;
  std::string text = EmitSchema(lock, errors);
  // The C++ namespace says nothing about the format, and its import would need a file.
  const size_t cxx = text.find("using Cxx");
  text.erase(cxx, text.find(";\n", text.find("$Cxx")) + 2 - cxx);
  auto directory = kj::newInMemoryDirectory(kj::nullClock());
  const kj::Path path("layer.capnp");
  directory->openFile(path, kj::WriteMode::CREATE)->writeAll(kj::StringPtr(text.c_str()));
  capnp::SchemaParser parser;
  capnp::ParsedSchema file = parser.parseFromDirectory(*directory, path.clone(), nullptr);
  for (const LockedClass& c : lock.classes) {
    if (!c.is_object) continue;
    for (const char* part : {"Row", "Columns"}) {
      const std::string name = StructName(c.name) + part;
      // Refuses a node that is incompatible with one of the same id that is there already.
      loader.load(file.getNested(name.c_str()).getProto());
    }
  }
}

std::string CompareClass(const LockedClass& old, const LockFile& current) {
  const LockedClass* now = current.FindClass(old.name);
  if (now == nullptr) return old.name + " is gone";
  if (now->is_object != old.is_object || now->base != old.base)
    return old.name + " is something else now";
  if (now->fields.size() < old.fields.size()) return old.name + " has lost fields";
  for (size_t i = 0; i < old.fields.size(); ++i) {
    const std::string field = old.name + " field " + std::to_string(i);
    if (now->fields[i].type != old.fields[i].type) return field + " has another type";
    if (old.fields[i].retired && !now->fields[i].retired) return field + " was retired";
  }
  return "";
}

std::string CompareEnum(const LockedEnum& old, const LockFile& current) {
  auto now = std::find_if(current.enums.begin(), current.enums.end(),
                          [&](const LockedEnum& e) { return e.name == old.name; });
  // An enum that no field uses any more is not in the lock file.
  if (now == current.enums.end()) return "";
  if (now->type != old.type) return old.name + " has another type";
  for (const LockedValue& value : old.values) {
    const bool kept = std::any_of(now->values.begin(), now->values.end(), [&](const auto& v) {
      return v.name == value.name && v.value == value.value;
    });
    if (!kept) return old.name + " has lost " + value.name;
  }
  return "";
}

}  // namespace

std::string Incompatibility(const std::string& released_lock, const std::string& current_lock) {
  LockFile released;
  LockFile current;
  Errors errors;
  if (!ParseLock(released_lock, released, errors) || !ParseLock(current_lock, current, errors))
    return errors.front();
  if (released.schema_id != current.schema_id) return "the schema has another id";
  for (const LockedClass& c : released.classes)
    if (std::string why = CompareClass(c, current); !why.empty()) return why;
  for (const LockedEnum& e : released.enums)
    if (std::string why = CompareEnum(e, current); !why.empty()) return why;
  try {
    capnp::SchemaLoader loader;
    LoadSchema(released, loader);
    LoadSchema(current, loader);
  } catch (const kj::Exception& e) {
    return std::string("Cap'n Proto: ") + e.getDescription().cStr();
  }
  return "";
}

}  // namespace stasis::stateify
