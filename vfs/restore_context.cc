// SPDX-License-Identifier: Apache-2.0

#include "vfs/restore_context.h"

#include <absl/strings/str_cat.h>

namespace stasis::vfs {

absl::StatusOr<std::string> RestoreContext::FindRoot(std::string_view root) {
  std::string name(root);
  {
    const absl::MutexLock lock(&mu_);
    asked_roots_.insert(name);
  }
  if (const auto it = roots.find(name); it != roots.end()) return it->second;
  if (find_root)
    if (const std::optional<std::string> found = find_root(name); found.has_value()) return *found;
  {
    const absl::MutexLock lock(&mu_);
    missing_roots_.insert(name);
  }
  return absl::InvalidArgumentError(absl::StrCat("the image needs the host directory ", name,
                                                 "; say where it is: --root ", name, "=DIR"));
}

}  // namespace stasis::vfs
