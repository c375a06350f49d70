// SPDX-License-Identifier: Apache-2.0
//
// served_mounts.h: the mounts of what a sandbox's daemon serves, as its init makes them.
//
// Each filesystem of the daemon is a FUSE filesystem of the kernel's. Before the sandbox has its
// root they stand side by side on the staging directory, from where mounts of them are cloned; that
// tree goes with the host's when the root is entered. A spare mount of each is kept for those to
// come.
//
// Mounts that propagate are in a group of the kernel's for each group of the tree's, of which
// another spare mount is the first member: so there is one to join whatever else of the group is
// mounted, unmounted or covered.

#ifndef STASIS_CMD_SANDBOX_SERVED_MOUNTS_H_
#define STASIS_CMD_SANDBOX_SERVED_MOUNTS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cmd/sandbox/mount_plan.h"
#include "cmd/sandbox/spare_mount.h"
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
  // Makes what was built propagate as the plan says, but for the root. After all is attached:
  // before, what is attached would propagate, too.
  absl::Status Share();
  // The root was entered, and what was in the staging directory is gone.
  void Entered();
  // After a failure: takes away what was built in an entered root, and forgets its filesystems.
  void GiveUp(const std::vector<ServedMount>& mounts);

  // Attaches one more in the entered root. Errors: kNotFound if there is no such filesystem.
  absl::Status Add(const ServedMount& mount);
  // Changes how a mount propagates: `type` is MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE. Errors: as of
  // Remove.
  absl::Status Change(int number, const std::string& target, uint64_t type) const;
  // Errors: kUnavailable if it is busy, or if something else is mounted there; kNotFound if nothing
  // is.
  absl::Status Remove(int number, const std::string& target, bool detach) const;

  // A group of mounts, by the number of its filesystem and its own.
  using GroupName = std::pair<int, uint32_t>;
  // Lets go of all groups but these: those that get mounts from them get none any more.
  void KeepGroups(const std::set<GroupName>& kept);

  // Lets go of a filesystem: it ends with its last mount.
  void Forget(int number);

  // Descriptors of the roots of all, for syncfs(2). They keep no mount busy.
  std::vector<int> Roots() const;

 private:
  absl::Status Prepare(const std::string& staging);
  absl::Status Stage(const std::vector<ServedMount>& mounts);
  absl::Status Keep(int number, UniqueFd mount);
  std::string PlaceOf(int number) const;
  absl::StatusOr<UniqueFd> PartOf(int number, const std::string& root, const std::string& name);
  absl::StatusOr<const UniqueFd*> Group(int number, uint32_t id, std::span<const uint32_t> masters);
  absl::Status Join(const UniqueFd& mount, const ServedMount& as);
  absl::StatusOr<UniqueFd> OpenMounted(int number, const std::string& target) const;
  bool IsOf(int number, int place) const;

  bool entered_ = false;
  std::string staging_;           // a tmpfs is mounted on it; empty before
  UniqueFd device_;               // /dev/fuse of the host, which the sandbox does not have
  std::map<int, UniqueFd> made_;  // attached nowhere yet
  std::map<int, UniqueFd> roots_;
  std::map<int, SpareMount> spares_;
  std::map<GroupName, UniqueFd> groups_;                 // a mount in each that is attached nowhere
  std::vector<std::pair<ServedMount, UniqueFd>> built_;  // until they are shared
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_SERVED_MOUNTS_H_
