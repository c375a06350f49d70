// SPDX-License-Identifier: Apache-2.0
//
// virtual_filesystem.h: the whole of a sandbox's file tree, and the operations on it.
//
//   RealClock clock;
//   auto vfs = MakeRef<VirtualFilesystem>(clock);
//   auto fs = memfs::MemFilesystem::Create(*vfs, {});
//   RefPtr<MountNamespace> ns = vfs->NewMountNamespace(fs, {});
//   VirtualDentry root = ns->root();
//   Credentials creds = Credentials::Root();
//   vfs->MkdirAt(creds, {root, root, "/a"}, 0755);
//   vfs->StatAt(creds, {root, root, "/a"});
//
// The ...At operations have the rules and errors of the system calls of those names. Each passes
// the operation gate; a checkpoint closes it. Not theirs: the limit of PATH_MAX for paths, and
// dropping the set-user-ID bit when a file is written (front ends know who writes; SetAttributes
// does it for truncation).

#ifndef STASIS_VFS_VIRTUAL_FILESYSTEM_H_
#define STASIS_VFS_VIRTUAL_FILESYSTEM_H_

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "state/annotations.h"
#include "state/base/clock.h"
#include "state/base/result.h"
#include "state/object.h"
#include "vfs/credentials.h"
#include "vfs/file_description.h"
#include "vfs/file_locks.h"
#include "vfs/filesystem.h"
#include "vfs/internal/locks.h"
#include "vfs/mount.h"
#include "vfs/mount_namespace.h"
#include "vfs/mount_sharing.h"
#include "vfs/mount_tree.h"
#include "vfs/operation_gate.h"
#include "vfs/options.h"
#include "vfs/path_operation.h"
#include "vfs/stat.h"
#include "vfs/watches.h"

namespace stasis::vfs {

class ResolvingPath;
class RestoreContext;

struct BindOptions {
  bool recursive = false;
  // Those of the new mount at `target`; the source's if unset.
  std::optional<MountFlags> flags;
};

// As struct mount_attr: MOUNT_ATTR_... bits (not MOUNT_ATTR_IDMAP), and one of MS_SHARED,
// MS_PRIVATE, MS_SLAVE and MS_UNBINDABLE, or 0.
struct MountAttributes {
  uint64_t set = 0;
  uint64_t clear = 0;
  uint64_t propagation = 0;
};

// Thread-safe.
class VirtualFilesystem final : public state::Object {
 public:
  // `clock` outlives it.
  explicit VirtualFilesystem(const Clock& clock);
  ~VirtualFilesystem() override;

  OperationGate& gate() { return gate_; }
  const Clock& clock() const { return *clock_; }
  FileLockTable& file_locks() const { return *file_locks_; }
  WatchTable& watches() const { return *watches_; }
  // Connects the two events of a rename (inotify(7)); never 0 but when it comes round.
  uint32_t NextRenameCookie() { return last_cookie_.fetch_add(1, std::memory_order_relaxed) + 1; }

  // Takes every tree down. Call once, when no operation runs and none will: trees hold themselves
  // together (dentries and their parents), so without it nothing is freed.
  void Teardown();

  // Filesystems, in the order of their creation. Whoever creates one adds it.
  void AddFilesystem(RefPtr<Filesystem> filesystem) ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  std::vector<RefPtr<Filesystem>> filesystems() const ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // Whether any namespace has a mount of it.
  bool IsMounted(const Filesystem& filesystem) const ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // Takes down a filesystem that nobody will use any more. Requires: not called from inside the
  // gate. Errors: EBUSY if it is mounted in a namespace, or not in the list.
  Result<void> RemoveFilesystem(Filesystem& filesystem) ABSL_LOCKS_EXCLUDED(locks_.mount_mu);

  // Filesystem::exclusive() of all filesystems.
  bool exclusive() const ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // Whether a front end must ask for each file to be opened: because of a filesystem, or of a mount
  // that is read-only, which refuses to open and not to write.
  bool opens_matter() const ABSL_LOCKS_EXCLUDED(locks_.mount_mu);

