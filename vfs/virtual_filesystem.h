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

#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
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
#include "vfs/mount_table.h"
#include "vfs/operation_gate.h"
#include "vfs/options.h"
#include "vfs/path_operation.h"
#include "vfs/stat.h"
#include "vfs/watches.h"

namespace stasis::vfs {

class ResolvingPath;
class RestoreContext;

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
  // All namespaces, in the order of their creation.
  std::vector<RefPtr<MountNamespace>> namespaces() const ABSL_LOCKS_EXCLUDED(locks_.mount_mu);

  // A mount of all of `filesystem` that is in no namespace: nothing is mounted in it, and walks
  // from its root stay in it.
  RefPtr<Mount> NewPrivateMount(RefPtr<Filesystem> filesystem, MountFlags flags);

  // Mounts `filesystem` on the directory at `target`, in `ns`.
  // Errors: EPERM, EBUSY, ENOTDIR, ENOENT, EINVAL if `target` is not in `ns`.
  Result<RefPtr<Mount>> MountAt(const Credentials& creds, MountNamespace& ns,
                                const PathOperation& target, RefPtr<Filesystem> filesystem,
                                MountFlags flags) ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // Makes the tree at `source` appear at `target` as well (not recursive). Errors: as MountAt.
  Result<RefPtr<Mount>> BindAt(const Credentials& creds, MountNamespace& ns,
                               const PathOperation& source, const PathOperation& target,
                               MountFlags flags) ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  // Unmounts what is mounted at `target`, closing the gate for a moment.
  // Requires: not called from inside the gate. Errors: EINVAL if it is not a mount's root or is the
  // namespace's, EBUSY.
  Result<void> UmountAt(const Credentials& creds, MountNamespace& ns, const PathOperation& target)
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);

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

  // True if something is mounted on `dentry`: it can be neither removed nor replaced.
  bool IsBusyMountpoint(const Dentry& dentry) const { return dentry.is_mountpoint(); }

 private:
  friend class Filesystem;
  STATE_SAVABLE(VirtualFilesystem);
  VirtualFilesystem();

  // Runs `operation(path)` on the filesystem where the path is, until it does not jump any more.
  template <typename Op>
  static auto Resolve(ResolvingPath& path, Op operation);
  // Repeats `operation(path)` until it gets hold of the file that it found.
  template <typename Op>
  auto ResolveAndHold(const Credentials& creds, const PathOperation& where, bool follow,
                      Op operation);
  Result<RefPtr<Mount>> Attach(MountNamespace& ns, const VirtualDentry& point,
                               RefPtr<Filesystem> filesystem, RefPtr<Dentry> root, MountFlags flags)
      ABSL_LOCKS_EXCLUDED(locks_.mount_mu);
  bool IsMountedLocked(const Filesystem& filesystem) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(locks_.mount_mu);
  // For a load, in which nobody else is.
  bool Lists(const Filesystem& filesystem) const ABSL_NO_THREAD_SAFETY_ANALYSIS;
  absl::Status AfterLoad(state::LoadContext& context);

  mutable VfsLocks locks_ STATE(nosave);
  OperationGate gate_ STATE(nosave);
  const Clock* clock_ STATE(nosave);  // borrowed
  MountTable mount_table_ STATE(nosave){locks_};
  const RefPtr<FileLockTable> file_locks_ STATE(nosave) = MakeRef<FileLockTable>();
  const RefPtr<WatchTable> watches_ STATE(nosave) = MakeRef<WatchTable>(gate_);

  // Saved in this order, so that trees come before what points into them.
  std::vector<RefPtr<Filesystem>> filesystems_ STATE(wait) ABSL_GUARDED_BY(locks_.mount_mu);
  std::vector<RefPtr<MountNamespace>> namespaces_ STATE(wait) ABSL_GUARDED_BY(locks_.mount_mu);
  std::atomic<uint64_t> next_mount_id_{1};
  std::atomic<uint32_t> next_dev_{1};
  std::atomic<uint32_t> last_cookie_{0};
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_VIRTUAL_FILESYSTEM_H_
