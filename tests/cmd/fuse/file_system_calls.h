// SPDX-License-Identifier: Apache-2.0
//
// file_system_calls.h: system calls with results that tests can compare.

#ifndef STASIS_TESTS_CMD_FUSE_FILE_SYSTEM_CALLS_H_
#define STASIS_TESTS_CMD_FUSE_FILE_SYSTEM_CALLS_H_

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

#include "state/base/unique_fd.h"

namespace stasis::fuse {

// errno of a call that returned `result`, or 0.
inline int ErrorOf(long result) { return result < 0 ? errno : 0; }

inline UniqueFd Open(const std::string& path, int flags, mode_t mode = 0644) {
  return UniqueFd(open(path.c_str(), flags | O_CLOEXEC, mode));
}

inline bool WriteFile(const std::string& path, std::string_view content) {
  UniqueFd fd = Open(path, O_WRONLY | O_CREAT | O_TRUNC);
  return fd.valid() &&
         write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size());
}

// "(missing)" if there is none.
inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return "(missing)";
  return {std::istreambuf_iterator<char>(file), {}};
}

inline struct stat StatOf(const std::string& path) {
  struct stat result {};
  if (lstat(path.c_str(), &result) != 0) result.st_mode = 0;
  return result;
}

// Without "." and "..".
inline std::multiset<std::string> List(const std::string& path) {
  std::multiset<std::string> names;
  DIR* dir = opendir(path.c_str());
  if (dir == nullptr) return {"(missing)"};
  while (const dirent* entry = readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace(name);
  }
  closedir(dir);
  return names;
}

}  // namespace stasis::fuse

#endif  // STASIS_TESTS_CMD_FUSE_FILE_SYSTEM_CALLS_H_
