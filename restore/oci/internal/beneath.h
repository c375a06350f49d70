// SPDX-License-Identifier: Apache-2.0
//
// beneath.h: a path that stays where it begins.

#ifndef STASIS_RESTORE_OCI_INTERNAL_BENEATH_H_
#define STASIS_RESTORE_OCI_INTERNAL_BENEATH_H_

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "state/base/unique_fd.h"

namespace stasis::oci {

// Opens `path`, empty for the root itself, beneath the directory `root`, through no symbolic link.
// Not valid on failure, with errno set.
inline UniqueFd OpenBeneath(int root, std::string_view path, int flags) {
  struct open_how how = {};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const std::string name = path.empty() ? "." : std::string(path);
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, root, name.c_str(), &how, sizeof(how))));
}

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_INTERNAL_BENEATH_H_
