// SPDX-License-Identifier: Apache-2.0
//
// inode.h: a file, whatever its names.
//
// Inode holds the attributes that every filesystem has, and the operations that TreeFilesystem and
// FileDescription call; a filesystem derives one class per kind of file. Hard links are several
// dentries of one Inode.
//
// Attributes are atomics: reading them takes no lock and no reference (a path walk and stat(2) do
// just that), changing them takes mu(). Two attributes read without mu() may be of different
// moments.
//
// Operations on children are called with the directory's Directory::mu held exclusively, so a
// filesystem sees one change of a directory at a time; names are checked already, permissions too.
//
// Lock order: Directory::mu, then Inode::mu().

#ifndef STASIS_VFS_INODE_H_
#define STASIS_VFS_INODE_H_

#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "state/annotations.h"
#include "state/base/result.h"
#include "state/object.h"
#include "vfs/acl.h"
#include "vfs/credentials.h"
#include "vfs/file_locks.h"
#include "vfs/options.h"
#include "vfs/permissions.h"
#include "vfs/stat.h"

namespace stasis::state {
class LoadContext;
}

namespace stasis::vfs {

class Dentry;
class FileDescription;
class Filesystem;
class VirtualDentry;

// Extended attributes by full name ("user.x"); values are any bytes.
using XattrMap = std::map<std::string, std::string, std::less<>>;

// What a new file is to be.
struct NewFile {
  uint32_t mode = 0;  // type and permission bits; umask and default ACL are applied already
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t rdev = 0;      // of a device node
  bool linkable = false;  // of a file without a name: it may get one
  bool opened = false;    // it is opened next
  Placement placement = Placement::kStored;
  XattrMap xattrs;  // ACLs that it gets from its directory

  uint64_t XattrBytes() const;  // of names and values
  std::string_view symlink_target;
};

enum class AtimeRule : uint8_t { kRelative, kStrict };

// Thread-safe.
class Inode : public state::Object {
 public:
  ~Inode() override;

  uint64_t ino() const { return ino_; }
  Filesystem& filesystem() const { return *filesystem_; }
  // Safe to ask while a load is not finished.
  bool IsOf(const Filesystem& filesystem) const { return filesystem_.get() == &filesystem; }

  uint32_t mode() const { return mode_.load(std::memory_order_relaxed) & kModeBits; }
  uint32_t uid() const { return uid_.load(std::memory_order_relaxed); }
  uint32_t gid() const { return gid_.load(std::memory_order_relaxed); }
  uint32_t nlink() const { return nlink_.load(std::memory_order_relaxed); }
  uint64_t size() const { return size_.load(std::memory_order_relaxed); }
  bool is_dir() const { return S_ISDIR(mode()); }
  bool is_symlink() const { return S_ISLNK(mode()); }
  bool is_regular() const { return S_ISREG(mode()); }

  // Errors: EACCES, those of LearnAcl.
  Result<void> CheckAccess(const Credentials& creds, Access want) const ABSL_LOCKS_EXCLUDED(mu_) {
    if (!HasModeFlag(kHasAcl | kAclUnknown)) [[likely]]
      return vfs::CheckAccess(creds, want, mode(), uid(), gid());
    return CheckAccessByAcl(creds, want);
  }
  // True of a directory that everybody may search, whoever he is.
  bool everybody_may_search() const {
    return (mode_.load(std::memory_order_relaxed) & (0111 | kHasAcl | kAclUnknown)) == 0111;
  }

  // Whether somebody watches this file, or what happens in it (watches.h). Changed by the
  // WatchTable only, and without mu_: it comes after all locks of files.
  bool watched() const { return HasModeFlag(kWatched); }
  void SetWatched(bool on);
  // Notes that the FileLockTable has, or will have, POSIX locks of this file.
  void set_has_locks() { locks_.store(true, std::memory_order_relaxed); }
  bool has_locks() const { return locks_.load(std::memory_order_relaxed); }
  // Filesystem::FileLocksInLoad of its filesystem, or null without one.
  FileLockTable* FileLocksInLoad() const;

