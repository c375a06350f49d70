// SPDX-License-Identifier: Apache-2.0
//
// tree_filesystem.h: a filesystem made of dentries and inodes.
//
// Walks paths and applies the rules that all filesystems share: permissions, sticky bits, what may
// be removed or renamed, trailing slashes. What is particular to a filesystem is behind its Inodes.
//
// A walk takes no lock and no reference: it reads the hash tables of Directory inside the operation
// gate. Operations that change a directory lock it, and check again that it still exists.
//
// Lock order: rename_mu_, then Directory::mu (of an ancestor before a descendant; of two unrelated
// directories the lower address first, which rename_mu_ makes safe), then Inode::mu().

#ifndef STASIS_VFS_TREE_FILESYSTEM_H_
#define STASIS_VFS_TREE_FILESYSTEM_H_

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "vfs/filesystem.h"
#include "vfs/resolving_path.h"

namespace stasis::vfs {

class TreeFilesystem : public Filesystem {
 public:
  Dentry& root() const final { return *root_; }
  bool IsRoot(const Dentry& dentry) const final { return root_ == &dentry; }

  Result<Dentry*> GetDentryAt(ResolvingPath& path) final;
  Result<void> StatAt(ResolvingPath& path, Stat& stat) final;
  Result<void> AccessAt(ResolvingPath& path, Access want) final;
  Result<RefPtr<FileDescription>> OpenAt(ResolvingPath& path, const OpenOptions& options) final;
  Result<std::string> ReadLinkAt(ResolvingPath& path) final;
  Result<void> SetAttributesAt(ResolvingPath& path, const SetStat& set) final;
  Result<StatFs> StatFsAt(ResolvingPath& path) final;
  Result<void> MkdirAt(ResolvingPath& path, uint32_t mode, Placement placement) final;
  Result<void> MknodAt(ResolvingPath& path, const MknodOptions& options) final;
  Result<void> SymlinkAt(ResolvingPath& path, std::string_view target, Placement placement) final;
  Result<void> LinkAt(ResolvingPath& path, Mount& old_mount, Dentry& old) final;
  Result<void> UnlinkAt(ResolvingPath& path) final;
  Result<void> RmdirAt(ResolvingPath& path) final;
  Result<void> RenameAt(ResolvingPath& path, const RenameSource& from, uint32_t flags) final;
  Result<Dentry*> GetParentDentryAt(ResolvingPath& path) final;
  Result<std::string> GetXattrAt(ResolvingPath& path, std::string_view name) final;
  Result<void> SetXattrAt(ResolvingPath& path, std::string_view name, std::string_view value,
                          int flags) final;
  Result<std::vector<std::string>> ListXattrAt(ResolvingPath& path) final;
  Result<void> RemoveXattrAt(ResolvingPath& path, std::string_view name) final;
  void Teardown() override;

 protected:
  TreeFilesystem() = default;
  explicit TreeFilesystem(VirtualFilesystem& vfs) : Filesystem(vfs) {}

  void set_root(RefPtr<Dentry> root) { root_ = std::move(root); }
  virtual Result<StatFs> GetStatFs() const = 0;

