// SPDX-License-Identifier: Apache-2.0
//
// seen_paths.h: from a file's path in its filesystem to the one by which programs know it.

#ifndef STASIS_CMD_STASIS_SEEN_PATHS_H_
#define STASIS_CMD_STASIS_SEEN_PATHS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vfs/virtual_filesystem.h"

namespace stasis::cli {

// The mounts of a namespace at one moment. A value.
class SeenPaths {
 public:
  SeenPaths() = default;
  SeenPaths(vfs::VirtualFilesystem& vfs, const vfs::MountNamespace& ns);

  // `path` is from the root of the filesystem numbered `dev`. Where several mounts show it, through
  // the first; nothing if none does.
  std::optional<std::string> Of(uint32_t dev, std::string_view path) const;

 private:
  struct Place {
    uint32_t dev;
    std::string root;  // what of the filesystem is seen
    std::string path;  // where
  };
  std::vector<Place> places_;
};

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_SEEN_PATHS_H_
