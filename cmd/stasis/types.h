// SPDX-License-Identifier: Apache-2.0
//
// types.h: what this program saves and loads.

#ifndef STASIS_CMD_STASIS_TYPES_H_
#define STASIS_CMD_STASIS_TYPES_H_

#include <string>

#include "restore/restore.h"
#include "state/base/clock.h"
#include "state/registry.h"

namespace stasis::cli {

// "0.1.0", and "stasis 0.1.0".
const char* Version();
std::string Creator();

// "DIR:TAG" with an absolute DIR, for a process with another working directory. What is no
// reference stays what it is.
std::string AbsoluteReference(const std::string& reference);

// Errors: kNotFound, with the remedy, if the directory that `path` is to be made in is missing.
absl::Status CheckParent(const std::string& path);

// Every type of every layer, and the clock that trees are served with. One per program.
class Types {
 public:
  Types();
  const state::Registry& registry() const { return registry_; }
  const Clock& clock() const { return clock_; }

  // A request for the image "DIR:TAG". Errors: kInvalidArgument.
  absl::StatusOr<restore::RestoreRequest> Request(const std::string& reference) const;

 private:
  state::Registry registry_;
  RealClock clock_;
};

// Adds to an error which says that the request's tag is not there which ones are.
absl::Status NameTags(const absl::Status& status, const restore::RestoreRequest& request);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_TYPES_H_
