// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/internal/host_dir_stack.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace stasis::restore {

UniqueFd OpenNoAtime(int dir, const char* name, int flags) {
  UniqueFd fd(::openat(dir, name, flags | O_NOATIME));
  if (!fd.valid() && errno == EPERM) fd.reset(::openat(dir, name, flags));
  return fd;
}

HostDirStack::HostDirStack(UniqueFd root) {
  struct stat st = {};
  ::fstat(root.get(), &st);
  levels_.push_back({std::move(root), st.st_dev, st.st_ino});
}

Result<HostDirStack::Level> HostDirStack::Open(int dir, const char* name) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd fd = OpenNoAtime(dir, name, kFlags);
  if (!fd.valid()) return Err(errno);
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return Err(errno);
  return Level{std::move(fd), st.st_dev, st.st_ino};
}

Result<void> HostDirStack::Enter(const std::string& name) {
  STASIS_ASSIGN_OR_RETURN(Level level, Open(fd(), name.c_str()));
  levels_.push_back(std::move(level));
  // The root stays open: OpenParentOf starts there.
  if (levels_.size() > kMaxOpen + 1) levels_[levels_.size() - 1 - kMaxOpen].fd.reset();
  return {};
}

Result<void> HostDirStack::Leave() {
  Level& above = levels_[levels_.size() - 2];
  if (!above.fd.valid()) {
    STASIS_ASSIGN_OR_RETURN(Level again, Open(fd(), ".."));
    if (again.dev != above.dev || again.ino != above.ino) return Err(ESTALE);
    above.fd = std::move(again.fd);
  }
  levels_.pop_back();
  return {};
}

Result<UniqueFd> HostDirStack::OpenParentOf(std::string_view path) const {
  UniqueFd dir(::fcntl(root_fd(), F_DUPFD_CLOEXEC, 0));
  if (!dir.valid()) return Err(errno);
  for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/')) {
    const std::string name(path.substr(0, slash));
    UniqueFd next(::openat(dir.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid()) return Err(errno);
    dir = std::move(next);
    path.remove_prefix(slash + 1);
  }
  return dir;
}

std::string LastComponent(std::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == path.npos ? path : path.substr(slash + 1));
}

}  // namespace stasis::restore
