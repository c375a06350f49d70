// SPDX-License-Identifier: Apache-2.0
//
// vfs_mount_attributes.cc: VirtualFilesystem's operations that change flags and propagation.

#include <absl/cleanup/cleanup.h>
#include <linux/mount.h>

#include <optional>
#include <utility>
#include <vector>

#include "vfs/virtual_filesystem.h"

namespace stasis::vfs {
namespace {

constexpr uint64_t kPlainAttributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                      MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODIRATIME |
                                      MOUNT_ATTR_NOSYMFOLLOW;

// The rules of mount_setattr(2).
bool AreValid(const MountAttributes& attributes) {
  if (((attributes.set | attributes.clear) & ~(kPlainAttributes | MOUNT_ATTR__ATIME)) != 0)
    return false;
  // Access time is one of three, not bits: all is cleared, or nothing changes.
  const uint64_t atime = attributes.set & MOUNT_ATTR__ATIME;
  if ((attributes.clear & MOUNT_ATTR__ATIME) == 0) return atime == 0;
  return (attributes.clear & MOUNT_ATTR__ATIME) == MOUNT_ATTR__ATIME &&
         (atime == MOUNT_ATTR_RELATIME || atime == MOUNT_ATTR_NOATIME ||
          atime == MOUNT_ATTR_STRICTATIME);
}

void Apply(const MountAttributes& attributes, MountFlags& flags) {
  const auto apply = [&](uint64_t bit, bool& flag) {
    flag = ((flag && (attributes.clear & bit) == 0) || (attributes.set & bit) != 0);
  };
  apply(MOUNT_ATTR_RDONLY, flags.read_only);
  apply(MOUNT_ATTR_NOSUID, flags.no_suid);
  apply(MOUNT_ATTR_NODEV, flags.no_dev);
  apply(MOUNT_ATTR_NOEXEC, flags.no_exec);
  apply(MOUNT_ATTR_NODIRATIME, flags.no_dir_atime);
  apply(MOUNT_ATTR_NOSYMFOLLOW, flags.no_sym_follow);
  if ((attributes.clear & MOUNT_ATTR__ATIME) == 0) return;
  flags.no_atime = (attributes.set & MOUNT_ATTR__ATIME) == MOUNT_ATTR_NOATIME;
  flags.strict_atime = (attributes.set & MOUNT_ATTR__ATIME) == MOUNT_ATTR_STRICTATIME;
}

// Nothing if there is none of that number.
std::optional<Propagation> PropagationOf(uint64_t flag) {
  switch (flag) {
    case MS_SHARED:
      return Propagation::kShared;
    case MS_PRIVATE:
      return Propagation::kPrivate;
    case MS_SLAVE:
      return Propagation::kSlave;
    case MS_UNBINDABLE:
      return Propagation::kUnbindable;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<void> VirtualFilesystem::ChangeFlags(Mount& mount, bool recursive,
                                            absl::FunctionRef<void(MountFlags& flags)> change) {
  std::vector<std::pair<Mount*, MountFlags>> changed;
  std::vector<Mount*> made_read_only;
  absl::Cleanup undo = [&made_read_only] {
    for (Mount* m : made_read_only) static_cast<void>(m->SetReadOnly(false));
  };
  for (Mount* m = &mount; m != nullptr; m = recursive ? MountTree::Next(*m, mount) : nullptr) {
    MountFlags flags = m->flags();
    change(flags);
    if (!MountTree::MayChangeFlags(*m, flags)) return Err(EPERM);
    if (flags.read_only && !m->read_only()) {
      if (m->has_writable_files()) return Err(EBUSY);
      STASIS_RETURN_IF_ERROR(m->SetReadOnly(true));
      made_read_only.push_back(m);
    }
    changed.emplace_back(m, flags);
  }
  std::move(undo).Cancel();
  for (const auto& [m, flags] : changed) {
    if (!flags.read_only) STASIS_RETURN_IF_ERROR(m->SetReadOnly(false));
    MountTree::SetFlags(*m, flags);
  }
  return {};
}

void VirtualFilesystem::ChangePropagation(Mount& mount, Propagation type, bool recursive) {
  mount_tree_.AssertLocked();
  for (Mount* m = &mount; m != nullptr; m = recursive ? MountTree::Next(*m, mount) : nullptr)
    mount_tree_.SetPropagation(*m, type);
}

Result<void> VirtualFilesystem::RemountAt(const Credentials& creds, MountNamespace& ns,
                                          const PathOperation& target, const MountFlags& flags) {
  STASIS_ASSIGN_OR_RETURN(const VirtualDentry at, GetMount(creds, ns, target));
  gate_.Close();
  absl::Cleanup open = [this] { gate_.Open(); };
  absl::MutexLock lock(&locks_.mount_mu);
  if (at.mount().ns() != &ns) return Err(EINVAL);
  return ChangeFlags(at.mount(), /*recursive=*/false, [&](MountFlags& now) { now = flags; });
}

Result<void> VirtualFilesystem::SetMountAttributesAt(const Credentials& creds, MountNamespace& ns,
                                                     const PathOperation& target,
                                                     const MountAttributes& attributes,
                                                     bool recursive) {
  if (!creds.Has(Capability::kSysAdmin)) return Err(EPERM);
  if (attributes.set == 0 && attributes.clear == 0 && attributes.propagation == 0) return {};
  const auto propagation = PropagationOf(attributes.propagation);
  if (attributes.propagation != 0 && !propagation) return Err(EINVAL);
  if (!AreValid(attributes)) return Err(EINVAL);
  STASIS_ASSIGN_OR_RETURN(const VirtualDentry at, GetMount(creds, ns, target));
  gate_.Close();
  absl::Cleanup open = [this] { gate_.Open(); };
  absl::MutexLock lock(&locks_.mount_mu);
  if (at.mount().ns() != &ns) return Err(EINVAL);
  STASIS_RETURN_IF_ERROR(
      ChangeFlags(at.mount(), recursive, [&](MountFlags& flags) { Apply(attributes, flags); }));
  if (propagation) ChangePropagation(at.mount(), *propagation, recursive);
  return {};
}

Result<void> VirtualFilesystem::SetPropagationAt(const Credentials& creds, MountNamespace& ns,
                                                 const PathOperation& target, Propagation type,
                                                 bool recursive) {
  Operation operation(gate_);
  STASIS_ASSIGN_OR_RETURN(const VirtualDentry at, GetMount(creds, ns, target));
  absl::MutexLock lock(&locks_.mount_mu);
  if (at.mount().ns() != &ns) return Err(EINVAL);
  ChangePropagation(at.mount(), type, recursive);
  return {};
}

}  // namespace stasis::vfs
