// SPDX-License-Identifier: Apache-2.0
//
// types.h: the types and features that images are made of.

#ifndef STASIS_RESTORE_TYPES_H_
#define STASIS_RESTORE_TYPES_H_

#include <string>
#include <vector>

#include "state/registry.h"
#include "state/saved_graph.h"

namespace stasis::restore {

// The types of the VFS and of every filesystem in this library. main() adds those of its own roots.
void RegisterTypes(state::Registry& registry);

// Names of what a reader must know before it looks at the state: "filesystem.memfs" for an image
// with a memfs in it. Sorted.
std::vector<std::string> RequiredFeatures(const state::SavedGraph& graph,
                                          const state::Registry& registry);
// All that `registry` can deal with.
std::vector<std::string> KnownFeatures(const state::Registry& registry);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TYPES_H_
