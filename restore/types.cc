// SPDX-License-Identifier: Apache-2.0

#include "restore/types.h"

#include <algorithm>
#include <set>

#include "fsimpl/gofer/gen/types.h"
#include "fsimpl/memfs/gen/types.h"
#include "fsimpl/overlay/gen/types.h"
#include "vfs/gen/types.h"

namespace stasis::restore {
namespace {

// "filesystem.memfs" if `type` is a filesystem such as "memfs.MemFilesystem"; of others only what
// older readers would misread.
std::string FeatureOf(const state::TypeDescriptor& type) {
  if (type.name == "overlay.DataBelow") return "overlay.lower-metacopy";
  for (const state::LevelDescriptor* level : type.levels) {
    if (level->name == "vfs.Filesystem" && level != type.levels.back())
      return "filesystem." + std::string(type.name.substr(0, type.name.find('.')));
  }
  return {};
}

std::vector<std::string> Sorted(std::set<std::string> names) {
  names.erase("");
  return {names.begin(), names.end()};
}

}  // namespace

void RegisterTypes(state::Registry& registry) {
  vfs::gen::RegisterTypes(registry);
  memfs::gen::RegisterTypes(registry);
  gofer::gen::RegisterTypes(registry);
  overlay::gen::RegisterTypes(registry);
}

std::vector<std::string> RequiredFeatures(const state::SavedGraph& graph,
                                          const state::Registry& registry) {
  std::set<std::string> names;
  for (const state::SavedTable& table : graph.tables) {
    const state::TypeDescriptor* type = registry.Find(table.type);
    if (type != nullptr) names.insert(FeatureOf(*type));
  }
  return Sorted(std::move(names));
}

std::vector<std::string> KnownFeatures(const state::Registry& registry) {
  std::set<std::string> names;
  for (const state::TypeDescriptor* type : registry.types()) names.insert(FeatureOf(*type));
  return Sorted(std::move(names));
}

}  // namespace stasis::restore
