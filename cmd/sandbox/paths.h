// SPDX-License-Identifier: Apache-2.0
//
// paths.h: paths as text.

#ifndef STASIS_CMD_SANDBOX_PATHS_H_
#define STASIS_CMD_SANDBOX_PATHS_H_

#include <filesystem>
#include <string>
#include <string_view>

namespace stasis::sandbox {

// `path` from the root on, without "." and "..", and without a slash at the end. Looks at no file,
// so a ".." after a symbolic link takes the link away.
inline std::string AbsolutePath(const std::filesystem::path& path) {
  std::string absolute = std::filesystem::absolute(path).lexically_normal();
  if (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  return absolute;
}

// True if `path` is `directory` or below it. Both as AbsolutePath gives them.
inline bool IsBelow(std::string_view path, std::string_view directory) {
  return path.substr(0, directory.size()) == directory &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_PATHS_H_
