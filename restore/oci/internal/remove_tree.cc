// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/internal/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

#include "restore/transfer/internal/host_dir_stack.h"

namespace stasis::oci {
namespace {

// Makes a directory of ours one that we may list and change.
void Unlock(int dir, const std::string& name) {
  if (::geteuid() != 0) (void)::fchmodat(dir, name.c_str(), 0700, 0);
}

// Unlinks all names in `dir` that are not directories, and returns those that are.
Result<std::vector<std::string>> UnlinkFiles(int dir) {
  UniqueFd fd(::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return Err(errno);
  DIR* stream = ::fdopendir(fd.get());
  if (stream == nullptr) return Err(errno);
  (void)fd.release();
  std::vector<std::string> names;
  while (const struct dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  std::vector<std::string> directories;
  for (std::string& name : names) {
    if (::unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) return Err(errno);
    directories.push_back(std::move(name));
  }
  return directories;
}

struct Level {
  std::string name;
  std::vector<std::string> directories;  // still to be removed
};

Result<void> EnterLevel(restore::HostDirStack& dirs, std::vector<Level>& levels, std::string name) {
  Unlock(dirs.fd(), name);
  STASIS_RETURN_IF_ERROR(dirs.Enter(name));
  STASIS_ASSIGN_OR_RETURN(std::vector<std::string> directories, UnlinkFiles(dirs.fd()));
  levels.push_back({std::move(name), std::move(directories)});
  return {};
}

}  // namespace

Result<void> RemoveTree(int dir, const std::string& name) {
  if (::unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return Err(errno);
  UniqueFd top(::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!top.valid()) return Err(errno);
  restore::HostDirStack dirs(std::move(top));
  std::vector<Level> levels;
  STASIS_RETURN_IF_ERROR(EnterLevel(dirs, levels, name));
  while (!levels.empty()) {
    Level& level = levels.back();
    if (!level.directories.empty()) {
      std::string next = std::move(level.directories.back());
      level.directories.pop_back();
      STASIS_RETURN_IF_ERROR(EnterLevel(dirs, levels, std::move(next)));
      continue;
    }
    const std::string done = std::move(level.name);
    levels.pop_back();
    STASIS_RETURN_IF_ERROR(dirs.Leave());
    if (::unlinkat(dirs.fd(), done.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
      return Err(errno);
  }
  return {};
}

}  // namespace stasis::oci
