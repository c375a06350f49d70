// SPDX-License-Identifier: Apache-2.0
//
// graph_reader.h: tables into an object graph.
//
//   LoadOptions options;
//   options.Provide<Clock>(&clock);
//   absl::StatusOr<LoadedGraph> loaded = LoadGraph(registry, saved, chunks, options);
//   absl::StatusOr<RefPtr<VirtualFilesystem>> vfs = loaded->Root<VirtualFilesystem>("vfs");
//
// The tables are hostile. Nothing is allocated that their bytes do not pay for, and whatever is
// wrong is returned as an error that names table, row and field; then everything made so far is
// freed, cycles included.

#ifndef STASIS_STATE_GRAPH_READER_H_
#define STASIS_STATE_GRAPH_READER_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "state/base/ref_ptr.h"
#include "state/error.h"
#include "state/load_context.h"
#include "state/object.h"
#include "state/registry.h"
#include "state/saved_graph.h"

namespace stasis::state {

// A graph that was loaded. Holds all its objects until it is destroyed; then only those live on
// that the graph's own references or the taken roots hold.
class LoadedGraph {
 public:
  LoadedGraph() = default;
  LoadedGraph(LoadedGraph&&) = default;
  LoadedGraph& operator=(LoadedGraph&& other);
  ~LoadedGraph() { Release(); }

  // Errors: DataLoss if there is no root of that name or it is not a T.
  template <typename T>
  absl::StatusOr<RefPtr<T>> Root(std::string_view name) const;

  size_t object_count() const { return objects_.size(); }

  // Frees the whole graph though its references form cycles: for who only wanted to look, or whose
  // restore failed later. Taken roots stay valid, but refer to nothing any more.
  void Discard();

 private:
  friend class GraphReader;
  struct NamedRoot {
    std::string name;
    Object* object;
  };

  const NamedRoot* FindRoot(std::string_view name) const;
  void Release();

  // Consecutive objects of one type, up to `end`.
  struct Stretch {
    const TypeDescriptor* type;
    size_t end;
  };
  std::vector<Object*> objects_;  // one reference each
  std::vector<Stretch> stretches_;
  std::vector<NamedRoot> roots_;
};

// Errors: DataLoss if the tables are not what a save makes; Unimplemented if a newer version made
// them; and whatever a hook returns.
absl::StatusOr<LoadedGraph> LoadGraph(const Registry& registry, const SavedGraph& saved,
                                      ChunkTable& chunks, const LoadOptions& options);

template <typename T>
absl::StatusOr<RefPtr<T>> LoadedGraph::Root(std::string_view name) const {
  const NamedRoot* root = FindRoot(name);
  const absl::string_view printable(name.data(), name.size());
  if (root == nullptr) return CorruptError(absl::StrCat("there is no root ", printable));
  auto* object = dynamic_cast<T*>(root->object);
  if (object == nullptr)
    return CorruptError(absl::StrCat("root ", printable, " is of the wrong type"));
  return RefPtr<T>(object);
}

}  // namespace stasis::state

#endif  // STASIS_STATE_GRAPH_READER_H_
