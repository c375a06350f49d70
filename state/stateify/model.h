// SPDX-License-Identifier: Apache-2.0
//
// model.h: what the generator knows about the savable classes of a program.

#ifndef STASIS_STATE_STATEIFY_MODEL_H_
#define STASIS_STATE_STATEIFY_MODEL_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace stasis::stateify {

// A folder whose classes are generated together, such as "memfs" for fsimpl/memfs.
struct Layer {
  std::string name;
  std::string dir;  // relative to the root of the sources
};

// The saved form of a field, class names aside the same for all spellings of one form.
struct SavedType {
  enum class Kind { kBool, kInt, kFloat, kEnum, kExactRef, kAnyRef, kChunk, kVariable };
  Kind kind = Kind::kVariable;
  std::string name;  // as in the lock file: "u32", "ref<vfs.Mount>", "list<string>"
  int bits = 0;      // of kInt, kFloat and kEnum
  bool is_signed = false;
  bool has_refs = false;
  std::vector<std::string> targets;  // classes that references in it lead to
  std::vector<std::string> structs;  // plain structs in it
};

struct Field {
  std::string member;  // "name_"
  std::string name;    // "name"
  SavedType type;
  bool wait = false;
  bool manual = false;
  std::string was;      // former name, if any
  uint32_t number = 0;  // set by the merge
  std::string where;    // file:line
};

struct Class {
  std::string name;      // "vfs.Mount.Options"
  std::string cpp_name;  // "::stasis::vfs::Mount::Options"
  std::string layer;
  std::string file;   // relative to the root
  std::string where;  // file:line
  bool is_object = false;
  bool is_abstract = false;
  bool is_final = false;
  std::string base;  // name of the nearest savable base class, if any
  bool before_save = false;
  bool after_load = false;
  bool load_failed = false;
  std::vector<Field> fields;
};

struct Enum {
  std::string name;
  std::string cpp_name;
  std::string layer;
  std::string file;
  int bits = 0;
  bool is_signed = false;
  bool is_flags = false;  // has an operator|: unions of its values are values
  std::vector<std::pair<std::string, int64_t>> values;
};

struct Program {
  std::vector<Class> classes;  // sorted by name
  std::vector<Enum> enums;     // sorted by name; those that saved fields use

  const Class* FindClass(const std::string& name) const {
    for (const Class& c : classes)
      if (c.name == name) return &c;
    return nullptr;
  }
  // The savable classes that `c` is made of, base first, itself last.
  std::vector<const Class*> Chain(const Class& c) const {
    std::vector<const Class*> chain;
    for (const Class* k = &c; k != nullptr; k = k->base.empty() ? nullptr : FindClass(k->base))
      chain.insert(chain.begin(), k);
    return chain;
  }
  // The outermost savable base of a class: classes of one family may wait for each other (a tree of
  // one type), and their objects are then ordered one by one; between families it is types that
  // wait.
  std::string Family(const std::string& name) const {
    const Class* c = FindClass(name);
    return c == nullptr ? name : Chain(*c).front()->name;
  }
};

// What is wrong with the input, one sentence each. Empty: nothing.
using Errors = std::vector<std::string>;

}  // namespace stasis::stateify

#endif  // STASIS_STATE_STATEIFY_MODEL_H_
