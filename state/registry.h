// SPDX-License-Identifier: Apache-2.0
//
// registry.h: the savable types that a program knows.
//
// main() makes one and hands it to each layer's generated RegisterTypes(); it is constant from then
// on. There are no global registries: two programs in one process may know different types.

#ifndef STASIS_STATE_REGISTRY_H_
#define STASIS_STATE_REGISTRY_H_

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <capnp/any.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <typeindex>
#include <typeinfo>
#include <vector>

#include "state/object.h"

namespace stasis::state {

class GraphWriter;
class LoadBatch;
class LoadContext;
class SaveBatch;
class WaitList;

// One savable class, abstract or not: how its own fields, without its bases', are saved.
struct LevelDescriptor {
  std::string_view name;
  void (*save)(SaveBatch&, capnp::AnyPointer::Builder);
  absl::Status (*load)(LoadBatch&, capnp::AnyPointer::Reader);
  // Null if the class has no manual fields.
  absl::Status (*load_manual)(LoadBatch&, capnp::AnyPointer::Reader);
};

// One concrete savable class. All hooks cover the bases too, base first.
struct TypeDescriptor {
  std::string_view name;
  const std::type_info* type;
  std::span<const LevelDescriptor* const> levels;  // base first; the last is the class itself
  Object* (*create)();
  // Calls BeforeSave, then GraphWriter::Reach for each reference.
  void (*visit)(GraphWriter&, Object&);
  void (*clear_references)(Object&);
  absl::Status (*after_load)(Object&, LoadContext&);  // null if there is none
  // The objects of the same family (with one outermost base) that this one waits for; null if no
  // field with the tag `wait` leads to such.
  void (*waits)(const Object&, WaitList&);
  // Types of other families made of one of these run their AfterLoad before this one's.
  std::span<const LevelDescriptor* const> wait_levels;

  bool IsA(const LevelDescriptor& level) const {
    for (const LevelDescriptor* l : levels)
      if (l == &level) return true;
    return false;
  }
};

class Registry {
 public:
  // `type` outlives the registry. Adding the same one again does nothing; two different ones of the
  // same name stop the program.
  void Add(const TypeDescriptor& type);

  // Null if unknown.
  const TypeDescriptor* Find(std::string_view name) const;
  const TypeDescriptor* Find(const std::type_info& type) const;

  std::span<const TypeDescriptor* const> types() const { return types_; }

 private:
  std::vector<const TypeDescriptor*> types_;
  absl::flat_hash_map<std::string_view, const TypeDescriptor*> by_name_;
  absl::flat_hash_map<std::type_index, const TypeDescriptor*> by_type_;
};

// The number of the next save or load of this process; see Object.
uint32_t NextEpoch();

}  // namespace stasis::state

#endif  // STASIS_STATE_REGISTRY_H_
