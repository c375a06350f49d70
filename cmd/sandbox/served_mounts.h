// SPDX-License-Identifier: Apache-2.0
//
// served_mounts.h: the mounts of what a sandbox's daemon serves, as its init makes them.
//
// Each filesystem of the daemon is a FUSE filesystem of the kernel's. Before the sandbox has its
// root they stand side by side on the staging directory, from where mounts of them are cloned; that
// tree goes with the host's when the root is entered.

#ifndef STASIS_CMD_SANDBOX_SERVED_MOUNTS_H_
#define STASIS_CMD_SANDBOX_SERVED_MOUNTS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <vector>

#include "cmd/sandbox/mount_plan.h"
#include "state/base/unique_fd.h"

namespace stasis::sandbox {

// Belongs to init, in the sandbox's own mount namespace, none of whose mounts is shared.
class ServedMounts {
 public:
  // Makes FUSE filesystem `number`, shown as `source` in the mount table; the device, for somebody
  // to serve. `staging` is an existing host directory. Before EnterRoot it is attached there, after
  // it nowhere. Errors: kFailedPrecondition.
  absl::StatusOr<UniqueFd> Make(int number, const std::string& source, const std::string& staging);

  // Makes the mounts of a plan, the first of which is the root. Returns the root, in the staging
  // directory. Requires: somebody serves what was made. In an entered root the sandbox's /dev is
  // the staging directory.
  absl::StatusOr<UniqueFd> Build(const std::vector<ServedMount>& mounts);
  // The root was entered, and what was in the staging directory is gone.
  void Entered();
  // After a failure: takes away what was built in an entered root, and forgets its filesystems.
  void GiveUp(const std::vector<ServedMount>& mounts);

  // Attaches one more in the entered root: of a filesystem that was made since, or, if `like` is
  // not empty, of one that is to be seen whole at these paths: at one of them at least, if nothing
  // else is mounted over it.
  absl::Status Add(const ServedMount& mount, const std::vector<std::string>& like);
  // Errors: kUnavailable if it is busy, or if something else is mounted there; kNotFound if nothing
  // is.
  absl::Status Remove(int number, const std::string& target, bool detach) const;

  // Lets go of a filesystem: it ends with its last mount.
  void Forget(int number) {
    made_.erase(number);
    roots_.erase(number);
  }

  // Descriptors of the roots of all, for syncfs(2). They keep no mount busy.
  std::vector<int> Roots() const;

 private:
  absl::Status Prepare(const std::string& staging);
  absl::Status Stage(const std::vector<ServedMount>& mounts);
  absl::Status KeepRoot(int number, int place);
  std::string PlaceOf(int number) const;
  absl::StatusOr<UniqueFd> Take(const ServedMount& mount, int top,
                                const std::vector<std::string>& like);
  bool IsOf(int number, int place) const;

  bool entered_ = false;
  std::string staging_;           // a tmpfs is mounted on it; empty before
  UniqueFd device_;               // /dev/fuse of the host, which the sandbox does not have
  std::map<int, UniqueFd> made_;  // attached nowhere yet
  std::map<int, UniqueFd> roots_;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_SERVED_MOUNTS_H_