  // Those who have it open for writing, or to run it: one kind keeps the other out. Each is undone
  // by the opposite. Errors: ETXTBSY.
  Result<void> BeginWriting() { return Join(1); }
  void EndWriting() { writers_.fetch_sub(1, std::memory_order_relaxed); }
  Result<void> BeginExecuting() { return Join(-1); }
  void EndExecuting() { writers_.fetch_add(1, std::memory_order_relaxed); }

  // All attributes but dev and mount_id, which the caller knows.
  virtual void FillStat(Stat& stat) const;

  // Applies the rules of chmod(2), chown(2), truncate(2) and utimensat(2), then DoTruncate and the
  // attributes themselves. `creds` must be allowed to.
  // Errors: EPERM, EACCES, EISDIR, EINVAL, EFBIG, ENOSPC, EIO.
  virtual Result<void> SetAttributes(const Credentials& creds, const SetStat& set, TimeNs now)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Takes privileges away. Returns whether the mode has changed. Nothing happens to directories.
  virtual Result<bool> Drop(const DropPrivileges& drop, TimeNs now) ABSL_LOCKS_EXCLUDED(mu_);

  // The target of a symbolic link; valid as long as the inode. Errors: EINVAL.
  virtual Result<std::string_view> ReadLink() const;

  // Opens the file behind `at`; permissions are checked, O_CREAT and O_TRUNC dealt with.
  // Errors: ENXIO, EOPNOTSUPP, those of the filesystem.
  virtual Result<RefPtr<FileDescription>> Open(const VirtualDentry& at, const OpenOptions& options);

  // Data of regular files. `Read` returns the bytes read, fewer only at the end of the file.
  // Errors: EIO; Write also EFBIG, ENOSPC.
  virtual Result<size_t> Read(uint64_t offset, std::span<std::byte> out);
  virtual Result<size_t> Write(uint64_t offset, std::span<const std::byte> bytes, TimeNs now);
  // Writes at the end of the file, wherever that is by now; `*offset` gets where it was.
  virtual Result<size_t> Append(std::span<const std::byte> bytes, TimeNs now, uint64_t* offset);
  // As fallocate(2), with the modes that a tmpfs has: 0, FALLOC_FL_KEEP_SIZE, and that with
  // FALLOC_FL_PUNCH_HOLE.
  // Errors: EFBIG, ENOSPC, EIO, EOPNOTSUPP.
  virtual Result<void> Allocate(int mode, uint64_t offset, uint64_t length, TimeNs now);
  // As copy_file_range(2): makes bytes of this file those of `from`, which may be this file if the
  // ranges do not overlap. Returns how many: fewer at the end of `from`, or where a host stops.
  // Errors: EINVAL, EXDEV, EFBIG, ENOSPC, EIO.
  virtual Result<uint64_t> CopyRange(Inode& from, uint64_t from_offset, uint64_t offset,
                                     uint64_t length, TimeNs now);
  // SEEK_DATA and SEEK_HOLE. Errors: ENXIO, EINVAL.
  virtual Result<uint64_t> SeekExtent(uint64_t offset, int whence) const;
  // As fsync(2), of a file that somebody has open. Called outside of the gate, so it holds no lock
  // while it waits. Errors: EIO.
  virtual Result<void> Sync() { return {}; }

  // Extended attributes. Namespaces and permissions are checked by the caller (VirtualFilesystem).
  // Errors: ENODATA, EEXIST, E2BIG, ENOSPC, EOPNOTSUPP.
  virtual Result<std::string> GetXattr(std::string_view name) const ABSL_LOCKS_EXCLUDED(mu_);
  virtual Result<void> SetXattr(std::string_view name, std::string_view value, int flags,
                                TimeNs now) ABSL_LOCKS_EXCLUDED(mu_);
  virtual Result<std::vector<std::string>> ListXattr() const ABSL_LOCKS_EXCLUDED(mu_);
  virtual Result<void> RemoveXattr(std::string_view name, TimeNs now) ABSL_LOCKS_EXCLUDED(mu_);