  RefPtr<MountNamespace> NewMountNamespace(RefPtr<Filesystem> filesystem, MountFlags flags)
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // A copy of `ns` with all its mounts, as unshare(2) with CLONE_NEWNS: shared mounts and their
  // copies are peers. With `less_privileged` it is for somebody who has less rights: the copies get
  // what happens in `ns` and not the reverse, and are locked. `places` that are in `ns` move to the
  // same places of the copy. Errors: EPERM.
  Result<RefPtr<MountNamespace>> CloneMountNamespace(const Credentials& creds, MountNamespace& ns,
                                                     bool less_privileged = false,
                                                     std::span<VirtualDentry* const> places = {})
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // Unmounts all that is in `ns` and forgets it, when its last user is gone.
  void RemoveMountNamespace(MountNamespace& ns) ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // What is "/" to who enters `ns` (setns(2)): the top of what is mounted on its root.
  VirtualDentry RootOf(MountNamespace& ns) const ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // All namespaces, in the order of their creation.
  std::vector<RefPtr<MountNamespace>> namespaces() const ABSL_LOCKS_EXCLUDED(locks_.mount_mu);

  // A mount of all of `filesystem` that is in no namespace: nothing is mounted in it, and walks
  // from its root stay in it.
  RefPtr<Mount> MakePrivateMount(Filesystem& filesystem, MountFlags flags);

  // Mount operations (vfs_mounts.cc and its neighbours). `ns` is the namespace of the caller, whose
  // root each path names. Places are looked up with links followed, and what is mounted on a place
  // that is covered goes on top. Those that may unmount or make read-only close the gate for a
  // moment: they must not be called from inside it. Errors of all: EPERM without CAP_SYS_ADMIN,
  // those of path walks, EINVAL of what is not in `ns`, ENOSPC beyond the limit of mounts.

  // Mounts `filesystem` at `target`. Errors: EBUSY if the same is mounted there, ENOTDIR, ENOENT of
  // a removed place.
  Result<RefPtr<Mount>> MountAt(const Credentials& creds, MountNamespace& ns,
                                const PathOperation& target, RefPtr<Filesystem> filesystem,
                                MountFlags flags) ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // Makes the tree at `source` appear at `target` as well. Errors: as MountAt; EINVAL of unbindable
  // mounts, or if it would show what a locked mount covers.
  Result<RefPtr<Mount>> BindAt(const Credentials& creds, MountNamespace& ns,
                               const PathOperation& source, const PathOperation& target,
                               const BindOptions& options = {})
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // Mounts the mount at `source` at `target` instead. Errors: EINVAL if it is no mount, or the
  // namespace's root, or locked, of another kind than `target`, or its parent is shared, or an
  // unbindable one would be propagated; ELOOP if `target` is below it.
  Result<void> MoveMountAt(const Credentials& creds, MountNamespace& ns,
                           const PathOperation& source, const PathOperation& target)
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // Unmounts what is mounted at `target`. `flags` as for umount2(2): MNT_FORCE (which does nothing
  // more), MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW. Errors: EINVAL if it is not a mount's root, is
  // locked, or is the caller's root and not detached; EBUSY; EAGAIN of MNT_EXPIRE.
  Result<void> UmountAt(const Credentials& creds, MountNamespace& ns, const PathOperation& target,
                        int flags = 0) ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // Replaces the flags of the mount at `target`, as mount(2) with MS_REMOUNT | MS_BIND.
  // Errors: EINVAL if it is no mount's root, EBUSY of read-only while files are open to be written,
  // EPERM of flags that are locked.
  Result<void> RemountAt(const Credentials& creds, MountNamespace& ns, const PathOperation& target,
                         const MountFlags& flags) ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // As mount_setattr(2), with AT_RECURSIVE if `recursive`: all or nothing. Errors: as RemountAt.
  Result<void> SetMountAttributesAt(const Credentials& creds, MountNamespace& ns,
                                    const PathOperation& target, const MountAttributes& attributes,
                                    bool recursive) ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // Errors: EINVAL if it is no mount's root.
  Result<void> SetPropagationAt(const Credentials& creds, MountNamespace& ns,
                                const PathOperation& target, Propagation type, bool recursive)
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // As pivot_root(2): what is the root of both paths comes to `put_old`, and `new_root` in its
  // place. Returns the new root, to be that of all who had the old one, and the working directory
  // of those who had it for that. Errors: ENOTDIR, ENOENT, EBUSY, EINVAL.
  Result<VirtualDentry> PivotRootAt(const Credentials& creds, MountNamespace& ns,
                                    const PathOperation& new_root, const PathOperation& put_old)
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // The mounts of a namespace, each after what it is mounted on, with where they are seen from its
  // root, what of their filesystems is seen, and how they propagate.
  struct MountPlace {
    RefPtr<Mount> mount;
    std::string path;
    std::string root;
    MountSharing sharing;
  };
  std::vector<MountPlace> MountPlaces(const MountNamespace& ns)
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // The text of /proc/PID/mountinfo for who is in `ns` and has `root`.
  std::string MountInfo(const MountNamespace& ns, const VirtualDentry& root)
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // The most mounts that a namespace may have; at least 1.
  uint32_t mount_limit() const { return mount_limit_.load(std::memory_order_relaxed); }
  void set_mount_limit(uint32_t limit) { mount_limit_.store(limit, std::memory_order_relaxed); }

