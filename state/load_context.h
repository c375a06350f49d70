// SPDX-License-Identifier: Apache-2.0
//
// load_context.h: what hooks see of a load that runs.

#ifndef STASIS_STATE_LOAD_CONTEXT_H_
#define STASIS_STATE_LOAD_CONTEXT_H_

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <typeindex>
#include <vector>

#include "state/access.h"
#include "state/object.h"
#include "state/registry.h"
#include "state/saved_graph.h"

namespace stasis::state {

// What a load is given besides the image.
class LoadOptions {
 public:
  // Makes `service` (borrowed, for as long as the load) available to hooks by its static type:
  //   options.Provide<Clock>(&clock);   then   ctx.Service<Clock>()
  template <typename T>
  LoadOptions& Provide(T* service) {
    services_[typeid(T)] = const_cast<void*>(static_cast<const void*>(service));
    return *this;
  }

 private:
  friend class LoadContext;
  absl::flat_hash_map<std::type_index, void*> services_;
};

// One table while it is loaded. For generated code and codecs.
struct LoadTable {
  const TypeDescriptor* type = nullptr;
  const SavedTable* saved = nullptr;
  std::vector<Object*> objects;
  std::vector<bool> borrowed;  // rows that a plain pointer refers to
  std::vector<uint8_t> after;  // AfterLoad: not yet, running, done
};

// Borrowed by hooks for the duration of the call.
class LoadContext {
 public:
  LoadContext(const Registry& registry, const SavedGraph& saved, ChunkTable& chunks,
              const LoadOptions& options);
  LoadContext(const LoadContext&) = delete;
  LoadContext& operator=(const LoadContext&) = delete;

  // The row of an object of this load.
  uint32_t RowOf(const Object& object) const { return object.save_row_; }

  // The error for a value that a hook does not accept, such as
  // "table vfs.Dentry row 17 field name: contains a slash". `field` as in the lock file.
  absl::Status Invalid(const Object& object, absl::string_view field,
                       absl::string_view message) const;

  // Null if the load was not given one.
  template <typename T>
  T* Service() const {
    auto it = options_.services_.find(typeid(T));
    return it == options_.services_.end() ? nullptr : static_cast<T*>(it->second);
  }

  // --- for generated code and codecs ---

  // Null if the image has no objects of that type.
  LoadTable* FindTable(const TypeDescriptor& type);
  // Null if out of range.
  LoadTable* TableAt(uint64_t image_index) {
    return image_index < tables_.size() ? &tables_[image_index] : nullptr;
  }
  ChunkTable& chunks() { return chunks_; }

 private:
  friend class GraphReader;
  friend class LoadedGraph;

  const Registry& registry_;
  const SavedGraph& saved_;
  ChunkTable& chunks_;
  const LoadOptions& options_;
  std::vector<LoadTable> tables_;
};

}  // namespace stasis::state

#endif  // STASIS_STATE_LOAD_CONTEXT_H_
