// SPDX-License-Identifier: Apache-2.0
//
// filesystem.h: what a filesystem implements.
//
// Path resolution is driven by the filesystem: each ...At operation gets a ResolvingPath, walks as
// many components as it can, and either does the operation or returns the error kJump of
// resolving_path.h, after which the VirtualFilesystem calls the filesystem that the path has
// crossed into. Filesystems made of dentries derive from TreeFilesystem, which does all of that.
//
// All ...At operations run inside the operation gate.

#ifndef STASIS_VFS_FILESYSTEM_H_
#define STASIS_VFS_FILESYSTEM_H_

#include <absl/status/status.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "state/annotations.h"
#include "state/base/result.h"
#include "state/object.h"
#include "vfs/dentry.h"
#include "vfs/file_locks.h"
#include "vfs/options.h"
#include "vfs/stat.h"
#include "vfs/watches.h"

namespace stasis::vfs {

class FileDescription;
class Mount;
class ResolvingPath;
class RestoreContext;
class VirtualFilesystem;

// What is renamed: the file `name` in `parent`, found through `mount`. Empty if the path had no
// name.
struct RenameSource {
  Mount& mount;
  Dentry& parent;
  std::string_view name;
  bool must_be_dir = false;  // the path ended in a slash
};

// Thread-safe.
class Filesystem : public state::Object {
 public:
  // The type's name, such as "memfs".
  virtual std::string_view type() const = 0;

  // Number of this filesystem in its VirtualFilesystem: st_dev.
  uint32_t dev() const { return dev_; }
  VirtualFilesystem& vfs() const { return *vfs_; }

  // Those of vfs(), kept here for files that end after it. Null only while a load is not finished.
  FileLockTable* file_locks() const { return file_locks_.get(); }
  WatchTable* watches() const { return watches_.get(); }
  // The same while a load is not finished; null if the image names no vfs.
  FileLockTable* FileLocksInLoad() const;
  VirtualFilesystem* VfsInLoad() const { return vfs_; }

  // The tree's root.
  virtual Dentry& root() const = 0;
  // Whether it is that one. Safe to ask while a load is not finished.
  virtual bool IsRoot(const Dentry& dentry) const = 0;

  // The file of the path. The pointer is valid inside the gate.
  virtual Result<Dentry*> GetDentryAt(ResolvingPath& path) = 0;
  virtual Result<void> StatAt(ResolvingPath& path, Stat& stat) = 0;
  virtual Result<void> AccessAt(ResolvingPath& path, Access want) = 0;
  virtual Result<RefPtr<FileDescription>> OpenAt(ResolvingPath& path,
                                                 const OpenOptions& options) = 0;
  virtual Result<std::string> ReadLinkAt(ResolvingPath& path) = 0;
  virtual Result<void> SetAttributesAt(ResolvingPath& path, const SetStat& set) = 0;
  virtual Result<StatFs> StatFsAt(ResolvingPath& path) = 0;

  // Those that make, remove or rename the last component.
  virtual Result<void> MkdirAt(ResolvingPath& path, uint32_t mode, Placement placement) = 0;
  virtual Result<void> MknodAt(ResolvingPath& path, const MknodOptions& options) = 0;
  virtual Result<void> SymlinkAt(ResolvingPath& path, std::string_view target,
                                 Placement placement) = 0;
  // `old` is a dentry of this or of another filesystem, `old_mount` where it was found.
  virtual Result<void> LinkAt(ResolvingPath& path, Mount& old_mount, Dentry& old) = 0;
  virtual Result<void> UnlinkAt(ResolvingPath& path) = 0;
  virtual Result<void> RmdirAt(ResolvingPath& path) = 0;
  // `path` is the new name.
  virtual Result<void> RenameAt(ResolvingPath& path, const RenameSource& from, uint32_t flags) = 0;
  // Where a path's last component is: its directory; the name is left in `path`.
  virtual Result<Dentry*> GetParentDentryAt(ResolvingPath& path) = 0;

  virtual Result<std::string> GetXattrAt(ResolvingPath& path, std::string_view name) = 0;
  virtual Result<void> SetXattrAt(ResolvingPath& path, std::string_view name,
                                  std::string_view value, int flags) = 0;
  virtual Result<std::vector<std::string>> ListXattrAt(ResolvingPath& path) = 0;
  virtual Result<void> RemoveXattrAt(ResolvingPath& path, std::string_view name) = 0;

  // Save and restore, in phases; see docs/checkpoint.md.
  //
  // Before the state is saved, with the gate closed: makes every saved field say what is true.
  virtual absl::Status PrepareSave() { return absl::OkStatus(); }
  // After the state is saved, with the gate still closed: undoes what PrepareSave did.
  virtual void BeforeResume() {}
  // After a load, parents before what is mounted on them: opens what is outside, compares it with
  // what was saved and reports each difference. Changes nothing outside.
  virtual absl::Status Reopen(RestoreContext&) { return absl::OkStatus(); }
  // After Reopen of all, in the same order: does what the policy of each reported difference says.
  // The filesystem is ready then.
  virtual absl::Status CompleteRestore(RestoreContext&) { return absl::OkStatus(); }

  // Whether nobody else changes the files: what is known of them stays true.
  virtual bool exclusive() const { return true; }
  // Whether it must be told when programs open files: a front end then does not read and write them
  // unopened.
  virtual bool opens_matter() const { return false; }
  // Makes everything that was written durable. Errors: EIO.
  virtual Result<void> Sync() { return {}; }

  // Lets go of the tree when the VirtualFilesystem ends: dentries and their parents hold each
  // other.
  virtual void Teardown() {}

 protected:
  Filesystem() = default;
  explicit Filesystem(VirtualFilesystem& vfs);

  absl::Status AfterLoad(state::LoadContext& context);

 private:
  STATE_SAVABLE(Filesystem);

  VirtualFilesystem* vfs_ = nullptr;  // borrowed
  uint32_t dev_ = 0;                  // immutable
  // Immutable; set again by AfterLoad.
  RefPtr<FileLockTable> file_locks_ STATE(nosave);
  RefPtr<WatchTable> watches_ STATE(nosave);
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_FILESYSTEM_H_