  Result<VirtualDentry> GetDentryAt(const Credentials& creds, const PathOperation& path);
  Result<Stat> StatAt(const Credentials& creds, const PathOperation& path);
  Result<void> AccessAt(const Credentials& creds, const PathOperation& path, Access want);
  Result<RefPtr<FileDescription>> OpenAt(const Credentials& creds, const PathOperation& path,
                                         const OpenOptions& options);
  Result<std::string> ReadLinkAt(const Credentials& creds, const PathOperation& path);
  Result<void> SetAttributesAt(const Credentials& creds, const PathOperation& path,
                               const SetStat& set);
  Result<StatFs> StatFsAt(const Credentials& creds, const PathOperation& path);

  Result<void> MkdirAt(const Credentials& creds, const PathOperation& path, uint32_t mode,
                       Placement placement = Placement::kStored);
  Result<void> MknodAt(const Credentials& creds, const PathOperation& path,
                       const MknodOptions& options);
  Result<void> SymlinkAt(const Credentials& creds, const PathOperation& path,
                         std::string_view target, Placement placement = Placement::kStored);
  Result<void> LinkAt(const Credentials& creds, const PathOperation& old_path,
                      const PathOperation& new_path);
  Result<void> UnlinkAt(const Credentials& creds, const PathOperation& path);
  Result<void> RmdirAt(const Credentials& creds, const PathOperation& path);
  // `flags` as for renameat2(2): RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT; others
  // give EINVAL.
  Result<void> RenameAt(const Credentials& creds, const PathOperation& old_path,
                        const PathOperation& new_path, uint32_t flags = 0);

  Result<std::string> GetXattrAt(const Credentials& creds, const PathOperation& path,
                                 std::string_view name);
  Result<void> SetXattrAt(const Credentials& creds, const PathOperation& path,
                          std::string_view name, std::string_view value, int flags);
  Result<std::vector<std::string>> ListXattrAt(const Credentials& creds, const PathOperation& path);
  Result<void> RemoveXattrAt(const Credentials& creds, const PathOperation& path,
                             std::string_view name);

  // Takes away what is mounted on `point` in any namespace, whoever uses it, with what is mounted
  // below. Open files in there stay open.
  void UnmountAllAt(Dentry& point) ABSL_LOCKS_EXCLUDED(locks_.mount_mu);

  // The phases of a checkpoint and a restore on every filesystem, in mount order; see Filesystem.
  // Requires: the gate is closed, or nobody uses this object yet.
  absl::Status PrepareSave();
  void BeforeResume();
  // Goes on after an error, so that all is known that is wrong; returns the first.
  absl::Status Reopen(RestoreContext& context);
  absl::Status CompleteRestore(RestoreContext& context);

