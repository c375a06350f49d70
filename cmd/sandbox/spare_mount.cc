// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/spare_mount.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "cmd/sandbox/mount_calls.h"

namespace stasis::sandbox {
namespace {

// Puts a clone of the mount that `place` is in, from there on, into descriptor `to`.
bool CloneTo(int place, int to) {
  const int clone = open_tree(place, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  if (clone < 0) return false;
  const bool done = dup3(clone, to, O_CLOEXEC) >= 0;
  close(clone);
  return done;
}

// In the child: a clone of `path` in `mount` into `part`, and one of all of it into `whole`, for
// `mount` itself ends with the namespace. Gives an error number.
int CloneInside(int mount_fd, const std::string& path, int part, int whole) {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
  if (move_mount(mount_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0) return errno;
  if (!CloneTo(mount_fd, whole)) return errno;
  const UniqueFd place = LookUpBelow(mount_fd, path);
  return place.valid() && CloneTo(place.get(), part) ? 0 : errno;
}

}  // namespace

absl::StatusOr<UniqueFd> SpareMount::Clone(const std::string& path, const std::string& name) {
  // Places in the table of descriptors, which the child shares.
  UniqueFd part(fcntl(mount_.get(), F_DUPFD_CLOEXEC, 3));
  UniqueFd whole(fcntl(mount_.get(), F_DUPFD_CLOEXEC, 3));
  const std::string what = absl::StrCat("cannot mount ", name);
  if (!part.valid() || !whole.valid()) return SystemError(what);
  constexpr unsigned long kFlags = CLONE_NEWNS | CLONE_FILES | static_cast<unsigned long>(SIGCHLD);
  const auto pid =
      static_cast<pid_t>(syscall(SYS_clone, kFlags, nullptr, nullptr, nullptr, nullptr));
  if (pid == 0) _exit(CloneInside(mount_.get(), path, part.get(), whole.get()));
  if (pid < 0) return SystemError(what);
  int status = 0;
  while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR) {
  }
  // If it got as far as that, the one there was went with the child.
  mount_ = std::move(whole);
  const int error = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
  if (error != 0) return absl::ErrnoToStatus(error, what);
  return part;
}

}  // namespace stasis::sandbox