  // Sets the ACL that the attribute `name` (IsAclXattr) stands for; an empty one removes it. The
  // access ACL sets the permission bits too. Errors: EPERM, EACCES, EINVAL, EOPNOTSUPP, ENOSPC.
  virtual Result<void> SetAcl(const Credentials& creds, std::string_view name, Acl acl, TimeNs now)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Applies the umask of `creds`, or what this directory's default ACL says instead, to a file that
  // is to be made in it.
  virtual void ApplyDefaultAcl(const Credentials& creds, NewFile& file) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // Operations on the children of a directory; the lock order is above. The dentry tree is changed
  // by the caller after they succeed.
  //
  // Whether LookupChild may find what the dentry cache does not have.
  virtual bool has_uncached_children() const { return false; }
  // The child of that name that is not in the dentry cache. Errors: ENOENT, EIO.
  virtual Result<RefPtr<Inode>> LookupChild(std::string_view name);
  // Whether an unchecked child still is the file of its name, with attributes that are true now.
  // May end its being unchecked. Errors: EIO.
  virtual Result<bool> CheckChild(Dentry&) { return true; }
  // Before a listing: sees to it that the dentry cache has every name; their files may be
  // unchecked. The directory, whose dentry is `self`, is not locked. Errors: EIO.
  virtual Result<void> BeginListing(Dentry&) { return {}; }
  // Errors: ENOSPC, EDQUOT, EOPNOTSUPP, EIO.
  virtual Result<RefPtr<Inode>> MakeChild(std::string_view name, const NewFile& file, TimeNs now);
  // A regular file without a name, for O_TMPFILE. Errors: as MakeChild.
  virtual Result<RefPtr<Inode>> MakeTmpfile(const NewFile& file, TimeNs now);
  // Errors: EMLINK, EPERM, ENOENT if it has no link any more and may not get one.
  virtual Result<void> LinkChild(std::string_view name, Inode& target, TimeNs now);
  // `child` is not a directory.
  virtual Result<void> UnlinkChild(std::string_view name, Inode& child, TimeNs now);
  // `child` is an empty directory.
  virtual Result<void> RmdirChild(std::string_view name, Inode& child, TimeNs now);
  // Moves `child` to `new_dir`, over `replaced` (may be null; if a directory, an empty one). Both
  // directories are locked.
  virtual Result<void> RenameChild(std::string_view name, Inode& child, Inode& new_dir,
                                   std::string_view new_name, Inode* replaced, TimeNs now);
  // As RenameChild, and leaves a file like `whiteout` under the old name, which is returned.
  virtual Result<RefPtr<Inode>> RenameLeavingWhiteout(std::string_view name, Inode& child,
                                                      Inode& new_dir, std::string_view new_name,
                                                      Inode* replaced, const NewFile& whiteout,
                                                      TimeNs now);
  // Exchanges two children; both directories are locked.
  virtual Result<void> ExchangeChildren(std::string_view name, Inode& child, Inode& other_dir,
                                        std::string_view other_name, Inode& other, TimeNs now);

  // From here on somebody changes the data of the host's file behind this one without us
  // (FileDescription::backing_fd): its size and times are to be asked of the host, until
  // EndPassthrough was called as often. Descriptions may be closed before: a mapping outlives its
  // file. The count is not saved.
  virtual void BeginPassthrough() {}
  virtual void EndPassthrough() {}

  // Notes an access. For kRelative only if the last one is not after the last change of content or
  // attributes, or a day ago (mount(8): relatime).
  void TouchAtime(TimeNs now, AtimeRule rule);
  // Notes a change of content (mtime and ctime) or of attributes (ctime).
  void TouchModified(TimeNs now);
  void TouchChanged(TimeNs now);

  absl::Mutex& mu() const ABSL_LOCK_RETURNED(mu_) { return mu_; }

  // A dentry of this file has become its parent's child, or ceased to be. The parent is locked.
  virtual void OnConnected(Dentry&) {}
  virtual void OnDisconnected(Dentry&) {}