  // True if something is mounted on `dentry` in the namespace of `root`, or if that has none: then
  // it can be neither removed nor replaced.
  bool IsBusyMountpoint(const Mount& root, const Dentry& dentry) const
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu) {
    return dentry.is_mountpoint() && IsBusyMountpointSlow(root, dentry);
  }
  // Unmounts what is mounted on a dentry that was removed, in whatever namespace. `change` is to
  // end when no directory is locked any more.
  void UnmountRemoved(const Dentry& dentry, MountChange& change)
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu) {
    if (dentry.is_mountpoint()) UnmountRemovedSlow(dentry, change);
  }

 private:
  friend class Filesystem;
  friend class Mount;
  STATE_SAVABLE(VirtualFilesystem);
  VirtualFilesystem();

  // Runs `operation(path)` on the filesystem where the path is, until it does not jump any more.
  template <typename Op>
  static auto Resolve(ResolvingPath& path, Op operation);
  // Repeats `operation(path)` until it gets hold of the file that it found.
  template <typename Op>
  auto ResolveAndHold(const Credentials& creds, const PathOperation& where, bool follow,
                      Op operation);
  // GetDentryAt; mounts on the way that are marked to expire lose the mark unless `keep_expired`.
  Result<VirtualDentry> GetDentry(const Credentials& creds, const PathOperation& where, bool follow,
                                  bool keep_expired);
  // Where a mount operation is to happen: `where` with links followed.
  Result<VirtualDentry> GetMountPlace(const Credentials& creds, const PathOperation& where);
  // The same that must be a mount's root, in `ns`. Errors: EINVAL.
  Result<VirtualDentry> GetMount(const Credentials& creds, const MountNamespace& ns,
                                 const PathOperation& where);
  // Calls `fn(parent, point)` with mount_mu held, on top of what is mounted at `place`, whose name
  // stays meanwhile. Errors: ENOENT if it has been removed.
  Result<void> OnTopOf(VirtualDentry place,
                       absl::FunctionRef<Result<void>(Mount& parent, Dentry& point)> fn)
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  static Result<void> CheckMove(const MountNamespace& ns, const Mount& moved, const Mount& parent);
  Result<void> CheckPivot(const MountNamespace& ns, const VirtualDentry& root,
                          const VirtualDentry& fresh, const Mount& old_parent,
                          const Dentry& put_old) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // Changes the flags of a mount, or of all its tree, by `change(flags)`. Nobody is inside.
  Result<void> ChangeFlags(Mount& mount, bool recursive,
                           absl::FunctionRef<void(MountFlags& flags)> change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  void ChangePropagation(Mount& mount, Propagation type, bool recursive)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  bool IsBusyMountpointSlow(const Mount& root, const Dentry& dentry) const
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  void UnmountRemovedSlow(const Dentry& dentry, MountChange& change)
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // For Mount: its last reference is gone, and it keeps others.
  void ReleaseKeptMounts(Mount& mount) ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  absl::Status RestoreMount(Mount& mount, state::LoadContext& context)
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // Tells those that watch files of filesystems that are mounted nowhere any more.
  void ReportUnmounted(const MountChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  bool IsMountedLocked(const Filesystem& filesystem) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // For a load, in which nobody else is.
  bool Lists(const Filesystem& filesystem) const ABSL_NO_THREAD_SAFETY_ANALYSIS;
  absl::Status AfterLoad(state::LoadContext& context);

  mutable VfsLocks locks_ STATE(nosave);
  OperationGate gate_ STATE(nosave);
  const Clock* clock_ STATE(nosave);  // borrowed
  MountTree mount_tree_ STATE(nosave){locks_, next_mount_id_, next_peer_group_, mount_limit_};
  const RefPtr<FileLockTable> file_locks_ STATE(nosave) = MakeRef<FileLockTable>();
  const RefPtr<WatchTable> watches_ STATE(nosave) = MakeRef<WatchTable>(gate_);

  // Saved in this order, so that trees come before what points into them.
  std::vector<RefPtr<Filesystem>> filesystems_ STATE(wait) ABSL_GUARDED_BY(locks_.mount_mu);
  std::vector<RefPtr<MountNamespace>> namespaces_ STATE(wait) ABSL_GUARDED_BY(locks_.mount_mu);
  std::atomic<uint64_t> next_mount_id_{1};
  std::atomic<uint32_t> next_peer_group_{1};
  std::atomic<uint64_t> next_owner_{1};  // of mount namespaces
  std::atomic<uint32_t> next_dev_{1};
  std::atomic<uint32_t> last_cookie_{0};
  std::atomic<uint32_t> mount_limit_{MountTree::kDefaultLimit};
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_VIRTUAL_FILESYSTEM_H_