  // Forgets a child that turned out to be no longer the file of its name, with all below it.
  void ForgetLocked(Directory& directory, Dentry& child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(directory.mu)
      ABSL_LOCKS_EXCLUDED(forgotten_mu_);

 private:
  STATE_SAVABLE(TreeFilesystem);

  class TwoDirectories;  // locks two directories in the right order

  // The child of that name: from the cache, or by Inode::LookupChild. Errors: ENOENT, EIO.
  Result<Dentry*> LookupChild(Dentry& dir, std::string_view name);
  // `directory` is that of `dir`: clang follows it, but not dir.directory().
  Result<Dentry*> LookupChildLocked(Dentry& dir, Directory& directory, std::string_view name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(directory.mu);
  // Unmounts what was mounted on forgotten dentries. Requires: no directory is locked.
  void UnmountForgotten() ABSL_LOCKS_EXCLUDED(forgotten_mu_);
  // Before a directory of that name is removed, which must be empty: names in it that are cached
  // may be gone on the host. Requires: no directory is locked.
  void ForgetGoneChildren(Dentry& parent, std::string_view name);
  // Goes from `dentry` as far as no component needs more than the cache, and with `to_parent` not
  // beyond the last one's directory.
  static Dentry* WalkCached(ResolvingPath& path, Dentry* dentry, bool to_parent);
  // One step of a walk, from `dir` by the current component, which it consumes.
  Result<Dentry*> Step(ResolvingPath& path, Dentry& dir);
  Result<Dentry*> StepUp(ResolvingPath& path, Dentry& dir);
  // All that is left of the path.
  Result<Dentry*> Walk(ResolvingPath& path);
  // All but the last component. The result is a directory, searchable, unless the path is done().
  Result<Dentry*> WalkToParent(ResolvingPath& path);

  // Goes on at a link's target in place of the current component.
  Result<void> FollowSymlink(ResolvingPath& path, Dentry& dir, Inode& link);
  // Opens what is there already, with all of open(2)'s rules.
  Result<RefPtr<FileDescription>> OpenExisting(ResolvingPath& path, Dentry& dentry,
                                               const OpenOptions& options);
  Result<void> CheckOpen(ResolvingPath& path, const Inode& inode, const OpenOptions& options);
  Result<RefPtr<FileDescription>> OpenTmpfile(ResolvingPath& path, const OpenOptions& options);
  Result<RefPtr<FileDescription>> OpenOrCreate(ResolvingPath& path, const OpenOptions& options);

  // Makes a file named by the last component. Errors: EEXIST, ENOENT, EACCES, EROFS, ENAMETOOLONG,
  // those of Inode::MakeChild.
  Result<RefPtr<Dentry>> Create(ResolvingPath& path, Dentry& parent, NewFile file);
  // Completes mode, owner and ACLs of a file that is to be made in `dir`.
  static void PrepareNew(const Credentials& creds, const Inode& dir, NewFile& file);
  // Tell those that watch; the directories are locked. ReportRemoved drops `removed`, what unlink
  // or rmdir have taken from `parent`, if anybody watches. `replaced` may be null.
  void ReportRemoved(const Dentry& parent, std::string_view name, RefPtr<Dentry>& removed) const;
  void ReportMoved(const Dentry& old_dir, std::string_view old_name, const Dentry& new_dir,
                   std::string_view new_name, const Inode& moved, const Inode* replaced) const;
  // What unlink, rmdir and rename require of a victim's name and permissions.
  Result<void> CheckRemovable(const Credentials& creds, const Dentry& parent,
                              const Dentry& child) const;
  Result<void> RenameLocked(ResolvingPath& path, const RenameSource& source, Dentry& new_parent,
                            uint32_t flags) ABSL_EXCLUSIVE_LOCKS_REQUIRED(rename_mu_);
  // What can be wrong with a rename whatever the permissions.
  static Result<void> CheckRenamePlaces(const ResolvingPath& path, const RenameSource& source,
                                        const Dentry& moved, const Dentry& new_parent,
                                        const Dentry* replaced, uint32_t flags);
  Result<void> CheckRename(const ResolvingPath& path, Dentry& old_parent, Dentry& moved,
                           Dentry& new_parent, Dentry* replaced, uint32_t flags)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(rename_mu_);

  // Renames change parents and names only with this held.
  absl::Mutex rename_mu_ STATE(nosave);

  // Forgotten dentries that something is mounted on; the lock comes after Directory::mu.
  absl::Mutex forgotten_mu_ STATE(nosave);
  std::vector<RefPtr<Dentry>> forgotten_ STATE(nosave) ABSL_GUARDED_BY(forgotten_mu_);
  std::atomic<bool> has_forgotten_ STATE(nosave){false};
  RefPtr<Dentry> root_;  // immutable once set
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_TREE_FILESYSTEM_H_