  // Dentries of this file that somebody holds, for Dentry. AddDentry returns how many there were.
  uint32_t AddDentry() { return dentries_.fetch_add(1, std::memory_order_relaxed); }
  void DropDentry();
  // Whether it has neither a link nor a dentry that somebody holds. Requires: no dentry comes or
  // goes meanwhile.
  bool is_unused() const {
    return nlink() == 0 && (dentries_.load(std::memory_order_relaxed) & ~kReleased) == 0;
  }

 protected:
  Inode() = default;
  // Without its own lock, as in destructors: abseil's deadlock detector would remember each inode
  // that was locked with its directory locked.
  Inode(Filesystem& filesystem, uint64_t ino, const NewFile& file, uint32_t nlink,
        TimeNs now) ABSL_NO_THREAD_SAFETY_ANALYSIS;

  // CopyRange by Read and Write, for files that can do no better. `from` is open to be read.
  Result<uint64_t> CopyByReading(Inode& from, uint64_t from_offset, uint64_t offset,
                                 uint64_t length, TimeNs now) ABSL_LOCKS_EXCLUDED(mu_);

  // Changes the size of a regular file's data; the attributes follow in the caller.
  // Errors: EINVAL, EFBIG, ENOSPC, EIO.
  virtual Result<void> DoTruncate(uint64_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void set_size(uint64_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    size_.store(size, std::memory_order_relaxed);
  }
  // Makes room for `bytes` more of extended attributes, or gives it back if negative. Errors:
  // ENOSPC.
  virtual Result<void> ChargeXattrs(int64_t) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return {}; }
  // What the extended attributes take up, in bytes of names and values.
  int64_t XattrBytes() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // Called once, when the file has no link and nobody holds a dentry of it: gives back what it
  // takes up. Readers may still look at it; nobody changes it any more.
  virtual void ReleaseUnlinked() {}
  bool released() const { return (dentries_.load(std::memory_order_relaxed) & kReleased) != 0; }
  // False only while what a failed load has made is taken down.
  bool has_filesystem() const { return static_cast<bool>(filesystem_); }
  // Whether a file without a link may get its first one (linkat(2) after O_TMPFILE).
  void set_linkable(bool on) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { linkable_ = on; }
  static bool TakeLinkable(Inode& inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(inode.mu_) {
    return std::exchange(inode.linkable_, false);
  }
  void set_nlink(uint32_t nlink) { nlink_.store(nlink, std::memory_order_relaxed); }
  // Makes the size `size` at least. Writers may be several.
  void RaiseSize(uint64_t size) {
    uint64_t old = size_.load(std::memory_order_relaxed);
    while (old < size && !size_.compare_exchange_weak(old, size, std::memory_order_relaxed)) {
    }
  }
  // Of a filesystem that keeps ACLs elsewhere, and has said ForgetAcl: finds the access ACL, and
  // says so by SetLearntAcl. Called by checks that it may decide. Errors: EIO.
  virtual Result<void> LearnAcl() ABSL_LOCKS_EXCLUDED(mu_) { return {}; }
  // `stored` is a valid one, or empty if there is none. Unless it is `kept`, the next check asks
  // again.
  void SetLearntAcl(std::string stored, bool kept) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetAcl() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { SetLearntAcl("", /*kept=*/false); }
  bool acl_unknown() const { return HasModeFlag(kAclUnknown); }
  bool has_acl() const { return HasModeFlag(kHasAcl); }
  // Whether an ACL can make a difference to this check.
  bool AclMayDecide(const Credentials& creds, Access want) const;

  // Replaces all extended attributes, unchecked.
  void SetXattrsLocked(XattrMap xattrs) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The ACLs that the inode of another filesystem knows of, for a file that stands for it.
  void CopyAclsFrom(const Inode& other) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // All that `stat` says of a file that is kept elsewhere. Not its type and number.
  void SetAttributesFrom(const Stat& stat) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // The rules of SetAttributes, and the attributes after it. Errors: EPERM, EACCES, EISDIR, EINVAL,
  // EFBIG.
  Result<void> CheckSetAttributes(const Credentials& creds, const SetStat& set) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void ApplyAttributes(const Credentials& creds, const SetStat& set, TimeNs now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool DropLocked(const DropPrivileges& drop) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddLinks(int32_t by) { nlink_.fetch_add(static_cast<uint32_t>(by)); }
  // nlink of another inode of the same filesystem.
  static void AddLinksTo(Inode& inode, int32_t by) { inode.AddLinks(by); }

  // For the AfterLoad of what is a device, a FIFO or a socket.
  absl::Status CheckIsSpecial(state::LoadContext& context) const;

 private:
  STATE_SAVABLE(Inode);

  bool EraseXattr(std::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HasModeFlag(uint32_t flag) const {
    return (mode_.load(std::memory_order_relaxed) & flag) != 0;
  }
  void PutModeFlag(uint32_t flag, bool on);
  void SetModeFlag(uint32_t flag, bool on) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StoreMode(uint32_t mode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The stored form, or null.
  const std::string* FindXattr(std::string_view name) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // Adds or replaces, without a look at flags. Errors: ENOSPC.
  Result<void> PutXattr(std::string_view name, std::string value)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Result<void> CheckAccessByAcl(const Credentials& creds, Access want) const
      ABSL_LOCKS_EXCLUDED(mu_);
  Result<void> CheckAccessLocked(const Credentials& creds, Access want) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  uint32_t SaveMode() const { return mode(); }
  absl::Status LoadMode(uint32_t mode, state::LoadContext& context);
  absl::Status CheckAcls(state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  uint32_t WithoutPrivileges(const Credentials& creds, uint32_t mode) const;
  XattrMap SaveXattrs() const ABSL_NO_THREAD_SAFETY_ANALYSIS;
  absl::Status LoadXattrs(XattrMap xattrs,
                          state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // Adds one to those of this sign, unless there are some of the other.
  Result<void> Join(int32_t one);
  std::vector<FileLock> SaveLocks() const;
  absl::Status LoadLocks(const std::vector<FileLock>& locks, state::LoadContext& context);
  absl::Status AfterLoad(state::LoadContext& context);
  void LoadFailed() { locks_.store(false, std::memory_order_relaxed); }

  static constexpr uint32_t kReleased = uint32_t{1} << 31;
  // In mode_, where a path walk finds them without another load.
  static constexpr uint32_t kModeBits = S_IFMT | kPermissionBits;
  static constexpr uint32_t kHasAcl = uint32_t{1} << 31;
  static constexpr uint32_t kHasDefaultAcl = uint32_t{1} << 30;
  static constexpr uint32_t kWatched = uint32_t{1} << 29;
  static constexpr uint32_t kAclUnknown = uint32_t{1} << 28;

  // Written under mu_, read without.
  // Type and permission bits, and the flags above; the type never changes. kWatched is written
  // under WatchTable::mu_, so all change it by single steps.
  std::atomic<uint32_t> mode_ STATE(manual){0};
  std::atomic<uint32_t> uid_{0};
  std::atomic<uint32_t> gid_{0};
  std::atomic<uint32_t> nlink_{0};
  // Dentries with references; kReleased after ReleaseUnlinked().
  std::atomic<uint32_t> dentries_ STATE(nosave){0};
  // Immutable after construction.
  uint64_t ino_ = 0;
  RefPtr<Filesystem> filesystem_;
  // Written under mu_, read without.
  std::atomic<uint64_t> size_{0};
  std::atomic<TimeNs> atime_{0};
  std::atomic<TimeNs> mtime_{0};
  std::atomic<TimeNs> ctime_{0};
  std::atomic<TimeNs> btime_{0};

  mutable absl::Mutex mu_ STATE(nosave);
  bool linkable_ ABSL_GUARDED_BY(mu_) = false;
  // Whether the FileLockTable may have POSIX locks of this file: they are what is saved.
  std::atomic<bool> locks_ STATE(manual){false};
  // Descriptions that write, or minus those that execute. Counted again by their AfterLoad.
  std::atomic<int32_t> writers_ STATE(nosave){0};
  std::unique_ptr<XattrMap> xattrs_ STATE(manual) ABSL_GUARDED_BY(mu_);  // null if none
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_INODE_H_
